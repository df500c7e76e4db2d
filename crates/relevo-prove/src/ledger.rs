//! The account of every request, and what it adds up to.
//!
//! A request is a [`Ticket`] from before its first byte is sent until it has exactly one end. All on
//! one thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use relevo_config::prove::{ClientKind, Mix};
use relevo_wire::prove as wire;

use crate::timeline::{Latencies, Timeline};

/// How many lost requests are described one by one.
const MOST_LISTED: usize = 100;

/// A request without an end. To drop one would be to lose count, which the report finds.
#[must_use = "a request has an end"]
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: u64,
    kind: ClientKind,
    began: Instant,
}

impl Ticket {
    /// Uses it up.
    const fn redeem(self) -> (u64, ClientKind, Instant) {
        (self.id, self.kind, self.began)
    }
}

/// How a request was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    Wrong,
    Refused,
    Reset,
    Closed,
    Late,
}

impl Loss {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Late => "late",
        }
    }
}

/// What is known of the connection that a request went by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carrier {
    pub(crate) opened: Instant,
    pub(crate) local_port: Option<u16>,
    /// How many requests it had carried before.
    pub(crate) requests_before: u32,
    /// Whether a byte of the answer has come.
    pub(crate) answer_begun: bool,
}

/// A request that did not get its answer, and why.
#[derive(Clone, Debug)]
pub(crate) struct Miss {
    pub(crate) loss: Loss,
    pub(crate) what: String,
    /// `None` where no connection was made.
    pub(crate) carrier: Option<Carrier>,
}

impl Miss {
    /// There was no answer in time.
    pub(crate) fn late(limit: Duration) -> Self {
        Self { loss: Loss::Late, what: format!("no answer within {limit:?}"), carrier: None }
    }

    /// The server said, as often as it was asked, that it did not begin it.
    pub(crate) fn not_begun(tries: u32) -> Self {
        let what = format!("not begun by the server {tries} times in a row");
        Self { loss: Loss::Closed, what, carrier: None }
    }
}

/// The client's ports of connections whose worker was killed, with the time of the kill. Filled by
/// the thread that kills, before it does.
pub(crate) type KilledPorts = Arc<Mutex<HashMap<u16, Instant>>>;

/// The account.
#[derive(Debug)]
pub(crate) struct Ledger {
    began: Instant,
    killed: KilledPorts,
    /// What went wrong on this side, so that the trial must end.
    fault: RefCell<Option<String>>,
    book: RefCell<Book>,
}

#[derive(Debug)]
struct Book {
    next_id: u64,
    kinds: [Account; ClientKind::ALL.len()],
    connections: wire::Connections,
    tls: wire::Tls,
    quiet: Latencies,
    disturbed: Latencies,
    timeline: Timeline,
    lost: Vec<wire::Lost>,
    unlisted: u64,
    disturbances: Vec<wire::Disturbance>,
    is_disturbed: bool,
}

#[derive(Debug)]
struct Account {
    outcomes: wire::Outcomes,
    latencies: Latencies,
}

impl Ledger {
    pub(crate) fn new(killed: KilledPorts) -> Self {
        let account =
            |_| Account { outcomes: wire::Outcomes::default(), latencies: Latencies::new() };
        let book = Book {
            next_id: 1,
            kinds: std::array::from_fn(account),
            connections: wire::Connections::default(),
            tls: wire::Tls::default(),
            quiet: Latencies::new(),
            disturbed: Latencies::new(),
            timeline: Timeline::new(),
            lost: Vec::new(),
            unlisted: 0,
            disturbances: Vec::new(),
            is_disturbed: false,
        };
        Self { began: Instant::now(), killed, fault: None.into(), book: RefCell::new(book) }
    }

    /// A new request.
    pub(crate) fn begin(&self, kind: ClientKind) -> Ticket {
        let mut book = self.book.borrow_mut();
        let id = book.next_id;
        book.next_id += 1;
        book.kinds[kind.index()].outcomes.begun += 1;
        Ticket { id, kind, began: Instant::now() }
    }

    /// Its end, whichever it is.
    pub(crate) fn end(&self, ticket: Ticket, outcome: Result<(), Miss>) {
        match outcome {
            Ok(()) => self.answered(ticket),
            Err(miss) => self.missed(ticket, miss),
        }
    }

    /// Its answer is there, and right.
    pub(crate) fn answered(&self, ticket: Ticket) {
        let (_, kind, began) = ticket.redeem();
        let (latency, at) = (began.elapsed(), self.began.elapsed());
        let book = &mut *self.book.borrow_mut();
        let account = &mut book.kinds[kind.index()];
        account.outcomes.answered += 1;
        account.latencies.record(latency);
        if kind.is_quick() {
            let spell = if book.is_disturbed { &mut book.disturbed } else { &mut book.quiet };
            spell.record(latency);
            book.timeline.answered(at, latency);
        }
    }

    /// It has no answer, or a wrong one.
    pub(crate) fn missed(&self, ticket: Ticket, miss: Miss) {
        let (id, kind, began) = ticket.redeem();
        let killed = miss.carrier.is_some_and(|carrier| self.was_killed(&carrier));
        let at = self.began.elapsed();
        let book = &mut *self.book.borrow_mut();
        let outcomes = &mut book.kinds[kind.index()].outcomes;
        if killed && matches!(miss.loss, Loss::Reset | Loss::Closed) {
            outcomes.killed += 1;
            return;
        }
        match miss.loss {
            Loss::Wrong => outcomes.wrong += 1,
            Loss::Refused => outcomes.refused += 1,
            Loss::Reset => outcomes.reset += 1,
            Loss::Closed => outcomes.closed += 1,
            Loss::Late => outcomes.late += 1,
        }
        let raced = matches!(miss.loss, Loss::Reset | Loss::Closed)
            && miss.carrier.is_some_and(|it| it.requests_before > 0 && !it.answer_begun);
        outcomes.raced += u64::from(raced);
        book.timeline.lost(at);
        if let Some(last) = book.disturbances.last_mut() {
            last.lost += 1;
        }
        if book.lost.len() == MOST_LISTED {
            book.unlisted += 1;
            return;
        }
        let sent_at = began.saturating_duration_since(self.began);
        let disturbance = book.disturbances.last().map(|last| last.number);
        book.lost.push(wire::Lost {
            id: text_of(id),
            kind: kind.word().to_owned(),
            outcome: miss.loss.word().to_owned(),
            what: miss.what,
            sent_at_ms: millis(sent_at),
            lost_at_ms: millis(at),
            disturbance,
            requests_before: miss.carrier.map(|carrier| carrier.requests_before),
            local_port: miss.carrier.and_then(|carrier| carrier.local_port),
        });
    }

    /// A message that was on its way when the server closed its WebSocket by the rules.
    pub(crate) fn unanswered(&self, ticket: Ticket) {
        let (_, kind, _) = ticket.redeem();
        self.book.borrow_mut().kinds[kind.index()].outcomes.unanswered += 1;
    }

    /// The server said that it did not begin this one; it is sent again.
    pub(crate) fn repeated(&self, ticket: &Ticket) {
        self.book.borrow_mut().kinds[ticket.kind.index()].outcomes.repeated += 1;
    }

    /// Notes something about connections.
    pub(crate) fn connections(&self, note: impl FnOnce(&mut wire::Connections)) {
        note(&mut self.book.borrow_mut().connections);
    }

    /// The server ended a connection while it was idle, after the time that it had announced or before.
    pub(crate) fn ended_idle(&self, carrier: &Carrier, expired: bool) {
        let killed = self.was_killed(carrier);
        self.connections(|connections| match (killed, expired) {
            (true, _) => {}
            (false, true) => connections.expired += 1,
            (false, false) => connections.closed_idle += 1,
        });
    }

    /// This side lacks something; the first such word counts.
    pub(crate) fn note_fault(&self, what: &str) {
        self.fault.borrow_mut().get_or_insert_with(|| what.to_owned());
    }

    /// What this side lacks, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.borrow().clone()
    }

    /// Notes a TLS handshake.
    pub(crate) fn handshake(&self, resumed: bool, offered: bool) {
        let tls = &mut self.book.borrow_mut().tls;
        tls.handshakes += 1;
        tls.resumed += u64::from(resumed);
        tls.offered += u64::from(offered);
    }

    /// Whether this connection ended because the trial killed its worker.
    pub(crate) fn was_killed(&self, carrier: &Carrier) -> bool {
        let killed = self.killed.lock().unwrap_or_else(PoisonError::into_inner);
        let at = carrier.local_port.and_then(|port| killed.get(&port));
        at.is_some_and(|at| carrier.opened <= *at)
    }

    /// A disturbance begins.
    pub(crate) fn disturb(&self) {
        let at_ms = millis(self.began.elapsed());
        let book = &mut *self.book.borrow_mut();
        book.is_disturbed = true;
        let number = book.disturbances.last().map_or(1, |last| last.number + 1);
        let said = "it did not end".to_owned();
        book.disturbances.push(wire::Disturbance {
            number,
            at_ms,
            duration_ms: 0,
            succeeded: false,
            said,
            lost: 0,
        });
    }

    /// It is over.
    pub(crate) fn calm(&self, succeeded: bool, said: String) {
        let at_ms = millis(self.began.elapsed());
        let book = &mut *self.book.borrow_mut();
        book.is_disturbed = false;
        if let Some(last) = book.disturbances.last_mut() {
            last.duration_ms = at_ms.saturating_sub(last.at_ms);
            last.succeeded = succeeded;
            last.said = said;
        }
    }

    /// How long clients have run.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The counts so far.
    pub(crate) fn total(&self) -> wire::Outcomes {
        self.book.borrow().total()
    }

    /// Connections, and the latency in all, so far.
    pub(crate) fn glance(&self) -> (wire::Connections, wire::Latency) {
        let book = self.book.borrow();
        (book.connections, book.quiet.to_wire())
    }

    /// The whole account; the verdict is left to the report.
    pub(crate) fn close(&self, mix: &Mix, path: impl Fn(ClientKind) -> String) -> wire::Report {
        let book = self.book.borrow();
        let kind = |kind: ClientKind| wire::Kind {
            kind: kind.word().to_owned(),
            clients: mix.of(kind),
            path: path(kind),
            requests: book.kinds[kind.index()].outcomes,
            latency: book.kinds[kind.index()].latencies.to_wire(),
        };
        wire::Report {
            schema: wire::SCHEMA,
            url: String::new(),
            disturbance: String::new(),
            duration_ms: millis(self.began.elapsed()),
            passed: false,
            verdict: String::new(),
            requests: book.total(),
            kinds: mix.kinds().map(kind).collect(),
            connections: book.connections,
            tls: (book.tls.handshakes > 0).then_some(book.tls),
            quiet: book.quiet.to_wire(),
            disturbed: book.disturbed.to_wire(),
            disturbances: book.disturbances.clone(),
            lost: book.lost.clone(),
            lost_unlisted: book.unlisted,
            remarks: Vec::new(),
            timeline: book.timeline.to_wire(),
        }
    }
}

impl Book {
    fn total(&self) -> wire::Outcomes {
        let mut total = wire::Outcomes::default();
        for account in &self.kinds {
            total.add(&account.outcomes);
        }
        total
    }
}

/// A request's number as it is sent: always as long, so that it can be written over another's.
pub(crate) fn text_of(id: u64) -> String {
    format!("prove-{id:012x}")
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> (Ledger, KilledPorts) {
        let killed = KilledPorts::default();
        (Ledger::new(Arc::clone(&killed)), killed)
    }

    fn miss(loss: Loss, port: u16, before: u32) -> Miss {
        let carrier = Carrier {
            opened: Instant::now(),
            local_port: Some(port),
            requests_before: before,
            answer_begun: false,
        };
        Miss { loss, what: "gone".to_owned(), carrier: Some(carrier) }
    }

    #[test]
    fn every_ticket_has_one_end() {
        let (ledger, _) = ledger();
        let kind = ClientKind::KeepAlive;
        ledger.answered(ledger.begin(kind));
        for loss in [Loss::Wrong, Loss::Refused, Loss::Reset, Loss::Closed, Loss::Late] {
            ledger.missed(ledger.begin(kind), miss(loss, 1, 3));
        }
        let ticket = ledger.begin(kind);
        ledger.repeated(&ticket);
        ledger.unanswered(ticket);
        let total = ledger.total();
        assert_eq!((total.begun, total.ended(), total.lost(), total.raced), (7, 7, 5, 2));
        // One without an end is seen.
        let _open = ledger.begin(kind);
        assert_ne!(ledger.total().ended(), ledger.total().begun);
    }

    #[test]
    fn what_a_kill_cut_is_not_lost_but_what_came_after_is() {
        let (ledger, killed) = ledger();
        let before = miss(Loss::Reset, 7, 0);
        killed.lock().unwrap().insert(7, Instant::now());
        ledger.missed(ledger.begin(ClientKind::New), before);
        std::thread::sleep(Duration::from_millis(1));
        // The same port again, by a connection that was made since.
        ledger.missed(ledger.begin(ClientKind::New), miss(Loss::Reset, 7, 0));
        ledger.missed(ledger.begin(ClientKind::New), miss(Loss::Reset, 8, 0));
        let total = ledger.total();
        assert_eq!((total.killed, total.reset), (1, 2));
    }

    #[test]
    fn losses_are_listed_to_a_limit_and_count_for_the_last_disturbance() {
        let (ledger, _) = ledger();
        ledger.missed(ledger.begin(ClientKind::New), miss(Loss::Closed, 1, 0));
        ledger.disturb();
        for _ in 0..MOST_LISTED {
            ledger.missed(ledger.begin(ClientKind::New), miss(Loss::Closed, 1, 0));
        }
        ledger.calm(true, "done".to_owned());
        let mix = "new=1".parse().unwrap();
        let report = ledger.close(&mix, |_| "/".to_owned());
        assert_eq!((report.lost.len(), report.lost_unlisted), (MOST_LISTED, 1));
        assert_eq!((report.lost[0].disturbance, report.lost[1].disturbance), (None, Some(1)));
        assert_eq!(report.disturbances[0].lost, MOST_LISTED as u64);
        assert_eq!(report.lost[0].id, "prove-000000000001");
    }
}
