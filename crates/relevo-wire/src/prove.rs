//! What `relevo prove --json` prints.
//!
//! Every request ends in exactly one of [`Outcomes`]' fields. Durations are milliseconds or, for
//! latencies, microseconds, as their names say; a moment is counted from the first client's start.

use serde::{Deserialize, Serialize};

/// The version of [`Report`]'s shape. Added fields do not change it.
pub const SCHEMA: u32 = 1;

/// A whole trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What was asked.
    pub url: String,
    /// How it was disturbed: `relevo reload web`, a command, `kill -9 of a worker`.
    pub disturbance: String,
    /// How long clients ran.
    pub duration_ms: u64,
    /// Whether nothing was lost and every disturbance did what it should.
    pub passed: bool,
    /// That in one sentence.
    pub verdict: String,
    /// All requests.
    pub requests: Outcomes,
    /// The requests by the kind of client, in a fixed order; kinds without clients are left out.
    pub kinds: Vec<Kind>,
    /// What became of connections.
    pub connections: Connections,
    /// Over TLS: its handshakes.
    pub tls: Option<Tls>,
    /// The latency of clients that are as quick as the server, while nothing was disturbed.
    pub quiet: Latency,
    /// The same during disturbances.
    pub disturbed: Latency,
    /// The disturbances, in order.
    pub disturbances: Vec<Disturbance>,
    /// Requests that were lost, the first of them.
    pub lost: Vec<Lost>,
    /// How many more were.
    pub lost_unlisted: u64,
    /// What was left out or given up, and why.
    pub remarks: Vec<String>,
    /// Latency over time.
    pub timeline: Timeline,
}

/// How requests ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// How many were begun.
    pub begun: u64,
    /// Answered as expected.
    pub answered: u64,
    /// Answered otherwise: another status, another's id, or not by the rules of HTTP.
    pub wrong: u64,
    /// No connection could be made: nobody listens.
    pub refused: u64,
    /// The connection was reset.
    pub reset: u64,
    /// The connection was closed before the answer was complete.
    pub closed: u64,
    /// There was no answer in time.
    pub late: u64,
    /// WebSockets only: what was on its way when the server said that it goes. Not lost.
    pub unanswered: u64,
    /// On the connections of a worker that the trial killed: cut by the kernel. Not lost.
    pub killed: u64,
    /// How often a request was sent again because the server had said that it did not begin it
    /// (RFC 9113 section 8.7, RFC 9112 section 9.6). Not an end; such a request has one of those above.
    pub repeated: u64,
    /// Of those reset or closed: how many were the first word on a connection that had been idle,
    /// and that the server was closing at that moment.
    pub raced: u64,
}

impl Outcomes {
    /// How many were lost.
    pub const fn lost(&self) -> u64 {
        self.wrong + self.refused + self.reset + self.closed + self.late
    }

    /// How many have an end: all that were begun, when a trial is over.
    pub const fn ended(&self) -> u64 {
        self.answered + self.lost() + self.unanswered + self.killed
    }

    /// Adds another's counts to these.
    pub const fn add(&mut self, other: &Self) {
        self.begun += other.begun;
        self.answered += other.answered;
        self.wrong += other.wrong;
        self.refused += other.refused;
        self.reset += other.reset;
        self.closed += other.closed;
        self.late += other.late;
        self.unanswered += other.unanswered;
        self.killed += other.killed;
        self.repeated += other.repeated;
        self.raced += other.raced;
    }
}

/// The requests of one kind of client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// The word of `--mix`.
    pub kind: String,
    /// How many clients there were.
    pub clients: u32,
    /// What they asked for.
    pub path: String,
    /// How their requests ended.
    pub requests: Outcomes,
    /// How long answers took.
    pub latency: Latency,
}

/// How long answers took; `null` where there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// How many answers this is about.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_us: Option<u64>,
    /// 99 of 100 took no longer.
    pub p99_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
}

/// What became of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// How many were made.
    pub opened: u64,
    /// How many the server closed while they were idle, without a word and before the time it had
    /// announced.
    pub closed_idle: u64,
    /// How many it closed when the idle time that it had announced was over.
    pub expired: u64,
    /// How many it closed after it had said so: `Connection: close`, GOAWAY, a WebSocket's close.
    pub announced: u64,
}

/// TLS handshakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// All.
    pub handshakes: u64,
    /// Those that resumed a session.
    pub resumed: u64,
    /// Those in which the client offered a session.
    pub offered: u64,
}

/// One reload, command or kill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disturbance {
    /// From 1.
    pub number: u32,
    /// When it began.
    pub at_ms: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// Whether it did what it should.
    pub succeeded: bool,
    /// What it said at its end.
    pub said: String,
    /// How many requests were lost from its beginning to the next one's.
    pub lost: u64,
}

/// A request that was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Its id, as it was sent.
    pub id: String,
    /// The kind of client that sent it.
    pub kind: String,
    /// How it ended: `wrong`, `refused`, `reset`, `closed` or `late`.
    pub outcome: String,
    /// What happened, in words.
    pub what: String,
    /// When it was sent.
    pub sent_at_ms: u64,
    /// When it was lost.
    pub lost_at_ms: u64,
    /// The disturbance that had begun last, from 1.
    pub disturbance: Option<u32>,
    /// How many requests the connection had carried before; `null` where there was none.
    pub requests_before: Option<u32>,
    /// The client's port.
    pub local_port: Option<u16>,
}

/// Latency over time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// How long each column is.
    pub column_ms: u64,
    /// The columns, without gaps, from the beginning.
    pub columns: Vec<Column>,
}

/// One stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The answers that came in it, of clients that are as quick as the server.
    pub latency: Latency,
    /// The requests of all clients that were lost in it.
    pub lost: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_counted_once() {
        let mut all =
            Outcomes { begun: 9, answered: 1, wrong: 1, refused: 1, ..Outcomes::default() };
        all.add(&Outcomes { reset: 1, closed: 2, late: 1, unanswered: 1, ..Outcomes::default() });
        all.add(&Outcomes { killed: 1, repeated: 3, raced: 1, ..Outcomes::default() });
        assert_eq!((all.lost(), all.ended()), (6, all.begun));
    }
}
