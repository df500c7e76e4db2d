//! Another number of slots: see the diagram in `scaling.rs`.
//!
//! New slots come after the last one, and the highest leave first. A slot that leaves keeps its
//! listening sockets for a while: the primary accepts from them and deals to the others, so that what
//! was on its way to them arrives.
//!
//! A scaling and a rollout do not wait for each other. A slot that joins during a rollout counts as the
//! generation that was completed last, and the rollout comes to it in its turn; one that leaves is
//! passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{MAX_WAITING, Supervisor};
use crate::scaling::Scaling;
use crate::slot::SlotState;
use crate::worker::Worker;
use crate::{
    Action, Answer, Failure, Left, ListenerId, Moved, Notice, Progress, Refusal, RequestId, Scale,
    ScaleOutcome, ScaleReport, Slot, Step, Time, WorkerId,
};

impl Supervisor {
    /// Who asks for the number that is wanted already waits along for it, or is answered at once.
    pub(super) fn scale_requested(&mut self, scale: Scale, wait: bool, request: Option<RequestId>) {
        if self.is_waited_for(request) {
            return;
        }
        let to = match self.slots_for(scale) {
            Ok(to) => to,
            Err(refusal) => return self.refuse_to_scale(request, refusal),
        };
        let revives = self.revive_ended();
        if to != self.wanted || (revives && self.scaling.is_none()) {
            self.end_scaling(ScaleOutcome::Superseded { by: to });
            self.begin_scaling(to);
        }
        let Some(request) = request else { return };
        match &mut self.scaling {
            Some(_) if !wait => self.answer_scaling(request, ScaleOutcome::Accepted),
            Some(scaling) if scaling.requests.len() >= MAX_WAITING => {
                self.refuse(Some(request), Refusal::TooManyWaiting);
            }
            Some(scaling) => {
                scaling.requests.push(request);
                self.report_beginning(request);
            }
            None => self.answer_scaling(request, ScaleOutcome::Done),
        }
    }

    fn slots_for(&self, scale: Scale) -> Result<u32, Refusal> {
        let wanted = self.wanted;
        if self.stop.is_some() {
            return Err(Refusal::Stopping);
        }
        scale.slots(wanted).ok_or(if scale.from(wanted) < 1 {
            Refusal::TooFewWorkers { wanted }
        } else {
            Refusal::TooManyWorkers { wanted }
        })
    }

    fn refuse_to_scale(&mut self, request: Option<RequestId>, refusal: Refusal) {
        match request {
            Some(_) => self.refuse(request, refusal),
            // A signal: there is nobody but the log to be told.
            None => self.tell(Notice::NotScaled(refusal)),
        }
    }

    fn begin_scaling(&mut self, to: u32) {
        let from = std::mem::replace(&mut self.wanted, to);
        self.tell(Notice::Scaling { from, to });
        for slot in (from..to).map(Slot) {
            self.join(slot);
        }
        for slot in (to..from).map(Slot) {
            self.let_slot_leave(slot);
        }
        let surplus: BTreeMap<WorkerId, Slot> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.slot.0 >= to && worker.holds_up_rollout(self.now))
            .map(|(id, worker)| (*id, worker.slot))
            .collect();
        self.scaling = Some(Scaling {
            from,
            to,
            started_at: self.now,
            requests: Vec::new(),
            surplus,
            cut: Left::default(),
            moved: Moved::default(),
        });
    }

    /// A slot that has left before may come back to its sockets.
    fn join(&mut self, slot: Slot) {
        let state = SlotState::joining(self.generation);
        match self.slots.get_mut(slot.0 as usize) {
            Some(left) => *left = state,
            None => self.slots.push(state),
        }
    }

    /// Its workers end as replaced ones do; whoever waits for a successor need not any more.
    fn let_slot_leave(&mut self, slot: Slot) {
        let until = self.now + self.spec.retirement();
        *self.slot_mut(slot) = SlotState::retired(self.generation, until);
        let there = self.workers.iter().filter(|(_, worker)| worker.slot == slot);
        let ids: Vec<WorkerId> = there.map(|(id, _)| *id).collect();
        for id in ids {
            self.retire(id);
        }
    }

    /// What a worker that is started in the slot must listen on before it is ready: what the slot's
    /// last ready worker did. A slot that joins has had none: it is what all others have in common.
    pub(super) fn owed_in(&self, slot: Slot) -> BTreeSet<ListenerId> {
        let state = self.slot(slot);
        if !state.joining {
            return state.serves.clone();
        }
        let others = self.slot_numbers().map(|other| &self.slot(other).serves);
        let mut serving = others.filter(|serves| !serves.is_empty());
        let first = serving.next().cloned().unwrap_or_default();
        serving.fold(first, |common, serves| &common & serves)
    }

    pub(super) fn step_scaling(&mut self) {
        let Some(scaling) = &self.scaling else { return };
        let finished: Vec<(WorkerId, Slot)> = scaling
            .surplus
            .iter()
            .filter(|(id, _)| {
                let worker = self.workers.get(id);
                worker.is_none_or(|worker| !worker.holds_up_rollout(self.now))
            })
            .map(|(id, slot)| (*id, *slot))
            .collect();
        for (id, slot) in finished {
            if let Some(scaling) = &mut self.scaling {
                scaling.surplus.remove(&id);
            }
            self.report_scaling(slot, Step::Left(id));
        }
        if self.scaling.as_ref().is_some_and(|scaling| self.has_all_workers(scaling)) {
            self.end_scaling(ScaleOutcome::Done);
        }
    }

    /// The slot's worker is ready: whether it is the first since the slot joined.
    pub(super) fn has_joined(&mut self, slot: Slot, id: WorkerId) {
        if std::mem::replace(&mut self.slot_mut(slot).joining, false) {
            self.report_scaling(slot, Step::Joined(id));
        }
    }

    /// A worker has failed in its slot. If that has just joined, nobody waits for it any longer.
    pub(super) fn scaling_worker_failed(&mut self, slot: Slot, id: WorkerId, failure: &Failure) {
        if self.slot(slot).joining {
            self.end_scaling(ScaleOutcome::Failed { worker: id, failure: failure.clone() });
        }
    }

    pub(super) fn end_scaling(&mut self, outcome: ScaleOutcome) {
        let report = self.scale_report(outcome);
        let Some(scaling) = self.scaling.take() else { return };
        self.tell(Notice::ScaleEnded(report.clone()));
        for request in scaling.requests {
            let answer = Answer::Scaled(report.clone());
            self.act(Action::Reply { request, answer });
        }
    }

    fn answer_scaling(&mut self, request: RequestId, outcome: ScaleOutcome) {
        let answer = Answer::Scaled(self.scale_report(outcome));
        self.act(Action::Reply { request, answer });
    }

    /// Of the scaling that goes on, if one does.
    fn scale_report(&self, outcome: ScaleOutcome) -> ScaleReport {
        let scaling = self.scaling.as_ref();
        ScaleReport {
            from: scaling.map_or(self.wanted, |scaling| scaling.from),
            to: scaling.map_or(self.wanted, |scaling| scaling.to),
            outcome,
            ready: self.ready_slots(),
            duration: scaling.map_or(Duration::ZERO, |it| self.now.since(it.started_at)),
            cut: scaling.map_or_else(Left::default, |scaling| scaling.cut),
            moved: scaling.map_or_else(Moved::default, |scaling| scaling.moved),
        }
    }

    /// Who begins to wait is told what goes on already.
    fn report_beginning(&mut self, request: RequestId) {
        let of = self.wanted;
        let Some(scaling) = &self.scaling else { return };
        let leaving: Vec<(WorkerId, Slot)> =
            scaling.surplus.iter().map(|(id, slot)| (*id, *slot)).collect();
        for (id, slot) in leaving {
            let progress = Progress { slot, of, step: Step::Leaving(id) };
            self.act(Action::Progress { request, progress });
        }
    }

    pub(super) fn report_scaling(&mut self, slot: Slot, step: Step) {
        let Some(scaling) = &self.scaling else { return };
        let progress = Progress { slot, of: scaling.to, step };
        for request in scaling.requests.clone() {
            self.act(Action::Progress { request, progress });
        }
    }

    /// When the next socket of a slot that has left is closed. What must end first has an end of its
    /// own.
    pub(super) fn retirement_deadline(&self) -> Option<(Time, &'static str)> {
        if self.stop.is_some() {
            return None;
        }
        let due = self.left_slots().filter_map(|slot| self.slot(slot).retired_until);
        let due = due.filter(|at| *at > self.now).min()?;
        Some((due, "the sockets of a slot that has left are closed"))
    }

    /// Closes the sockets of slots that left long enough ago.
    pub(super) fn close_retired_members(&mut self) {
        for slot in self.left_slots() {
            let due = self.slot(slot).retired_until.is_some_and(|at| at <= self.now);
            let mut workers = self.workers.values().filter(|worker| worker.slot == slot);
            if due && !workers.any(Worker::has_a_socket) && self.close_seat(slot) {
                self.slot_mut(slot).retired_until = None;
            }
        }
    }
}
