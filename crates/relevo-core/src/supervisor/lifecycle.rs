//! A worker's way from its start to its end: see the diagram in `worker.rs`.

use super::{DISCONNECT_GRACE, MOVE_LIMIT, SETTLE, Supervisor};
use crate::ready::Readiness;
use crate::worker::{Disconnect, Drain, Stage, Worker};
use crate::{Action, Failure, Generation, Moved, Notice, Slot, Step, Time, WorkerId};

impl Supervisor {
    pub(super) fn spawn(&mut self, slot: Slot, generation: Generation) -> WorkerId {
        let id = WorkerId(self.next_worker);
        self.next_worker += 1;
        let deadline = self.now + self.spec.ready_timeout;
        let limits = self.spec.limits.drawn(&mut self.random);
        let owes = self.owed_by(slot, generation);
        let readiness = Readiness::new(self.spec.ready, self.spec.ready_timeout);
        let new = Worker::new(slot, generation, self.now, deadline);
        let worker = Worker { owes, limits, readiness, ..new };
        self.workers.insert(id, worker);
        self.act(Action::Spawn { worker: id, slot, generation });
        id
    }

    /// Makes those starting workers ready ones that listen on all that they should.
    pub(super) fn promote_workers(&mut self) {
        let ready: Vec<WorkerId> = self
            .workers
            .iter()
            .filter(|(_, worker)| self.has_all_it_should(worker))
            .map(|(id, _)| *id)
            .collect();
        for id in ready {
            self.promote(id);
        }
    }

    fn promote(&mut self, id: WorkerId) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let returns = worker.is_returning();
        worker.stage = Stage::Ready;
        worker.ready_at.get_or_insert(now);
        let after = now.since(worker.began_at());
        let (slot, generation) = (worker.slot, worker.generation);
        if !returns {
            self.tell(Notice::WorkerReady { worker: id, slot, after });
            self.act(Action::InspectSockets { worker: id });
        }
        self.ever_ready = true;
        let serves = self.listened_on(id);
        let state = self.slot_mut(slot);
        state.serves = serves;
        state.generation = generation;
        (state.retry_at, state.ended, state.crashed) = (None, None, false);
        let old = if state.incoming == Some(id) {
            state.incoming = None;
            state.current.replace(id)
        } else {
            None
        };
        self.rollout_worker_ready(id, old);
        self.begin_tally(id);
        self.begin_pulse(id);
        self.has_joined(slot, id);
    }

    /// What a starting worker must still listen on before it is ready.
    pub(super) fn missing_listeners<'a>(
        &'a self,
        worker: &'a Worker,
    ) -> impl Iterator<Item = &'a crate::listener::Listener> {
        worker
            .owes
            .iter()
            .filter(|id| !worker.listens_on(**id))
            .filter_map(|id| self.listeners.get(id))
    }

    /// A wanted worker has failed. Its slot is vacated; what becomes of its process, if there still
    /// is one, is the caller's business.
    pub(super) fn fail(&mut self, id: WorkerId, failure: Failure) {
        let Some(worker) = self.workers.get(&id) else { return };
        self.fail_in(worker.slot, id, worker.ready_at, failure);
    }

    pub(super) fn fail_in(
        &mut self,
        slot: Slot,
        id: WorkerId,
        ready_at: Option<Time>,
        failure: Failure,
    ) {
        if self.spare_failed(id, slot, &failure) {
            return;
        }
        if ready_at.is_none() {
            self.slot_mut(slot).failed_once = true;
        }
        let was_incoming = self.slot(slot).incoming == Some(id);
        let undoes = self.is_undone_by(id);
        if !was_incoming {
            let state = self.slot_mut(slot);
            state.restarts += 1;
            state.last_failure = Some(failure.clone());
        }
        self.vacate(id, slot, ready_at);
        let vacant = self.slot(slot).is_vacant();
        let next_try = self
            .slot(slot)
            .retry_at
            .filter(|_| vacant && !was_incoming && !undoes && self.stop.is_none())
            .filter(|_| !self.has_first_start_failed())
            .map(|at| at.since(self.now));
        self.tell(Notice::WorkerFailed { worker: id, slot, failure: failure.clone(), next_try });
        self.rollout_worker_failed(id, &failure);
        self.renewal_worker_failed(slot, id, &failure);
        if !was_incoming {
            self.scaling_worker_failed(slot, id, &failure);
            self.hook_about_crash(slot, id, &failure);
        }
        self.end_failed_start(id, failure);
    }

    /// Nobody works in the slot any more, or only the other one of two.
    pub(super) fn vacate(&mut self, id: WorkerId, slot: Slot, ready_at: Option<Time>) {
        let now = self.now;
        let state = &mut self.slots[slot.0 as usize];
        if state.incoming == Some(id) {
            state.incoming = None;
        } else if state.current == Some(id) {
            state.current = None;
            state.crashed = true;
            let delay = state.backoff.after_crash(now, ready_at, &mut self.random);
            state.retry_at = Some(now + delay);
        }
    }

    /// A worker that served, or was about to, is no longer wanted.
    pub(super) fn retire(&mut self, id: WorkerId) {
        let deadline = self.now + self.spec.drain_timeout;
        let deadline = self.stop.as_ref().map_or(deadline, |stop| stop.signal_at);
        let (settled, move_until) = (self.now + SETTLE, self.now + MOVE_LIMIT);
        let linger_until = deadline.max(self.linger_end());
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let drains = worker.can_finish_work();
        match worker.stage {
            Stage::Starting { .. } | Stage::Ready | Stage::Parked { .. } if drains => {
                let agent = worker.has_agent;
                let disconnect = if agent { Disconnect::Last } else { Disconnect::At(settled) };
                let drain = Drain { deadline, linger_until, move_until, disconnect };
                worker.stage = Stage::Draining(drain);
                if agent {
                    let within = deadline.since(self.now);
                    let hand_over = self.stop.is_none();
                    self.act(Action::Drain { worker: id, within, hand_over });
                }
            }
            Stage::Starting { .. } | Stage::Standby | Stage::Ready | Stage::Parked { .. } => {
                self.leave(id);
            }
            Stage::Quitting { .. } => self.allow_leave(id),
            Stage::Draining(_) | Stage::Leaving { .. } | Stage::Stopping { .. } | Stage::Killed => {
            }
        }
    }

    /// The worker has nothing left to do, or no time left: it is told to disconnect, and soon to end.
    pub(super) fn leave(&mut self, id: WorkerId) {
        let mut signal_at = self.now + DISCONNECT_GRACE;
        if let Some(stop) = &self.stop {
            signal_at = signal_at.min(stop.signal_at);
        }
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let told = match worker.stage {
            Stage::Draining(drain) => drain.disconnect == Disconnect::Sent,
            Stage::Starting { .. }
            | Stage::Standby
            | Stage::Ready
            | Stage::Parked { .. }
            | Stage::Quitting { .. } => false,
            Stage::Leaving { .. } | Stage::Stopping { .. } | Stage::Killed => return,
        };
        worker.stage = Stage::Leaving { signal_at };
        if !told && worker.channel_ended.is_none() {
            self.act(Action::Disconnect { worker: id });
        }
    }

    pub(super) fn kill(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.stage != Stage::Killed {
            worker.stage = Stage::Killed;
            self.act(Action::Kill { worker: id });
            self.await_death();
        }
    }

    /// Does what is due for each worker by now; late in a stop, several things one after the other.
    pub(super) fn expire_workers(&mut self) {
        loop {
            let due: Vec<WorkerId> = self
                .workers
                .iter()
                .filter(|(_, worker)| worker.deadline().is_some_and(|(at, _)| at <= self.now))
                .map(|(id, _)| *id)
                .collect();
            if due.is_empty() {
                return;
            }
            for id in due {
                self.expire_worker(id);
            }
        }
    }

    fn expire_worker(&mut self, id: WorkerId) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let slot = worker.slot;
        match worker.stage {
            Stage::Starting { .. } | Stage::Standby | Stage::Ready
                if worker.channel_ended.is_some() =>
            {
                self.fail(id, Failure::ChannelLost);
                self.leave(id);
            }
            Stage::Starting { deadline } => self.not_ready_in_time(id, deadline),
            Stage::Standby | Stage::Ready | Stage::Killed => {}
            Stage::Quitting { .. } => self.allow_leave(id),
            Stage::Parked { .. } => self.parked_too_long(id, slot),
            Stage::Draining(drain @ Drain { disconnect: Disconnect::At(_), .. })
                if now < drain.deadline =>
            {
                worker.stage = Stage::Draining(Drain { disconnect: Disconnect::Sent, ..drain });
                self.act(Action::Disconnect { worker: id });
            }
            Stage::Draining(drain) if now < drain.linger_until && worker.only_lingers() => {
                let deadline = drain.linger_until;
                worker.stage = Stage::Draining(Drain { deadline, ..drain });
            }
            Stage::Draining(_) => self.cut_drain(id, slot),
            Stage::Leaving { .. } => {
                let kill_at = self.kill_deadline();
                let Some(worker) = self.workers.get_mut(&id) else { return };
                worker.stage = Stage::Stopping { kill_at };
                self.act(Action::SignalStop { worker: id });
            }
            Stage::Stopping { .. } => {
                self.tell(Notice::Killing { worker: id, slot });
                self.kill(id);
            }
        }
    }

    pub(super) fn sockets_inspected(&mut self, id: WorkerId, unprotected: Vec<String>) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.unprotected = Some(unprotected.clone());
        match worker.stage {
            // It was looked at because its time was up.
            Stage::Starting { deadline } if worker.inspected => {
                self.not_ready_in_time(id, deadline);
            }
            Stage::Ready if !unprotected.is_empty() => {
                self.tell(Notice::Unprotected { worker: id, addresses: unprotected });
            }
            Stage::Starting { .. }
            | Stage::Standby
            | Stage::Ready
            | Stage::Parked { .. }
            | Stage::Quitting { .. }
            | Stage::Draining(_)
            | Stage::Leaving { .. }
            | Stage::Stopping { .. }
            | Stage::Killed => {}
        }
    }

    /// Time is up for what a draining worker still does.
    fn cut_drain(&mut self, id: WorkerId, slot: Slot) {
        let Some(worker) = self.workers.get(&id) else { return };
        let left = worker.left;
        if left.is_none_or(|left| left.work() > 0 || left.quiet() > 0) {
            self.tell(Notice::DrainCut { worker: id, slot, left });
        }
        let left = left.unwrap_or_default();
        let closed_idle = left.idle.saturating_add(left.moving);
        self.count_moved(id, slot, &Moved { closed_idle, ..Moved::default() });
        self.count_cut(id, slot, left);
        self.leave(id);
    }

    /// Until when a worker that drains from now on may linger: a stop leaves no time for that.
    fn linger_end(&self) -> Time {
        if self.stop.is_some() { self.now } else { self.now + self.spec.linger }
    }

    /// Lets workers go that asked for it and whose slot is served by another.
    pub(super) fn allow_leaves(&mut self) {
        let waiting: Vec<WorkerId> = self
            .workers
            .iter()
            .filter(|(_, worker)| matches!(worker.stage, Stage::Quitting { .. }))
            .filter(|(_, worker)| self.stop.is_some() || self.has_ready_worker(worker.slot))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.allow_leave(id);
        }
    }

    /// It disconnects by itself when it is allowed to, so `disconnect` is not sent.
    pub(super) fn allow_leave(&mut self, id: WorkerId) {
        let mut signal_at = self.now + self.spec.drain_timeout;
        if let Some(stop) = &self.stop {
            signal_at = signal_at.min(stop.signal_at);
        }
        let Some(worker) = self.workers.get_mut(&id) else { return };
        match worker.stage {
            Stage::Draining(drain) => signal_at = signal_at.min(drain.deadline),
            Stage::Starting { .. }
            | Stage::Standby
            | Stage::Ready
            | Stage::Parked { .. }
            | Stage::Quitting { .. } => {}
            Stage::Leaving { .. } | Stage::Stopping { .. } | Stage::Killed => return,
        }
        worker.stage = Stage::Leaving { signal_at };
        self.act(Action::AllowLeave { worker: id });
    }

    pub(super) fn report_progress(&mut self, slot: Slot, step: Step) {
        let Some(rollout) = &self.rollout else { return };
        let progress = crate::Progress { slot, of: self.wanted, step };
        for request in rollout.requests.clone() {
            self.act(Action::Progress { request, progress });
        }
    }
}
