//! Randomness from a seed that is an argument: the same seed always gives the same decisions.

use std::time::Duration;

/// A splitmix64 generator. Good enough to spread retries; not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `duration`, give or take a quarter.
    pub(crate) fn jitter(&mut self, duration: Duration) -> Duration {
        let permille = 750 + (self.next() % 501) as u32;
        duration * permille / 1000
    }

    /// Between 90 % of `duration` and all of it.
    pub(crate) fn most_of(&mut self, duration: Duration) -> Duration {
        let permille = 900 + (self.next() % 101) as u32;
        duration / 1000 * permille
    }

    /// Between 90 % of `count` and all of it.
    pub(crate) fn most_of_count(&mut self, count: u64) -> u64 {
        count - (u128::from(count) * u128::from(self.next() % 101) / 1000) as u64
    }
}
