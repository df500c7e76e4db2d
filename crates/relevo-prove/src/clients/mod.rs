//! The kinds of clients, one file each, and what they have in common.

mod connection;
mod http2;
mod kept;
mod new;
mod once;
mod pipelined;
mod slow_upload;
mod template;
mod websocket;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use relevo_config::prove::ClientKind;
use rustls::pki_types::ServerName;

pub(crate) use self::connection::Connection;
pub(crate) use self::template::Template;
pub(crate) use self::websocket::{Socket, Speech};
use tokio::time::timeout;

use crate::ledger::{Ledger, Loss, Miss, Ticket, text_of};
use crate::plan::Plan;
use crate::pulse::Pace;
use crate::response::{Answer, Decoder};
use crate::stream::{Address, Dialer};
use crate::tls::{Side, Tls};

/// What all clients of a trial share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) plan: Rc<Plan>,
    pub(crate) ledger: Rc<Ledger>,
    pub(crate) address: Address,
    pub(crate) tls: Option<(Tls, ServerName<'static>)>,
}

/// What a right answer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Right {
    /// Those that are right; `None` while the rehearsal finds out.
    pub(crate) statuses: Option<Vec<u16>>,
    /// Where a request's id comes back.
    pub(crate) echo: Echo,
    /// The idle time that the server announces.
    pub(crate) keep_alive: Option<Duration>,
    /// What WebSockets answer to.
    pub(crate) speech: Speech,
}

/// Where a request's id comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Echo {
    #[default]
    Nowhere,
    Header,
    Body,
}

impl Echo {
    /// Where the id is in an answer.
    pub(crate) fn of(header: Option<&str>, body: &[u8], id: &str) -> Self {
        if header == Some(id) {
            Self::Header
        } else if contains(body, id.as_bytes()) {
            Self::Body
        } else {
            Self::Nowhere
        }
    }
}

impl Right {
    /// Why an answer is wrong, if it is.
    pub(crate) fn fault(
        &self,
        status: u16,
        header: Option<&str>,
        body: &[u8],
        id: &str,
    ) -> Option<String> {
        if self.statuses.as_ref().is_some_and(|right| !right.contains(&status)) {
            return Some(format!("status {status}"));
        }
        match self.echo {
            Echo::Nowhere => None,
            Echo::Header if header == Some(id) => None,
            Echo::Header => Some(format!(
                "the answer to another request: `{}`",
                header.unwrap_or("none").escape_debug()
            )),
            Echo::Body if contains(body, id.as_bytes()) => None,
            Echo::Body => Some("the answer has no word of the request's id".to_owned()),
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// What comes of `future`, if that is within `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    future: impl Future<Output = Result<T, Miss>>,
) -> Result<T, Miss> {
    timeout(limit, future).await.unwrap_or_else(|_| Err(Miss::late(limit)))
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) common: Rc<Common>,
    pub(crate) kind: ClientKind,
    /// Its number among those of its kind.
    pub(crate) index: u32,
    pub(crate) right: Rc<Right>,
    pub(crate) pace: Pace,
    pub(crate) dialer: Dialer,
}

impl Client {
    pub(crate) fn new(
        common: &Rc<Common>,
        kind: ClientKind,
        index: u32,
        right: &Rc<Right>,
        pace: &Pace,
    ) -> Self {
        let dialer = common.dialer(kind);
        let (common, right, pace) = (Rc::clone(common), Rc::clone(right), pace.clone());
        Self { common, kind, index, right, pace, dialer }
    }

    /// Sends requests until the trial ends.
    pub(crate) async fn run(mut self) {
        // Not all at once.
        let first = self.common.plan.think.min(Duration::from_millis(500));
        if !self.pace.think(first, false).await {
            return;
        }
        match self.kind {
            ClientKind::New | ClientKind::SlowResponse => new::run(self).await,
            ClientKind::KeepAlive | ClientKind::LargeResponse => kept::run(self).await,
            ClientKind::Pipelined => pipelined::run(self).await,
            ClientKind::SlowUpload => slow_upload::run(self).await,
            ClientKind::Http2 => http2::run(self).await,
            ClientKind::WebSocket => websocket::run(self).await,
        }
    }

    /// Ends all that wait with the same loss.
    fn lose(&self, waiting: &mut VecDeque<Ticket>, miss: &Miss) {
        for ticket in waiting.drain(..) {
            self.common.ledger.missed(ticket, miss.clone());
        }
    }

    /// A new connection for requests over HTTP/1.1.
    async fn connect(&self) -> Result<Connection, Miss> {
        let connection = Connection::new(self.dialer.dial().await?, self.decoder());
        Ok(match self.kind {
            ClientKind::SlowResponse => connection.slowly(self.common.plan.slow),
            ClientKind::New
            | ClientKind::KeepAlive
            | ClientKind::Pipelined
            | ClientKind::SlowUpload
            | ClientKind::LargeResponse
            | ClientKind::Http2
            | ClientKind::WebSocket => connection,
        })
    }

    /// Reads answers to this client's requests.
    fn decoder(&self) -> Decoder {
        let plan = &self.common.plan;
        let decoder = Decoder::new(&plan.id_header, plan.method(self.kind));
        if self.right.echo == Echo::Body { decoder.keep_body() } else { decoder }
    }

    /// Whether an answer is right.
    fn judge(&self, connection: &Connection, answer: &Answer, id: u64) -> Result<(), Miss> {
        let (header, body) = (answer.echo.as_deref(), connection.decoder.body());
        match self.right.fault(answer.status, header, body, &text_of(id)) {
            None => Ok(()),
            Some(what) => {
                let carrier = Some(connection.carrier());
                Err(Miss { loss: Loss::Wrong, what, carrier })
            }
        }
    }

    /// A pause between requests; false at the trial's end.
    async fn think(&mut self) -> bool {
        self.pace.think(self.common.plan.think, true).await
    }

    /// A pause after a loss, so that a server that is away is not asked a thousand times a second.
    async fn recover(&mut self) -> bool {
        self.pace.think(self.common.plan.think.max(Duration::from_millis(20)), false).await
    }
}

impl Common {
    /// How long one request may take in all.
    pub(crate) fn limit(&self, kind: ClientKind) -> Duration {
        match kind {
            ClientKind::SlowUpload | ClientKind::SlowResponse => {
                self.plan.timeout.saturating_add(self.plan.slow)
            }
            ClientKind::New
            | ClientKind::KeepAlive
            | ClientKind::Pipelined
            | ClientKind::LargeResponse
            | ClientKind::Http2
            | ClientKind::WebSocket => self.plan.timeout,
        }
    }

    pub(crate) fn dialer(&self, kind: ClientKind) -> Dialer {
        let protocols: &[&[u8]] = match kind {
            ClientKind::Http2 => &[b"h2"],
            ClientKind::New
            | ClientKind::KeepAlive
            | ClientKind::Pipelined
            | ClientKind::SlowUpload
            | ClientKind::SlowResponse
            | ClientKind::LargeResponse
            | ClientKind::WebSocket => &[b"http/1.1"],
        };
        // The kernel takes twice as much: socket(7).
        let receive_buffer = (kind == ClientKind::SlowResponse).then_some(4096);
        Dialer {
            address: self.address.clone(),
            tls: self.tls(protocols),
            receive_buffer,
            ledger: Rc::clone(&self.ledger),
        }
    }

    pub(crate) fn tls(&self, protocols: &[&[u8]]) -> Option<Side> {
        self.tls.as_ref().map(|(tls, name)| tls.side(protocols, name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_right_by_its_status_and_its_echo() {
        let mut right = Right { statuses: Some(vec![200]), ..Right::default() };
        assert_eq!(right.fault(200, None, b"", "a"), None);
        assert_eq!(right.fault(503, None, b"", "a").unwrap(), "status 503");
        right.echo = Echo::Header;
        assert_eq!(right.fault(200, Some("a"), b"", "a"), None);
        let other = right.fault(200, Some("b"), b"", "a").unwrap();
        assert_eq!(other, "the answer to another request: `b`");
        right.echo = Echo::Body;
        assert_eq!(right.fault(200, None, b"<a>", "a"), None);
        assert!(right.fault(200, None, b"<b>", "a").is_some());
    }
}
