//! Whether connections go where the weights send them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Seat, Time};

/// After the weights were changed, connections whose handshake had begun may still come as before.
const SETTLE: Duration = Duration::from_secs(1);
/// After how many connections counting begins anew, so that what begins late is noticed too.
const ENOUGH: u64 = 1000;
/// How many standard deviations are chance.
const DEVIATIONS: f64 = 6.0;
/// How many connections may be wrong in any case: late handshakes, what waited in a queue.
const SLACK: f64 = 16.0;

/// Counts what arrived at each socket of a group since its weights were set.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares {
    from: Time,
    arrived: BTreeMap<Seat, u64>,
}

impl Shares {
    /// The weights are new.
    pub(super) fn restart(&mut self, now: Time) {
        *self = Self { from: now + SETTLE, arrived: BTreeMap::new() };
    }

    pub(super) fn arrived(&mut self, seat: Seat, count: u64, now: Time) {
        if now >= self.from {
            let arrived = self.arrived.entry(seat).or_default();
            *arrived = arrived.saturating_add(count);
        }
    }

    /// Whether this is more than chance can explain.
    pub(super) fn contradict(&mut self, weights: &BTreeMap<Seat, u32>) -> bool {
        let total = self.arrived.values().fold(0, |sum: u64, n| sum.saturating_add(*n));
        let sum: f64 = weights.values().map(|weight| f64::from(*weight)).sum();
        if sum <= 0.0 {
            return false;
        }
        let wrong = weights.iter().any(|(seat, weight)| {
            let arrived = self.arrived.get(seat).copied().unwrap_or(0) as f64;
            let (share, n) = (f64::from(*weight) / sum, total as f64);
            let chance = DEVIATIONS * (n * share * (1.0 - share)).sqrt() + SLACK;
            (arrived - n * share).abs() > chance
        });
        if wrong || total >= ENOUGH {
            self.arrived.clear();
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Slot;

    const LATER: Time = Time::from_origin(Duration::from_secs(10));

    fn two(first: u32, second: u32) -> BTreeMap<Seat, u32> {
        BTreeMap::from([(Seat::Slot(Slot(0)), first), (Seat::Slot(Slot(1)), second)])
    }

    fn after(first: u64, second: u64, weights: &BTreeMap<Seat, u32>) -> bool {
        let mut shares = Shares::default();
        shares.restart(Time::default());
        shares.arrived(Seat::Slot(Slot(0)), first, LATER);
        shares.arrived(Seat::Slot(Slot(1)), second, LATER);
        shares.contradict(weights)
    }

    #[test]
    fn chance_is_no_contradiction() {
        assert!(!after(0, 0, &two(1, 1)));
        assert!(!after(470, 530, &two(1, 1)));
        assert!(!after(8, 0, &two(0, 1)));
    }

    #[test]
    fn a_program_of_somebody_else_is() {
        assert!(after(100, 0, &two(1, 1)));
        assert!(after(17, 0, &two(0, 1)));
        assert!(after(500, 500, &two(99, 1)));
    }

    #[test]
    fn what_was_under_way_does_not_count() {
        let mut shares = Shares::default();
        shares.restart(LATER);
        shares.arrived(Seat::Slot(Slot(0)), 1000, LATER);
        assert!(!shares.contradict(&two(0, 1)));
    }
}
