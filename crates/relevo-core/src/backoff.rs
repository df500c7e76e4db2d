//! How long to wait before a crashed worker is started again.

use std::time::Duration;

use crate::Time;
use crate::random::Random;

/// The delay before the second try in a row; each further one doubles it.
const BASE: Duration = Duration::from_millis(200);
/// The longest delay. Relevo never gives up, and never waits longer than this between tries.
const CAP: Duration = Duration::from_secs(30);
/// A worker that was ready for so long has shown that its code works: the next crash is a first one.
const STEADY: Duration = Duration::from_secs(10);

/// The crashes of one slot in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    in_a_row: u32,
}

impl Backoff {
    /// How long to wait after this crash: not at all the first time, then 200 ms, 400 ms, … 30 s,
    /// each give or take a quarter so that slots do not crash in step.
    pub(crate) fn after_crash(
        &mut self,
        now: Time,
        ready_since: Option<Time>,
        random: &mut Random,
    ) -> Duration {
        if ready_since.is_some_and(|since| now.since(since) >= STEADY) {
            self.in_a_row = 0;
        }
        let delay = match self.in_a_row {
            0 => Duration::ZERO,
            n => random.jitter(BASE.saturating_mul(1 << (n - 1).min(16)).min(CAP)).min(CAP),
        };
        self.in_a_row = self.in_a_row.saturating_add(1);
        delay
    }

    /// How many there were.
    pub(crate) fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// Forgets the crashes: the code may have changed.
    pub(crate) fn reset(&mut self) {
        self.in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_from_nothing_to_the_cap_and_stays_there() {
        let mut backoff = Backoff::default();
        let mut random = Random::new(7);
        let delays: Vec<Duration> =
            (0..40).map(|_| backoff.after_crash(Time::default(), None, &mut random)).collect();
        assert_eq!(delays[0], Duration::ZERO);
        for (i, pair) in delays[1..8].windows(2).enumerate() {
            assert!(pair[0] < pair[1], "delay {} does not grow: {pair:?}", i + 1);
        }
        assert!(delays[10..].iter().all(|d| *d >= CAP * 3 / 4 && *d <= CAP), "{delays:?}");
    }

    #[test]
    fn a_worker_that_lived_long_enough_is_replaced_at_once() {
        let mut backoff = Backoff::default();
        let mut random = Random::new(7);
        for _ in 0..5 {
            backoff.after_crash(Time::default(), None, &mut random);
        }
        let later = Time::default() + STEADY;
        assert_eq!(backoff.after_crash(later, Some(Time::default()), &mut random), Duration::ZERO);
        assert!(backoff.after_crash(later, Some(later), &mut random) > Duration::ZERO);
    }

    #[test]
    fn slots_with_different_seeds_do_not_crash_in_step() {
        let second = |seed| {
            let (mut backoff, mut random) = (Backoff::default(), Random::new(seed));
            backoff.after_crash(Time::default(), None, &mut random);
            backoff.after_crash(Time::default(), None, &mut random)
        };
        assert_ne!(second(1), second(2));
    }
}
