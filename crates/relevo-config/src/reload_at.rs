//! The value of `--reload-at`: a cron expression of five fields, in local time.

use std::fmt;
use std::str::FromStr;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;

use crate::InvalidValue;

/// The fields in their order, and what each may be.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12 or jan to dec"),
    ("day of the week", "0 to 7 or sun to sat, 0 and 7 being Sunday"),
];

/// The times at which a service reloads by itself, to the minute.
#[derive(Clone)]
pub struct ReloadAt {
    text: String,
    cron: Cron,
}

impl ReloadAt {
    /// The first of them after `now`, in its time zone. Where clocks are set forward over it, the first
    /// moment after the gap; where an hour comes twice, an expression with a fixed minute and hour means
    /// the first of the two.
    pub fn next_after(&self, now: &Zoned) -> Option<Zoned> {
        self.cron.find_next_occurrence(now, false).ok()
    }
}

impl FromStr for ReloadAt {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            let reason = format!("has {} of the 5 fields of a time to reload at", fields.len());
            let remedy = "give minute, hour, day of the month, month and day of the week, as in `30 4 * * *` for half past four each night";
            return Err(InvalidValue::new(text, reason, remedy));
        }
        let text = fields.join(" ");
        let Ok(cron) = parse(&text) else { return Err(wrong_field(&text, &fields)) };
        let parsed = Self { text, cron };
        if parsed.next_after(&some_moment()).is_none() {
            let remedy = "name a day that the calendar has";
            return Err(InvalidValue::new(&parsed.text, "is a time that never comes", remedy));
        }
        Ok(parsed)
    }
}

fn parse(text: &str) -> Result<Cron, croner::errors::CronError> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text)
}

/// Which field is wrong: the first that cannot be read among fields that say nothing.
fn wrong_field(text: &str, fields: &[&str]) -> InvalidValue {
    for (index, (field, (name, range))) in fields.iter().zip(FIELDS).enumerate() {
        let mut alone = ["*"; FIELDS.len()];
        alone[index] = field;
        if parse(&alone.join(" ")).is_err() {
            let field = crate::invalid_value::shown(field, 40);
            let place = index + 1;
            let reason =
                format!("is no time to reload at: field {place}, the {name}, is `{field}`");
            let remedy = format!(
                "it takes {range}, ranges such as `1-5`, lists such as `1,15`, steps such as `*/10`, or `*`"
            );
            return InvalidValue::new(text, reason, remedy);
        }
    }
    InvalidValue::new(text, "is no time to reload at", "write it as in `30 4 * * *`")
}

/// Any moment: every day that the calendar has comes after it.
fn some_moment() -> Zoned {
    jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC)
}

impl fmt::Display for ReloadAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ReloadAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReloadAt({})", self.text)
    }
}

impl PartialEq for ReloadAt {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ReloadAt {}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    /// The next times after a civil one in Central Europe.
    fn after(expression: &str, civil: &str, count: usize) -> Vec<String> {
        let expression: ReloadAt = expression.parse().unwrap();
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let civil: jiff::civil::DateTime = civil.parse().unwrap();
        let mut now = civil.to_zoned(zone).unwrap();
        let mut all = Vec::new();
        for _ in 0..count {
            now = expression.next_after(&now).unwrap();
            all.push(now.strftime("%F %H:%M %Z").to_string());
        }
        all
    }

    #[test]
    fn the_next_time_is_after_now() {
        assert_eq!(after("30 4 * * *", "2026-11-27T04:30:00", 1), ["2026-11-28 04:30 CET"]);
        assert_eq!(after("30 4 * * *", "2026-11-27T04:29:59", 1), ["2026-11-27 04:30 CET"]);
        assert_eq!(
            after("*/20 8-9 * * mon-fri", "2026-11-27T09:15:00", 3),
            ["2026-11-27 09:20 CET", "2026-11-27 09:40 CET", "2026-11-30 08:00 CET"]
        );
        assert_eq!(after("0 0 29 2 *", "2026-11-27T00:00:00", 1), ["2028-02-29 00:00 CET"]);
        assert_eq!(after("0 0 * * 7", "2026-11-27T00:00:00", 1), ["2026-11-29 00:00 CET"]);
    }

    #[test]
    fn a_time_that_clocks_leap_over_comes_right_after_the_leap() {
        assert_eq!(
            after("30 2 * * *", "2026-03-28T12:00:00", 2),
            ["2026-03-29 03:00 CEST", "2026-03-30 02:30 CEST"]
        );
        assert_eq!(
            after("0 * * * *", "2026-03-29T00:30:00", 3),
            ["2026-03-29 01:00 CET", "2026-03-29 03:00 CEST", "2026-03-29 04:00 CEST"]
        );
    }

    #[test]
    fn a_time_that_comes_twice_counts_once() {
        assert_eq!(
            after("30 2 * * *", "2026-10-24T12:00:00", 2),
            ["2026-10-25 02:30 CEST", "2026-10-26 02:30 CET"]
        );
    }

    #[track_caller]
    fn refused(text: &str, words: &[&str]) {
        let error = text.parse::<ReloadAt>().unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        refused("61 * * * *", &["field 1, the minute, is `61`", "0 to 59"]);
        refused("0 24 * * *", &["field 2, the hour, is `24`"]);
        refused("0 0 0 * *", &["field 3, the day of the month, is `0`"]);
        refused("0 0 1 foo *", &["field 4, the month, is `foo`"]);
        refused("0 0 * * 9-5", &["field 5, the day of the week, is `9-5`"]);
        refused("5 4 * *", &["has 4 of the 5 fields"]);
        refused("0 5 4 * * *", &["has 6 of the 5 fields"]);
        refused("@daily", &["has 1 of the 5 fields", "30 4 * * *"]);
        refused("", &["has 0 of the 5 fields"]);
        refused("0 0 30 2 *", &["never comes"]);
    }

    #[test]
    fn it_is_shown_as_it_would_be_written() {
        let parsed: ReloadAt = " 0  3 *\t* * ".parse().unwrap();
        assert_eq!(parsed.to_string(), "0 3 * * *");
        assert_eq!(parsed, "0 3 * * *".parse().unwrap());
    }
}
