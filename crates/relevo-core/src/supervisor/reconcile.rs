//! Comparing what is with what should be. Every step looks at facts only, so that running them once
//! more changes nothing.

use super::{MAX_LEAVING_PER_SLOT, Supervisor};
use crate::{Action, Notice, Notify, Slot, Step};

impl Supervisor {
    /// Goes on until nothing more follows, so that nothing is left for an event that may not come.
    /// What the dealer must know is derived last, from what then is.
    pub(super) fn reconcile(&mut self) {
        loop {
            let before = self.actions.len();
            self.take_steps();
            if self.actions.len() == before {
                break;
            }
        }
        self.update_accepting();
        self.update_eligible();
        self.update_share();
    }

    /// The order matters: who is ready by now is not late, and what ends comes before what begins.
    fn take_steps(&mut self) {
        self.load_workers();
        self.promote_workers();
        self.answer_held_back();
        self.step_outage();
        self.step_stop();
        self.expire_workers();
        self.step_probes();
        self.announce();
        self.step_hooks();
        self.step_rollout();
        self.step_renewals();
        self.step_hangs();
        self.end_if_all_has_ended();
        self.fill_slots();
        self.step_spares();
        self.step_scaling();
        self.allow_leaves();
        if self.stop.is_none() {
            self.close_unused_listeners();
            self.open_fronts();
            self.close_retired_members();
        }
        self.finish_stop();
    }

    /// Starts a worker wherever none works, when its time has come.
    fn fill_slots(&mut self) {
        if self.stop.is_some() {
            return;
        }
        for slot in self.slot_numbers() {
            let state = self.slot(slot);
            let due = state.retry_at.is_none_or(|at| at <= self.now);
            if state.is_vacant() && due && state.ended.is_none() && self.has_room(slot) {
                let joining = state.joining;
                let generation = self.generation_to_start(slot);
                let id = match self.take_spare(slot, generation) {
                    Some(spare) => spare,
                    None => self.spawn_unasked(slot, generation),
                };
                let state = self.slot_mut(slot);
                state.current = Some(id);
                state.retry_at = None;
                if joining {
                    self.report_scaling(slot, Step::Started(id));
                }
            }
        }
    }

    pub(super) fn has_room(&self, slot: Slot) -> bool {
        let leaving =
            self.workers.values().filter(|worker| worker.slot == slot && !worker.is_wanted());
        leaving.count() < MAX_LEAVING_PER_SLOT
    }

    /// Says once that the service is ready: every slot is, or has failed once while another is.
    fn announce(&mut self) {
        if self.announced || self.stop.is_some() {
            return;
        }
        let ready = self.ready_slots();
        let all_tried = self
            .slot_numbers()
            .all(|slot| self.has_ready_worker(slot) || self.slot(slot).failed_once);
        if ready > 0 && all_tried {
            self.announced = true;
            self.tell(Notice::ServiceReady { ready, of: self.wanted });
            self.act(Action::Notify(Notify::Ready));
        }
    }
}
