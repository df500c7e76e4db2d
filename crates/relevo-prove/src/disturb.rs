//! What replaces the server while clients run.

use std::collections::HashMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use crate::ledger::KilledPorts;

/// Something that replaces the server, or a part of it. It may block: it has a thread of its own.
pub trait Disturb: Send {
    /// In words, for the report: `relevo reload web`.
    fn name(&self) -> String;

    /// Does it once, and returns when it is over.
    fn disturb(&mut self, tell: &Tell) -> Done;
}

/// What became of a disturbance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Whether it did what it should.
    pub succeeded: bool,
    /// What it said at its end.
    pub said: String,
}

impl From<Result<String, String>> for Done {
    /// What it said, as a success or as a failure.
    fn from(outcome: Result<String, String>) -> Self {
        let succeeded = outcome.is_ok();
        let (Ok(said) | Err(said)) = outcome;
        Self { succeeded, said }
    }
}

/// How a disturbance tells the trial what it does.
#[derive(Debug)]
pub struct Tell {
    news: UnboundedSender<News>,
    killed: Killed,
}

/// Takes down which connections a kill will cut.
#[derive(Clone, Debug, Default)]
pub struct Killed(KilledPorts);

/// What the thread tells. There are at most as many as there are steps in the disturbances.
#[derive(Debug)]
pub(crate) enum News {
    /// Something is replaced at this moment.
    Step,
    Done(Done),
}

impl Tell {
    /// Something is being replaced right now: clients speak.
    pub fn step(&self) {
        // The trial may have ended meanwhile.
        let _ = self.news.send(News::Step);
    }

    /// Whom to tell about connections that will be cut.
    pub const fn killed(&self) -> &Killed {
        &self.killed
    }
}

impl Killed {
    /// The process that has these clients' ports at its other ends is killed now.
    pub fn mark(&self, ports: impl IntoIterator<Item = u16>) {
        let now = Instant::now();
        let mut killed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        killed.extend(ports.into_iter().map(|port| (port, now)));
    }

    pub(crate) fn ports(&self) -> KilledPorts {
        Arc::<Mutex<HashMap<u16, Instant>>>::clone(&self.0)
    }
}

/// Disturbs once for every wish, until there are no more.
pub(crate) fn serve(
    disturb: &mut dyn Disturb,
    wishes: &Receiver<()>,
    news: &UnboundedSender<News>,
    killed: &Killed,
) {
    while let Ok(()) = wishes.recv() {
        let tell = Tell { news: news.clone(), killed: killed.clone() };
        let done = disturb.disturb(&tell);
        if news.send(News::Done(done)).is_err() {
            return;
        }
    }
}
