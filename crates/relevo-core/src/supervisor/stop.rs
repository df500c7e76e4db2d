//! Stopping the service.
//!
//! ```text
//!  LameDuck ─────────────▶ Emptying ──────────────▶ Draining ──────────────▶ Over
//!   all is served, with     what waits in the        our sockets are closed,   every worker is gone
//!   `Connection: close`     queues is dealt while    all workers drain
//!                           the workers still listen
//! ```
//!
//! The first phase is there if it was asked for, as long as a worker is ready; the time for the
//! others begins after it. The stop signal comes at `signal_at`, the kill at `kill_at`, whatever a worker is doing then.

use std::time::Duration;

use super::{EMPTY_LIMIT, MAX_WAITING, Supervisor, UNKILLABLE_LIMIT};
use crate::worker::Stage;
use crate::{Action, Answer, Failure, Notice, Notify, Refusal, RequestId, Time, WorkerId};

/// A stop in progress.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    phase: StopPhase,
    pub(super) requests: Vec<RequestId>,
    pub(super) signal_at: Time,
    kill_at: Time,
    /// When processes that even SIGKILL does not end (stuck in the kernel) are left behind.
    give_up_at: Time,
    exit_code: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StopPhase {
    LameDuck { until: Time },
    Emptying { until: Time },
    Draining,
    Over,
}

impl Stop {
    pub(super) fn is_over(&self) -> bool {
        self.phase == StopPhase::Over
    }

    pub(super) fn deadline(&self) -> Option<(Time, &'static str)> {
        match self.phase {
            StopPhase::LameDuck { until } => {
                Some((until, "clients have been told to go elsewhere"))
            }
            StopPhase::Emptying { until } => Some((until, "the queues must be empty")),
            StopPhase::Draining => Some((self.give_up_at, "a process cannot be killed")),
            StopPhase::Over => None,
        }
    }
}

impl Supervisor {
    pub(super) fn stop_requested(&mut self, request: Option<RequestId>) {
        if self.is_waited_for(request) {
            return;
        }
        match (&mut self.stop, request) {
            // A client that also wants the stop just waits for it; a second signal is impatience.
            (Some(stop), Some(_)) if stop.requests.len() >= MAX_WAITING => {
                self.refuse(request, Refusal::TooManyWaiting);
            }
            (Some(stop), Some(request)) => stop.requests.push(request),
            (Some(_), None) => self.stop_now(0),
            (None, request) => {
                self.stop_in_order(0);
                if let Some(stop) = &mut self.stop {
                    stop.requests.extend(request);
                }
            }
        }
    }

    /// With all work finished, as far as there is time.
    pub(super) fn stop_in_order(&mut self, exit_code: u8) {
        let lame_until = self.now + self.spec.lame_duck;
        self.begin_stop(StopPhase::LameDuck { until: lame_until }, lame_until, exit_code);
    }

    /// `from` is when the time of a stop begins.
    fn begin_stop(&mut self, phase: StopPhase, from: Time, exit_code: u8) {
        let whole = self.spec.shutdown_timeout;
        let for_signal: Duration = self.spec.stop_timeout.min(whole / 2);
        let kill_at = from + whole;
        let signal_at = from + (whole - for_signal);
        let give_up_at = kill_at + UNKILLABLE_LIMIT;
        let requests = Vec::new();
        self.stop = Some(Stop { phase, requests, signal_at, kill_at, give_up_at, exit_code });
        self.tell(Notice::Stopping);
        self.act(Action::Notify(Notify::Stopping));
        self.abandon_changes();
    }

    pub(super) fn queues_emptied(&mut self) {
        if let Some(stop) = &mut self.stop
            && let StopPhase::Emptying { until } = &mut stop.phase
        {
            *until = self.now;
        }
    }

    /// Ends every process at once.
    pub(super) fn stop_now(&mut self, exit_code: u8) {
        if self.stop.is_none() {
            self.begin_stop(StopPhase::Draining, self.now, exit_code);
        }
        if let Some(stop) = &mut self.stop {
            stop.phase = StopPhase::Draining;
            stop.give_up_at = stop.give_up_at.min(self.now + UNKILLABLE_LIMIT);
        }
        self.close_all_sockets();
        self.vacate_all();
        for id in self.worker_ids() {
            self.kill(id);
        }
    }

    /// When every slot's first try has failed and nothing was ever ready, the start has failed.
    pub(super) fn has_first_start_failed(&self) -> bool {
        let all_failed = self.every_slot_failed_once();
        !self.ever_ready && all_failed && !self.spec.keep_trying && self.stop.is_none()
    }

    pub(super) fn end_failed_start(&mut self, worker: WorkerId, failure: Failure) {
        if self.has_first_start_failed() {
            self.tell(Notice::FirstStartFailed { worker, failure });
            self.stop_now(1);
        }
    }

    pub(super) fn step_stop(&mut self) {
        self.step_lame_duck();
        let Some(stop) = &mut self.stop else { return };
        if let StopPhase::Emptying { until } = stop.phase
            && until <= self.now
        {
            stop.phase = StopPhase::Draining;
            self.close_all_sockets();
            self.vacate_all();
            for id in self.worker_ids() {
                self.retire(id);
                self.hurry(id);
            }
        }
    }

    /// Tells those that serve, once; when it is over, or nobody is left, the queues are emptied.
    fn step_lame_duck(&mut self) {
        let Some(Stop { phase: StopPhase::LameDuck { until }, signal_at, .. }) = self.stop else {
            return;
        };
        let ready = self.workers.iter().filter(|(_, worker)| matches!(worker.stage, Stage::Ready));
        let ready: Vec<WorkerId> = ready.map(|(id, _)| *id).collect();
        if until > self.now && !ready.is_empty() {
            for id in ready {
                let told =
                    self.workers.get_mut(&id).map(|it| std::mem::replace(&mut it.is_lame, true));
                if told == Some(false) {
                    self.act(Action::LameDuck { worker: id });
                }
            }
            return;
        }
        if let Some(stop) = &mut self.stop {
            stop.phase = StopPhase::Emptying { until: signal_at.min(self.now + EMPTY_LIMIT) };
        }
        self.act(Action::EmptyQueues);
    }

    /// The service is over when every worker is gone, or has not died of being killed.
    pub(super) fn finish_stop(&mut self) {
        let Some(stop) = &mut self.stop else { return };
        let given_up = stop.give_up_at <= self.now;
        if stop.phase != StopPhase::Draining || !(self.workers.is_empty() || given_up) {
            return;
        }
        stop.phase = StopPhase::Over;
        let left_behind: Vec<WorkerId> = self.workers.keys().copied().collect();
        let code = if left_behind.is_empty() { stop.exit_code } else { 1 };
        let requests = std::mem::take(&mut stop.requests);
        for request in requests {
            self.act(Action::Reply { request, answer: Answer::Stopped });
        }
        if !left_behind.is_empty() {
            self.tell(Notice::LeftBehind { workers: left_behind });
        }
        self.act(Action::Exit { code });
    }

    /// Moves the deadlines of a worker that was already on its way out before those of the stop.
    fn hurry(&mut self, id: WorkerId) {
        let Some(stop) = &self.stop else { return };
        let (signal, kill) = (stop.signal_at, stop.kill_at);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        match &mut worker.stage {
            Stage::Quitting { until } => *until = signal.min(*until),
            Stage::Draining(drain) => {
                drain.deadline = signal.min(drain.deadline);
                drain.linger_until = drain.deadline;
            }
            Stage::Leaving { signal_at } => *signal_at = signal.min(*signal_at),
            Stage::Stopping { kill_at } => *kill_at = kill.min(*kill_at),
            Stage::Starting { .. }
            | Stage::Standby
            | Stage::Ready
            | Stage::Parked { .. }
            | Stage::Killed => {}
        }
    }

    /// When a worker that is sent the stop signal now is killed.
    pub(super) fn kill_deadline(&self) -> Time {
        let usual = self.now + self.spec.stop_timeout;
        self.stop.as_ref().map_or(usual, |stop| usual.min(stop.kill_at.max(self.now)))
    }

    /// A worker has just been killed: it is given the time that takes.
    pub(super) fn await_death(&mut self) {
        let until = self.now + UNKILLABLE_LIMIT;
        if let Some(stop) = &mut self.stop {
            stop.give_up_at = stop.give_up_at.max(until);
        }
    }

    fn close_all_sockets(&mut self) {
        let open: Vec<_> = self.listeners.keys().copied().collect();
        for id in open {
            self.close_listener(id);
        }
        for worker in self.workers.values_mut() {
            worker.doors.retain(|_, door| *door == crate::worker::Door::Listening);
        }
    }

    /// Nobody is wanted any more.
    fn vacate_all(&mut self) {
        for slot in &mut self.slots {
            (slot.current, slot.incoming, slot.retry_at) = (None, None, None);
        }
    }

    fn worker_ids(&self) -> Vec<WorkerId> {
        self.workers.keys().copied().collect()
    }
}
