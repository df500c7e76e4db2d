//! One slot's share of new connections: that of a new worker which has to prove itself.
//!
//! In a group the kernel deals by weights, so its weight is made such. Where the primary deals, it counts:
//! each connection adds the share to what is due to the slot, and one that it gets takes a whole one away.

use std::collections::BTreeMap;

use super::hand::{Choice, Circle};
use crate::{ListenerId, Slot, WorkerId};

/// A whole connection, in the unit of what is due.
const WHOLE: i32 = 100;

/// So many of a hundred new connections are one slot's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) slot: Slot,
    /// From 1 to 99.
    pub(super) percent: u32,
}

impl Share {
    pub(super) fn new(slot: Slot, percent: u32) -> Self {
        Self { slot, percent: percent.clamp(1, 99) }
    }

    /// Gives the slot a weight that makes its share of the sum, where others have one as well.
    pub(super) fn weigh(self, weights: &mut BTreeMap<Slot, u32>) {
        let others = weights.iter().filter(|(slot, _)| **slot != self.slot);
        let others: u64 = others.map(|(_, weight)| u64::from(*weight)).sum();
        let Some(own) = weights.get_mut(&self.slot).filter(|own| **own > 0 && others > 0) else {
            return;
        };
        let share = others * u64::from(self.percent) / u64::from(100 - self.percent);
        *own = u32::try_from(share.max(1)).unwrap_or(u32::MAX);
    }
}

/// What the primary deals by a share.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    pub(super) share: Option<Share>,
    /// What is due to the slot, by listener.
    due: BTreeMap<ListenerId, i32>,
}

impl Counted {
    pub(super) fn set(&mut self, share: Option<Share>) {
        self.share = share;
        self.due.clear();
    }

    pub(super) fn forget(&mut self, listener: ListenerId) {
        self.due.remove(&listener);
    }

    /// Who is dealt the next connection of the listener; nobody, if it had better wait.
    pub(super) fn next(
        &self,
        listener: ListenerId,
        circle: &Circle<'_>,
        choice: Choice,
    ) -> Option<WorkerId> {
        let Some(share) = self.share else { return circle.next(choice) };
        let due = self.due.get(&listener).copied().unwrap_or(0) + share.percent as i32;
        let (own, others) = circle.parted(share.slot);
        if due >= WHOLE {
            // Whoever is too slow for its share does not hold up connections.
            own.next_live(choice).or_else(|| circle.next(choice))
        } else if others.somebody_lives() {
            others.next(choice)
        } else {
            circle.next(choice)
        }
    }

    /// A connection was dealt, to a worker of this slot.
    pub(super) fn dealt(&mut self, listener: ListenerId, to: Option<Slot>) {
        let Some(share) = self.share else { return };
        let due = self.due.entry(listener).or_insert(0);
        *due += share.percent as i32 - if to == Some(share.slot) { WHOLE } else { 0 };
        *due = (*due).clamp(-WHOLE, WHOLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighed(weights: [u32; 3], percent: u32) -> Vec<u32> {
        let mut weights: BTreeMap<Slot, u32> = (0..).map(Slot).zip(weights).collect();
        Share::new(Slot(0), percent).weigh(&mut weights);
        weights.into_values().collect()
    }

    #[test]
    fn a_weight_makes_the_share() {
        assert_eq!(weighed([1000, 1000, 1000], 10), [222, 1000, 1000]);
        assert_eq!(weighed([1000, 1000, 1000], 50), [2000, 1000, 1000]);
        assert_eq!(weighed([1000, 1000, 1000], 1), [20, 1000, 1000]);
        assert_eq!(weighed([1000, 4000, 250], 99), [420_750, 4000, 250]);
    }

    #[test]
    fn what_the_slot_gets_is_taken_from_what_is_due_to_it() {
        let (mut counted, listener) = (Counted::default(), ListenerId(1));
        counted.set(Some(Share::new(Slot(0), 10)));
        for _ in 0..9 {
            counted.dealt(listener, Some(Slot(1)));
        }
        assert_eq!(counted.due[&listener], 90);
        counted.dealt(listener, Some(Slot(0)));
        assert_eq!(counted.due[&listener], 0);
    }

    #[test]
    fn who_is_alone_or_gets_nothing_stays_so() {
        assert_eq!(weighed([1000, 0, 0], 10), [1000, 0, 0]);
        assert_eq!(weighed([0, 1000, 1000], 10), [0, 1000, 1000]);
        assert_eq!(weighed([1000, 1, 0], 1), [1, 1, 0]);
    }
}
