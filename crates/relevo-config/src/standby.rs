//! How many spare workers there are.

use std::fmt;
use std::str::FromStr;

use crate::InvalidValue;

/// The value of `--standby`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standby(u32);

impl Standby {
    /// More of them would cost more than what they are for.
    pub const MAX: u32 = 64;

    /// How many.
    pub const fn workers(self) -> u32 {
        self.0
    }
}

impl FromStr for Standby {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const REMEDY: &str = "give a whole number from 0 to 64";
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidValue::new(text, "is not a number of workers", REMEDY));
        }
        match text.parse::<u32>() {
            Ok(count) if count <= Self::MAX => Ok(Self(count)),
            Ok(_) | Err(_) => {
                Err(InvalidValue::new(text, "is more spare workers than there can be", REMEDY))
            }
        }
    }
}

impl fmt::Display for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_up_to_the_most() {
        for text in ["0", "1", "64"] {
            assert_eq!(text.parse::<Standby>().unwrap().to_string(), text);
        }
        for text in ["", "65", "-1", "+1", "auto", "1%"] {
            assert!(text.parse::<Standby>().is_err(), "{text}");
        }
    }
}
