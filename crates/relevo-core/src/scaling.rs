//! Changing the number of slots.
//!
//! ```text
//!              more wanted: the next slots join,      every slot is ready, and the workers that
//!              fewer wanted: the highest leave        leave accept nothing and have no request left
//!   (steady) ────────────────────────────────▶ Scaling ─────────────────────────────────▶ done
//!                                                │ │ a new slot's first worker failed
//!                             another number is  │ └────────────────────────────────────▶ failed
//!                             wanted, or a stop  └──▶ superseded, aborted
//! ```
//!
//! However it ends for those who wait for it, the number that was wanted last stays wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Failure, Left, Moved, RequestId, Slot, Spec, Time, WorkerId};

/// How many workers somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// This many.
    To(u32),
    /// So many more, or fewer, than are wanted now.
    By(i32),
}

/// A change of the number of slots that is not complete.
#[derive(Clone, Debug)]
pub(crate) struct Scaling {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) started_at: Time,
    pub(crate) requests: Vec<RequestId>,
    /// The workers of slots that leave, as long as they accept or work.
    pub(crate) surplus: BTreeMap<WorkerId, Slot>,
    pub(crate) cut: Left,
    pub(crate) moved: Moved,
}

/// How a scaling went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleReport {
    /// How many slots there were.
    pub from: u32,
    /// How many there are to be.
    pub to: u32,
    /// How it ended.
    pub outcome: ScaleOutcome,
    /// How many slots have a ready worker.
    pub ready: u32,
    /// How long it took.
    pub duration: Duration,
    /// What workers of slots that leave had not finished at `--drain-timeout`, and was ended.
    pub cut: Left,
    /// What became of their idle connections.
    pub moved: Moved,
}

/// The ways a scaling ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScaleOutcome {
    /// It has been begun; the reply does not wait for its end.
    Accepted,
    /// So many workers are ready, and those that were too many have finished.
    Done,
    /// A new slot's worker failed. It is tried again, like any that crashed.
    Failed {
        /// Which.
        worker: WorkerId,
        /// How.
        failure: Failure,
    },
    /// Another number is wanted by now.
    Superseded {
        /// Which.
        by: u32,
    },
    /// The service was stopped meanwhile.
    Aborted,
}

impl Scale {
    /// The number that it comes to, in the range that a signed number can show.
    pub(crate) fn from(self, wanted: u32) -> i64 {
        match self {
            Self::To(count) => i64::from(count),
            Self::By(difference) => i64::from(wanted) + i64::from(difference),
        }
    }

    /// The same, if a service can have so many.
    pub(crate) fn slots(self, wanted: u32) -> Option<u32> {
        let count = u32::try_from(self.from(wanted)).ok()?;
        (1..=Spec::MAX_SLOTS).contains(&count).then_some(count)
    }
}
