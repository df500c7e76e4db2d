//! `--reload-at`: reloads by the clock on the wall.
//!
//! The time is an argument. The next look at the clock is when a reload is due, and an hour from now at the latest, since
//! clocks are set, time zones change, and machines sleep.

use std::time::Duration;

use jiff::Zoned;
use relevo_config::ReloadAt;
use relevo_core::Time;

/// After how long the clock is looked at in any case.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// When to reload, and when to look at the clock.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    times: Vec<ReloadAt>,
    next: Option<Next>,
    look_at: Option<Time>,
}

#[derive(Debug)]
struct Next {
    at: Zoned,
    of: ReloadAt,
}

impl Schedule {
    /// These times count from now on. The clock is looked at only if there are any: local time needs the machine's
    /// whole list of time zones, 600 files and 150 KiB that most services have no use for.
    pub(crate) fn set(&mut self, times: &[ReloadAt], now: Time, clock: impl FnOnce() -> Zoned) {
        if self.times == times {
            return;
        }
        self.times = times.to_vec();
        if times.is_empty() {
            (self.next, self.look_at) = (None, None);
        } else {
            self.plan(now, &clock());
        }
    }

    /// When [`Schedule::look`] is to be asked.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.look_at
    }

    /// When the next reload is due.
    pub(crate) fn next(&self) -> Option<&Zoned> {
        self.next.as_ref().map(|next| &next.at)
    }

    /// Looks at the clock. Where a reload is due, that by which expression; several that are overdue are one.
    pub(crate) fn look(&mut self, now: Time, clock: &Zoned) -> Option<ReloadAt> {
        self.look_at.filter(|at| *at <= now)?;
        let due = self.next.take().filter(|next| next.at <= *clock);
        self.plan(now, clock);
        due.map(|next| next.of)
    }

    fn plan(&mut self, now: Time, clock: &Zoned) {
        let next = |of: &ReloadAt| Some(Next { at: of.next_after(clock)?, of: of.clone() });
        self.next = self.times.iter().filter_map(next).min_by(|a, b| a.at.cmp(&b.at));
        self.look_at = self.next.as_ref().map(|next| {
            let left = Duration::try_from(clock.duration_until(&next.at)).unwrap_or_default();
            // Not too soon for the clock to have come there.
            now + left.clamp(Duration::from_millis(1), LOOK_AGAIN)
        });
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;

    use super::*;

    fn clock(civil: &str) -> Zoned {
        let civil: DateTime = civil.parse().expect("a civil time");
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a time zone");
        civil.to_zoned(zone).expect("a moment")
    }

    fn after(seconds: u64) -> Time {
        Time::from_origin(Duration::from_secs(seconds))
    }

    fn schedule(times: &[&str], now: &str) -> Schedule {
        let times: Vec<ReloadAt> =
            times.iter().map(|text| text.parse().expect("an expression")).collect();
        let mut schedule = Schedule::default();
        schedule.set(&times, after(0), || clock(now));
        schedule
    }

    fn next(schedule: &Schedule) -> String {
        schedule.next().map_or_else(|| "-".to_owned(), |at| at.strftime("%F %H:%M").to_string())
    }

    #[test]
    fn nothing_is_looked_at_without_a_schedule() {
        let schedule = schedule(&[], "2026-11-27T12:00:00");
        assert_eq!((schedule.deadline(), next(&schedule).as_str()), (None, "-"));
    }

    #[test]
    fn a_reload_is_due_at_its_time_and_once() {
        let mut s = schedule(&["30 12 * * *", "0 13 * * *"], "2026-11-27T12:00:00");
        assert_eq!((s.deadline(), next(&s).as_str()), (Some(after(1800)), "2026-11-27 12:30"));
        assert_eq!(s.look(after(1799), &clock("2026-11-27T12:29:59")), None);
        let due = s.look(after(1800), &clock("2026-11-27T12:30:00"));
        assert_eq!(due.expect("it is due").to_string(), "30 12 * * *");
        assert_eq!((s.deadline(), next(&s).as_str()), (Some(after(3600)), "2026-11-27 13:00"));
        assert_eq!(s.look(after(1801), &clock("2026-11-27T12:30:01")), None);
    }

    #[test]
    fn the_clock_is_looked_at_every_hour() {
        let mut s = schedule(&["0 3 * * *"], "2026-11-27T12:00:00");
        assert_eq!(s.deadline(), Some(after(3600)));
        assert_eq!(s.look(after(3600), &clock("2026-11-27T13:00:00")), None);
        assert_eq!(s.deadline(), Some(after(7200)));
    }

    #[test]
    fn a_clock_that_leaps_over_several_times_makes_one_reload() {
        let mut s = schedule(&["*/5 * * * *"], "2026-11-27T12:01:00");
        assert!(s.look(after(240), &clock("2026-11-27T18:02:00")).is_some());
        assert_eq!((s.deadline(), next(&s).as_str()), (Some(after(420)), "2026-11-27 18:05"));
    }

    #[test]
    fn a_clock_that_is_set_back_is_believed() {
        let mut s = schedule(&["0 13 * * *"], "2026-11-27T12:30:00");
        assert_eq!(s.look(after(1800), &clock("2026-11-27T09:00:00")), None);
        assert_eq!((s.deadline(), next(&s).as_str()), (Some(after(5400)), "2026-11-27 13:00"));
        assert_eq!(s.look(after(1900), &clock("2026-11-27T13:00:00")), None);
    }

    #[test]
    fn the_hour_that_is_left_out_in_spring_is_waited_for_exactly() {
        let s = schedule(&["30 2 * * *"], "2026-03-29T01:30:00");
        assert_eq!((s.deadline(), next(&s).as_str()), (Some(after(1800)), "2026-03-29 03:00"));
    }

    #[test]
    fn the_same_times_change_nothing() {
        let mut s = schedule(&["0 13 * * *"], "2026-11-27T12:30:00");
        let same = s.times.clone();
        s.set(&same, after(60), || clock("2026-11-27T12:31:00"));
        assert_eq!(s.deadline(), Some(after(1800)));
        s.set(&[], after(60), || panic!("nobody needs it"));
        assert_eq!((s.deadline(), next(&s).as_str()), (None, "-"));
    }
}
