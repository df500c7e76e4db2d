//! Replacing one generation by the next, slot by slot, with a way back until all have proved themselves.
//!
//! ```text
//!               room for one more worker        it is ready: the old one is parked
//!   Waiting(s) ──────────────────────▶ Starting(s) ──────────────▶ Probation(s)
//!      ▲                                   │                         │  │ the old worker accepts
//!      │ next slot                         │ it failed,              │  │ nothing more, and the
//!      └───────────────────────────────────┼──── or somebody aborts ─┘  │ probation is over
//!                                          │           │◀──────────────┤
//!                                          ▼           ▼    next slot  │ last slot: parked workers
//!                                           Undoing                    ▼ are let go
//!                                              │                    Draining
//!            parked workers serve again, and   │                       │ they have no request left,
//!            the new ones have no request left ▼                       ▼ or their time is up
//!                                       failed, aborted            succeeded
//! ```
//!
//! The first slot's probation and the last one's take `Spec::probation`, those between them no time.
//! While a rollout is *paused*, it begins no slot and lets nobody go. While one goes on, wishes for
//! another join into the one that follows it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::{Failure, Generation, Left, Moved, RequestId, Slot, Time, WorkerId};

/// A rollout in progress.
#[derive(Clone, Debug)]
pub(crate) struct Rollout {
    pub(crate) generation: Generation,
    pub(crate) started_at: Time,
    pub(crate) requests: Vec<RequestId>,
    pub(crate) slot: Slot,
    pub(crate) phase: Phase,
    /// Whether somebody holds it where it is.
    pub(crate) paused: bool,
    /// The workers that it has started.
    pub(crate) new: BTreeSet<WorkerId>,
    /// The way back: replaced workers that can serve again, by their slot.
    pub(crate) parked: BTreeMap<Slot, WorkerId>,
    /// Workers that it has replaced, or taken back, and that finish their work, with their slot.
    pub(crate) leaving: BTreeMap<WorkerId, Slot>,
    /// Whether it waits for them.
    pub(crate) stuck: Stuck,
    /// Why it is undone, if it is.
    pub(crate) undo: Option<Undo>,
    pub(crate) cut: Left,
    pub(crate) moved: Moved,
}

/// Whether a rollout has nothing to do but to wait for the work of old workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stuck {
    No,
    Since(Time),
    /// For so long that the log has been told.
    Told,
}

/// A rollout is undone.
#[derive(Clone, Debug)]
pub(crate) struct Undo {
    pub(crate) why: Outcome,
    /// Where it had come to.
    pub(crate) slot: Slot,
    /// In how many slots the old worker serves again.
    pub(crate) returned: u32,
    /// Who asked for it, or waits along.
    pub(crate) requests: Vec<RequestId>,
}

/// Where a rollout is in its current slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Workers of earlier rollouts must end first.
    Waiting {
        /// Whether the log has been told.
        told: bool,
    },
    Starting {
        worker: WorkerId,
    },
    /// The new worker serves, and has to prove itself.
    Probation {
        old: Option<WorkerId>,
        until: Time,
    },
    /// There is no way back any more: whom it replaced finishes its work.
    Draining,
    /// Who is parked is called back.
    Undoing,
}

impl Rollout {
    /// Whether it can still be undone.
    pub(crate) fn has_a_way_back(&self) -> bool {
        match self.phase {
            Phase::Waiting { .. } | Phase::Starting { .. } | Phase::Probation { .. } => true,
            Phase::Draining | Phase::Undoing => false,
        }
    }

    /// Everybody who waits for its end.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &RequestId> {
        self.requests.iter().chain(self.undo.iter().flat_map(|undo| &undo.requests))
    }

    /// The next moment at which something must be done about it, and why.
    pub(crate) fn deadline(&self, now: Time) -> Option<(Time, &'static str)> {
        let proved = match self.phase {
            Phase::Probation { until, .. } if !self.paused => {
                Some((until, "a new worker has proved itself"))
            }
            Phase::Waiting { .. }
            | Phase::Starting { .. }
            | Phase::Probation { .. }
            | Phase::Draining
            | Phase::Undoing => None,
        };
        let told = match self.stuck {
            Stuck::Since(since) => {
                let at = since + crate::supervisor::STUCK_AFTER;
                Some((at, "the log is told what a rollout waits for"))
            }
            Stuck::No | Stuck::Told => None,
        };
        proved.into_iter().chain(told).filter(|(at, _)| *at > now).min()
    }
}

/// How a rollout went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutReport {
    /// What it was to bring.
    pub generation: Generation,
    /// How it ended.
    pub outcome: Outcome,
    /// Where it had come to when it failed or was aborted.
    pub slot: Option<Slot>,
    /// How many slots run the new generation.
    pub replaced: u32,
    /// In how many slots a parked worker serves again.
    pub returned: u32,
    /// How many slots there are.
    pub of: u32,
    /// Which slots run which generation.
    pub runs: BTreeMap<Generation, Vec<Slot>>,
    /// How long it took.
    pub duration: Duration,
    /// What old workers had not finished at `--drain-timeout`, and was ended.
    pub cut: Left,
    /// What became of the old workers' idle connections.
    pub moved: Moved,
    /// Which generation serves where the new one does not.
    pub serving: Generation,
}

impl RolloutReport {
    /// Whether nothing of the new generation is left, although some of it had served.
    pub fn is_taken_back(&self) -> bool {
        self.replaced == 0 && self.returned > 0
    }
}

/// The ways a rollout ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every slot was replaced.
    Succeeded,
    /// A new worker failed. What could be undone has been.
    Failed {
        /// Which.
        worker: WorkerId,
        /// How.
        failure: Failure,
    },
    /// Somebody wanted it undone.
    Aborted,
    /// The service was stopped meanwhile.
    Stopped,
}
