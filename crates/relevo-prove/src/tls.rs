//! TLS, with sessions that are resumed, as browsers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue, WebPkiServerVerifier,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, NamedGroup, RootCertStore, SignatureScheme,
};

use crate::Refusal;

/// Whom to believe that it is the server.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// Whom the system trusts.
    #[default]
    System,
    /// Whom these certificates (PEM) vouch for.
    Authorities(Vec<u8>),
    /// Anybody.
    Anybody,
}

/// How clients speak TLS.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
}

impl Tls {
    pub(crate) fn new(trust: &Trust) -> Result<Self, Refusal> {
        let provider = Arc::new(ring::default_provider());
        let roots = match trust {
            Trust::Anybody => {
                let verifier = Arc::new(Credulous(Arc::clone(&provider)));
                return Ok(Self { provider, verifier });
            }
            Trust::System => system_roots()?,
            Trust::Authorities(pem) => roots_of(pem)?,
        };
        let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let verifier = builder.build().map_err(|error| {
            Refusal(format!("the certificates to trust cannot be used: {error}"))
        })?;
        Ok(Self { provider, verifier })
    }

    /// How one client speaks, with no sessions yet.
    pub(crate) fn side(&self, protocols: &[&[u8]], name: ServerName<'static>) -> Side {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need");
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.verifier))
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let sessions = Arc::new(Sessions::default());
        config.resumption = Resumption::store(Arc::<Sessions>::clone(&sessions));
        Side { config: Arc::new(config), name, sessions }
    }
}

/// One client's side of TLS.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) config: Arc<ClientConfig>,
    /// Whom the certificate must be for.
    pub(crate) name: ServerName<'static>,
    sessions: Arc<Sessions>,
}

impl Side {
    /// Whether a session was offered since this was last asked.
    pub(crate) fn has_offered(&self) -> bool {
        self.sessions.were_offered.swap(false, Ordering::Relaxed)
    }
}

/// A client's sessions. A ticket of TLS 1.3 is used once (RFC 8446 appendix C.4), and a server may
/// give none at a resumption, so that there is not always one to offer.
#[derive(Debug)]
struct Sessions {
    kept: ClientSessionMemoryCache,
    were_offered: AtomicBool,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { kept: ClientSessionMemoryCache::new(8), were_offered: AtomicBool::new(false) }
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.kept.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.kept.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let session = self.kept.tls12_session(server_name);
        self.were_offered.fetch_or(session.is_some(), Ordering::Relaxed);
        session
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.kept.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(
        &self,
        server_name: ServerName<'static>,
        value: Tls13ClientSessionValue,
    ) {
        self.kept.insert_tls13_ticket(server_name, value);
    }

    fn take_tls13_ticket(
        &self,
        server_name: &ServerName<'static>,
    ) -> Option<Tls13ClientSessionValue> {
        let session = self.kept.take_tls13_ticket(server_name);
        self.were_offered.fetch_or(session.is_some(), Ordering::Relaxed);
        session
    }
}

/// The name that a certificate must be for.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, Refusal> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| Refusal(format!("`{host}` is no name that a certificate could be for")))
}

fn system_roots() -> Result<Arc<RootCertStore>, Refusal> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let text = "this system has no certificates to trust: name some by `--ca FILE`, or use `--insecure`";
        return Err(Refusal(text.to_owned()));
    }
    Ok(Arc::new(roots))
}

fn roots_of(pem: &[u8]) -> Result<Arc<RootCertStore>, Refusal> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| Refusal(format!("--ca: not PEM: {error}")))?;
        roots.add(certificate).map_err(|error| Refusal(format!("--ca: {error}")))?;
    }
    if roots.is_empty() {
        return Err(Refusal("--ca: there is no certificate in it".to_owned()));
    }
    Ok(Arc::new(roots))
}

/// Believes anybody, but not that a handshake was signed when it was not.
#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
