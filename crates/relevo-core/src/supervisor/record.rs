//! Writing down what happened. What follows from it is decided in `reconcile.rs`.

use super::{MAX_WAITING, Supervisor};
use crate::rollout::Rollout;
use crate::worker::{Stage, Worker};
use crate::{
    Action, Answer, Cause, Event, Exit, Failure, Left, Listeners, Moved, Notice, Refusal,
    RequestId, SpawnStage, WorkerId,
};

impl Supervisor {
    pub(super) fn record(&mut self, event: Event) {
        match event {
            Event::Tick => {}
            Event::Spawned { worker, pid } => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.pid = Some(pid);
                }
            }
            Event::SpawnFailed { worker, stage, errno } => {
                if stage == SpawnStage::Release {
                    self.release_is_gone(worker);
                }
                self.lose_process(worker, Failure::SpawnFailed { stage, errno });
            }
            Event::Exited { worker, exit } => self.exited(worker, exit),
            Event::AgentArrived { worker } => self.agent_arrived(worker),
            Event::ReadySaid { worker, how } => self.said_ready(worker, how),
            Event::StartExtended { worker, by } => self.extend_start(worker, by),
            Event::Probed { worker, ready, answer } => self.probed(worker, ready, answer),
            Event::ListenRequested { worker, query, wish } => {
                self.listen_requested(worker, query, wish);
            }
            Event::Listening { worker, listener } => self.listening(worker, listener),
            Event::ListenerClosed { worker, listener } => self.listener_closed(worker, listener),
            Event::LeaveRequested { worker } => self.leave_requested(worker),
            Event::ChannelEnded { worker } => self.channel_ended(worker),
            Event::Misbehaved { worker, reason } => self.misbehaved(worker, reason),
            Event::StoppedAccepting { worker } => {
                let worker = self.workers.get_mut(&worker);
                if let Some(worker) = worker.filter(|worker| worker.is_told_to_stop_accepting()) {
                    worker.stopped_accepting = true;
                }
            }
            Event::WorkLeft { worker, left, moved } => self.work_left(worker, left, moved),
            Event::Tallied { worker, tally } => self.tallied(worker, tally),
            Event::Drained { worker } => {
                if self.draining_mut(worker).is_some() {
                    self.leave(worker);
                }
            }
            Event::MemoryMeasured { worker, rss_bytes } => self.memory_measured(worker, rss_bytes),
            Event::RequestsReached { worker } => self.requests_reached(worker),
            Event::Answered { worker, connections } => self.answered(worker, connections),
            Event::ConnectionCame => self.connection_came(),
            Event::Examined { worker, found } => self.examined(worker, found),
            Event::MemberOpened { member, address } => self.member_opened(member, address),
            Event::MemberFailed { member, errno, holder } => {
                self.member_failed(member, errno, holder);
            }
            Event::SocketsInspected { worker, unprotected } => {
                self.sockets_inspected(worker, unprotected);
            }
            Event::MemorySeen { memory } => self.memory_seen(memory),
            Event::HookEnded { hook, end } => self.hook_ended(hook, end),
            Event::QueuesEmptied => self.queues_emptied(),
            Event::Configured { spec } => self.configured(*spec),
            Event::ReloadRequested { cause, request, listeners } => {
                self.reload_requested(cause, request, listeners);
            }
            Event::ReleaseResolved { generation, release } => {
                self.release_resolved(generation, release);
            }
            Event::RollbackRequested { to, spec, request } => {
                self.rollback_requested(to, *spec, request);
            }
            Event::AbortRequested { request } => self.abort_requested(request),
            Event::PauseRequested { request } => self.hold_requested(request, true),
            Event::ResumeRequested { request } => self.hold_requested(request, false),
            Event::ScaleRequested { scale, wait, request } => {
                self.scale_requested(scale, wait, request);
            }
            Event::StopRequested { request } => self.stop_requested(request),
            Event::StopNowRequested => self.stop_now(0),
            Event::RequestDropped { request } => self.forget_request(request),
        }
    }

    fn agent_arrived(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let is_news = !std::mem::replace(&mut worker.has_agent, self.spec.agent);
        if is_news && self.spec.agent {
            self.limit_requests(id);
        }
    }

    fn draining_mut(&mut self, worker: WorkerId) -> Option<&mut Worker> {
        self.workers.get_mut(&worker).filter(|worker| matches!(worker.stage, Stage::Draining(_)))
    }

    fn work_left(&mut self, id: WorkerId, left: Left, moved: Moved) {
        let Some(worker) = self.draining_mut(id) else { return };
        let moved = moved.at_least(&worker.moved);
        let more = moved.since(&worker.moved);
        (worker.left, worker.moved) = (Some(left), moved);
        let slot = worker.slot;
        self.count_moved(id, slot, &more);
    }

    fn exited(&mut self, id: WorkerId, exit: Exit) {
        let Some(worker) = self.workers.get(&id) else { return };
        let (slot, wanted) = (worker.slot, worker.is_wanted());
        if wanted {
            self.slot_mut(slot).last_exit = Some((self.now, exit));
            if self.is_final(id, exit) {
                return self.end_for_good(id, exit);
            }
            let worker = &self.workers[&id];
            let was_ready = worker.ready_at.is_some();
            let asked_to_listen = !worker.doors.is_empty();
            self.lose_process(id, Failure::Exited { exit, was_ready, asked_to_listen });
        } else {
            self.forget_worker(id);
            self.tell(Notice::WorkerLeft { worker: id, slot, exit });
        }
    }

    /// A worker has no process any more. It is forgotten first: nothing is asked of the dead.
    fn lose_process(&mut self, id: WorkerId, failure: Failure) {
        let Some(worker) = self.forget_worker(id) else { return };
        if worker.is_wanted() {
            self.fail_in(worker.slot, id, worker.ready_at, failure);
        }
    }

    /// The dealer may have learned of the worker's end before it learned that the worker listens:
    /// so it is told once more.
    pub(super) fn forget_worker(&mut self, id: WorkerId) -> Option<Worker> {
        let told = std::mem::take(&mut self.told_eligible);
        for told in told {
            if told.worker == id {
                self.act(told.action(false));
            } else {
                self.told_eligible.insert(told);
            }
        }
        self.workers.remove(&id)
    }

    fn channel_ended(&mut self, id: WorkerId) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.channel_ended.is_some() {
            return;
        }
        worker.channel_ended = Some(now);
        match worker.stage {
            // Most often it is dying, and its exit will tell more: wait for that a moment.
            Stage::Starting { .. } | Stage::Standby | Stage::Ready => {}
            Stage::Quitting { .. } | Stage::Parked { .. } | Stage::Draining(_) => self.leave(id),
            Stage::Leaving { .. } | Stage::Stopping { .. } | Stage::Killed => {}
        }
    }

    fn misbehaved(&mut self, id: WorkerId, reason: String) {
        let Some(worker) = self.workers.get(&id) else { return };
        if worker.is_wanted() {
            self.fail(id, Failure::Misbehaved { reason });
        }
        self.kill(id);
    }

    /// It has closed its listeners already, by Node's own rules; it waits to be let go.
    fn leave_requested(&mut self, id: WorkerId) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.channel_ended.is_some() {
            return;
        }
        let slot = worker.slot;
        match worker.stage {
            Stage::Starting { .. } | Stage::Standby => {
                self.fail(id, Failure::AskedToLeave);
                self.allow_leave(id);
            }
            Stage::Ready => {
                let ready_at = worker.ready_at;
                worker.stage = Stage::Quitting { until: now + super::LEAVE_LIMIT };
                self.tell(Notice::WorkerLeaving { worker: id, slot });
                self.vacate(id, slot, ready_at);
                self.rollout_worker_failed(id, &Failure::AskedToLeave);
            }
            Stage::Parked { .. } | Stage::Draining(_) => self.allow_leave(id),
            Stage::Leaving { .. } => self.act(Action::AllowLeave { worker: id }),
            Stage::Quitting { .. } | Stage::Stopping { .. } | Stage::Killed => {}
        }
    }

    fn reload_requested(&mut self, cause: Cause, request: Option<RequestId>, listeners: Listeners) {
        if self.is_waited_for(request) {
            return;
        }
        if self.stop.is_some() {
            self.refuse(request, Refusal::Stopping);
        } else if request.is_some() && self.reload_waiters.len() >= MAX_WAITING {
            self.refuse(request, Refusal::TooManyWaiting);
        } else {
            self.reload_wanted.get_or_insert(cause);
            // Wishes that are joined are all fulfilled.
            if listeners == Listeners::Changed {
                self.reload_listeners = listeners;
            }
            self.reload_waiters.extend(request);
        }
    }

    pub(super) fn refuse(&mut self, request: Option<RequestId>, refusal: Refusal) {
        if let Some(request) = request {
            self.act(Action::Reply { request, answer: Answer::Refused(refusal) });
        }
    }

    /// Whether the client waits for its answer already.
    pub(super) fn is_waited_for(&self, request: Option<RequestId>) -> bool {
        let rollout = self.rollout.iter().flat_map(Rollout::waiting);
        let scaling = self.scaling.iter().flat_map(|scaling| &scaling.requests);
        let stop = self.stop.iter().flat_map(|stop| &stop.requests);
        let rollback = self.releases.waiting();
        let waiting = self.reload_waiters.iter().chain(rollback).chain(rollout);
        let mut waiting = waiting.chain(scaling).chain(stop);
        request.is_some_and(|request| waiting.any(|other| *other == request))
    }

    fn forget_request(&mut self, request: RequestId) {
        self.reload_waiters.retain(|waiting| *waiting != request);
        self.releases.forget_request(request);
        if let Some(rollout) = &mut self.rollout {
            rollout.requests.retain(|waiting| *waiting != request);
            if let Some(undo) = &mut rollout.undo {
                undo.requests.retain(|waiting| *waiting != request);
            }
        }
        if let Some(scaling) = &mut self.scaling {
            scaling.requests.retain(|waiting| *waiting != request);
        }
        if let Some(stop) = &mut self.stop {
            stop.requests.retain(|waiting| *waiting != request);
        }
    }
}
