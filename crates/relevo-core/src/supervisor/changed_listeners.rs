//! A rollout that may change what the service listens on (`docs/rollouts.md`, "Listen elsewhere").
//!
//! Its new workers are ready with what they asked for, as at a first start. An address that none of them
//! has is served by old workers as long as one is left that is not parked: so the last of them is not told
//! to stop accepting. When there is no way back any more it drains with the others, and then nobody
//! needs that address: its sockets close.

use std::collections::BTreeSet;

use super::Supervisor;
use crate::worker::Worker;
use crate::{Generation, ListenerId, Listeners, ReadyWhen, Slot, WorkerId};

impl Supervisor {
    /// What a worker that is started now must listen on.
    pub(super) fn owed_by(&self, slot: Slot, generation: Generation) -> BTreeSet<ListenerId> {
        let changes = self.rollout.as_ref().is_some_and(|rollout| {
            rollout.listeners == Listeners::Changed && rollout.generation == generation
        });
        // Who replaces a worker of that very rollout has a predecessor to go by.
        let is_first = self.slot(slot).generation != generation;
        if changes && is_first { BTreeSet::new() } else { self.owed_in(slot) }
    }

    /// Whether a worker that is about to be parked must not be told: nobody else would serve one of its
    /// addresses, or it has none, and does its work without.
    pub(super) fn serves_on(&self, id: WorkerId) -> bool {
        let Some(worker) = self.workers.get(&id) else { return false };
        if worker.doors.is_empty() {
            // By listening it could not become ready again.
            return worker.readiness.when != ReadyWhen::Listening;
        }
        let changes = |rollout: &crate::rollout::Rollout| rollout.listeners == Listeners::Changed;
        let others = |listener: ListenerId| {
            let accepts = |other: &Worker| {
                (other.is_ready() || other.serves_on) && other.listens_on(listener)
            };
            self.workers.iter().any(|(other, worker)| *other != id && accepts(worker))
        };
        self.rollout.as_ref().is_some_and(changes)
            && self.listened_on(id).into_iter().any(|listener| !others(listener))
    }
}
