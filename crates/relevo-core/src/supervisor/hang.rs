//! Workers whose event loop stands still.
//!
//! While anything goes on, each worker that serves is asked for a sign of life, three times in the hang
//! timeout. Who has answered nothing for that long hangs: it is looked at, so that somebody can learn
//! why, and killed.
//!
//! ```text
//!           asked              no answer for the whole timeout
//!   Calm ──────────▶ Asked ─────────────────────────────────────▶ Examined ──▶ failed, killed
//!    ▲                 │                                              │
//!    └─────────────────┴──────────────────────────────────────────────┘
//!             it answers, or somebody has stopped it: a debugger, SIGSTOP
//! ```
//!
//! Where no worker has a connection nobody is asked, so that an idle service does not wake. Two things end
//! that. A worker that has answered that it has none says so, once, when one comes; and the shell tells,
//! once for each round, when one comes to a socket: whoever hangs already cannot say so.

use std::time::Duration;

use super::Supervisor;
use crate::worker::Worker;
use crate::{Action, Failure, Notice, Standstill, Time, WorkerId};

/// How often a worker is asked in the time after which it counts as hung.
const ROUNDS: u32 = 3;
/// How long the shell may look at one that hangs.
const EXAMINE_LIMIT: Duration = Duration::from_secs(5);

/// What is known of a worker's event loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// It owes no answer.
    #[default]
    Calm,
    /// It was asked then, and has answered nothing for so many rounds.
    Asked { since: Time, rounds: u32 },
    /// It is being looked at.
    Examined { since: Time, until: Time },
}

/// When workers are asked for a sign of life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    /// When the last round was.
    last: Option<Time>,
    /// When the next one is due; `None` while nothing goes on.
    next: Option<Time>,
    /// Whether anything has come since the last one.
    stirred: bool,
    /// Whether the shell tells when a connection comes.
    is_watched: bool,
}

impl Supervisor {
    pub(super) fn step_hangs(&mut self) {
        let Some(timeout) = self.hang_timeout() else { return };
        let interval = interval(timeout);
        if self.goes_on() {
            let soonest = self.rounds.last.map_or(self.now, |last| last + interval);
            let due = *self.rounds.next.get_or_insert(soonest);
            if due <= self.now {
                // Who was not there at the time cannot say that the others were not: the machine may have slept.
                let counts = self.now.since(due) <= interval / 2;
                self.ask_all(timeout, counts);
            }
        } else {
            self.rounds.next = None;
        }
        self.end_long_examinations();
    }

    /// `None` where nobody is to be asked.
    fn hang_timeout(&self) -> Option<Duration> {
        self.spec.hang_timeout.filter(|_| self.stop.is_none())
    }

    fn goes_on(&self) -> bool {
        let stirred = self.rounds.stirred;
        let busy = |worker: &Worker| worker.connections > 0 || worker.pulse != Pulse::Calm;
        self.workers.values().any(|worker| can_answer(worker) && (stirred || busy(worker)))
    }

    /// Asks those that owe no answer; for the others, one more round has passed if it `counts`.
    fn ask_all(&mut self, timeout: Duration, counts: bool) {
        let now = self.now;
        self.rounds.last = Some(now);
        self.rounds.next = Some(now + interval(timeout));
        self.rounds.stirred = false;
        self.watch_sockets();
        let asked = self.workers.iter_mut().filter(|(_, worker)| can_answer(worker));
        for (id, worker) in asked {
            let Pulse::Asked { since, rounds } = worker.pulse else {
                if worker.pulse == Pulse::Calm {
                    worker.pulse = Pulse::Asked { since: now, rounds: 0 };
                    self.actions.push(Action::Ping { worker: *id });
                }
                continue;
            };
            let rounds = rounds.saturating_add(u32::from(counts));
            worker.pulse = Pulse::Asked { since, rounds };
            if rounds >= ROUNDS && now.since(since) >= timeout {
                worker.pulse = Pulse::Examined { since, until: now + EXAMINE_LIMIT };
                self.actions.push(Action::Examine { worker: *id, slot: worker.slot });
            }
        }
    }

    fn watch_sockets(&mut self) {
        if !std::mem::replace(&mut self.rounds.is_watched, true) {
            self.act(Action::WatchSockets);
        }
    }

    /// A worker serves, for the first time or again. It is asked apart from the others, so that its agent
    /// knows from then on that it is to tell of a connection.
    pub(super) fn begin_pulse(&mut self, id: WorkerId) {
        let timeout = self.hang_timeout();
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.pulse = Pulse::Calm;
        let Some(timeout) = timeout.filter(|_| can_answer(worker)) else { return };
        worker.pulse = Pulse::Asked { since: now, rounds: 0 };
        self.rounds.next.get_or_insert(now + interval(timeout));
        self.act(Action::Ping { worker: id });
        self.watch_sockets();
    }

    /// A worker's event loop goes round.
    pub(super) fn answered(&mut self, id: WorkerId, connections: u32) {
        let next = self.hang_timeout().map(|timeout| self.now + interval(timeout));
        let Some(worker) = self.workers.get_mut(&id) else { return };
        (worker.pulse, worker.connections) = (Pulse::Calm, connections);
        // It has just shown that it lives: that is soon enough to ask again.
        if connections > 0 && self.rounds.next.is_none() && can_answer(worker) {
            self.rounds.next = next;
        }
    }

    /// A connection has come to one of the sockets since they are watched.
    pub(super) fn connection_came(&mut self) {
        self.rounds.is_watched = false;
        self.rounds.stirred = true;
    }

    pub(super) fn examined(&mut self, id: WorkerId, found: Standstill) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let Pulse::Examined { since, .. } = worker.pulse else { return };
        let Some(pause) = found.pause else { return self.hangs(id, since, found) };
        worker.pulse = Pulse::Asked { since: now, rounds: 0 };
        let slot = worker.slot;
        if !std::mem::replace(&mut worker.told_paused, true) {
            self.tell(Notice::WorkerPaused { worker: id, slot, pause });
        }
    }

    fn end_long_examinations(&mut self) {
        let late = |(id, worker): (&WorkerId, &Worker)| match worker.pulse {
            Pulse::Examined { since, until } if until <= self.now && can_answer(worker) => {
                Some((*id, since))
            }
            Pulse::Calm | Pulse::Asked { .. } | Pulse::Examined { .. } => None,
        };
        let late: Vec<(WorkerId, Time)> = self.workers.iter().filter_map(late).collect();
        for (id, since) in late {
            self.hangs(id, since, Standstill::default());
        }
    }

    /// It can neither finish its work nor hear a signal.
    fn hangs(&mut self, id: WorkerId, since: Time, found: Standstill) {
        if !self.workers.get(&id).is_some_and(can_answer) {
            return;
        }
        let Standstill { doing, report, .. } = found;
        self.fail(id, Failure::Hung { silent: self.now.since(since), doing, report });
        self.kill(id);
    }

    /// For how long a worker has owed an answer, if it has for longer than a round.
    pub(super) fn silent_for(&self, worker: &Worker) -> Option<Duration> {
        let _asked = self.hang_timeout().filter(|_| can_answer(worker))?;
        match worker.pulse {
            Pulse::Asked { since, rounds: 1.. } | Pulse::Examined { since, .. } => {
                Some(self.now.since(since))
            }
            Pulse::Calm | Pulse::Asked { .. } => None,
        }
    }

    /// Who owes an answer is not forgotten.
    pub(super) fn check_pulses(&self) -> Result<(), String> {
        let owes = |worker: &Worker| can_answer(worker) && worker.pulse != Pulse::Calm;
        let is_awaited = self.hang_timeout().is_none() || self.rounds.next.is_some();
        match self.workers.iter().find(|(_, worker)| owes(worker)) {
            Some((id, _)) if !is_awaited => {
                Err(format!("nobody waits for the answer of worker {id}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn hang_deadline(&self) -> Option<(Time, &'static str)> {
        let _asked = self.hang_timeout()?;
        let until = |worker: &Worker| match worker.pulse {
            Pulse::Examined { until, .. } if can_answer(worker) => Some(until),
            Pulse::Calm | Pulse::Asked { .. } | Pulse::Examined { .. } => None,
        };
        let ends = self.workers.values().filter_map(until);
        let ends = ends.map(|at| (at, "a worker that hangs has been looked at for long enough"));
        let next = self.rounds.next.map(|at| (at, "workers are asked for a sign of life"));
        ends.chain(next).min()
    }
}

/// How long it is from one round to the next.
fn interval(timeout: Duration) -> Duration {
    // Rounded up, so that so many rounds are no less than the timeout.
    (timeout + Duration::from_nanos(u64::from(ROUNDS) - 1)) / ROUNDS
}

/// Whether a worker is to be asked: others are on their way, and have deadlines of their own.
fn can_answer(worker: &Worker) -> bool {
    worker.is_ready() && worker.has_agent && worker.channel_ended.is_none()
}
