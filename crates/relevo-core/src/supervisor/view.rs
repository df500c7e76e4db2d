//! What can be seen of a service: `status` and all other displays read this and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Supervisor;
use crate::listener::{Arrangement, Listener};
use crate::rollout::{Phase, Place};
use crate::worker::{Stage, Worker};
use crate::{
    Cause, Exit, Failure, Generation, HookKind, Kind, Left, ListenerId, Moved, Outcome, Refusal,
    RenewalReason, RenewalStart, RolloutReport, Seat, Slot, Tally, WorkerId,
};

/// A look at a service.
#[derive(Clone, Copy)]
pub struct View<'a>(&'a Supervisor);

/// The state of the whole service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// It has never been ready.
    Starting,
    /// Every slot is ready, on the same generation.
    Running,
    /// A rollout goes on.
    Reloading,
    /// It serves, but not as it should.
    Degraded,
    /// No worker was there to accept for too long: its listeners are closed.
    Down,
    /// It ends.
    Stopping,
}

/// The state of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotWord {
    /// Its worker is ready.
    Ready,
    /// It has no ready worker.
    Vacant,
    /// It has no worker; the next is started later.
    BackingOff,
    /// Its worker has ended for good: there is none until a reload or a scaling.
    Ended,
    /// It is too many: it goes with its last worker.
    Leaving,
}

/// The state of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerWord {
    /// It is not ready yet.
    Starting,
    /// It has loaded its code, and serves when it is needed.
    Standby,
    /// It serves.
    Ready,
    /// A rollout has replaced it: it accepts nothing new, and can serve again.
    Parked,
    /// It accepts nothing new and finishes its work.
    Draining,
    /// It has no work left, only idle connections.
    Lingering,
    /// It has been told to end.
    Stopping,
}

/// Where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutPhase {
    /// A new worker starts (or waits until old ones have ended).
    Starting,
    /// The new worker of the slot serves, and has to prove itself.
    Probation,
    /// There is no way back any more: old workers finish their requests.
    Draining,
    /// It is undone: parked workers serve again, new ones finish their requests.
    Undoing,
}

/// What a rollout waits for that may take long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// For somebody to resume or abort it.
    Paused,
    /// For a hook to end.
    Hook(HookKind),
    /// As many workers are on their way out as there may be: these.
    Room(Vec<WorkerId>),
    /// There is not enough memory for another worker yet.
    Memory,
    /// For the verdict on what the first new worker answers.
    Canary {
        /// Who.
        worker: WorkerId,
        /// What it has counted so far.
        new: Tally,
        /// What the old ones had counted.
        old: Tally,
        /// How many requests it must have had.
        wanted: u64,
    },
    /// Workers that have been replaced finish their work: these, with what their agents count.
    Drain(Vec<(WorkerId, Option<Left>)>),
}

/// What the drains of all workers did, since the service began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What was ended unfinished.
    pub cut: Left,
    /// What became of idle connections.
    pub moved: Moved,
}

/// What can be seen of a slot.
#[derive(Clone, Debug)]
pub struct SlotView {
    /// Which.
    pub slot: Slot,
    /// Its state.
    pub word: SlotWord,
    /// How many workers failed here.
    pub restarts: u64,
    /// In how long the next worker is started.
    pub next_try: Option<Duration>,
    /// How long ago a worker last ended here although nobody had asked for it, and how.
    pub last_exit: Option<(Duration, Exit)>,
    /// How many workers have failed here in a row, none of them steady in between.
    pub failures_in_a_row: u32,
    /// What happened to the last one.
    pub last_failure: Option<Failure>,
    /// Its workers, oldest first.
    pub workers: Vec<WorkerView>,
    /// The worker that is to be replaced although it serves, if one is.
    pub renewal: Option<RenewalView>,
}

/// What can be seen of a worker's replacement because of a limit.
#[derive(Clone, Debug)]
pub struct RenewalView {
    /// Whose.
    pub worker: WorkerId,
    /// Which limit it has reached.
    pub reason: RenewalReason,
    /// When its replacement starts; `None` when it has.
    pub start: Option<RenewalStart>,
    /// The last replacement here, if that failed, and how.
    pub failure: Option<(WorkerId, Failure)>,
}

/// What can be seen of a worker.
#[derive(Clone, Copy, Debug)]
pub struct WorkerView {
    /// Which.
    pub id: WorkerId,
    /// Its process, once there is one.
    pub pid: Option<u32>,
    /// Which load of the code it is.
    pub generation: Generation,
    /// Its state.
    pub word: WorkerWord,
    /// How long ago it was started.
    pub uptime: Duration,
    /// What it still has to do, where it drains and its agent said so.
    pub left: Option<Left>,
    /// For how long it has given no sign of life although it was asked, if that is long.
    pub silent: Option<Duration>,
}

/// What can be seen of a listener.
#[derive(Clone, Debug)]
pub struct ListenerView {
    /// Which.
    pub id: ListenerId,
    /// Its address.
    pub address: String,
    /// The kind of address.
    pub kind: Kind,
    /// Whether the primary accepts from it and deals.
    pub dealt: bool,
    /// Whether all slots share one socket.
    pub one_socket: bool,
    /// Whose sockets there are.
    pub seats: Vec<Seat>,
    /// The slots for which the primary accepts because nobody there listens.
    pub covering: Vec<Slot>,
}

/// What can be seen of the rollout in progress, or of the last one.
#[derive(Clone, Debug)]
pub struct RolloutView {
    /// What it brings.
    pub generation: Generation,
    /// What it came from.
    pub cause: Cause,
    /// How it ended; `None` while it goes on.
    pub outcome: Option<Outcome>,
    /// In how many slots a parked worker serves again, where it was undone.
    pub returned: u32,
    /// How many slots run what it brings; 0 while it goes on.
    pub replaced: u32,
    /// Which slots run which generation.
    pub runs: BTreeMap<Generation, Vec<Slot>>,
    /// What it waits for, if that is not its turn.
    pub waits: Option<Waits>,
    /// Where it is; `None` when it is over.
    pub phase: Option<RolloutPhase>,
    /// In which slot; once it is over, the one where it failed, if it did.
    pub slot: Option<Slot>,
    /// How many slots there are.
    pub of: u32,
    /// How long it took, or has taken so far.
    pub duration: Duration,
    /// What was cut short at the drain's deadline.
    pub cut: Left,
    /// What became of idle connections.
    pub moved: Moved,
}

impl From<&RolloutReport> for RolloutView {
    fn from(report: &RolloutReport) -> Self {
        Self {
            generation: report.generation,
            cause: report.cause,
            outcome: Some(report.outcome.clone()),
            returned: report.returned,
            replaced: report.replaced,
            runs: report.runs.clone(),
            waits: None,
            phase: None,
            slot: report.slot,
            of: report.of,
            duration: report.duration,
            cut: report.cut,
            moved: report.moved,
        }
    }
}

impl Supervisor {
    /// A look at the service as it is now.
    pub fn view(&self) -> View<'_> {
        View(self)
    }
}

impl<'a> View<'a> {
    /// The state of the whole service.
    pub fn state(&self) -> ServiceState {
        let s = self.0;
        if s.stop.is_some() {
            ServiceState::Stopping
        } else if s.is_down() {
            ServiceState::Down
        } else if s.rollout.is_some() {
            ServiceState::Reloading
        } else if !s.announced {
            ServiceState::Starting
        } else if self.failed_rollout().is_some()
            || s.ready_slots() < s.wanted
            || !s.slots_gone_back().is_empty()
        {
            ServiceState::Degraded
        } else {
            ServiceState::Running
        }
    }

    /// The last rollout, if it failed and none has succeeded since.
    pub fn failed_rollout(&self) -> Option<&'a RolloutReport> {
        let failed = |report: &&RolloutReport| match report.outcome {
            Outcome::Failed { .. } => true,
            // Nothing was tried, by somebody's wish.
            Outcome::HookFailed { kind: HookKind::Before, .. } => false,
            Outcome::HookFailed { .. } => true,
            // Somebody's wish; but two generations should not serve side by side for long.
            Outcome::Aborted => report.replaced > 0,
            Outcome::Succeeded | Outcome::Stopped => false,
        };
        self.0.last_rollout.as_ref().filter(failed)
    }

    /// How many workers still serve with good code, where refused code lies in its place.
    pub fn good_workers(&self) -> Option<u32> {
        self.0.is_code_refused().then(|| self.0.good_workers())
    }

    /// Whether workers may be replaced that serve well enough.
    pub fn may_replace_voluntarily(&self) -> bool {
        self.0.may_replace_voluntarily()
    }

    /// The slots whose workers of the last completed generation failed while that was on trial, by the
    /// generation that they run instead.
    pub fn gone_back(&self) -> BTreeMap<Generation, Vec<Slot>> {
        self.0.slots_gone_back()
    }

    /// Which generation's release a rollback would bring, or why there can be none now.
    pub fn rollback_target(&self) -> Result<Generation, Refusal> {
        self.0.rollback_target()
    }

    /// All generations of which there is a worker, or of which one may be started.
    pub fn generations(&self) -> BTreeSet<Generation> {
        self.0.named_generations()
    }

    /// The last completed generation.
    pub fn generation(&self) -> Generation {
        self.0.generation
    }

    /// What drains did so far.
    pub fn totals(&self) -> Totals {
        self.0.totals
    }

    /// How many slots there are to be.
    pub fn wanted_slots(&self) -> u32 {
        self.0.wanted
    }

    /// How many slots have a ready worker.
    pub fn ready_slots(&self) -> u32 {
        self.0.ready_slots()
    }

    /// Each slot, in order; one that has left is there as long as a worker of it is.
    pub fn slots(&self) -> Vec<SlotView> {
        let left = self.0.left_slots().map(|slot| self.slot(slot));
        let left = left.filter(|slot| !slot.workers.is_empty());
        self.0.slot_numbers().map(|slot| self.slot(slot)).chain(left).collect()
    }

    /// Each listener, oldest first, but for those that an outage has closed.
    pub fn listeners(&self) -> Vec<ListenerView> {
        let open = self.0.listeners.iter().filter(|(_, listener)| !listener.given_up);
        open.map(|(id, listener)| self.listener(*id, listener)).collect()
    }

    /// The address of a listener, as a person knows it.
    pub fn address(&self, id: crate::ListenerId) -> Option<String> {
        self.0.listeners.get(&id).map(|listener| listener.shown().to_owned())
    }

    /// The rollout in progress, else the last one.
    pub fn rollout(&self) -> Option<RolloutView> {
        if let Some(rollout) = &self.0.rollout {
            let is_incoming = |place: &Place| place.incoming().is_some();
            let phase = match rollout.phase {
                Phase::Replacing if rollout.begun.is_empty() => RolloutPhase::Starting,
                Phase::Replacing if rollout.begun.values().any(is_incoming) => {
                    RolloutPhase::Starting
                }
                Phase::Replacing => RolloutPhase::Probation,
                Phase::Draining => RolloutPhase::Draining,
                Phase::Undoing => RolloutPhase::Undoing,
            };
            let report = self.0.rollout_report(rollout, Outcome::Stopped);
            return Some(RolloutView {
                generation: rollout.generation,
                cause: rollout.cause,
                outcome: None,
                replaced: 0,
                waits: self.rollout_waits(),
                phase: Some(phase),
                slot: Some(rollout.slot(self.0.wanted)),
                ..RolloutView::from(&report)
            });
        }
        self.0.last_rollout.as_ref().map(RolloutView::from)
    }

    fn rollout_waits(&self) -> Option<Waits> {
        let rollout = self.0.rollout.as_ref()?;
        if rollout.has_a_way_back() && rollout.paused {
            return Some(Waits::Paused);
        }
        if rollout.has_a_way_back() && rollout.memory.waits {
            return Some(Waits::Memory);
        }
        if let Some(hook) = rollout.gate {
            return self.0.hooks.kind(hook).map(Waits::Hook);
        }
        if rollout.has_a_way_back() && rollout.has_no_room {
            return Some(Waits::Room(self.0.hinderers()));
        }
        if let Some(canary) = self.0.canary_waits() {
            return Some(canary);
        }
        Some(self.0.rollout_held_up_by()).filter(|by| !by.is_empty()).map(Waits::Drain)
    }

    fn slot(&self, slot: Slot) -> SlotView {
        let state = self.0.slot(slot);
        let next_try = state.retry_at.filter(|_| state.is_vacant()).map(|at| at.since(self.0.now));
        let word = if slot.0 >= self.0.wanted {
            SlotWord::Leaving
        } else if self.0.has_ready_worker(slot) {
            SlotWord::Ready
        } else if state.ended.is_some() && state.is_vacant() {
            SlotWord::Ended
        } else if next_try.is_some_and(|delay| delay > Duration::ZERO) {
            SlotWord::BackingOff
        } else {
            SlotWord::Vacant
        };
        let workers = self.0.workers.iter().filter(|(_, worker)| worker.slot == slot);
        SlotView {
            slot,
            word,
            restarts: state.restarts,
            next_try,
            last_exit: state.last_exit.map(|(at, exit)| (self.0.now.since(at), exit)),
            failures_in_a_row: state.backoff.in_a_row(),
            last_failure: state.last_failure.clone(),
            workers: workers.map(|(id, worker)| self.worker(*id, worker)).collect(),
            renewal: self.0.renewal_in(slot),
        }
    }

    fn worker(&self, id: WorkerId, worker: &Worker) -> WorkerView {
        let word = match worker.stage {
            Stage::Starting { .. } => WorkerWord::Starting,
            Stage::Standby => WorkerWord::Standby,
            Stage::Ready => WorkerWord::Ready,
            Stage::Parked { .. } => WorkerWord::Parked,
            Stage::Draining(_) if worker.is_lingering() => WorkerWord::Lingering,
            Stage::Draining(_) | Stage::Quitting { .. } => WorkerWord::Draining,
            Stage::Leaving { .. } | Stage::Stopping { .. } | Stage::Killed => WorkerWord::Stopping,
        };
        WorkerView {
            id,
            pid: worker.pid,
            generation: worker.generation,
            word,
            uptime: self.0.now.since(worker.spawned_at),
            left: worker.left,
            silent: self.0.silent_for(worker),
        }
    }

    fn listener(&self, id: ListenerId, listener: &Listener) -> ListenerView {
        let covering = listener.members.keys().filter_map(|seat| match seat {
            Seat::Slot(slot) => {
                let covered =
                    listener.is_open(*seat) && self.0.primary_accepts(id, listener, *seat);
                covered.then_some(*slot)
            }
            Seat::Front | Seat::Common => None,
        });
        ListenerView {
            id,
            address: listener.shown().to_owned(),
            kind: listener.wish.kind,
            dealt: listener.arrangement == Arrangement::Dealt,
            one_socket: listener.arrangement == Arrangement::OneShared,
            seats: listener.members.keys().copied().collect(),
            covering: covering.collect(),
        }
    }
}
