//! The one clock: everything else is handed the time.

use std::time::Instant;

use relevo_core::Time;

/// Counts from the primary's start (`CLOCK_MONOTONIC`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> Time {
        Time::from_origin(self.0.elapsed())
    }
}
