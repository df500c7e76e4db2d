//! The way back of a rollout: parked workers serve again. Also holding one where it is.

use std::collections::BTreeMap;

use super::{HANG_UP_GRACE, MAX_WAITING, Supervisor, UNPARK_LIMIT};
use crate::rollout::{Phase, Undo};
use crate::worker::{Door, Stage, Worker};
use crate::{
    Action, Answer, Failure, ListenerId, Notice, Outcome, Refusal, RequestId, Slot, Step, Time,
    WorkerId,
};

impl Supervisor {
    /// A worker has failed: if the rollout brought it, and there is a way back, that is taken.
    pub(super) fn rollout_worker_failed(&mut self, id: WorkerId, failure: &Failure) {
        if self.is_undone_by(id) {
            let failure = failure.clone();
            self.begin_undo(Outcome::Failed { worker: id, failure });
        }
    }

    /// Whether the failure of this worker undoes the rollout in progress.
    pub(super) fn is_undone_by(&self, id: WorkerId) -> bool {
        let rollout = self.rollout.as_ref();
        rollout.is_some_and(|rollout| rollout.has_a_way_back() && rollout.new.contains(&id))
    }

    /// A ready worker has closed a listener. A new one that must not undoes its rollout, unless it opens
    /// that again soon; whether it is such a one.
    pub(super) fn has_hung_up(&mut self, id: WorkerId, listener: ListenerId) -> bool {
        let owed = self.workers.get(&id).is_some_and(|worker| worker.owes.contains(&listener));
        let hung_up = owed && self.is_undone_by(id);
        let now = self.now;
        if let Some(worker) = self.workers.get_mut(&id).filter(|_| hung_up) {
            worker.hung_up.get_or_insert(now);
        }
        hung_up
    }

    /// Whether a new worker does not listen on all that it owes: the rollout waits for what comes of it.
    pub(super) fn somebody_hung_up(&self) -> bool {
        self.hung_up().next().is_some()
    }

    fn hung_up(&self) -> impl Iterator<Item = (WorkerId, Time)> {
        let counts = |(id, _): &(&WorkerId, &Worker)| self.is_undone_by(**id);
        let workers = self.workers.iter().filter(counts);
        workers
            .filter_map(|(id, worker)| Some((*id, worker.hung_up.filter(|_| worker.is_ready())?)))
    }

    pub(super) fn hang_up_deadline(&self) -> Option<(Time, &'static str)> {
        let until = self.hung_up().map(|(_, since)| since + HANG_UP_GRACE).min();
        let until = until.filter(|until| *until > self.now)?;
        Some((until, "a new worker must listen again on what it has closed"))
    }

    /// Who listens again is forgiven; who does not undoes the rollout.
    pub(super) fn judge_hang_ups(&mut self) {
        for (id, since) in self.hung_up().collect::<Vec<_>>() {
            let Some(worker) = self.workers.get(&id) else { continue };
            let missing = self.missing_listeners(worker);
            let addresses: Vec<String> = missing.map(|l| l.shown().to_owned()).collect();
            if addresses.is_empty() {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.hung_up = None;
                }
            } else if since + HANG_UP_GRACE <= self.now {
                self.stay_hung_up(id);
                self.rollout_worker_failed(id, &Failure::HungUp { addresses });
            }
        }
    }

    /// Where nobody can be called back, the slot serves what its worker does.
    fn stay_hung_up(&mut self, id: WorkerId) {
        let Some(slot) = self.workers.get(&id).map(|worker| worker.slot) else { return };
        if !self.rollout.as_ref().is_some_and(|rollout| rollout.parked.contains_key(&slot)) {
            self.slot_mut(slot).serves = self.listened_on(id);
        }
    }

    pub(super) fn begin_undo(&mut self, why: Outcome) {
        self.leave_gate();
        self.forget_lost_ways_back();
        let of = self.wanted;
        let Some(rollout) = &mut self.rollout else { return };
        let (generation, slot) = (rollout.generation, rollout.slot(of));
        let parked = rollout.parked.clone();
        let (renewed, requests) = (BTreeMap::new(), Vec::new());
        let undo = Undo { why: why.clone(), slot, returned: 0, renewed, requests };
        (rollout.phase, rollout.paused, rollout.undo) = (Phase::Undoing, false, Some(undo));
        self.tell(Notice::RolloutUndone { generation, why, parked: parked.len() as u32 });
        for slot in self.slot_numbers() {
            // Whoever was about to come need not.
            if let Some(id) = self.slot_mut(slot).incoming.take() {
                self.retire(id);
            }
        }
        for (slot, id) in parked {
            self.unpark(slot, id);
        }
    }

    /// Has a parked worker listen again. What it had asked for is asked anew, so that its sockets are
    /// given to it as to any other; datagram sockets it has kept. Until it is ready, whoever replaced it
    /// serves on.
    fn unpark(&mut self, slot: Slot, id: WorkerId) {
        let deadline = self.now + UNPARK_LIMIT;
        let listeners = &self.listeners;
        let kept = |id: &ListenerId| listeners.get(id).is_some_and(|l| !l.wish.kind.is_stream());
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.stage = Stage::Starting { deadline };
        let was_told = !std::mem::replace(&mut worker.serves_on, false);
        worker.stopped_accepting = false;
        worker.inspected = false;
        worker.doors.retain(|id, door| *door == Door::Listening && (!was_told || kept(id)));
        let serves = worker.owes.clone();
        let postponed = std::mem::take(&mut worker.postponed);
        let state = self.slot_mut(slot);
        (state.incoming, state.retry_at, state.serves) = (Some(id), None, serves);
        if was_told {
            self.act(Action::Unpark { worker: id });
        }
        for (query, wish) in postponed {
            self.answer_request(id, query, wish);
        }
    }

    /// A parked worker serves again, or one of the old code that was started in its place: whoever had
    /// replaced it finishes its work.
    pub(super) fn has_returned(&mut self, id: WorkerId, new: Option<WorkerId>) {
        let Some(slot) = self.workers.get(&id).map(|worker| worker.slot) else { return };
        let mut is_anew = false;
        if let Some(rollout) = &mut self.rollout {
            rollout.leaving.extend(new.map(|new| (new, slot)));
            if let Some(undo) = &mut rollout.undo {
                undo.returned += 1;
                is_anew = undo.renewed.get(&slot) == Some(&id);
            }
        }
        if !is_anew {
            self.tell(Notice::WorkerReturned { worker: id, slot });
        }
        if let Some(new) = new {
            self.retire(new);
        }
        self.report_progress(slot, Step::Returned(id));
        self.forget_lost_ways_back();
    }

    /// It is undone when nobody is still to come back, and those that leave have finished their work.
    pub(super) fn finish_undo(&mut self) -> bool {
        let Some(rollout) = &self.rollout else { return false };
        let Some(undo) = &rollout.undo else { return false };
        let comes = !rollout.parked.is_empty() || self.is_renewing(rollout);
        if comes || !self.rollout_held_up_by().is_empty() {
            return false;
        }
        self.end_rollout(undo.why.clone());
        true
    }

    pub(super) fn abort_requested(&mut self, request: RequestId) {
        if self.is_waited_for(Some(request)) {
            return;
        }
        let refusal = match self.rollout.as_ref().map(|rollout| (rollout.phase, rollout.generation))
        {
            None => Some(Refusal::NoRollout),
            Some((Phase::Draining, generation)) => Some(Refusal::NoWayBack { generation }),
            Some((Phase::Undoing, _)) => None,
            Some((Phase::Replacing, _)) => {
                self.begin_undo(Outcome::Aborted);
                None
            }
        };
        let undo = self.rollout.as_mut().and_then(|rollout| rollout.undo.as_mut());
        match (refusal, undo) {
            (None, Some(undo)) if undo.requests.len() < MAX_WAITING => undo.requests.push(request),
            (None, _) => self.refuse(Some(request), Refusal::TooManyWaiting),
            (Some(refusal), _) => self.refuse(Some(request), refusal),
        }
    }

    pub(super) fn hold_requested(&mut self, request: RequestId, paused: bool) {
        let answer = self.hold(paused).unwrap_or_else(Answer::Refused);
        self.act(Action::Reply { request, answer });
    }

    fn hold(&mut self, paused: bool) -> Result<Answer, Refusal> {
        let of = self.wanted;
        let rollout = self.rollout.as_mut().ok_or(Refusal::NoRollout)?;
        let (generation, slot) = (rollout.generation, rollout.slot(of));
        match rollout.phase {
            Phase::Draining => return Err(Refusal::NoWayBack { generation }),
            Phase::Undoing => return Err(Refusal::BeingUndone),
            Phase::Replacing => {}
        }
        if !paused && !rollout.paused {
            return Err(Refusal::NotPaused);
        }
        if std::mem::replace(&mut rollout.paused, paused) != paused {
            self.tell(Notice::RolloutHeld { generation, paused });
        }
        Ok(Answer::Held { paused, generation, slot, of })
    }
}
