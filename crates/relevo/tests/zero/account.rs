//! What became of everything that was asked, by kind of client.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::client::Lost;

/// One request that was lost.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    /// The client's own port, by which the connection is known; 0 where there was none.
    pub(crate) port: u16,
    /// In which way, and of what.
    what: String,
}

/// The sum of one kind of client. A request ends as `answered`, `resent`, `unanswered` or as a loss.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    /// Not processed, as the server has said in the way its protocol has for it: asked again elsewhere.
    pub(crate) resent: u64,
    /// Messages on their way when a WebSocket was told to go.
    pub(crate) unanswered: u64,
    /// Connections that the server has ended in the way its protocol has for it.
    pub(crate) ended: u64,
    /// TLS handshakes, and those among them that resumed a session.
    pub(crate) handshakes: u64,
    pub(crate) resumed: u64,
    pub(crate) losses: Vec<Loss>,
    /// The ports of connections that were closed without a word while nothing was asked.
    pub(crate) closed_idle: Vec<u16>,
}

/// All kinds.
#[derive(Debug, Default)]
pub(crate) struct Account(pub(crate) BTreeMap<String, Tally>);

/// What is left of a killed worker's connections: nobody could have saved that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WithTheKilled {
    pub(crate) requests: u64,
    pub(crate) idle: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.resent += other.resent;
        self.unanswered += other.unanswered;
        self.ended += other.ended;
        self.handshakes += other.handshakes;
        self.resumed += other.resumed;
        self.losses.extend(other.losses);
        self.closed_idle.extend(other.closed_idle);
    }

    pub(crate) fn lose(&mut self, lost: Lost, port: u16, what: &str) {
        self.losses.push(Loss { port, what: format!("{lost:?}: {what}") });
    }
}

impl Account {
    pub(crate) fn add(&mut self, kind: &str, tally: Tally) {
        self.0.entry(kind.to_owned()).or_default().add(tally);
    }

    /// Adds what the clients of `fixtures/frameworks/client` tell at their end.
    pub(crate) fn add_told(&mut self, told: &Value) {
        for (kind, tally) in told.as_object().expect("an account by kind") {
            self.add(kind, tally_told(tally));
        }
    }

    pub(crate) fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in self.0.values() {
            total.add(tally.clone());
        }
        total
    }

    /// Takes out what was on the connections of a worker that was killed, known by the clients' ports.
    pub(crate) fn set_apart(&mut self, killed: &BTreeSet<u16>) -> WithTheKilled {
        let mut apart = WithTheKilled::default();
        for tally in self.0.values_mut() {
            let before = (tally.losses.len(), tally.closed_idle.len());
            tally.losses.retain(|loss| !killed.contains(&loss.port));
            tally.closed_idle.retain(|port| !killed.contains(port));
            apart.requests += (before.0 - tally.losses.len()) as u64;
            apart.idle += (before.1 - tally.closed_idle.len()) as u64;
        }
        apart
    }

    /// Fails unless nothing was lost, no idle connection was closed and everybody was served; says what was.
    #[track_caller]
    pub(crate) fn assert_nothing_lost(&self, what: &str) {
        let total = self.total();
        let losses: Vec<&str> =
            total.losses.iter().take(10).map(|loss| loss.what.as_str()).collect();
        assert!(losses.is_empty(), "{what}: lost {}: {losses:#?}\n{self}", total.losses.len());
        assert!(total.closed_idle.is_empty(), "{what}: idle connections closed\n{self}");
        let unserved: Vec<_> = self.0.iter().filter(|(_, tally)| tally.answered == 0).collect();
        assert!(unserved.is_empty(), "{what}: no answer at all for {unserved:?}\n{self}");
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (kind, tally) in &self.0 {
            let (lost, idle) = (tally.losses.len(), tally.closed_idle.len());
            write!(f, "{kind}: answered {}, lost {lost}, closed idle {idle}", tally.answered)?;
            let rest = [
                ("resent", tally.resent),
                ("unanswered", tally.unanswered),
                ("ended", tally.ended),
                ("handshakes", tally.handshakes),
                ("resumed", tally.resumed),
            ];
            for (name, count) in rest.into_iter().filter(|(_, count)| *count > 0) {
                write!(f, ", {name} {count}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn tally_told(told: &Value) -> Tally {
    let count = |name: &str| told[name].as_u64().unwrap_or_else(|| panic!("no `{name}`: {told}"));
    let port =
        |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    let list = |name: &str| told[name].as_array().expect("a list").clone();
    Tally {
        answered: count("answered"),
        resent: count("resent"),
        unanswered: count("unanswered"),
        ended: count("ended"),
        handshakes: count("handshakes"),
        resumed: count("resumed"),
        losses: list("losses").iter().map(|loss| loss_told(loss, port(&loss["port"]))).collect(),
        closed_idle: list("closed_idle").iter().map(port).collect(),
    }
}

fn loss_told(told: &Value, port: u16) -> Loss {
    let text = |name: &str| told[name].as_str().unwrap_or_else(|| panic!("no `{name}`: {told}"));
    Loss { port, what: format!("{}: {}", text("lost"), text("what")) }
}
