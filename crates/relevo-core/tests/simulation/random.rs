//! Chance from a seed.

use std::time::Duration;

use relevo_core::{Cause, RequestId};

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A time below so many milliseconds.
    pub(crate) fn millis(&mut self, end: u64) -> Duration {
        Duration::from_micros(self.below(end * 1000))
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len() as u64) as usize]) }
    }
}

/// What a wish for a rollout comes from: any of the causes, without another throw of the dice.
pub(crate) fn cause_of(request: Option<RequestId>) -> Cause {
    match request.map(|RequestId(number)| number % 5) {
        Some(0) => Cause::Command,
        Some(1) => Cause::Watch,
        Some(2) => Cause::Terminal,
        Some(3) => Cause::Schedule,
        Some(_) | None => Cause::Signal,
    }
}
