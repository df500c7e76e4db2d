//! Workers that have reached a limit are replaced: see the diagram in `renewal.rs`.
//!
//! Whatever the reason is, [`Supervisor::want_renewal`] is the way in.

use std::time::Duration;

use super::Supervisor;
use super::view::RenewalView;
use crate::renewal::{Pace, Renewal};
use crate::worker::Worker;
use crate::{Action, Failure, Notice, RenewalReason, RenewalStart, Slot, Time, WorkerId};

/// How often the memory of workers is looked at, where it is limited.
const MEASURE_EVERY: Duration = Duration::from_secs(2);
/// For how long a worker must have had too much memory: garbage that is collected is no reason.
const OVER_FOR: Duration = Duration::from_secs(1);

impl Supervisor {
    /// A worker that serves is to be replaced, for whatever reason, as soon as the way is free.
    pub(super) fn want_renewal(&mut self, id: WorkerId, reason: RenewalReason) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if !worker.is_ready() || worker.due.is_some() || self.stop.is_some() {
            return;
        }
        worker.due = Some(reason);
        let slot = worker.slot;
        let start = self.renewal_start(slot);
        // What starts at once is told when it does.
        if start != RenewalStart::Now {
            self.tell(Notice::WorkerDue { worker: id, slot, reason, start });
        }
    }

    pub(super) fn step_renewals(&mut self) {
        let workers = &self.workers;
        self.renewals.replaced.retain(|id| workers.contains_key(id));
        if self.stop.is_some() {
            return;
        }
        self.tell_if_not_counted();
        self.measure_memory();
        self.judge_ages();
        self.follow_renewal();
        self.begin_renewal();
    }

    /// What may keep a replacement in this slot from starting now.
    fn renewal_start(&self, slot: Slot) -> RenewalStart {
        let not_before = self.slot(slot).pace.not_before;
        if self.rollout.is_some() || self.reload_wanted.is_some() {
            RenewalStart::AfterRollout
        } else if !self.may_replace_voluntarily() {
            RenewalStart::AfterRefusal
        } else if self.renewals.now.is_some() {
            RenewalStart::InTurn
        } else if !self.announced || self.ready_slots() < self.wanted {
            RenewalStart::WhenAllReady
        } else if not_before > self.now {
            RenewalStart::In(not_before.since(self.now))
        } else if self.leaving() >= self.wanted as usize || !self.has_room(slot) {
            RenewalStart::WhenRoom
        } else {
            RenewalStart::Now
        }
    }

    /// Those that serve and are to be replaced; who has been there longest comes first.
    fn due(&self) -> impl Iterator<Item = (WorkerId, Slot, RenewalReason)> {
        let serves = self.workers.iter().filter(|(_, worker)| worker.is_ready());
        serves.filter_map(|(id, worker)| Some((*id, worker.slot, worker.due?)))
    }

    fn begin_renewal(&mut self) {
        let free = |(_, slot, _): &(WorkerId, Slot, RenewalReason)| {
            self.renewal_start(*slot) == RenewalStart::Now
        };
        let Some((old, slot, reason)) = self.due().find(free) else { return };
        let start = RenewalStart::Now;
        self.tell(Notice::WorkerDue { worker: old, slot, reason, start });
        let new = self.spawn(slot, self.slot(slot).generation);
        self.slot_mut(slot).incoming = Some(new);
        self.renewals.now = Some(Renewal { slot, old, new, drains: false });
    }

    /// The old worker has been told to drain when the new one became ready, as in any slot with two.
    fn follow_renewal(&mut self) {
        let Some(renewal) = self.renewals.now else { return };
        let Renewal { slot, old, new, drains } = renewal;
        if slot.0 >= self.wanted {
            self.renewals.now = None;
        } else if drains {
            let old = self.workers.get(&old);
            if !old.is_some_and(|old| old.holds_up_rollout(self.now)) {
                self.renewals.now = None;
            }
        } else if self.slot(slot).incoming != Some(new) {
            self.renewals.now = Some(Renewal { drains: true, ..renewal });
            self.has_renewed(slot, old, new);
        }
    }

    fn has_renewed(&mut self, slot: Slot, old: WorkerId, new: WorkerId) {
        let Some(worker) = self.workers.get(&old) else { return };
        let (ready_at, by_age) =
            (worker.ready_at, matches!(worker.due, Some(RenewalReason::Age { .. })));
        self.renewals.replaced.insert(old);
        self.tell(Notice::WorkerRenewed { worker: new, slot, old });
        let pace = &mut self.slots[slot.0 as usize].pace;
        pace.failure = None;
        // Who reaches a limit as soon as it serves, and the one after it, are no reason to hurry.
        if by_age {
            pace.backoff.reset();
        } else {
            let delay = pace.backoff.after_crash(self.now, ready_at, &mut self.random);
            pace.not_before = self.now + delay;
        }
    }

    /// A worker has failed: if it was a replacement, the old one serves on, and the next try comes later.
    pub(super) fn renewal_worker_failed(&mut self, slot: Slot, id: WorkerId, failure: &Failure) {
        let Some(renewal) = self.renewals.now.filter(|it| it.new == id && !it.drains) else {
            return;
        };
        self.renewals.now = None;
        let pace = &mut self.slots[slot.0 as usize].pace;
        let next_try = pace.backoff.after_crash(self.now, None, &mut self.random);
        pace.not_before = self.now + next_try;
        pace.failure = Some((id, failure.clone()));
        let old = renewal.old;
        if self.workers.get(&old).is_some_and(Worker::is_ready) {
            self.tell(Notice::RenewalFailed { worker: old, slot, next_try });
        }
    }

    /// A rollout begins, which replaces whoever was to be replaced: nobody else need come.
    pub(super) fn give_up_renewal(&mut self) {
        if let Some(Renewal { slot, new, drains: false, .. }) = self.renewals.now.take()
            && self.slot(slot).incoming == Some(new)
        {
            self.slot_mut(slot).incoming = None;
            self.retire(new);
        }
        for slot in &mut self.slots {
            slot.pace = Pace::default();
        }
    }

    pub(super) fn memory_measured(&mut self, id: WorkerId, rss_bytes: u64) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let Some(limit_bytes) = worker.limits.memory else { return };
        if rss_bytes <= limit_bytes {
            worker.over_memory = None;
        } else if now.since(*worker.over_memory.get_or_insert(now)) >= OVER_FOR {
            self.want_renewal(id, RenewalReason::Memory { rss_bytes, limit_bytes });
        }
    }

    pub(super) fn requests_reached(&mut self, id: WorkerId) {
        let limit = self.workers.get(&id).and_then(|worker| worker.limits.requests);
        if let Some(limit) = limit {
            self.want_renewal(id, RenewalReason::Requests { limit });
        }
    }

    /// The worker's agent is there.
    pub(super) fn limit_requests(&mut self, id: WorkerId) {
        let limit = self.workers.get(&id).and_then(|worker| worker.limits.requests);
        if let Some(requests) = limit {
            self.act(Action::LimitRequests { worker: id, requests });
        }
    }

    fn tell_if_not_counted(&mut self) {
        let is_one = |(_, worker): &(&WorkerId, &Worker)| {
            worker.is_ready() && !worker.has_agent && worker.limits.requests.is_some()
        };
        let found = self.workers.iter().find(is_one).map(|(id, _)| *id);
        if let Some(worker) = found.filter(|_| !self.renewals.told_not_counted) {
            self.renewals.told_not_counted = true;
            self.tell(Notice::RequestsNotCounted { worker });
        }
    }

    /// Those whose memory matters.
    fn measured(&self) -> impl Iterator<Item = WorkerId> {
        let limited = |worker: &Worker| {
            worker.is_ready() && worker.limits.memory.is_some() && worker.due.is_none()
        };
        self.workers.iter().filter(move |(_, worker)| limited(worker)).map(|(id, _)| *id)
    }

    fn measure_memory(&mut self) {
        let measured: Vec<WorkerId> = self.measured().collect();
        if measured.is_empty() {
            self.renewals.measure_at = None;
            return;
        }
        let at = *self.renewals.measure_at.get_or_insert(self.now + MEASURE_EVERY);
        if at <= self.now {
            self.renewals.measure_at = Some(self.now + MEASURE_EVERY);
            for worker in measured {
                self.act(Action::MeasureMemory { worker });
            }
        }
    }

    /// When each worker that serves has done so for as long as it may.
    fn ages(&self) -> impl Iterator<Item = (WorkerId, Time, Duration)> {
        let young = |worker: &&Worker| worker.is_ready() && worker.due.is_none();
        self.workers.iter().filter(move |(_, worker)| young(worker)).filter_map(|(id, worker)| {
            let limit = worker.limits.age?;
            Some((*id, worker.ready_at? + limit, limit))
        })
    }

    fn judge_ages(&mut self) {
        let old: Vec<_> = self.ages().filter(|(_, at, _)| *at <= self.now).collect();
        for (id, _, limit) in old {
            self.want_renewal(id, RenewalReason::Age { limit });
        }
    }

    pub(super) fn renewal_deadline(&self) -> Option<(Time, &'static str)> {
        if self.stop.is_some() {
            return None;
        }
        let ages = self.ages().map(|(_, at, _)| (at, "a worker is as old as it may be"));
        let measure = self.renewals.measure_at.map(|at| (at, "the memory of workers is measured"));
        let tries = self.due().map(|(_, slot, _)| {
            (self.slot(slot).pace.not_before, "a worker that has reached a limit is replaced")
        });
        // What is hindered by something else begins with the end of that.
        let all = ages.chain(measure).chain(tries);
        all.filter(|(at, _)| *at > self.now).min()
    }

    pub(super) fn renewal_in(&self, slot: Slot) -> Option<RenewalView> {
        let (worker, _, reason) = self.due().find(|(_, of, _)| *of == slot)?;
        let goes_on = self.renewals.now.is_some_and(|now| now.old == worker);
        let start = (!goes_on).then(|| self.renewal_start(slot));
        let failure = self.slot(slot).pace.failure.clone();
        Some(RenewalView { worker, reason, start, failure })
    }
}
