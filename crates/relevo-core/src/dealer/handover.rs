//! Connections that a worker gives away: whether they may come, and who gets them.
//!
//! ```text
//!   offered ──▶ credited ──▶ handed over ──▶ in flight ──▶ placed: the donor closes its copy
//!                                 │   ▲           │
//!                                 │   └───────────┘ not taken: the next one is asked
//!                                 ▼
//!                 given back to the donor when nobody is left to ask
//! ```
//!
//! A donor drains, or has more connections than the others (`rebalance.rs`). Until a connection is
//! placed its donor holds a copy, so that it is never the primary's alone. A worker can send a
//! descriptor at any time; what comes without credit is closed.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::hand::Hand;
use super::{Dealer, DealerAction, Held};
use crate::{ConnectionId, Generation, ListenerId, WorkerId};

/// How many connections of one donor may be credited or on their way, for each listener.
pub(super) const IN_TRANSIT: u32 = 128;
/// How many arrivals one worker may have in flight. They do not count among dealt ones: a new
/// connection waits behind them for as long as they take to be received, some 3 ms.
pub(super) const ARRIVALS: usize = 48;

/// Where a connection that was handed over comes from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) donor: WorkerId,
    /// Who did not take it.
    tried: BTreeSet<WorkerId>,
    /// The only generation that may have it, if it was given to make shares even: a new one may have begun since,
    /// and has yet to prove itself.
    within: Option<Generation>,
}

/// What each donor has to give, and may.
#[derive(Clone, Debug, Default)]
pub(super) struct Donors {
    by_listener: BTreeMap<(WorkerId, ListenerId), Donor>,
    /// What they gave and nobody has room for yet, oldest first.
    pub(super) waiting: BTreeMap<ListenerId, VecDeque<ConnectionId>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Donor {
    /// What it would give and has no credit for.
    offered: u32,
    /// What it may give and has not given.
    credit: u32,
    /// What it gave and nobody has taken yet.
    on_the_way: u32,
}

impl Donor {
    fn is_settled(self) -> bool {
        self.credit == 0 && self.on_the_way == 0
    }

    fn matters(self) -> bool {
        self.offered > 0 || !self.is_settled()
    }
}

/// Who is to have a connection that was handed over.
enum Taker {
    This(WorkerId),
    /// Somebody, when there is room.
    Later,
    Nobody,
}

impl Donors {
    /// Whether somebody has connections to give and no credit.
    pub(super) fn want_credit(&self) -> bool {
        self.by_listener.values().any(|donor| donor.offered > 0)
    }

    pub(super) fn is_settled(&self, donor: WorkerId, listener: ListenerId) -> bool {
        self.by_listener.get(&(donor, listener)).is_none_or(|donor| donor.is_settled())
    }

    pub(super) fn credit(&mut self, donor: WorkerId, listener: ListenerId, count: u32) {
        let donor = self.by_listener.entry((donor, listener)).or_default();
        donor.credit = donor.credit.saturating_add(count);
    }

    /// What is left of its credit is void.
    pub(super) fn void(&mut self, donor: WorkerId, listener: ListenerId) {
        self.change(donor, listener, |donor| (donor.offered, donor.credit) = (0, 0));
    }

    fn change(&mut self, donor: WorkerId, listener: ListenerId, how: impl FnOnce(&mut Donor)) {
        if let Some(known) = self.by_listener.get_mut(&(donor, listener)) {
            how(known);
            if !known.matters() {
                self.by_listener.remove(&(donor, listener));
            }
        }
    }

    /// A connection of the donor's is on its way no longer.
    fn arrived(&mut self, donor: WorkerId, listener: ListenerId) {
        self.change(donor, listener, |donor| {
            donor.on_the_way = donor.on_the_way.saturating_sub(1);
        });
    }

    fn gone(&mut self, worker: WorkerId) {
        self.by_listener.retain(|(donor, _), _| *donor != worker);
    }
}

impl Dealer {
    /// It may come before the word that the worker no longer serves.
    pub(super) fn offered(&mut self, worker: WorkerId, listener: ListenerId, count: u32) {
        if !self.workers.get(&worker).is_some_and(|hand| hand.hands_over) {
            return;
        }
        if !self.serves(worker, listener) {
            self.rebalance.drains(worker);
        }
        let key = (worker, listener);
        let donor = self.donors.by_listener.entry(key).or_default();
        donor.offered = count;
        if !donor.matters() {
            self.donors.by_listener.remove(&key);
        }
    }

    pub(super) fn handed_over(
        &mut self,
        connection: ConnectionId,
        donor: WorkerId,
        listener: ListenerId,
    ) {
        if self.held.contains_key(&connection) {
            return;
        }
        let known = self.donors.by_listener.get_mut(&(donor, listener));
        let Some(known) = known.filter(|known| known.credit > 0) else {
            self.actions.push(DealerAction::Lose { connection });
            return;
        };
        known.credit -= 1;
        known.on_the_way += 1;
        let evens = self.rebalance.is_asked(donor, listener);
        let within = self.workers.get(&donor).filter(|_| evens).map(|hand| hand.generation);
        let origin = Some(Origin { donor, tried: BTreeSet::new(), within });
        self.held.insert(connection, Held { listener, with: None, origin });
        self.donors.waiting.entry(listener).or_default().push_back(connection);
    }

    /// A connection has been placed, or given back: its donor may give another.
    pub(super) fn settle_origin(&mut self, held: &Held, placed: bool) {
        let Some(Origin { donor, .. }) = held.origin else { return };
        self.donors.arrived(donor, held.listener);
        if let Some(hand) = self.workers.get_mut(&donor).filter(|_| placed) {
            hand.gave += 1;
        }
    }

    /// Nobody can be given back what he gave; from now on it is dealt like any other.
    pub(super) fn donor_gone(&mut self, worker: WorkerId) {
        self.donors.gone(worker);
        for (connection, held) in &mut self.held {
            if held.origin.take_if(|origin| origin.donor == worker).is_none() {
                continue;
            }
            let queue = self.donors.waiting.get_mut(&held.listener);
            let at = queue.as_ref().and_then(|queue| queue.iter().position(|id| id == connection));
            if let (Some(queue), Some(at)) = (queue, at) {
                queue.remove(at);
                self.waiting.push_back(*connection);
            }
        }
    }

    /// The worker is not asked again for this connection.
    pub(super) fn note_refusal(&mut self, connection: ConnectionId, by: WorkerId) {
        if let Some(Held { origin: Some(origin), .. }) = self.held.get_mut(&connection) {
            origin.tried.insert(by);
        }
    }

    /// Gives connections that were handed over to somebody, or back, as far as there is room.
    pub(super) fn place_arrivals(&mut self) {
        let waiting: Vec<ListenerId> = self.donors.waiting.keys().copied().collect();
        for listener in waiting {
            while let Some(connection) = self.next_arrival(listener) {
                if !self.place_arrival(connection, listener) {
                    break;
                }
            }
        }
        self.donors.waiting.retain(|_, queue| !queue.is_empty());
    }

    fn next_arrival(&mut self, listener: ListenerId) -> Option<ConnectionId> {
        self.donors.waiting.get_mut(&listener)?.pop_front()
    }

    /// `false`: it waits on, and so will all that wait behind it.
    fn place_arrival(&mut self, connection: ConnectionId, listener: ListenerId) -> bool {
        let Some(Held { origin: Some(origin), .. }) = self.held.get(&connection) else {
            return true;
        };
        match self.taker(listener, origin) {
            Taker::This(worker) => {
                if let Some(held) = self.held.get_mut(&connection) {
                    held.with = Some(worker);
                }
                if let Some(hand) = self.workers.get_mut(&worker) {
                    hand.arrivals.push((connection, self.now));
                }
                self.actions.push(DealerAction::Give { connection, worker, listener });
                true
            }
            Taker::Later => {
                self.wait_again(connection);
                false
            }
            Taker::Nobody => {
                self.give_back(connection);
                true
            }
        }
    }

    pub(super) fn give_back(&mut self, connection: ConnectionId) {
        let Some(held) = self.held.remove(&connection) else { return };
        self.settle_origin(&held, false);
        if let Some(origin) = held.origin {
            self.actions.push(DealerAction::GiveBack { connection, worker: origin.donor });
        }
    }

    /// The one of the newest generation with the fewest connections; those of older ones only when all
    /// newer ones have been asked.
    fn taker(&self, listener: ListenerId, origin: &Origin) -> Taker {
        let asked = |id: &WorkerId| *id == origin.donor || origin.tried.contains(id);
        let may = |hand: &Hand| origin.within.is_none_or(|only| hand.generation == only);
        let left = || self.takers(listener).filter(|(id, hand)| !asked(id) && may(hand));
        let Some(newest) = left().map(|(_, hand)| hand.generation).max() else {
            return Taker::Nobody;
        };
        let of_newest = left().filter(|(_, hand)| hand.generation == newest);
        let chosen = of_newest
            .filter(|(id, hand)| self.has_room_for_arrivals(*id, hand))
            .min_by_key(|(id, hand)| (hand.connections_or_placed(), *id));
        chosen.map_or(Taker::Later, |(id, _)| Taker::This(id))
    }

    fn serves(&self, worker: WorkerId, listener: ListenerId) -> bool {
        self.workers.get(&worker).is_some_and(|hand| hand.listeners.contains(&listener))
    }

    /// Workers that serve the listener, and can treat an arrival as one.
    pub(super) fn takers(
        &self,
        listener: ListenerId,
    ) -> impl Iterator<Item = (WorkerId, &Hand)> + Clone {
        self.workers
            .iter()
            .filter(move |(_, hand)| hand.hands_over && hand.listeners.contains(&listener))
            .map(|(id, hand)| (*id, hand))
    }

    fn has_room_for_arrivals(&self, id: WorkerId, hand: &Hand) -> bool {
        hand.arrivals.len() < ARRIVALS && self.takes_arrivals(id, hand)
    }

    /// Whether it will have room soon, if it has none now.
    fn takes_arrivals(&self, id: WorkerId, hand: &Hand) -> bool {
        hand.shunned_until.is_none() && !self.steering.blocked().any(|blocked| blocked == id)
    }

    /// Gives credit to donors for as much as others have room for.
    pub(super) fn give_credit(&mut self) {
        if !self.donors.want_credit() {
            return;
        }
        let wishes: Vec<_> =
            self.donors.by_listener.iter().map(|(key, donor)| (*key, *donor)).collect();
        for ((worker, listener), donor) in wishes {
            if self.serves(worker, listener) {
                continue; // it is asked when it has too many
            }
            let room = IN_TRANSIT.saturating_sub(donor.credit.saturating_add(donor.on_the_way));
            let count = donor.offered.min(room);
            let somebody = || {
                let mut others = self.takers(listener).filter(|(id, _)| *id != worker);
                others.any(|(id, hand)| self.takes_arrivals(id, hand))
            };
            // Not one by one: each is a message.
            let worth_it = count == donor.offered || count >= IN_TRANSIT / 2;
            if count > 0 && worth_it && somebody() {
                self.donors.change(worker, listener, |donor| {
                    donor.offered -= count;
                    donor.credit += count;
                });
                self.actions.push(DealerAction::Credit { worker, listener, count });
            }
        }
    }
}
