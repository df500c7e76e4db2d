//! TLS, with sessions that are resumed, as browsers do.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

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

/// How clients speak TLS. Each client has a configuration of its own, for its own sessions.
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

    /// A configuration with no sessions yet.
    pub(crate) fn config(&self, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need");
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.verifier))
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(8)));
        Arc::new(config)
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
