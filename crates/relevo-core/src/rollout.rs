//! Replacing one generation by the next, slot by slot, with a way back until all have proved themselves.
//!
//! ```text
//!   Replacing: each slot in its turn, up to `Spec::surge` of them at a time
//!   ┌──────────────────────────────────────────────────────────────────────────────────────────┐
//!   │        a worker is started              it is ready: the old one is parked               │
//!   │  (next) ─────────────────▶ Starting(s) ───────────────────────▶ Probation(s) ──▶ (done)  │
//!   │                               │              it may listen ▲       the old worker accepts │
//!   │                               │ under `Spec::all_first`    │       nothing more, and the  │
//!   │                               └──▶ Loaded(s) ──────────────┘       probation is over      │
//!   │                         it waits to listen   when all slots are                           │
//!   └────────────────┬─────────────────────────────────────────────────────┬────────────────────┘
//!                    │ a new worker failed,                                │ all slots are done:
//!                    ▼ or somebody aborts                                  ▼ parked workers are let go
//!                 Undoing                                               Draining
//!                    │ parked workers serve again, and                     │ they have no request left,
//!                    ▼ the new ones have no request left                   ▼ or their time is up
//!             failed, aborted                                          succeeded
//! ```
//!
//! Under `Spec::canary` the first slot's probation lasts until the verdict on what its worker answers is
//! there, too (`supervisor/canary.rs`).
//!
//! The first slot's probation and the last one's take `Spec::probation`, those between them no time; the
//! first one is alone until its probation is over. At its beginning, and when its first new worker is
//! ready, a rollout may wait at a *gate* for a hook (`supervisor/hooks.rs`). While it does, or is *paused*,
//! it begins no slot and lets nobody go. While one goes on, wishes for another join into the one that follows it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::supervisor::canary::Watch;
use crate::supervisor::memory::Looked;
use crate::{
    Cause, Failure, Generation, HookFailure, HookId, HookKind, Left, ListenerId, Listeners, Moved,
    RequestId, Slot, Time, WorkerId,
};

/// A rollout in progress.
#[derive(Clone, Debug)]
pub(crate) struct Rollout {
    pub(crate) generation: Generation,
    pub(crate) cause: Cause,
    /// The generation whose release it brings back, in a rollback.
    pub(crate) back_to: Option<Generation>,
    pub(crate) started_at: Time,
    pub(crate) requests: Vec<RequestId>,
    /// Whether its workers must listen on what those before them did.
    pub(crate) listeners: Listeners,
    pub(crate) phase: Phase,
    /// The first slot that it has not begun.
    pub(crate) next: Slot,
    /// The slots that it has begun, and is not done with.
    pub(crate) begun: BTreeMap<Slot, Place>,
    /// Whether a new worker has passed its probation, so that others may come together.
    pub(crate) has_proved: bool,
    /// The first new worker, if what it answers is judged.
    pub(crate) canary: Option<Watch>,
    /// Whether there was no room for another worker, and the log has been told.
    pub(crate) has_no_room: bool,
    /// Whether somebody holds it where it is.
    pub(crate) paused: bool,
    /// The hook that must end well before it goes on.
    pub(crate) gate: Option<HookId>,
    /// Whether a new worker has been ready, so that the hook about that has had its turn.
    pub(crate) has_been_ready: bool,
    /// The workers that it has started.
    pub(crate) new: BTreeSet<WorkerId>,
    /// The way back: replaced workers that can serve again, by their slot.
    pub(crate) parked: BTreeMap<Slot, WorkerId>,
    /// Workers that it has replaced, or taken back, and that finish their work, with their slot.
    pub(crate) leaving: BTreeMap<WorkerId, Slot>,
    /// Whether it waits for them.
    pub(crate) stuck: Stuck,
    /// What the slots listened on when it began.
    pub(crate) served: BTreeSet<ListenerId>,
    /// Why it is undone, if it is.
    pub(crate) undo: Option<Undo>,
    pub(crate) cut: Left,
    pub(crate) moved: Moved,
    pub(crate) memory: Looked,
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
    /// In how many slots the old code serves again.
    pub(crate) returned: u32,
    /// Workers that were started anew from the old release, where nobody was parked, by their slot.
    pub(crate) renewed: BTreeMap<Slot, WorkerId>,
    /// Who asked for it, or waits along.
    pub(crate) requests: Vec<RequestId>,
}

/// Where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// New workers come, and have to prove themselves.
    Replacing,
    /// There is no way back any more: whom it replaced finishes its work.
    Draining,
    /// Who is parked is called back.
    Undoing,
}

/// Where a rollout is in a slot that it has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The new worker loads its code.
    Starting(WorkerId),
    /// It would listen, and waits until those of all slots would.
    Loaded(WorkerId),
    /// It serves, and has to prove itself.
    Probation { old: Option<WorkerId>, until: Time },
}

impl Place {
    /// The new worker, while it does not serve yet.
    pub(crate) fn incoming(self) -> Option<WorkerId> {
        match self {
            Self::Starting(worker) | Self::Loaded(worker) => Some(worker),
            Self::Probation { .. } => None,
        }
    }
}

impl Rollout {
    /// Whether it can still be undone.
    pub(crate) fn has_a_way_back(&self) -> bool {
        self.phase == Phase::Replacing
    }

    /// The slot that it is in, for people: the first that it has begun, else the next, of so many.
    pub(crate) fn slot(&self, of: u32) -> Slot {
        let next = Slot(self.next.0.min(of.saturating_sub(1)));
        self.begun.keys().next().copied().unwrap_or(next)
    }

    /// Which slot's place this worker is about to take.
    pub(crate) fn place_of(&self, worker: WorkerId) -> Option<Slot> {
        let mut begun = self.begun.iter();
        begun.find(|(_, place)| place.incoming() == Some(worker)).map(|(slot, _)| *slot)
    }

    /// Whether this worker, when it is ready, takes its slot back from the new one.
    pub(crate) fn calls_back(&self, id: WorkerId) -> bool {
        let renewed = self.undo.iter().flat_map(|undo| undo.renewed.values());
        self.parked.values().chain(renewed).any(|other| *other == id)
    }

    /// Everybody who waits for its end.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &RequestId> {
        self.requests.iter().chain(self.undo.iter().flat_map(|undo| &undo.requests))
    }

    /// The next moment at which something must be done about it, and why.
    pub(crate) fn deadline(&self, now: Time) -> Option<(Time, &'static str)> {
        let proved = self.begun.values().filter(|_| self.has_a_way_back() && !self.paused);
        let proved = proved.filter_map(|place| match place {
            Place::Probation { until, .. } => Some((*until, "a new worker has proved itself")),
            Place::Starting(_) | Place::Loaded(_) => None,
        });
        let told = match self.stuck {
            Stuck::Since(since) => {
                let at = since + crate::supervisor::STUCK_AFTER;
                Some((at, "the log is told what a rollout waits for"))
            }
            Stuck::No | Stuck::Told => None,
        };
        proved.chain(told).chain(self.memory_deadline()).filter(|(at, _)| *at > now).min()
    }
}

/// How a rollout went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutReport {
    /// What it was to bring.
    pub generation: Generation,
    /// What it came from.
    pub cause: Cause,
    /// The generation whose release it was to bring back, in a rollback.
    pub back_to: Option<Generation>,
    /// How it ended.
    pub outcome: Outcome,
    /// Where it had come to when it failed or was aborted.
    pub slot: Option<Slot>,
    /// How many slots run the new generation.
    pub replaced: u32,
    /// In how many slots the old code serves again: a parked worker, or one that was started anew.
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
    /// A hook at which it waited failed. What could be undone has been.
    HookFailed {
        /// Which run of it.
        hook: HookId,
        /// Which hook.
        kind: HookKind,
        /// How.
        failure: HookFailure,
    },
    /// Somebody wanted it undone.
    Aborted,
    /// The service was stopped meanwhile.
    Stopped,
}
