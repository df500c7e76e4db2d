//! How many workers `relevo scale` is to bring: a number, or so many more or fewer.

use std::str::FromStr;

use relevo_core::Spec;

use crate::InvalidValue;

/// The argument of `relevo scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleTo {
    /// `4`
    Exactly(u32),
    /// `+2`
    More(u32),
    /// `-2`
    Fewer(u32),
}

impl FromStr for ScaleTo {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const REMEDY: &str =
            "give a whole number from 1 to 1024, or how many more (`+1`) or fewer (`-1`)";
        let make: fn(u32) -> Self = match text.as_bytes().first() {
            Some(b'+') => Self::More,
            Some(b'-') => Self::Fewer,
            Some(_) | None => Self::Exactly,
        };
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidValue::new(text, "is not a number of workers", REMEDY));
        }
        match digits.parse().ok().filter(|count| *count <= Spec::MAX_SLOTS).map(make) {
            Some(Self::Exactly(0)) => Err(InvalidValue::new(
                text,
                "workers would serve nobody",
                "to end the service, use `relevo stop`",
            )),
            Some(scale) => Ok(scale),
            None => Err(InvalidValue::new(text, "is more workers than a service can have", REMEDY)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<ScaleTo>().unwrap_err().to_string()
    }

    #[test]
    fn a_number_with_a_sign_is_a_difference() {
        for (text, scale) in [
            ("1", ScaleTo::Exactly(1)),
            ("1024", ScaleTo::Exactly(1024)),
            ("+2", ScaleTo::More(2)),
            ("-2", ScaleTo::Fewer(2)),
            ("+0", ScaleTo::More(0)),
        ] {
            assert_eq!(text.parse(), Ok(scale));
        }
    }

    #[test]
    fn nobody_is_scaled_to_nothing() {
        for text in ["0", "00"] {
            assert!(error(text).ends_with("use `relevo stop`"), "{}", error(text));
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_range() {
        for text in ["", "+", "-", "++1", "+-1", "1.5", "auto", "1025", "+1025", "-99999999999"] {
            assert!(error(text).contains("from 1 to 1024"), "{}", error(text));
        }
    }
}
