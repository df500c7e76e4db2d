//! Connections by which a worker is asked whether it is ready: each goes to the worker that it is meant
//! for, as a dealt one does, and the dealer knows nothing of it.

use std::os::fd::OwnedFd;

use relevo_core::{ListenerId, WorkerId};

use super::Hub;

impl Hub {
    /// Hands the worker a connection to what it has of a listener. If that cannot be done, it closes,
    /// which tells the one who asks.
    pub(super) fn probe(&mut self, worker: WorkerId, listener: ListenerId, connection: OwnedFd) {
        let number = self.next_connection;
        let Some(wire) = self.talk_to(worker) else { return };
        let Some(key) = wire.key_of.get(&listener).cloned() else { return };
        if wire.channel.deal(&key, number, None).is_ok() {
            self.next_connection += 1;
            self.connections.insert(number, connection);
            self.probes.insert(number, worker);
        }
    }

    /// A connection has found its end, or its worker has. Whether it was one of these.
    pub(super) fn probe_is_over(&mut self, connection: u64) -> bool {
        let was_one = self.probes.remove(&connection).is_some();
        if was_one {
            self.connections.remove(&connection);
        }
        was_one
    }

    /// A worker's channel has ended.
    pub(super) fn end_probes(&mut self, worker: WorkerId) {
        let of_it: Vec<u64> = self
            .probes
            .iter()
            .filter(|(_, of)| **of == worker)
            .map(|(number, _)| *number)
            .collect();
        for number in of_it {
            self.probe_is_over(number);
        }
    }
}
