//! Comparing what is with what should be. Every step looks at facts only, so that running them once
//! more changes nothing.

use super::{MAX_LEAVING_PER_SLOT, Supervisor};
use crate::{Action, Notice, Notify, Slot};

impl Supervisor {
    /// The order matters: what ends comes before what begins, and what the dealer must know is
    /// derived last, from what then is.
    pub(super) fn reconcile(&mut self) {
        self.expire_workers();
        self.step_stop();
        self.announce();
        self.step_rollout();
        self.fill_slots();
        self.allow_leaves();
        if self.stop.is_none() {
            self.close_unused_listeners();
        }
        self.update_accepting();
        self.update_eligible();
    }

    /// Starts a worker wherever none works, when its time has come.
    fn fill_slots(&mut self) {
        if self.stop.is_some() {
            return;
        }
        for slot in self.slot_numbers() {
            let state = self.slot(slot);
            let vacant = state.current.is_none() && state.incoming.is_none();
            let due = state.retry_at.is_none_or(|at| at <= self.now);
            if vacant && due && self.has_room(slot) {
                let generation = state.generation;
                let owes = state.serves.clone();
                let id = self.spawn(slot, generation);
                self.owe(id, owes);
                let state = self.slot_mut(slot);
                state.current = Some(id);
                state.retry_at = None;
            }
        }
    }

    fn has_room(&self, slot: Slot) -> bool {
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
            self.tell(Notice::ServiceReady { ready, of: self.spec.slots });
            self.act(Action::Notify(Notify::Ready));
        }
    }
}
