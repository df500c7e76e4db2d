//! A duration as a user writes it: `30s`, `500ms`, `1m30s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::InvalidValue;

/// The value of every option that is a time; at most [`Span::MAX`], to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// Largest first, the order in which they are written.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// The longest span: 7 days. Whoever needs more has most likely slipped in the unit.
    pub const MAX: Self = Self(Duration::from_secs(7 * 86_400));

    /// A span of whole seconds, for defaults.
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads a span that has to last: for waits which, at zero, nothing could pass.
    pub fn parse_positive(text: &str) -> Result<Self, InvalidValue> {
        let span: Self = text.parse()?;
        if span.0.is_zero() {
            return Err(InvalidValue::new(text, "leaves no time at all", "give some, as in `30s`"));
        }
        Ok(span)
    }

    /// The span as a duration.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let milliseconds = parse(text).map_err(|fault| fault.describe(text))?;
        let span = Self(Duration::from_millis(milliseconds));
        if span > Self::MAX { Err(Fault::TooLong.describe(text)) } else { Ok(span) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("0s");
        }
        let mut rest = self.0.as_millis();
        for (unit, size) in UNITS {
            let count = rest / u128::from(size);
            rest %= u128::from(size);
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

enum Fault {
    NotASpan,
    NoUnit,
    UnknownUnit(String),
    Fraction,
    Order,
    TooLong,
}

impl Fault {
    fn describe(self, text: &str) -> InvalidValue {
        const UNITS: &str = "use ms, s, m, h and d, as in `30s` or `1m30s`";
        match self {
            Self::NotASpan => InvalidValue::new(text, "is not a time", UNITS),
            // The text ends in digits here, so each of these is a value we would take.
            Self::NoUnit => InvalidValue::new(
                text,
                "has no unit",
                format!("write `{text}s` for seconds or `{text}ms` for milliseconds"),
            ),
            Self::UnknownUnit(unit) => {
                InvalidValue::new(text, format!("has the unknown unit `{unit}`"), UNITS)
            }
            Self::Fraction => {
                let remedy = "use a smaller unit, as in `1500ms` for one and a half seconds";
                InvalidValue::new(text, "has a fraction", remedy)
            }
            Self::Order => {
                let remedy = "write each unit once, the largest first, as in `1h30m`";
                InvalidValue::new(text, "has its units out of order", remedy)
            }
            Self::TooLong => InvalidValue::new(text, "is too long", "7d is the most"),
        }
    }
}

/// The milliseconds of `text`, which is a row of numbers with units.
fn parse(text: &str) -> Result<u64, Fault> {
    let mut total = 0_u64;
    let mut rest = text;
    let mut units = UNITS.iter();
    if rest.is_empty() {
        return Err(Fault::NotASpan);
    }
    while !rest.is_empty() {
        let (digits, after) = split_at_first(rest, |c| !c.is_ascii_digit());
        if digits.is_empty() {
            return Err(if rest.starts_with(['.', ',']) && rest.len() < text.len() {
                Fault::Fraction
            } else {
                Fault::NotASpan
            });
        }
        let (unit, after) = split_at_first(after, |c| !c.is_alphabetic() && c != 'µ');
        if unit.is_empty() {
            return Err(match after.chars().next() {
                None => Fault::NoUnit,
                Some('.' | ',') => Fault::Fraction,
                Some(_) => Fault::NotASpan,
            });
        }
        if !UNITS.iter().any(|(known, _)| *known == unit) {
            return Err(Fault::UnknownUnit(unit.to_owned()));
        }
        // Going on where the last unit was found refuses both repetition and disorder.
        let Some((_, size)) = units.by_ref().find(|(known, _)| *known == unit) else {
            return Err(Fault::Order);
        };
        let count: u64 = digits.parse().map_err(|_| Fault::TooLong)?;
        total = count
            .checked_mul(*size)
            .and_then(|part| total.checked_add(part))
            .ok_or(Fault::TooLong)?;
        rest = after;
    }
    Ok(total)
}

fn split_at_first(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Span>().unwrap_err().to_string()
    }

    #[test]
    fn spans_are_read_and_written() {
        let cases = [
            ("30s", 30_000, "30s"),
            ("500ms", 500, "500ms"),
            ("1m30s", 90_000, "1m30s"),
            ("2h", 7_200_000, "2h"),
            ("90s", 90_000, "1m30s"),
            ("1d2h3m4s5ms", 93_784_005, "1d2h3m4s5ms"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("7d", 604_800_000, "7d"),
        ];
        for (text, milliseconds, written) in cases {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.duration(), Duration::from_millis(milliseconds), "{text}");
            assert_eq!(span.to_string(), written);
        }
    }

    #[test]
    fn where_nothing_would_pass_zero_is_refused() {
        assert_eq!(Span::parse_positive("1ms").unwrap().duration(), Duration::from_millis(1));
        let error = Span::parse_positive("0s").unwrap_err().to_string();
        assert_eq!(error, "`0s` leaves no time at all: give some, as in `30s`");
    }

    #[test]
    fn a_bare_number_is_told_its_unit_is_missing() {
        assert_eq!(
            error("30"),
            "`30` has no unit: write `30s` for seconds or `30ms` for milliseconds"
        );
        assert!(error("1m30").contains("no unit"));
    }

    #[test]
    fn each_fault_is_named() {
        for text in ["", "abc", "-1s", "1 s", "s", "+5s", "5s ", "٣s"] {
            assert!(error(text).contains("is not a time"), "{text}: {}", error(text));
        }
        assert!(error("1.5s").contains("fraction"));
        assert!(error("1,5s").contains("fraction"));
        assert!(error("5sec").contains("unknown unit `sec`"));
        assert!(error("5S").contains("unknown unit `S`"));
        assert!(error("1s1m").contains("order"));
        assert!(error("1s1s").contains("order"));
        for text in ["8d", "7d1ms", "99999999999999999999s", "18446744073709551615d"] {
            assert!(error(text).contains("7d is the most"), "{text}");
        }
    }
}
