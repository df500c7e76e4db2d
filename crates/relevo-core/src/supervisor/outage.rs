//! Nobody is there to accept.
//!
//! ```text
//!        the last worker that            --hold is spent:
//!        accepts is gone                 every socket closes
//!   up ───────────────────▶ Holding ─────────────────────────▶ Down
//!   ▲ ▲                        │                                │
//!   │ └─── a worker listens ───┘                                │
//!   └──────────────────────────────── a worker is ready ────────┘
//! ```
//!
//! *Holding*: connections wait in the queues of the sockets, which the primary keeps open, for the next
//! worker. *Down*: whoever connects is refused, so that clients and balancers look elsewhere. The next
//! worker that asks to listen has the address bound anew; its sockets stay open as long as somebody
//! accepts there, or is about to.

use super::Supervisor;
use crate::worker::{Door, Worker};
use crate::{Failure, ListenerId, Member, Notice, Seat, Time, WorkerId};

/// An outage, since its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outage {
    Holding { until: Time },
    Down { since: Time },
}

impl Supervisor {
    pub(super) fn is_down(&self) -> bool {
        matches!(self.outage, Some(Outage::Down { .. }))
    }

    pub(super) fn outage_deadline(&self) -> Option<(Time, &'static str)> {
        match self.outage {
            Some(Outage::Holding { until }) if self.stop.is_none() => {
                Some((until, "the listeners close, since nobody accepts"))
            }
            Some(Outage::Holding { .. } | Outage::Down { .. }) | None => None,
        }
    }

    pub(super) fn step_outage(&mut self) {
        if self.stop.is_some() || !self.ever_ready {
            return;
        }
        let accepted = self.somebody_accepts();
        let begun = Outage::Holding { until: self.now + self.spec.hold };
        self.outage = match self.outage {
            None | Some(Outage::Holding { .. }) if accepted => None,
            None => Some(begun),
            Some(Outage::Holding { .. } | Outage::Down { .. }) => self.outage,
        };
        match self.outage {
            Some(Outage::Holding { until }) if until <= self.now => self.go_down(),
            Some(Outage::Down { since }) if self.somebody_is_ready() => self.come_up(since),
            Some(Outage::Down { .. }) if !accepted => self.give_up_unneeded_listeners(),
            Some(Outage::Holding { .. } | Outage::Down { .. }) | None => {}
        }
    }

    /// A ready worker counts even if it has closed every listener: its app wants it so.
    fn somebody_is_ready(&self) -> bool {
        self.workers.values().any(|worker| worker.is_ready() && worker.channel_ended.is_none())
    }

    fn somebody_accepts(&self) -> bool {
        self.somebody_is_ready() || self.workers.values().any(Worker::listens_at_all)
    }

    fn go_down(&mut self) {
        self.outage = Some(Outage::Down { since: self.now });
        self.tell(Notice::Down { held: self.spec.hold });
        self.end_holders();
        let all: Vec<ListenerId> = self.listeners.keys().copied().collect();
        for id in all {
            self.give_up_listener(id);
        }
    }

    fn come_up(&mut self, since: Time) {
        self.outage = None;
        self.tell(Notice::Up { after: self.now.since(since) });
    }

    /// A socket is closed when nobody has it any more: so whoever has a duplicate must go. Who has
    /// only asked has none, and is answered with a new one.
    fn end_holders(&mut self) {
        let holders = self.workers.iter().filter(|(_, worker)| worker.has_a_socket());
        let holders: Vec<WorkerId> = holders.map(|(id, _)| *id).collect();
        for id in holders {
            if self.workers.get(&id).is_some_and(Worker::is_wanted) {
                self.fail(id, Failure::HeldTooLong);
            }
            self.kill(id);
        }
        for worker in self.workers.values_mut() {
            worker.doors.retain(|_, door| matches!(door, Door::Asked(_)));
        }
    }

    /// While the service is down, a socket is there for a worker that may come to listen on it, and
    /// closes when that has gone.
    fn give_up_unneeded_listeners(&mut self) {
        let needed = |id: ListenerId| self.workers.values().any(|worker| worker.needs(id));
        let unneeded: Vec<ListenerId> =
            self.listeners.keys().copied().filter(|id| !needed(*id)).collect();
        for id in unneeded {
            self.give_up_listener(id);
        }
    }

    /// Closes a listener's sockets, and remembers it: whoever replaces a worker that served it must
    /// still open it. A socket that is being made is for a worker that still asks.
    fn give_up_listener(&mut self, id: ListenerId) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        let seats: Vec<Seat> =
            listener.members.keys().copied().filter(|seat| listener.is_open(*seat)).collect();
        listener.given_up |= !seats.is_empty();
        // A front is for no worker in particular; one that is being made closes when it is there.
        listener.members.retain(|seat, _| *seat != Seat::Front || seats.contains(seat));
        for seat in seats {
            self.close_member(Member { listener: id, seat });
        }
    }
}
