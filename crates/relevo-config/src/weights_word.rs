//! The words for how much each slot gets.

use std::fmt;
use std::str::FromStr;

use crate::InvalidValue;

/// The value of `--weights`: how the kernel shares new connections among the slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightsWord {
    /// Slots whose event loops are busier get fewer.
    #[default]
    Load,
    /// All get the same.
    Even,
}

impl WeightsWord {
    const fn word(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Even => "even",
        }
    }
}

impl FromStr for WeightsWord {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        [Self::Load, Self::Even].into_iter().find(|weights| weights.word() == text).ok_or_else(
            || {
                InvalidValue::new(
                    text,
                    "is not a way to weigh slots",
                    "use `load` or `even`".to_owned(),
                )
            },
        )
    }
}

impl fmt::Display for WeightsWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_and_others_are_refused() {
        for weights in [WeightsWord::Load, WeightsWord::Even] {
            assert_eq!(weights.to_string().parse(), Ok(weights));
        }
        let error = "equal".parse::<WeightsWord>().unwrap_err().to_string();
        assert!(error.ends_with("use `load` or `even`"), "{error}");
    }
}
