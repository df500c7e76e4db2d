//! After how many requests a worker is replaced.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use crate::InvalidValue;

/// The value of `--max-requests`: 1 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimit(NonZeroU64);

impl RequestLimit {
    /// The most that an agent, which counts in JavaScript, can count to.
    const MAX: u64 = (1 << 53) - 1;

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl FromStr for RequestLimit {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|number: &NonZeroU64| number.get() <= Self::MAX);
        number.filter(|_| digits).map(Self).ok_or_else(|| {
            InvalidValue::new(
                text,
                "is not a number of requests",
                "give a whole number from 1 on, as in `100000`",
            )
        })
    }
}

impl fmt::Display for RequestLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_from_one_on() {
        for (text, number) in [("1", 1), ("100000", 100_000), ("9007199254740991", (1 << 53) - 1)] {
            assert_eq!(text.parse::<RequestLimit>().unwrap().get(), number);
        }
        for text in ["0", "-1", "+1", "", "many", "1e6", "1.5", "9007199254740992"] {
            let error = text.parse::<RequestLimit>().unwrap_err().to_string();
            assert!(error.contains("give a whole number from 1 on"), "{error}");
        }
    }
}
