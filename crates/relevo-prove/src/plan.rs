//! All that is asked of a trial.

use std::time::Duration;

use relevo_config::prove::{ClientKind, Header, KindPath, Mix, Statuses};

use crate::target::Target;
use crate::tls::Trust;

/// What clients do.
#[derive(Debug)]
pub struct Plan {
    /// Whom they talk to.
    pub target: Target,
    /// How many of which kind; `None`: what fits the server.
    pub mix: Option<Mix>,
    /// What they ask for, beside the target's own path.
    pub paths: Vec<KindPath>,
    /// The method, where it is not GET, or POST with a body.
    pub method: Option<String>,
    /// What is sent with a request, by clients that send no body of their own.
    pub body: Vec<u8>,
    /// How much a slow upload is, in bytes.
    pub upload_bytes: usize,
    /// Headers of every request.
    pub headers: Vec<Header>,
    /// The header that carries a request's id.
    pub id_header: String,
    /// Which statuses are right; `None`: the one that the rehearsal was answered with.
    pub expect: Option<Statuses>,
    /// How long a client is idle between two requests, on average.
    pub think: Duration,
    /// How long slow uploads and slow reading take.
    pub slow: Duration,
    /// How long an answer may take, beside the time that a slow client takes itself.
    pub timeout: Duration,
    /// Whom to believe over TLS.
    pub trust: Trust,
    /// Whether idle connections must not be closed, either.
    pub strict: bool,
    /// When to disturb.
    pub schedule: Schedule,
}

/// When the server is disturbed.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// How often.
    pub disturbances: u32,
    /// How long clients run at the least.
    pub at_least: Duration,
    /// How long nothing is done before each disturbance, and after the last.
    pub pause: Duration,
}

impl Plan {
    /// The mix where none was given: what every server can answer.
    pub(crate) fn usual_mix(&self) -> Mix {
        let mut mix = Mix::default();
        mix.set(ClientKind::New, 4);
        mix.set(ClientKind::KeepAlive, 32);
        mix.set(ClientKind::Pipelined, 4);
        mix.set(ClientKind::SlowUpload, 2);
        mix.set(ClientKind::SlowResponse, 2);
        // A path of their own says that they are wanted.
        for kind in [ClientKind::LargeResponse, ClientKind::Http2, ClientKind::WebSocket] {
            if self.paths.iter().any(|path| path.kind == Some(kind)) {
                mix.set(kind, 2);
            }
        }
        mix
    }

    /// What clients of this kind ask for.
    pub(crate) fn path(&self, kind: ClientKind) -> &str {
        let named = |wanted| self.paths.iter().rev().find(|path| path.kind == wanted);
        match named(Some(kind)).or_else(|| named(None)) {
            Some(path) => &path.path,
            None => &self.target.path,
        }
    }

    /// The method of this kind's requests.
    pub(crate) fn method(&self, kind: ClientKind) -> &str {
        match (kind, &self.method) {
            (ClientKind::WebSocket, _) => "GET",
            (_, Some(method)) => method,
            (ClientKind::SlowUpload, None) => "POST",
            (_, None) if !self.body.is_empty() => "POST",
            (_, None) => "GET",
        }
    }
}
