//! How many new workers come at once: a number, or a part of all.

use std::fmt;
use std::str::FromStr;

use relevo_core::{Spec, Surge};

use crate::InvalidValue;

/// The value of `--surge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SurgeWord(Surge);

impl SurgeWord {
    /// What the core takes.
    pub const fn surge(self) -> Surge {
        self.0
    }
}

impl Default for SurgeWord {
    fn default() -> Self {
        Self(Surge::Workers(1))
    }
}

impl FromStr for SurgeWord {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const REMEDY: &str = "give a whole number from 1 to 1024, or a part of all from 1% to 100%";
        let wrong = |why| InvalidValue::new(text, why, REMEDY);
        let (digits, is_part) = match text.strip_suffix('%') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong("is not a number of workers"));
        }
        let most = if is_part { 100 } else { Spec::MAX_SLOTS };
        match digits.parse::<u32>() {
            Ok(0) => Err(wrong("would replace nobody")),
            Ok(count) if count <= most && is_part => Ok(Self(Surge::Percent(count))),
            Ok(count) if count <= most => Ok(Self(Surge::Workers(count))),
            Ok(_) | Err(_) => Err(wrong("is more than there can be")),
        }
    }
}

impl fmt::Display for SurgeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Surge::Workers(count) => count.fmt(f),
            Surge::Percent(part) => write!(f, "{part}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_parts_are_read_and_shown() {
        for text in ["1", "7", "1024", "1%", "25%", "100%"] {
            let surge: SurgeWord = text.parse().unwrap();
            assert_eq!(surge.to_string(), text);
        }
        assert_eq!("25%".parse::<SurgeWord>().unwrap().surge().workers(5), 2);
        assert_eq!(SurgeWord::default().to_string(), "1");
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "0", "0%", "%", "-1", "+1", "1.5", "1025", "101%", "1 %", "many"] {
            assert!(text.parse::<SurgeWord>().is_err(), "{text}");
        }
    }
}
