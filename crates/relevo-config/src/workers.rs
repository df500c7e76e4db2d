//! How many workers: a number, or what the machine's or container's CPU quota gives.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use relevo_core::Spec;

use crate::InvalidValue;

/// The value of `--workers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Workers {
    /// As many as the CPU quota allows, see [`crate::cpu::workers_for`].
    #[default]
    Auto,
    /// This many; at most [`Spec::MAX_SLOTS`].
    Exactly(NonZeroU32),
}

impl Workers {
    /// The number of slots, where `auto` is what [`Workers::Auto`] comes to on this machine.
    pub const fn slots(self, auto: u32) -> u32 {
        match self {
            Self::Auto => auto,
            Self::Exactly(count) => count.get(),
        }
    }
}

impl FromStr for Workers {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const REMEDY: &str = "give a whole number from 1 to 1024, or `auto`";
        if text == "auto" {
            return Ok(Self::Auto);
        }
        // `u32::from_str` would take a sign, and `+2` is going to mean "two more" elsewhere.
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidValue::new(text, "is not a number of workers", REMEDY));
        }
        match text.parse::<u32>().ok().map(NonZeroU32::new) {
            Some(None) => Err(InvalidValue::new(text, "workers would serve nobody", REMEDY)),
            Some(Some(count)) if count.get() <= Spec::MAX_SLOTS => Ok(Self::Exactly(count)),
            Some(Some(_)) | None => {
                Err(InvalidValue::new(text, "is more workers than a service can have", REMEDY))
            }
        }
    }
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Exactly(count) => count.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Workers>().unwrap_err().to_string()
    }

    #[test]
    fn numbers_and_auto_are_taken() {
        assert_eq!("auto".parse(), Ok(Workers::Auto));
        for count in [1, 2, 1024] {
            let workers: Workers = count.to_string().parse().unwrap();
            assert_eq!(workers.slots(7), count);
            assert_eq!(workers.to_string(), count.to_string());
        }
        assert_eq!(Workers::Auto.slots(7), 7);
    }

    #[test]
    fn everything_else_is_refused_with_the_range() {
        for text in ["0", "00", "abc", "", "-1", "+1", "1.5", "1025", "99999999999999", "AUTO"] {
            assert!(error(text).ends_with("from 1 to 1024, or `auto`"), "{}", error(text));
        }
        assert!(error("0").starts_with("`0` workers would serve nobody"));
        assert!(error("1025").contains("more workers than"));
    }
}
