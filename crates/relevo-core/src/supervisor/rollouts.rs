//! Rollouts: see the diagram in `rollout.rs`. The way back is in `undo.rs`.

use std::collections::{BTreeMap, BTreeSet};

use super::memory::Looked;
use super::{PARK_LIMIT, STUCK_AFTER, Supervisor};
use crate::rollout::{Phase, Place, Rollout, Stuck};
use crate::worker::{Stage, Worker};
use crate::{
    Action, Cause, Generation, HookKind, Left, Listeners, Moved, Notice, Notify, Outcome,
    RequestId, Slot, Step, WorkerId,
};

/// What somebody wants of a rollout.
struct Wished {
    cause: Cause,
    requests: Vec<RequestId>,
    listeners: Listeners,
    back_to: Option<Generation>,
}

impl Supervisor {
    pub(super) fn step_rollout(&mut self) {
        if self.stop.is_some() {
            return;
        }
        self.begin_wanted_rollout();
        self.forget_lost_ways_back();
        self.judge_hang_ups();
        self.judge_canary();
        self.pass_over_left_slots();
        // One rollout can pass several slots in one go where old workers are gone already.
        while let Some(rollout) = &self.rollout {
            let moved = match rollout.phase {
                Phase::Replacing if rollout.paused || rollout.gate.is_some() => false,
                Phase::Replacing => self.replace_slots(),
                Phase::Draining => self.finish_rollout(),
                Phase::Undoing => {
                    self.renew_lost_slots();
                    self.finish_undo()
                }
            };
            if !moved {
                break;
            }
        }
        self.tell_if_stuck();
    }

    fn begin_wanted_rollout(&mut self) {
        let started = self.announced || self.every_slot_failed_once();
        let wanted = self.reload_wanted.is_some() || self.releases.is_rollback_wanted();
        if self.rollout.is_some() || !wanted || !started {
            return;
        }
        let generation = Generation(self.next_generation);
        self.next_generation += 1;
        self.bind_failures_told.clear();
        let Some(Wished { cause, requests, listeners, back_to }) = self.adopt_wish() else {
            return;
        };
        self.forget_spare_failures();
        self.give_up_renewal();
        self.rollout = Some(Rollout {
            generation,
            cause,
            back_to,
            started_at: self.now,
            requests,
            listeners,
            served: self.slots.iter().flat_map(|slot| &slot.serves).copied().collect(),
            phase: Phase::Replacing,
            next: Slot(0),
            begun: BTreeMap::new(),
            has_proved: false,
            canary: None,
            has_no_room: false,
            paused: false,
            gate: None,
            has_been_ready: false,
            new: BTreeSet::new(),
            parked: BTreeMap::new(),
            leaving: BTreeMap::new(),
            stuck: Stuck::No,
            undo: None,
            cut: Left::default(),
            moved: Moved::default(),
            memory: Looked::default(),
        });
        self.tell(Notice::RolloutStarted { generation, cause, back_to });
        if self.announced {
            self.act(Action::Notify(Notify::Reloading));
        }
        self.wait_at_gate(HookKind::Before, None);
    }

    /// Takes up what waits longest: a rollback was asked for before any reload that waits beside it.
    fn adopt_wish(&mut self) -> Option<Wished> {
        if let Some(rollback) = self.releases.take_wanted() {
            self.adopt(&rollback.spec);
            let (requests, back_to) = (rollback.requests, Some(rollback.to));
            let (cause, listeners) = (Cause::Command, Listeners::Same);
            return Some(Wished { cause, requests, listeners, back_to });
        }
        let cause = self.reload_wanted.take()?;
        self.adopt_configuration();
        let requests = std::mem::take(&mut self.reload_waiters);
        let listeners = std::mem::take(&mut self.reload_listeners);
        Some(Wished { cause, requests, listeners, back_to: None })
    }

    /// A rollout has nothing to do in a slot that has left; one that comes back later has its turn again.
    fn pass_over_left_slots(&mut self) {
        let wanted = self.wanted;
        if let Some(rollout) = &mut self.rollout {
            rollout.begun.retain(|slot, _| slot.0 < wanted);
            rollout.next = rollout.next.min(Slot(wanted));
        }
    }

    /// Brings the slots that are begun a step further, begins others, and says whether anything was done.
    fn replace_slots(&mut self) -> bool {
        if self.finish_slots() | self.begin_slots() | self.promote_loaded() {
            return true;
        }
        let Some(rollout) = &self.rollout else { return false };
        let is_done = rollout.begun.is_empty() && rollout.next.0 >= self.wanted;
        if !is_done || self.somebody_hung_up() {
            return false;
        }
        self.give_up_way_back();
        true
    }

    fn begin_slots(&mut self) -> bool {
        let mut began = false;
        while self.may_begin_another() && self.memory_allows() && self.start_incoming() {
            began = true;
        }
        began
    }

    /// Until the first new worker has proved itself it is alone: but for those that only load.
    fn may_begin_another(&self) -> bool {
        let Some(rollout) = &self.rollout else { return false };
        let is_starting = |place: &&Place| matches!(place, Place::Starting(_));
        let (busy, most) = if self.spec.all_first {
            (rollout.begun.values().filter(is_starting).count(), self.surge())
        } else {
            (rollout.begun.len(), if rollout.has_proved { self.surge() } else { 1 })
        };
        rollout.next.0 < self.wanted && busy < most
    }

    fn surge(&self) -> usize {
        self.spec.surge.workers(self.wanted) as usize
    }

    /// Starts the new worker of the next slot, unless too many old ones are still there.
    fn start_incoming(&mut self) -> bool {
        let room = self.leaving() < self.wanted as usize;
        let Some(rollout) = &mut self.rollout else { return false };
        let (generation, slot) = (rollout.generation, rollout.next);
        let told = std::mem::replace(&mut rollout.has_no_room, !room);
        if !room {
            if !told {
                let workers = self.hinderers();
                self.tell(Notice::RolloutWaits { generation, workers });
            }
            return false;
        }
        let id = self.spawn(slot, generation);
        let state = self.slot_mut(slot);
        state.incoming = Some(id);
        state.retry_at = None;
        // What failed before may have been mended: the new code starts with a clean slate.
        state.backoff.reset();
        if let Some(rollout) = &mut self.rollout {
            rollout.next = Slot(slot.0 + 1);
            rollout.begun.insert(slot, Place::Starting(id));
            rollout.new.insert(id);
        }
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.is_held = self.spec.all_first;
        }
        self.report_progress(slot, Step::Started(id));
        true
    }

    /// Workers on their way out that are not on the way back of this rollout.
    pub(super) fn hinderers(&self) -> Vec<WorkerId> {
        let leaving = |worker: &Worker| !worker.is_wanted() && !worker.is_parked();
        self.workers.iter().filter(|(_, worker)| leaving(worker)).map(|(id, _)| *id).collect()
    }

    /// The new worker of a slot is ready. Whom it replaces stops accepting; whether it can begin again
    /// depends on its agent. Who was parked and is back replaces the new one for good.
    pub(super) fn rollout_worker_ready(&mut self, id: WorkerId, old: Option<WorkerId>) {
        let rollout = self.rollout.as_ref();
        let place = rollout.filter(|rollout| rollout.has_a_way_back());
        if let Some(slot) = place.and_then(|rollout| rollout.place_of(id)) {
            if let Some(old) = old {
                self.park(slot, old);
            }
            self.begin_canary(slot, id);
            self.begin_probation(slot, id, old);
        } else if rollout.is_some_and(|rollout| rollout.calls_back(id)) {
            self.has_returned(id, old);
        } else if let Some(old) = old {
            // At a stop the rollout is over, and its last worker may become ready all the same.
            self.retire(old);
        }
    }

    fn begin_probation(&mut self, slot: Slot, id: WorkerId, old: Option<WorkerId>) {
        let is_last = slot.0 + 1 >= self.wanted;
        let (now, probation) = (self.now, self.spec.probation);
        let Some(rollout) = &mut self.rollout else { return };
        let until = if !rollout.has_proved || is_last { now + probation } else { now };
        rollout.begun.insert(slot, Place::Probation { old, until });
        let is_first = !std::mem::replace(&mut rollout.has_been_ready, true);
        self.report_progress(slot, Step::Ready(id));
        if is_first {
            self.wait_at_gate(HookKind::Ready, Some(slot));
        }
    }

    /// A worker that could not be told to listen again drains at once. One that need not stop to accept
    /// need not be told.
    fn park(&mut self, slot: Slot, id: WorkerId) {
        let listens_on = self.listened_on(id);
        let (since, until) = (self.now, self.now + PARK_LIMIT);
        let serves_on = self.serves_on(id);
        let worker = self.workers.get_mut(&id).filter(|worker| worker.is_ready());
        let can_be_told = |worker: &Worker| worker.has_agent && worker.listens_at_all();
        let able = worker.filter(|worker| serves_on || can_be_told(worker));
        let Some(rollout) = &mut self.rollout else { return };
        let Some(worker) = able else {
            rollout.leaving.insert(id, slot);
            return self.retire(id);
        };
        worker.stage = Stage::Parked { since, until };
        worker.owes = listens_on;
        worker.serves_on = serves_on;
        rollout.parked.insert(slot, id);
        if !serves_on {
            self.act(Action::Park { worker: id });
        }
    }

    /// A slot is done when its old worker accepts nothing more and its new one has proved itself.
    fn finish_slots(&mut self) -> bool {
        let Some(rollout) = self.rollout.as_ref().filter(|_| !self.somebody_hung_up()) else {
            return false;
        };
        let canary = self.watch().map(|watch| watch.slot);
        let mut done = Vec::new();
        for (slot, place) in &rollout.begun {
            let Place::Probation { old, until } = *place else { continue };
            let old_worker = old.and_then(|id| self.workers.get(&id));
            let holds = old_worker.is_some_and(|worker| worker.holds_up_rollout(self.now));
            if !holds && until <= self.now && canary != Some(*slot) {
                done.push((*slot, old_worker.is_none()));
            }
        }
        for (slot, has_no_old) in &done {
            if let Some(rollout) = &mut self.rollout {
                rollout.begun.remove(slot);
                rollout.has_proved = true;
            }
            if let Some(new) = self.slot(*slot).current.filter(|_| *has_no_old) {
                self.report_progress(*slot, Step::Replaced(new));
            }
        }
        self.report_replaced();
        !done.is_empty()
    }

    /// The new generation has proved itself: whoever is parked finishes its work and ends.
    fn give_up_way_back(&mut self) {
        let Some(rollout) = &mut self.rollout else { return };
        rollout.phase = Phase::Draining;
        for (slot, id) in std::mem::take(&mut rollout.parked) {
            self.let_go(slot, id);
        }
    }

    /// Whoever was parked drains.
    pub(super) fn let_go(&mut self, slot: Slot, id: WorkerId) {
        if let Some(rollout) = &mut self.rollout {
            rollout.leaving.insert(id, slot);
        }
        self.retire(id);
        if let Some(new) = self.slot(slot).current {
            self.report_progress(slot, Step::Proved(new));
        }
    }

    /// A worker may be parked for so long only: its slot has no way back any more.
    pub(super) fn parked_too_long(&mut self, id: WorkerId, slot: Slot) {
        self.tell(Notice::ParkedTooLong { worker: id, slot });
        self.let_go(slot, id);
        self.forget_lost_ways_back();
    }

    /// A parked worker may have died, or its slot have left.
    pub(super) fn forget_lost_ways_back(&mut self) {
        let workers = &self.workers;
        let Some(rollout) = &mut self.rollout else { return };
        let is_one = |worker: &Worker| worker.is_parked() || worker.is_returning();
        rollout.parked.retain(|_, id| workers.get(id).is_some_and(is_one));
    }

    /// Everything is replaced, unless slots have joined meanwhile: when the old workers are done with
    /// their work, the rollout is over.
    fn finish_rollout(&mut self) -> bool {
        self.report_replaced();
        if !self.rollout_held_up_by().is_empty() {
            return false;
        }
        match &mut self.rollout {
            Some(rollout) if rollout.next.0 < self.wanted => rollout.phase = Phase::Replacing,
            Some(_) | None => self.end_rollout(Outcome::Succeeded),
        }
        true
    }

    /// The log is told once what a rollout waits for, if that takes long.
    fn tell_if_stuck(&mut self) {
        let workers = self.rollout_held_up_by();
        let now = self.now;
        let Some(rollout) = &mut self.rollout else { return };
        let (generation, before) = (rollout.generation, rollout.stuck);
        rollout.stuck = match before {
            Stuck::No | Stuck::Since(_) | Stuck::Told if workers.is_empty() => Stuck::No,
            Stuck::No => Stuck::Since(now),
            Stuck::Since(since) if since + STUCK_AFTER <= now => Stuck::Told,
            Stuck::Since(_) | Stuck::Told => before,
        };
        if before != Stuck::Told && rollout.stuck == Stuck::Told {
            self.tell(Notice::RolloutWaitsForDrain { generation, workers });
        }
    }

    /// Tells of each slot whose old worker is done with its work.
    fn report_replaced(&mut self) {
        let Some(rollout) = &self.rollout else { return };
        let holds = |id: &WorkerId| {
            self.workers.get(id).is_some_and(|worker| worker.holds_up_rollout(self.now))
        };
        let done = rollout.leaving.iter().filter(|(id, _)| !holds(id));
        let done: Vec<(WorkerId, Slot)> = done.map(|(id, slot)| (*id, *slot)).collect();
        for (id, slot) in done {
            if let Some(rollout) = &mut self.rollout {
                rollout.leaving.remove(&id);
            }
            if let Some(new) = self.slot(slot).current {
                self.report_progress(slot, Step::Replaced(new));
            }
        }
    }

    /// Who must finish its work before the rollout is over.
    pub(super) fn rollout_held_up_by(&self) -> Vec<(WorkerId, Option<Left>)> {
        let leaving = self.rollout.iter().flat_map(|rollout| rollout.leaving.keys());
        let workers = leaving.filter_map(|id| self.workers.get(id).map(|worker| (*id, worker)));
        let holding = workers.filter(|(_, worker)| worker.holds_up_rollout(self.now));
        holding.map(|(id, worker)| (id, worker.left)).collect()
    }
}
