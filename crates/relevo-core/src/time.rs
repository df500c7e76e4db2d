//! Time as the core sees it: an argument, never a clock.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A moment on a clock that never goes back, counted from an origin the shell chose.
///
/// The core only compares moments and adds durations to them. A moment earlier than the last one
/// it saw is treated as "no time has passed".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The moment `since_origin` after the clock's origin.
    pub const fn from_origin(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// How long after the clock's origin this moment lies.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// How long after `earlier` this moment lies; zero if it does not.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.0.as_secs_f64())
    }
}
