//! Rollouts: see the diagram in `rollout.rs`.

use super::Supervisor;
use crate::rollout::{Phase, Rollout};
use crate::{
    Action, Answer, Failure, Generation, Left, Moved, Notice, Notify, Outcome, Refusal,
    RolloutReport, ScaleOutcome, Slot, Step, WorkerId,
};

impl Supervisor {
    pub(super) fn step_rollout(&mut self) {
        if self.stop.is_some() {
            return;
        }
        self.begin_wanted_rollout();
        self.pass_over_left_slots();
        // One rollout can pass several slots in one go where old workers are gone already.
        while let Some(rollout) = &self.rollout {
            let (slot, phase) = (rollout.slot, rollout.phase);
            let moved = match phase {
                Phase::Waiting { told } => self.start_incoming(slot, told),
                Phase::Starting { .. } => false,
                Phase::Draining { old } => self.finish_slot(slot, old),
            };
            if !moved {
                break;
            }
        }
    }

    fn begin_wanted_rollout(&mut self) {
        let started = self.announced || self.every_slot_failed_once();
        if self.rollout.is_some() || !self.reload_wanted || !started {
            return;
        }
        self.reload_wanted = false;
        let generation = Generation(self.next_generation);
        self.next_generation += 1;
        self.bind_failures_told.clear();
        self.adopt_configuration();
        self.rollout = Some(Rollout {
            generation,
            started_at: self.now,
            requests: std::mem::take(&mut self.reload_waiters),
            slot: Slot(0),
            phase: Phase::Waiting { told: false },
            cut: Left::default(),
            moved: Moved::default(),
        });
        self.tell(Notice::RolloutStarted { generation });
        if self.announced {
            self.act(Action::Notify(Notify::Reloading));
        }
    }

    /// A rollout that had come to a slot that has left has replaced all that there are.
    fn pass_over_left_slots(&mut self) {
        if self.rollout.as_ref().is_some_and(|rollout| rollout.slot.0 >= self.wanted) {
            self.end_rollout(Outcome::Succeeded);
        }
    }

    /// Starts the new worker of a slot, unless too many old ones are still there.
    fn start_incoming(&mut self, slot: Slot, told: bool) -> bool {
        let room = self.leaving() < self.wanted as usize;
        let Some(rollout) = &mut self.rollout else { return false };
        let generation = rollout.generation;
        if !room {
            rollout.phase = Phase::Waiting { told: true };
            if !told {
                self.tell(Notice::RolloutWaits { generation });
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
            rollout.phase = Phase::Starting { worker: id };
        }
        self.report_progress(slot, Step::Started(id));
        true
    }

    pub(super) fn rollout_worker_ready(&mut self, id: WorkerId, old: Option<WorkerId>) {
        let Some(rollout) = &mut self.rollout else { return };
        if rollout.phase == (Phase::Starting { worker: id }) {
            rollout.phase = Phase::Draining { old };
            let slot = rollout.slot;
            self.report_progress(slot, Step::Ready(id));
        }
    }

    /// Goes on to the next slot when the old worker accepts nothing more and has no request left.
    fn finish_slot(&mut self, slot: Slot, old: Option<WorkerId>) -> bool {
        let old_worker = old.and_then(|id| self.workers.get(&id));
        if old_worker.is_some_and(|worker| worker.holds_up_rollout(self.now)) {
            return false;
        }
        if let Some(new) = self.slot(slot).current {
            self.report_progress(slot, Step::Replaced(new));
        }
        let last = slot.0 + 1 >= self.wanted;
        if last {
            self.end_rollout(Outcome::Succeeded);
        } else if let Some(rollout) = &mut self.rollout {
            rollout.slot = Slot(slot.0 + 1);
            rollout.phase = Phase::Waiting { told: false };
        }
        true
    }

    pub(super) fn rollout_worker_failed(&mut self, id: WorkerId, failure: &Failure) {
        let concerned = self
            .rollout
            .as_ref()
            .is_some_and(|rollout| rollout.phase == (Phase::Starting { worker: id }));
        if concerned {
            self.end_rollout(Outcome::Failed { worker: id, failure: failure.clone() });
        }
    }

    pub(super) fn end_rollout(&mut self, outcome: Outcome) {
        let Some(rollout) = self.rollout.take() else { return };
        let succeeded = outcome == Outcome::Succeeded;
        self.settle_configuration(succeeded);
        let has_new = matches!(rollout.phase, Phase::Draining { .. });
        let replaced = rollout.slot.0 + u32::from(has_new);
        let report = RolloutReport {
            generation: rollout.generation,
            outcome,
            replaced: replaced.min(self.wanted),
            of: self.wanted,
            duration: self.now.since(rollout.started_at),
            cut: rollout.cut,
            moved: rollout.moved,
            serving: self.generation,
        };
        if succeeded {
            self.generation = rollout.generation;
        }
        self.tell(Notice::RolloutEnded(report.clone()));
        for request in rollout.requests {
            let answer = Answer::RolledOut(report.clone());
            self.act(Action::Reply { request, answer });
        }
        if self.stop.is_none() && self.announced {
            self.act(Action::Notify(Notify::Ready));
        }
        self.last_rollout = Some(report);
    }

    /// Adds what a drain cut short to the report of the rollout, or scaling, that it belongs to.
    pub(super) fn count_cut(&mut self, slot: Slot, left: Left) {
        self.totals.cut.add(&left);
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
    pub(super) fn count_moved(&mut self, slot: Slot, moved: &Moved) {
        self.totals.moved.add(moved);
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
        self.end_rollout(Outcome::Aborted);
        self.reload_wanted = false;
        for request in std::mem::take(&mut self.reload_waiters) {
            self.refuse(Some(request), Refusal::Stopping);
        }
        self.end_scaling(ScaleOutcome::Aborted);
    }
}
