//! Workers give idle connections away, and get others'.

use relevo_core::{ConnectionId, DealerEvent, ListenerId, WorkerId};

use crate::world::World;

/// How many connections a worker may be giving away at once, for each listener.
const IN_TRANSIT: usize = 128;

impl World {
    /// A draining worker's agent says what it could give away.
    pub(crate) fn offers(&mut self, worker: WorkerId) {
        if !self.process(worker).character.hands_over {
            return;
        }
        let listeners: Vec<ListenerId> = self.sockets.iter().map(|m| m.listener).collect();
        for listener in listeners {
            let count = self.movable(worker, listener).len() as u32;
            self.answers(worker, DealerEvent::Offered { worker, listener, count });
        }
        if self.process(worker).character.gives_unasked
            && self.unkind
            && let Some(connection) = self.process(worker).holds.first().copied()
        {
            self.tally.given_unasked += 1;
            self.hands_over(worker, connection);
        }
    }

    /// It may give some away.
    pub(crate) fn is_credited(&mut self, worker: WorkerId, listener: ListenerId, count: u32) {
        let movable = self.movable(worker, listener);
        let draining = self.process(worker).draining;
        for connection in movable.iter().take(count as usize) {
            self.hands_over(worker, *connection);
        }
        if !draining {
            self.tally.rebalanced += u64::from(!movable.is_empty());
            if movable.len() < count as usize {
                self.answers(worker, DealerEvent::Spent { worker, listener });
            }
        }
    }

    fn hands_over(&mut self, worker: WorkerId, connection: ConnectionId) {
        let process = self.process(worker);
        if !process.channel || process.transit.values().any(|own| *own == connection) {
            return;
        }
        let copy = self.connection();
        self.process(worker).transit.insert(copy, connection);
        let listener = self.books.listener_of(connection);
        self.books.sent_back(connection, copy, worker);
        self.answers(worker, DealerEvent::HandedOver { connection: copy, worker, listener });
    }

    /// What it gave away is somebody else's now.
    pub(crate) fn is_rid_of(&mut self, worker: WorkerId, copy: ConnectionId) {
        let process = self.process(worker);
        if let Some(own) = process.transit.remove(&copy) {
            process.holds.remove(&own);
            self.tally.handed_over += 1;
            self.number_changes(worker);
            self.counts_work(worker);
            self.leaves_if_done(worker);
        }
    }

    /// Nobody wanted it.
    pub(crate) fn has_back(&mut self, worker: WorkerId, copy: ConnectionId) {
        let process = self.process(worker);
        if let Some(own) = process.transit.remove(&copy) {
            process.stays.insert(own);
            self.tally.given_back += 1;
            self.goes_on(worker, own);
        }
    }

    /// Idle, and not on its way. (One in three is idle.)
    fn movable(&mut self, worker: WorkerId, listener: ListenerId) -> Vec<ConnectionId> {
        let process = self.process(worker);
        let room = IN_TRANSIT.saturating_sub(process.transit.len());
        let idle = |own: &&ConnectionId| {
            own.0.is_multiple_of(3)
                && !process.stays.contains(own)
                && !process.transit.values().any(|other| other == *own)
        };
        let idle: Vec<ConnectionId> = process.holds.iter().filter(idle).copied().collect();
        let of_it = idle.into_iter().filter(|own| self.books.listener_of(*own) == listener);
        of_it.take(room).collect()
    }
}
