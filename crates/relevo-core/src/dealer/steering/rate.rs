//! How fast connections come, and whether dealing them is still worth its price.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Time;

/// The rate is counted in windows of this length.
pub(super) const WINDOW: Duration = Duration::from_millis(500);
/// How many windows are remembered.
const WINDOWS: usize = 10;
/// Up to this rate every connection is dealt, per second.
const DEALT_RATE: u32 = 1000;
/// How many connections beyond that rate are dealt all the same: a proxy that restarts opens its whole
/// pool at once.
const BUCKET: f64 = 4000.0;
/// For how many windows the rate must have been higher before dealing gives way.
const HIGH_FOR: usize = 4;
/// At this rate or below, dealing begins again; half of the other, so that it does not go to and fro.
const LOW_RATE: u32 = 500;
/// For how many windows the rate must have been low.
const LOW_FOR: usize = 10;

/// Counts arrivals.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    /// When the present window began; `None` before the first arrival.
    since: Option<Time>,
    current: u32,
    windows: VecDeque<Window>,
    /// How much of the bucket is used, and when that was so.
    bucket: (f64, Time),
}

/// A window that is over.
#[derive(Clone, Copy, Debug)]
struct Window {
    arrived: u32,
    /// How many connections were open at its end.
    open: u64,
}

impl Rate {
    /// Counts from now on, and forgets what was.
    pub(super) fn restart(&mut self, now: Time) {
        let bucket = self.bucket;
        *self = Self { since: Some(now), bucket, ..Self::default() };
    }

    /// A connection has arrived.
    pub(super) fn arrived(&mut self, now: Time) {
        self.current = self.current.saturating_add(1);
        let (level, then) = self.bucket;
        let leaked = now.since(then).as_secs_f64() * f64::from(DEALT_RATE);
        self.bucket = ((level - leaked).max(0.0) + 1.0, now);
        self.bucket.0 = self.bucket.0.min(BUCKET);
    }

    /// Whether a window is over, which is the moment to ask the other questions. `open` is how many
    /// connections are open now.
    pub(super) fn window_is_over(&mut self, now: Time, open: u64) -> bool {
        let since = *self.since.get_or_insert(now);
        let mut over = 0;
        let mut end = since + WINDOW;
        while end <= now && over <= WINDOWS {
            let arrived = std::mem::take(&mut self.current);
            self.windows.push_back(Window { arrived, open });
            over += 1;
            end = end + WINDOW;
        }
        if over == 0 {
            return false;
        }
        while self.windows.len() > WINDOWS {
            self.windows.pop_front();
        }
        self.since = Some(if end <= now { now } else { since + WINDOW * over as u32 });
        true
    }

    /// When the present window is over.
    pub(super) fn next_window(&self) -> Option<Time> {
        self.since.map(|since| since + WINDOW)
    }

    /// Whether so many keep coming, and go so soon, that dealing them costs more than it is worth.
    pub(super) fn is_too_high_to_deal(&self) -> bool {
        if self.windows.len() <= HIGH_FOR || self.bucket.0 < BUCKET - 1.0 {
            return false;
        }
        let recent: Vec<&Window> = self.windows.iter().rev().take(HIGH_FOR).collect();
        let limit = (DEALT_RATE as f64 * WINDOW.as_secs_f64()) as u32;
        if recent.iter().any(|window| window.arrived <= limit) {
            return false;
        }
        let before = self.windows[self.windows.len() - 1 - HIGH_FOR].open;
        let now = recent.first().map_or(0, |window| window.open);
        let arrived: u64 = recent.iter().map(|window| u64::from(window.arrived)).sum();
        let live_long = now.saturating_sub(before) * 2 >= arrived;
        !live_long
    }

    /// Whether so few come that dealing them is cheap; `share` is the part of them that is seen here.
    pub(super) fn is_low_enough_to_deal(&self, share: f64) -> bool {
        if self.windows.len() < LOW_FOR {
            return false;
        }
        let seen: u32 = self.windows.iter().rev().take(LOW_FOR).map(|window| window.arrived).sum();
        let period = WINDOW.as_secs_f64() * LOW_FOR as f64;
        f64::from(seen) / share <= f64::from(LOW_RATE) * period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many a second for so long, each gone at once or staying.
    fn come(rate: &mut Rate, from: f64, seconds: f64, per_second: u32, stay: bool) -> Vec<bool> {
        let mut verdicts = Vec::new();
        let count = (seconds * f64::from(per_second)) as u32;
        for n in 0..count {
            let at = from + f64::from(n) / f64::from(per_second);
            let now = Time::from_origin(Duration::from_secs_f64(at));
            let open = if stay { u64::from(n) } else { 0 };
            if rate.window_is_over(now, open) {
                verdicts.push(rate.is_too_high_to_deal());
            }
            rate.arrived(now);
        }
        verdicts
    }

    #[test]
    fn a_high_rate_that_lasts_is_too_high_after_two_seconds() {
        let verdicts = come(&mut Rate::default(), 0.0, 4.0, 8000, false);
        assert_eq!(verdicts.iter().position(|too_high| *too_high), Some(4), "{verdicts:?}");
    }

    #[test]
    fn just_above_the_limit_takes_as_long_as_the_bucket() {
        let verdicts = come(&mut Rate::default(), 0.0, 60.0, 1100, false);
        let seconds = verdicts.iter().position(|too_high| *too_high).unwrap() as f64 / 2.0;
        assert!((38.0..43.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn up_to_the_limit_all_are_dealt() {
        assert!(!come(&mut Rate::default(), 0.0, 60.0, 990, false).contains(&true));
    }

    #[test]
    fn what_stays_is_dealt_at_any_rate() {
        assert!(!come(&mut Rate::default(), 0.0, 10.0, 5000, true).contains(&true));
    }

    #[test]
    fn a_burst_is_dealt() {
        let mut rate = Rate::default();
        assert!(!come(&mut rate, 0.0, 0.5, 20_000, false).contains(&true));
        assert!(!come(&mut rate, 0.5, 5.0, 100, false).contains(&true));
    }

    #[test]
    fn a_low_rate_must_last_too() {
        let mut rate = Rate::default();
        rate.restart(Time::default());
        let share = 0.01;
        let mut low = Vec::new();
        for half in 1..=12_u64 {
            let now = Time::from_origin(WINDOW * half as u32);
            assert!(rate.window_is_over(now, 0));
            low.push(rate.is_low_enough_to_deal(share));
            // 400 a second, of which one in a hundred is seen.
            rate.arrived(now);
            rate.arrived(now);
        }
        assert_eq!(low.iter().position(|low| *low), Some(9));
    }

    #[test]
    fn a_long_silence_is_many_empty_windows() {
        let mut rate = Rate::default();
        let _ = come(&mut rate, 0.0, 5.0, 5000, false);
        let late = Time::from_origin(Duration::from_secs(3600));
        assert!(rate.window_is_over(late, 0));
        assert!(!rate.is_too_high_to_deal());
        assert!(rate.is_low_enough_to_deal(1.0));
        assert_eq!(rate.next_window(), Some(late + WINDOW));
    }
}
