//! Replacing one generation by the next, slot by slot.
//!
//! ```text
//!               room for one more worker            it is ready
//!   Waiting(s) ──────────────────────────▶ Starting(s) ────────▶ Draining(s)
//!      ▲                                       │                     │ the old worker accepts
//!      │ next slot                             │ it failed           │ nothing more and has no
//!      └───────────────────────────────────────┼─────────────────────┤ request left, or its time
//!                                              ▼                     ▼ is up; last slot
//!                                            failed              succeeded
//! ```
//!
//! While one goes on, wishes for another join into the one that follows it.

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
    pub(crate) cut: Left,
    pub(crate) moved: Moved,
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
    Draining {
        old: Option<WorkerId>,
    },
}

/// How a rollout went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutReport {
    /// What it was to bring.
    pub generation: Generation,
    /// How it ended.
    pub outcome: Outcome,
    /// How many slots run the new generation.
    pub replaced: u32,
    /// How many slots there are.
    pub of: u32,
    /// How long it took.
    pub duration: Duration,
    /// What old workers had not finished at `--drain-timeout`, and was ended.
    pub cut: Left,
    /// What became of the old workers' idle connections.
    pub moved: Moved,
    /// Which generation serves where the new one does not.
    pub serving: Generation,
}

/// The ways a rollout ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every slot was replaced.
    Succeeded,
    /// A new worker failed. The old workers of the remaining slots serve.
    Failed {
        /// Which.
        worker: WorkerId,
        /// How.
        failure: Failure,
    },
    /// The service was stopped meanwhile.
    Aborted,
}
