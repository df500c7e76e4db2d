//! What every client does: it has one connection at a time, and knows how each request ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Pace, Site};
use crate::account::Tally;
use crate::support::client::{Connection, Lost, Response};

/// So many losses of one client, and it stops asking: the service is not there.
const ENOUGH: usize = 100;

/// One client.
pub(crate) struct User<'a> {
    site: &'a Site,
    pace: &'a Pace,
    pub(super) tally: Tally,
    link: Option<Link>,
    seed: u64,
}

/// An open connection.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) port: u16,
    /// How many requests were answered on it.
    pub(super) answered: u64,
}

/// A request, and its right answer.
pub(super) struct Wish {
    pub(super) head: String,
    pub(super) id: String,
    /// The body of the right answer.
    pub(super) body: &'static str,
    pub(super) status: u16,
    /// The client itself says that it wants no more on this connection.
    pub(super) last: bool,
}

impl Wish {
    /// `method` of `path`, which is answered `body`.
    pub(super) fn new(method: &str, path: &str, body: &'static str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = format!("r{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nX-Request-Id: {id}\r\n");
        Self { head, id, body, status: 200, last: false }
    }

    pub(super) fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        use std::fmt::Write;
        write!(self.head, "{name}: {value}\r\n").expect("a string takes everything");
        self
    }

    pub(super) fn last(self) -> Self {
        Self { last: true, ..self.header("Connection", "close") }
    }

    pub(super) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The head's bytes, with the empty line that ends it.
    pub(super) fn head(&self) -> Vec<u8> {
        format!("{}\r\n", self.head).into_bytes()
    }
}

impl<'a> User<'a> {
    pub(crate) fn new(site: &'a Site, pace: &'a Pace, seed: u64) -> Self {
        Self { site, pace, tally: Tally::default(), link: None, seed }
    }

    pub(crate) fn into_tally(self) -> Tally {
        self.tally
    }

    pub(super) fn is_over(&self) -> bool {
        self.pace.is_over() || self.tally.losses.len() >= ENOUGH
    }

    /// A number of the range: the same in each run, and another for each client and each time.
    pub(super) fn between(&mut self, from: u64, to: u64) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        from + (self.seed >> 33) % (to - from + 1)
    }

    /// Pauses for a time of the range, in milliseconds, but not when it is over.
    pub(super) fn think(&mut self, from: u64, to: u64) {
        let time = self.between(from, to);
        self.pace.think(Duration::from_millis(time));
    }

    /// The connection that was kept if it is still there, else a new one; `None` if that is lost, which is counted.
    pub(super) fn link(&mut self) -> Option<Link> {
        if let Some(mut link) = self.link.take() {
            if !link.connection.is_closed() {
                return Some(link);
            }
            self.tally.closed_idle.push(link.port);
        }
        match self.site.connect() {
            Ok((connection, port)) => Some(Link { connection, port, answered: 0 }),
            Err((lost, port)) => {
                self.tally.lose(lost, port, "at the beginning of a connection");
                None
            }
        }
    }

    /// One request, sent and answered as `exchange` does it.
    pub(super) fn ask(
        &mut self,
        wish: &Wish,
        exchange: impl FnOnce(&mut Connection) -> Result<Response, Lost>,
    ) {
        let Some(mut link) = self.link() else { return };
        match exchange(&mut link.connection) {
            Ok(response) => self.take_answer(link, wish, &response),
            Err(lost) => self.lose(&link, wish, lost, ""),
        }
    }

    /// Counts an answer, and keeps the connection if that is allowed.
    pub(super) fn take_answer(&mut self, mut link: Link, wish: &Wish, response: &Response) {
        if let Err(wrong) = self.check(wish, response) {
            self.lose(&link, wish, Lost::Wrong, &wrong);
            return;
        }
        self.count_answer(&mut link);
        if wish.last {
            return;
        }
        if response.says_close() {
            self.tally.ended += 1;
        } else {
            self.keep(link);
        }
    }

    pub(super) fn count_answer(&mut self, link: &mut Link) {
        link.answered += 1;
        self.tally.answered += 1;
        self.pace.one_more_round();
    }

    pub(super) fn keep(&mut self, link: Link) {
        self.link = Some(link);
    }

    pub(super) fn lose(&mut self, link: &Link, wish: &Wish, lost: Lost, more: &str) {
        let line = wish.head.lines().next().unwrap_or_default();
        let what = format!("{line}, {} answered before on it; {more}", link.answered);
        self.tally.lose(lost, link.port, &what);
    }

    /// Whether it is the answer to this and nothing else.
    pub(super) fn check(&self, wish: &Wish, response: &Response) -> Result<(), String> {
        let id = response.header("x-request-id");
        if response.status != wish.status {
            return Err(format!("status {} in place of {}", response.status, wish.status));
        }
        if id != Some(&wish.id) {
            return Err(format!("the answer to {id:?} in place of {}", wish.id));
        }
        if response.body != wish.body.as_bytes() {
            return Err(format!("{} bytes in place of {}", response.body.len(), wish.body.len()));
        }
        match self.site.wanted_mark() {
            None => Ok(()),
            Some((name, wanted)) => match (response.header(name), wanted) {
                (None | Some(""), _) => Err(format!("no {name}")),
                (Some(value), Some(wanted)) if value != wanted => Err(format!("{name}: {value}")),
                (Some(_), _) => Ok(()),
            },
        }
    }
}
