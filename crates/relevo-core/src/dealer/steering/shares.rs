//! Whether connections go where the weights send them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Seat, Time};

/// After a great change of the weights, connections whose handshake had begun, or that wait in a queue,
/// still come as before.
const SETTLE: Duration = Duration::from_secs(3);
/// What is a great change, in parts of all connections.
const GREAT: f64 = 0.1;
/// After how many connections counting begins anew, so that what begins late is noticed too.
const ENOUGH: f64 = 1000.0;
/// How many standard deviations are chance.
const DEVIATIONS: f64 = 6.0;
/// How many connections may be wrong in any case.
const SLACK: f64 = 16.0;

/// Compares what arrives at each socket of a group with what should.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares {
    /// Counting begins then.
    from: Time,
    share: BTreeMap<Seat, f64>,
    counts: BTreeMap<Seat, Count>,
    total: f64,
    /// The most that was told of at once. Workers tell every now and then, each in its turn, so that as
    /// many may have arrived somewhere and are not told of yet.
    largest: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    arrived: f64,
    expected: f64,
    variance: f64,
}

impl Shares {
    /// These are the weights from now on.
    pub(super) fn set(&mut self, weights: &BTreeMap<Seat, u32>, now: Time) {
        let sum: f64 = weights.values().map(|weight| f64::from(*weight)).sum();
        let share = |weight: u32| if sum > 0.0 { f64::from(weight) / sum } else { 0.0 };
        let new: BTreeMap<Seat, f64> =
            weights.iter().map(|(seat, weight)| (*seat, share(*weight))).collect();
        let great = self.share.len() != new.len()
            || new.iter().any(|(seat, share)| {
                let before = self.share.get(seat).copied().unwrap_or(-1.0);
                (share - before).abs() > GREAT || (*share > 0.0) != (before > 0.0)
            });
        self.share = new;
        if great {
            self.restart(now);
        }
    }

    /// What was is forgotten, and what comes soon does not count.
    pub(super) fn restart(&mut self, now: Time) {
        self.from = now + SETTLE;
        self.forget();
    }

    fn forget(&mut self) {
        self.counts.clear();
        self.total = 0.0;
        self.largest = 0.0;
    }

    pub(super) fn arrived(&mut self, seat: Seat, count: u64, now: Time) {
        if now < self.from || count == 0 {
            return;
        }
        let n = count as f64;
        self.total += n;
        self.largest = self.largest.max(n);
        for (other, share) in &self.share {
            let count = self.counts.entry(*other).or_default();
            count.expected += n * share;
            count.variance += n * share * (1.0 - share);
        }
        self.counts.entry(seat).or_default().arrived += n;
    }

    /// Whether this is more than chance can explain; `waiting` is the most that waits in a queue and
    /// has not been told of for that reason.
    pub(super) fn contradict(&mut self, waiting: u32) -> bool {
        let untold = self.largest + f64::from(waiting);
        let sockets = self.share.len() as f64;
        let wrong = self.counts.iter().any(|(seat, count)| {
            let share = self.share.get(seat).copied().unwrap_or(0.0);
            let chance = DEVIATIONS * count.variance.sqrt() + SLACK;
            // Too few, as its own are not told of, or too many, as those of all others are not.
            let late = if count.arrived < count.expected { 1.0 } else { share * sockets };
            (count.arrived - count.expected).abs() > chance + late * untold
        });
        if wrong || self.total >= ENOUGH {
            self.forget();
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

    fn come(shares: &mut Shares, first: u64, second: u64, now: Time) {
        shares.arrived(Seat::Slot(Slot(0)), first, now);
        shares.arrived(Seat::Slot(Slot(1)), second, now);
    }

    fn after(first: u64, second: u64, weights: &BTreeMap<Seat, u32>) -> bool {
        let mut shares = Shares::default();
        shares.set(weights, Time::default());
        for _ in 0..first {
            come(&mut shares, 1, 0, LATER);
        }
        for _ in 0..second {
            come(&mut shares, 0, 1, LATER);
        }
        shares.contradict(0)
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
        shares.set(&two(0, 1), LATER);
        come(&mut shares, 1000, 0, LATER);
        assert!(!shares.contradict(0));
    }

    /// At 15,000 a second two workers tell of 750 each, every 100 ms and not at the same moment.
    #[test]
    fn what_is_not_told_of_yet_is_no_contradiction() {
        for (told_later, waiting, is_wrong) in [(1, 0, false), (2, 750, false), (4, 0, true)] {
            let mut shares = Shares::default();
            shares.set(&two(1, 1), Time::default());
            for report in 0..10 {
                come(&mut shares, 750, if report >= told_later { 750 } else { 0 }, LATER);
            }
            let wrong = shares.contradict(waiting);
            assert_eq!(wrong, is_wrong, "{told_later} later, {waiting} in the queue");
        }
    }

    #[test]
    fn small_changes_of_the_weights_do_not_hide_a_foreign_program() {
        let mut shares = Shares::default();
        shares.set(&two(100, 100), Time::default());
        for second in 0..20 {
            let now = LATER + Duration::from_secs(second);
            shares.set(&two(100 + second as u32, 100), now);
            come(&mut shares, 10, 0, now);
        }
        assert!(shares.contradict(0));
    }
}
