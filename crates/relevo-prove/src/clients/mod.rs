//! The kinds of clients, one file each, and what they have in common.

mod connection;
mod http2;
mod kept;
mod new;
mod once;
mod pipelined;
mod slow_response;
mod slow_upload;
mod template;
mod websocket;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use relevo_config::prove::ClientKind;
use rustls::pki_types::ServerName;

pub(crate) use self::connection::Connection;
pub(crate) use self::template::Template;
pub(crate) use self::websocket::{Socket, Speech};
use crate::ledger::{Ledger, Miss, Ticket};
use crate::plan::Plan;
use crate::pulse::Pace;
use crate::stream::{Address, Dialer, is_ours};
use crate::tls::{Side, Tls};

/// What all clients of a trial share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) plan: Rc<Plan>,
    pub(crate) ledger: Rc<Ledger>,
    pub(crate) address: Address,
    pub(crate) tls: Option<(Tls, ServerName<'static>)>,
    /// What went wrong on this side, so that the trial must end.
    pub(crate) fault: RefCell<Option<String>>,
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

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
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
            ClientKind::New => new::run(self).await,
            ClientKind::KeepAlive | ClientKind::LargeResponse => kept::run(self).await,
            ClientKind::Pipelined => pipelined::run(self).await,
            ClientKind::SlowUpload => slow_upload::run(self).await,
            ClientKind::SlowResponse => slow_response::run(self).await,
            ClientKind::Http2 => http2::run(self).await,
            ClientKind::WebSocket => websocket::run(self).await,
        }
    }

    /// Ends a request.
    fn end(&self, ticket: Ticket, outcome: Result<(), Miss>) {
        match outcome {
            Ok(()) => self.common.ledger.answered(ticket),
            Err(miss) => self.missed(ticket, miss),
        }
    }

    fn missed(&self, ticket: Ticket, miss: Miss) {
        if is_ours(&miss.what) {
            let mut fault = self.common.fault.borrow_mut();
            fault.get_or_insert_with(|| miss.what.clone());
        }
        self.common.ledger.missed(ticket, miss);
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
