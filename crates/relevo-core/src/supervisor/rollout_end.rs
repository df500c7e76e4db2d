//! The end of a rollout: who is told what, and what is counted for its report.

use std::collections::BTreeMap;

use super::Supervisor;
use crate::rollout::Rollout;
use crate::worker::Worker;
use crate::{
    Action, Answer, Generation, Left, Moved, Notice, Notify, Outcome, Refusal, RolloutReport,
    ScaleOutcome, Slot, WorkerId,
};

impl Supervisor {
    pub(super) fn end_rollout(&mut self, outcome: Outcome) {
        let Some(rollout) = self.rollout.take() else { return };
        let succeeded = outcome == Outcome::Succeeded;
        self.settle_configuration(succeeded);
        if succeeded {
            self.release_completed(&rollout);
            self.generation = rollout.generation;
        }
        let report = self.rollout_report(&rollout, outcome);
        self.tell(Notice::RolloutEnded(report.clone()));
        for request in rollout.waiting() {
            let answer = Answer::RolledOut(report.clone());
            self.act(Action::Reply { request: *request, answer });
        }
        if self.stop.is_none() && self.announced {
            self.act(Action::Notify(Notify::Ready));
        }
        self.hook_about_rollout(&report);
        self.last_rollout = Some(report);
        for id in rollout.parked.into_values() {
            if self.workers.get(&id).is_some_and(Worker::is_parked) {
                self.retire(id);
            }
        }
        self.forget_releases();
    }

    pub(super) fn rollout_report(&self, rollout: &Rollout, outcome: Outcome) -> RolloutReport {
        let mut runs: BTreeMap<Generation, Vec<Slot>> = BTreeMap::new();
        for slot in self.slot_numbers() {
            runs.entry(self.slot(slot).generation).or_default().push(slot);
        }
        let replaced = runs.get(&rollout.generation).map_or(0, Vec::len);
        RolloutReport {
            generation: rollout.generation,
            cause: rollout.cause,
            back_to: rollout.back_to,
            outcome,
            slot: rollout.undo.as_ref().map(|undo| undo.slot),
            replaced: replaced as u32,
            returned: rollout.undo.as_ref().map_or(0, |undo| undo.returned),
            of: self.wanted,
            runs,
            duration: self.now.since(rollout.started_at),
            cut: rollout.cut,
            moved: rollout.moved,
            serving: self.generation,
        }
    }

    /// Adds what a drain cut short to the report of the rollout, or scaling, that it belongs to.
    pub(super) fn count_cut(&mut self, id: WorkerId, slot: Slot, left: Left) {
        self.totals.cut.add(&left);
        if self.renewals.replaced.contains(&id) {
            return;
        }
        if slot.0 >= self.wanted {
            if let Some(scaling) = &mut self.scaling {
                scaling.cut.add(&left);
            }
            return;
        }
        let cut = match (&mut self.rollout, &mut self.last_rollout) {
            (Some(rollout), _) => &mut rollout.cut,
            (None, Some(report)) => &mut report.cut,
            (None, None) => return,
        };
        cut.add(&left);
    }

    /// The same for what became of its idle connections.
    pub(super) fn count_moved(&mut self, id: WorkerId, slot: Slot, moved: &Moved) {
        self.totals.moved.add(moved);
        if self.renewals.replaced.contains(&id) {
            return;
        }
        let counted = if slot.0 >= self.wanted {
            self.scaling.as_mut().map(|scaling| &mut scaling.moved)
        } else if let Some(rollout) = &mut self.rollout {
            Some(&mut rollout.moved)
        } else {
            self.last_rollout.as_mut().map(|report| &mut report.moved)
        };
        if let Some(counted) = counted {
            counted.add(moved);
        }
    }

    /// At a stop nothing is changed any more.
    pub(super) fn abandon_changes(&mut self) {
        self.end_hooks();
        self.end_rollout(Outcome::Stopped);
        self.reload_wanted = None;
        self.renewals.now = None;
        let rollback = self.releases.take_wanted();
        let rollback = rollback.into_iter().flat_map(|rollback| rollback.requests);
        let waiting = std::mem::take(&mut self.reload_waiters);
        for request in waiting.into_iter().chain(rollback) {
            self.refuse(Some(request), Refusal::Stopping);
        }
        self.end_scaling(ScaleOutcome::Aborted);
    }
}
