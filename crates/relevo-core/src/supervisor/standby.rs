//! Workers that have loaded their code and do not serve yet: those of a rollout that loads all first, and
//! spare ones (`Spec::standby`), which take the place of a worker that has crashed.
//!
//! What such a worker asks to listen on is not answered until it is needed. It has no socket and no
//! connection; but its code has run up to there, and its timers and pools go on.
//!
//! ```text
//!               it asks to listen            it is needed: what it asked is answered
//!   Starting ───────────────────▶ Standby ──────────────────────────────▶ Starting ──▶ Ready
//! ```

use std::collections::BTreeSet;

use super::Supervisor;
use crate::backoff::Backoff;
use crate::rollout::Place;
use crate::worker::{Stage, Worker};
use crate::{Action, Failure, Generation, Notice, Slot, Step, Time, WorkerId};

/// The spare workers. Each belongs to a slot, but may be promoted in any.
#[derive(Clone, Debug, Default)]
pub(super) struct Spares {
    pub(super) workers: BTreeSet<WorkerId>,
    backoff: Backoff,
    /// When the next one is started, if the last one failed.
    retry_at: Option<Time>,
}

impl Supervisor {
    /// A worker that is held asks to listen: it has loaded its code.
    pub(super) fn has_loaded(&mut self, id: WorkerId) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let Stage::Starting { .. } = worker.stage else { return };
        worker.stage = Stage::Standby;
        let (slot, after) = (worker.slot, now.since(worker.spawned_at));
        self.tell(Notice::WorkerLoaded { worker: id, slot, after });
        let rollout = self.rollout.as_mut();
        if let Some(rollout) = rollout.filter(|rollout| rollout.place_of(id) == Some(slot)) {
            rollout.begun.insert(slot, Place::Loaded(id));
            self.report_progress(slot, Step::Loaded(id));
        }
    }

    /// Has a loaded worker serve: what it has asked for is answered.
    fn release(&mut self, id: WorkerId) {
        let (now, deadline) = (self.now, self.now + self.spec.ready_timeout);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.is_held = false;
        worker.stage = Stage::Starting { deadline };
        worker.released_at = Some(now);
        worker.readiness.begin_anew(self.spec.ready_timeout);
        for (query, wish) in std::mem::take(&mut worker.postponed) {
            self.answer_request(id, query, wish);
        }
    }

    /// The new workers of a rollout serve when all of them would; one whose slot has lost its old worker
    /// does at once.
    pub(super) fn promote_loaded(&mut self) -> bool {
        let Some(rollout) = &self.rollout else { return false };
        let is_starting = |place: &Place| matches!(place, Place::Starting(_));
        let all = rollout.next.0 >= self.wanted && !rollout.begun.values().any(is_starting);
        let mut due = Vec::new();
        for (slot, place) in &rollout.begun {
            if let Place::Loaded(id) = *place
                && (all || self.slot(*slot).current.is_none())
            {
                due.push((*slot, id));
            }
        }
        for (slot, id) in &due {
            if let Some(rollout) = &mut self.rollout {
                rollout.begun.insert(*slot, Place::Starting(*id));
            }
            self.release(*id);
        }
        !due.is_empty()
    }

    /// Ends spare workers that are too many, or of another generation, and starts one that is missing,
    /// when nobody who is needed sooner loads its code.
    pub(super) fn step_spares(&mut self) {
        let workers = &self.workers;
        let is_there = |id: &WorkerId| workers.get(id).is_some_and(Worker::is_wanted);
        self.spares.workers.retain(is_there);
        if self.stop.is_some() || self.rollout.is_some() || !self.announced {
            return;
        }
        for id in self.surplus_spares() {
            self.spares.workers.remove(&id);
            self.retire(id);
        }
        let due = self.spares.retry_at.is_none_or(|at| at <= self.now);
        let missing = self.spares.workers.len() < self.spec.standby as usize;
        let loads = |worker: &Worker| matches!(worker.stage, Stage::Starting { .. });
        let somebody_loads = self.workers.values().any(loads);
        // While only refused code could be loaded, a spare worker is of no use.
        if due && missing && !somebody_loads && self.may_replace_voluntarily() {
            self.start_spare();
        }
    }

    fn surplus_spares(&self) -> Vec<WorkerId> {
        let generation = self.generation;
        let is_new =
            |id: &WorkerId| self.workers.get(id).is_some_and(|w| w.generation == generation);
        let (new, old): (Vec<_>, Vec<_>) = self.spares.workers.iter().partition(|id| is_new(id));
        let many = new.into_iter().skip(self.spec.standby as usize);
        old.into_iter().chain(many).copied().collect()
    }

    /// In the slot that has the fewest.
    fn start_spare(&mut self) {
        let spares = || self.spares.workers.iter().filter_map(|id| self.workers.get(id));
        let of = |slot: Slot| spares().filter(|worker| worker.slot == slot).count();
        let free = self.slot_numbers().filter(|slot| self.has_room(*slot));
        let Some(slot) = free.min_by_key(|slot| of(*slot)) else { return };
        let id = self.spawn(slot, self.generation);
        self.spares.workers.insert(id);
        self.spares.retry_at = None;
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.is_held = true;
        }
    }

    pub(super) fn spare_deadline(&self) -> Option<(Time, &'static str)> {
        let wants = self.stop.is_none() && self.rollout.is_none() && self.announced;
        let wants = wants && self.may_replace_voluntarily();
        let at = self.spares.retry_at.filter(|at| wants && *at > self.now)?;
        Some((at, "a spare worker is started again"))
    }

    /// A loaded spare worker of this generation takes the vacant slot.
    pub(super) fn take_spare(&mut self, slot: Slot, generation: Generation) -> Option<WorkerId> {
        let usable = self.spares.workers.iter().filter_map(|id| {
            let worker = self.workers.get(id)?;
            let is_usable = worker.is_on_standby()
                && worker.channel_ended.is_none()
                && worker.generation == generation;
            is_usable.then_some((worker.slot != slot, *id))
        });
        let (moves, id) = usable.min()?;
        self.spares.workers.remove(&id);
        let owes = self.owed_in(slot);
        if let Some(worker) = self.workers.get_mut(&id) {
            (worker.slot, worker.owes) = (slot, owes);
        }
        self.tell(Notice::SparePromoted { worker: id, slot });
        if moves {
            self.act(Action::ChangeSlot { worker: id, slot });
        }
        self.release(id);
        Some(id)
    }

    /// A spare worker has failed; whether it was one.
    pub(super) fn spare_failed(&mut self, id: WorkerId, slot: Slot, failure: &Failure) -> bool {
        if !self.spares.workers.remove(&id) {
            return false;
        }
        let delay = self.spares.backoff.after_crash(self.now, None, &mut self.random);
        self.spares.retry_at = Some(self.now + delay);
        let (failure, next_try) = (failure.clone(), (self.stop.is_none()).then_some(delay));
        self.tell(Notice::WorkerFailed { worker: id, slot, failure, next_try });
        true
    }

    /// New code starts with a clean slate.
    pub(super) fn forget_spare_failures(&mut self) {
        self.spares.backoff.reset();
        self.spares.retry_at = None;
    }
}
