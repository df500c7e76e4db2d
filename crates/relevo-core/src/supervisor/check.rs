//! What must hold after every event. In tests a contradiction is a panic; in a release it is told,
//! and the service goes on.

use super::Supervisor;
use crate::rollout::Phase;
use crate::worker::{Door, Stage};
use crate::{Action, Notice, Seat, Slot, Spec, WorkerId};

impl Supervisor {
    pub(super) fn check_invariants(&mut self) {
        if let Err(what) = self.invariants() {
            debug_assert!(false, "{what}\n{self:#?}");
            self.tell(Notice::Bug { what });
        }
    }

    fn invariants(&self) -> Result<(), String> {
        self.check_counts()?;
        self.check_places()?;
        self.check_parked()?;
        self.check_pulses()?;
        self.check_left_slots()?;
        self.check_listeners()?;
        self.check_closed()?;
        self.check_actions()
    }

    fn check_counts(&self) -> Result<(), String> {
        let wanted = self.workers.values().filter(|worker| worker.is_wanted()).count();
        // Whoever is called back by an undone rollout stands beside whoever is to leave.
        let returning = self.workers.values().filter(|worker| worker.is_returning()).count();
        let renewed = self.rollout.iter().flat_map(|rollout| &rollout.undo);
        let returning = returning + renewed.map(|undo| undo.renewed.len()).sum::<usize>();
        // Slots may have left since as many came as their number allowed.
        let surge = self.spec.surge.workers(self.slots.len() as u32) as usize;
        let coming = if self.spec.all_first { self.wanted as usize } else { surge };
        let most = self.wanted as usize + returning.max(coming) + self.spares.workers.len();
        if wanted > most {
            return Err(format!("{wanted} workers start or serve, at most {most} may"));
        }
        for (id, worker) in &self.workers {
            let ends = worker.deadline().is_some() || worker.stage == Stage::Killed;
            if !worker.is_wanted() && !ends {
                return Err(format!("worker {id} is on its way out without a deadline"));
            }
        }
        Ok(())
    }

    /// A worker that is wanted has a place, and who has a place is wanted and alive.
    fn check_places(&self) -> Result<(), String> {
        for slot in self.slot_numbers() {
            let state = self.slot(slot);
            for id in [state.current, state.incoming].into_iter().flatten() {
                let Some(worker) = self.workers.get(&id) else {
                    return Err(format!("slot {slot} names worker {id}, which does not exist"));
                };
                if !worker.is_wanted() {
                    return Err(format!("slot {slot} names worker {id}, which is not wanted"));
                }
            }
            if let Some(id) = state.incoming
                && self.stop.is_none()
                && !self.is_expected(slot, id)
                && !self.renewals.brings(slot, id)
            {
                return Err(format!("worker {id} comes to slot {slot} for nothing"));
            }
        }
        for (id, worker) in self.workers.iter().filter(|(_, worker)| worker.is_wanted()) {
            let state = self.slot(worker.slot);
            let has_place = state.current == Some(*id) || state.incoming == Some(*id);
            if !has_place && !self.spares.workers.contains(id) {
                return Err(format!("worker {id} is wanted but has no place"));
            }
        }
        Ok(())
    }

    /// A rollout starts a worker in each slot that it begins, or calls back whom it has parked.
    fn is_expected(&self, slot: Slot, id: WorkerId) -> bool {
        self.rollout.as_ref().is_some_and(|rollout| match rollout.phase {
            Phase::Replacing => rollout.place_of(id) == Some(slot),
            Phase::Undoing => {
                let renewed = rollout.undo.as_ref().and_then(|undo| undo.renewed.get(&slot));
                rollout.parked.get(&slot) == Some(&id) || renewed == Some(&id)
            }
            Phase::Draining => false,
        })
    }

    /// Whoever is parked is the way back of a rollout that may need it, and there is one in a slot.
    fn check_parked(&self) -> Result<(), String> {
        for (id, worker) in self.workers.iter().filter(|(_, worker)| worker.is_parked()) {
            let is_way_back = self.rollout.as_ref().is_some_and(|rollout| {
                rollout.has_a_way_back() && rollout.parked.get(&worker.slot) == Some(id)
            });
            if !is_way_back {
                return Err(format!("worker {id} is parked for nothing"));
            }
        }
        let Some(rollout) = &self.rollout else { return Ok(()) };
        if let Some(hook) = rollout.gate.filter(|hook| !self.hooks.is_running(*hook)) {
            return Err(format!("the rollout waits for hook {hook}, which does not run"));
        }
        for (slot, id) in &rollout.parked {
            let worker = self.workers.get(id);
            if !worker.is_some_and(|worker| worker.slot == *slot && !rollout.new.contains(id)) {
                return Err(format!("worker {id} is not a way back for slot {slot}"));
            }
        }
        if rollout.parked.len() > self.wanted as usize {
            return Err(format!("{} workers are parked", rollout.parked.len()));
        }
        Ok(())
    }

    /// Of a slot that has left only its sockets are kept, and they not for ever.
    fn check_left_slots(&self) -> Result<(), String> {
        if !(1..=Spec::MAX_SLOTS).contains(&self.wanted) || self.slots.len() < self.wanted as usize
        {
            return Err(format!("{} workers are wanted", self.wanted));
        }
        if let Some(slot) = self.slot_numbers().find(|n| self.slot(*n).retired_until.is_some()) {
            return Err(format!("slot {slot} has left and is wanted"));
        }
        for slot in self.left_slots() {
            let state = self.slot(slot);
            let wanted = !state.is_vacant() || state.retry_at.is_some() || state.joining;
            if wanted || !state.serves.is_empty() {
                return Err(format!("slot {slot} has left, and yet something is wanted of it"));
            }
            let seat = Seat::Slot(slot);
            let kept = self.listeners.values().any(|listener| listener.members.contains_key(&seat));
            if kept && state.retired_until.is_none() && self.stop.is_none() {
                return Err(format!("the sockets of slot {slot}, which has left, stay for ever"));
            }
        }
        Ok(())
    }

    /// What is served stays open while the service is wanted.
    fn check_listeners(&self) -> Result<(), String> {
        if self.stop.is_some() {
            return Ok(());
        }
        for slot in self.slot_numbers() {
            if let Some(id) =
                self.slot(slot).serves.iter().find(|id| !self.listeners.contains_key(id))
            {
                return Err(format!("slot {slot} serves listener {id}, which is closed"));
            }
        }
        for (id, worker) in &self.workers {
            for (listener, door) in &worker.doors {
                let known = self.listeners.get(listener);
                let open = known.is_some_and(|l| l.is_open(l.seat(worker.slot)));
                let needs_open = !matches!(door, Door::Asked(_)) && worker.channel_ended.is_none();
                if needs_open && !worker.stopped_accepting && !open {
                    return Err(format!("worker {id} holds listener {listener}, which is closed"));
                }
            }
        }
        Ok(())
    }

    /// The listeners of a wanted service never close, except when it is down.
    fn check_closed(&self) -> Result<(), String> {
        if self.stop.is_some() {
            return Ok(());
        }
        let served = |id| self.slots.iter().any(|slot| slot.serves.contains(id));
        for (id, listener) in &self.listeners {
            if served(id) && listener.members.is_empty() && !listener.given_up {
                return Err(format!("listener {id} has no socket, and nobody gave it up"));
            }
        }
        for action in &self.actions {
            let Action::CloseMember { member } = action else { continue };
            let has_left = matches!(member.seat, Seat::Slot(slot) if slot.0 >= self.wanted);
            if served(&member.listener) && !has_left && !self.is_down() {
                return Err(format!("{member} is closed although the service is not down"));
            }
        }
        Ok(())
    }

    /// No action names a worker that is not there.
    fn check_actions(&self) -> Result<(), String> {
        for action in &self.actions {
            let named = match action {
                Action::Spawn { worker, .. }
                | Action::SignalStop { worker }
                | Action::Kill { worker }
                | Action::Answer { worker, .. }
                | Action::Refuse { worker, .. }
                | Action::Probe { worker, .. }
                | Action::InspectSockets { worker }
                | Action::Eligible { worker, on: true, .. }
                | Action::MeasureMemory { worker }
                | Action::Ping { worker }
                | Action::Examine { worker, .. }
                | Action::LimitRequests { worker, .. }
                | Action::LameDuck { worker }
                | Action::Tally { worker, .. }
                | Action::Park { worker }
                | Action::Unpark { worker }
                | Action::Drain { worker, .. }
                | Action::Disconnect { worker }
                | Action::ChangeSlot { worker, .. }
                | Action::AllowLeave { worker } => *worker,
                Action::Eligible { on: false, .. }
                | Action::LookAtMemory
                | Action::OpenMember { .. }
                | Action::CloseMember { .. }
                | Action::Accept { .. }
                | Action::WatchSockets
                | Action::EmptyQueues
                | Action::RunHook { .. }
                | Action::EndHook { .. }
                | Action::Share { .. }
                | Action::Progress { .. }
                | Action::Reply { .. }
                | Action::Notify(_)
                | Action::Tell(_)
                | Action::Exit { .. } => continue,
            };
            if !self.workers.contains_key(&named) {
                return Err(format!("{action:?} names a dead worker"));
            }
        }
        Ok(())
    }
}
