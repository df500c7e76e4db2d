//! Exits that are not followed by a replacement (`--final-exit-codes`).
//!
//! ```text
//!            a worker that starts or serves                a reload's worker is ready here,
//!            exits with such a code                        or a scaling begins
//!  occupied ─────────────────────────────────▶ ended ─────────────────────────────────────▶ occupied
//! ```
//!
//! The slot of such a worker keeps its sockets, which are covered like a crashed one's. When every slot
//! has ended so, and no reload is on its way, the service has nothing to do any more, and ends.
//!
//! Whoever proves nothing by its end is a failure as any other: a new worker on which a rollout in
//! progress depends, or one that was parked and is called back.

use super::Supervisor;
use crate::scaling::Scaling;
use crate::{Exit, ExitHow, Failure, Notice, ScaleOutcome, Slot, WorkerId};

impl Supervisor {
    /// Whether this end of a worker that was wanted is for good.
    pub(super) fn is_final(&self, id: WorkerId, exit: Exit) -> bool {
        let ExitHow::Code(code) = exit.how else { return false };
        let Some(worker) = self.workers.get(&id) else { return false };
        self.spec.final_exit_codes.contains(code)
            && self.stop.is_none()
            && self.slot(worker.slot).current == Some(id)
            && !self.is_undone_by(id)
    }

    /// The worker has ended and is not replaced.
    pub(super) fn end_for_good(&mut self, id: WorkerId, exit: Exit) {
        let Some(worker) = self.forget_worker(id) else { return };
        let (slot, failure) = (worker.slot, Failure::EndedForGood { exit });
        let state = self.slot_mut(slot);
        (state.current, state.retry_at, state.ended) = (None, None, Some(exit));
        state.last_failure = Some(failure.clone());
        state.failed_once |= worker.ready_at.is_none();
        let told = failure.clone();
        self.tell(Notice::WorkerFailed { worker: id, slot, failure: told, next_try: None });
        self.hook_about_crash(slot, id, &failure);
        self.end_scaling(ScaleOutcome::Failed { worker: id, failure: failure.clone() });
        if !self.has_ended_everywhere() {
            self.end_failed_start(id, failure);
        }
    }

    pub(super) fn has_ended(&self, slot: Slot) -> bool {
        self.slot(slot).ended.is_some()
    }

    /// Whether nobody is left, and nobody is to come.
    fn has_ended_everywhere(&self) -> bool {
        let ended = |slot: Slot| self.has_ended(slot) && self.slot(slot).is_vacant();
        self.slot_numbers().all(ended) && self.rollout.is_none() && self.reload_wanted.is_none()
    }

    /// Ends a service in which every slot has ended: well, if all codes were 0.
    pub(super) fn end_if_all_has_ended(&mut self) {
        if self.stop.is_some() || !self.has_ended_everywhere() {
            return;
        }
        let ends = self.slot_numbers().filter_map(|slot| Some((slot, self.slot(slot).ended?)));
        let ends: Vec<(Slot, Exit)> = ends.collect();
        let all_well = ends.iter().all(|(_, exit)| exit.how == ExitHow::Code(0));
        let code = u8::from(!all_well);
        self.tell(Notice::AllEnded { ends, code });
        self.stop_in_order(code);
    }

    /// Who asks for a number of workers wants all of them: what has ended begins anew. Whether
    /// something had.
    pub(super) fn revive_ended(&mut self) -> bool {
        let ended: Vec<Slot> = self.slot_numbers().filter(|slot| self.has_ended(*slot)).collect();
        for slot in &ended {
            let state = self.slot_mut(*slot);
            state.ended = None;
            state.backoff.reset();
        }
        !ended.is_empty()
    }

    /// Whether a scaling has come to its number of workers.
    pub(super) fn has_all_workers(&self, scaling: &Scaling) -> bool {
        scaling.surplus.is_empty() && self.ready_slots() == self.wanted
    }
}
