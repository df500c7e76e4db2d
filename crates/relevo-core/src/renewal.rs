//! Replacing one worker that serves, because it has reached a limit.
//!
//! ```text
//!             the way is free: its                 the new worker is ready:
//!             replacement starts                   the old one drains
//!   due ─────────────────────────▶ Starting ──────────────────────────────▶ Draining ───▶ over
//!    ▲                                │  │                         its work is done
//!    └── the new worker failed, or ───┘  └── the old worker died meanwhile: the new one
//!        a rollout begins                    takes its place as soon as it is ready
//! ```
//!
//! It is a rollout's way with one slot, without a way back: the code is the same. One slot has its turn
//! at a time, and none while a rollout goes on or a slot has no ready worker: then the next thing to be
//! found out might be that the code does not start any more.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::{Failure, Slot, Time, WorkerId};

/// Why a worker is replaced although it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalReason {
    /// It has more memory than it may.
    Memory {
        /// How much it had.
        rss_bytes: u64,
        /// How much it may have.
        limit_bytes: u64,
    },
    /// It has served for as long as it may.
    Age {
        /// How long that is.
        limit: Duration,
    },
    /// It has been asked as many requests as it may.
    Requests {
        /// How many that is.
        limit: u64,
    },
}

/// When the replacement of a worker starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalStart {
    /// Now.
    Now,
    /// When the rollout in progress is over.
    AfterRollout,
    /// When the replacement in another slot is over.
    InTurn,
    /// When a reload has brought code that works: what could be started now was refused.
    AfterRefusal,
    /// When every slot has a ready worker.
    WhenAllReady,
    /// After some time: the one before failed, or had reached the limit soon.
    In(Duration),
    /// When there are fewer workers on their way out.
    WhenRoom,
}

/// All that is going on of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renewals {
    pub(crate) now: Option<Renewal>,
    /// Those that were replaced and are still there: what they do is no rollout's account.
    pub(crate) replaced: BTreeSet<WorkerId>,
    /// When the memory of workers is looked at.
    pub(crate) measure_at: Option<Time>,
    /// Whether it was told that requests are not counted.
    pub(crate) told_not_counted: bool,
}

/// One that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Renewal {
    pub(crate) slot: Slot,
    pub(crate) old: WorkerId,
    pub(crate) new: WorkerId,
    /// Whether the new worker is ready, so that the old one finishes its work.
    pub(crate) drains: bool,
}

/// How soon one may follow another in a slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    pub(crate) backoff: Backoff,
    pub(crate) not_before: Time,
    /// The last replacement, if it failed.
    pub(crate) failure: Option<(WorkerId, Failure)>,
}

impl Renewals {
    /// Whether it is this worker that one has started for the slot.
    pub(crate) fn brings(&self, slot: Slot, worker: WorkerId) -> bool {
        self.now.is_some_and(|now| now.slot == slot && now.new == worker && !now.drains)
    }
}
