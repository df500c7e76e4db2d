//! The canary of a rollout: what the first new worker answers is compared with what the old ones did,
//! before the others follow. The rule is in `canary.rs`, beside this directory.
//!
//! ```text
//!   the first new worker is ready          ┌── passed ────────────▶ the rollout goes on
//!   ──────────────────────────────▶ Waits ─┼── inconclusive ──▶ undone, or it goes on: as is wished
//!     its agent counts, the old ones say   └── failed ────────────▶ undone, as by any other failure
//!     what they have counted so far
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use super::Supervisor;
use crate::canary::{Inconclusive, Tally, Verdict, judge};
use crate::worker::Worker;
use crate::{Action, Failure, Notice, Slot, Time, Waits, WorkerId};

/// How long the old workers have to say what they have counted. Who stands still does not.
const BASELINE_GRACE: Duration = Duration::from_secs(1);

/// A first new worker that has to prove itself by what it answers.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) worker: WorkerId,
    pub(crate) slot: Slot,
    since: Time,
    /// When it is judged by what there is then.
    until: Time,
    new: Tally,
    /// The old workers that were asked, with what they said.
    old: BTreeMap<WorkerId, Option<Tally>>,
    /// Whether nothing is left to wait for.
    is_over: bool,
}

impl Watch {
    fn old(&self) -> Tally {
        self.old.values().flatten().fold(Tally::default(), |sum, tally| sum.and(*tally))
    }

    /// Whether the old workers have said all that they will.
    fn has_baseline(&self, now: Time) -> bool {
        self.old.values().all(Option::is_some) || self.since + BASELINE_GRACE <= now
    }
}

impl Supervisor {
    /// A worker is ready: its agent counts from now on, where a rollout may ask.
    pub(super) fn begin_tally(&mut self, id: WorkerId) {
        let has_agent = self.workers.get(&id).is_some_and(|worker| worker.has_agent);
        if self.spec.canary.is_none() || !has_agent || self.stop.is_some() {
            return;
        }
        let watched = self.watch().is_some_and(|watch| watch.worker == id);
        self.act(Action::Tally { worker: id, on: watched });
    }

    /// The new worker of a slot is ready. If it is the first one, it is the canary.
    pub(super) fn begin_canary(&mut self, slot: Slot, id: WorkerId) {
        let Some(canary) = self.spec.canary.filter(|_| !self.spec.all_first) else { return };
        let Some(rollout) = self.rollout.as_ref().filter(|rollout| !rollout.has_proved) else {
            return;
        };
        let serves_old_code = |worker: &Worker| {
            let serves = worker.is_ready() || worker.is_parked();
            serves && worker.generation != rollout.generation
        };
        let hears = |worker: &Worker| {
            worker.has_agent && worker.channel_ended.is_none() && serves_old_code(worker)
        };
        let old = self.workers.iter().filter(|(_, worker)| hears(worker));
        let old: BTreeMap<WorkerId, Option<Tally>> = old.map(|(id, _)| (*id, None)).collect();
        for worker in old.keys() {
            self.act(Action::Tally { worker: *worker, on: false });
        }
        let (since, until) = (self.now, self.now + canary.timeout);
        let new = Tally::default();
        let watch = Watch { worker: id, slot, since, until, new, old, is_over: false };
        if let Some(rollout) = &mut self.rollout {
            rollout.canary = Some(watch);
        }
    }

    /// A worker's agent has counted.
    pub(super) fn tallied(&mut self, id: WorkerId, tally: Tally) {
        let watch = self.rollout.as_mut().and_then(|rollout| rollout.canary.as_mut());
        let Some(watch) = watch.filter(|watch| !watch.is_over) else { return };
        if watch.worker == id {
            watch.new = watch.new.at_least(tally);
        } else if let Some(said) = watch.old.get_mut(&id) {
            // What it counts later is of no account: it may answer no more requests.
            said.get_or_insert(tally);
        }
    }

    /// Ends the watch when the verdict is there, or the time is up.
    pub(super) fn judge_canary(&mut self) {
        let (Some(canary), Some(rollout)) = (self.spec.canary, &self.rollout) else { return };
        let Some(watch) = self.watch() else { return };
        let (new, old, worker, slot) = (watch.new, watch.old(), watch.worker, watch.slot);
        let verdict = if watch.has_baseline(self.now) || new.errors() == 0 {
            judge(new, old, canary.requests)
        } else {
            Verdict::Waits
        };
        // Who holds a rollout gives its canary time.
        let is_late = watch.until <= self.now && !rollout.paused;
        let conclusive = match verdict {
            Verdict::Waits if is_late => false,
            Verdict::Waits => return,
            Verdict::Inconclusive => false,
            Verdict::Passed | Verdict::Failed => true,
        };
        self.end_watch();
        let waited = (!conclusive && verdict == Verdict::Waits).then_some(canary.timeout);
        let undoes = !conclusive && canary.inconclusive == Inconclusive::Undo;
        if verdict == Verdict::Failed || undoes {
            let failure = Failure::Canary { new, old, conclusive, waited };
            self.rollout_worker_failed(worker, &failure);
        } else {
            self.tell(Notice::CanaryPassed { worker, slot, new, old, conclusive });
        }
    }

    fn end_watch(&mut self) {
        let watch = self.rollout.as_mut().and_then(|rollout| rollout.canary.as_mut());
        let Some(watch) = watch else { return };
        watch.is_over = true;
        let worker = watch.worker;
        let hears = |worker: &Worker| {
            worker.has_agent && worker.is_ready() && worker.channel_ended.is_none()
        };
        if self.workers.get(&worker).is_some_and(hears) {
            self.act(Action::Tally { worker, on: false });
        }
    }

    /// The canary that is watched, while there is a way back.
    pub(super) fn watch(&self) -> Option<&Watch> {
        let rollout = self.rollout.as_ref().filter(|rollout| rollout.has_a_way_back())?;
        rollout.canary.as_ref().filter(|watch| !watch.is_over)
    }

    pub(super) fn canary_deadline(&self) -> Option<(Time, &'static str)> {
        let watch = self.watch()?;
        let paused = self.rollout.as_ref().is_some_and(|rollout| rollout.paused);
        let late = (watch.until, "a canary is judged by what there is");
        let baseline = (watch.since + BASELINE_GRACE, "the old workers have said what they will");
        let late = Some(late).filter(|_| !paused);
        let all = late.into_iter().chain(Some(baseline));
        all.filter(|(at, _)| *at > self.now).min()
    }

    /// What a rollout waits for because of its canary.
    pub(super) fn canary_waits(&self) -> Option<Waits> {
        let (watch, canary) = (self.watch()?, self.spec.canary?);
        let (worker, new, old) = (watch.worker, watch.new, watch.old());
        Some(Waits::Canary { worker, new, old, wanted: canary.requests })
    }

    /// Until the first new worker has proved itself, its slot may have a share of its own.
    pub(super) fn update_share(&mut self) {
        let wanted = self.wanted_share();
        if wanted == self.told_share {
            return;
        }
        if let Some((slot, _)) = self.told_share
            && wanted.is_none_or(|(other, _)| other != slot)
        {
            self.act(Action::Share { slot, percent: None });
        }
        if let Some((slot, percent)) = wanted {
            self.act(Action::Share { slot, percent: Some(percent) });
        }
        self.told_share = wanted;
    }

    fn wanted_share(&self) -> Option<(Slot, u32)> {
        let percent = self.spec.canary_share.filter(|_| !self.spec.all_first)?;
        let rollout = self.rollout.as_ref().filter(|_| self.stop.is_none())?;
        let first = rollout.has_a_way_back() && !rollout.has_proved;
        let mut begun = rollout.begun.iter().filter(|_| first);
        begun.find(|(_, place)| place.incoming().is_none()).map(|(slot, _)| (*slot, percent))
    }
}
