//! The words for who gets a new connection.

use std::fmt;
use std::str::FromStr;

use relevo_core::Balance;

use crate::InvalidValue;

/// The value of `--balance`: one of [`Balance`]'s words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceWord(Balance);

impl BalanceWord {
    /// Every word, in the order help and errors list them.
    pub const ALL: [Self; 5] = [
        Self(Balance::Auto),
        Self(Balance::Kernel),
        Self(Balance::LeastConnections),
        Self(Balance::RoundRobin),
        Self(Balance::Shared),
    ];

    /// What the word means.
    pub const fn balance(self) -> Balance {
        self.0
    }
}

impl Default for BalanceWord {
    fn default() -> Self {
        Self(Balance::Auto)
    }
}

impl FromStr for BalanceWord {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::ALL.into_iter().find(|word| word.0.word() == text).ok_or_else(|| {
            let known = Self::ALL.map(|word| format!("`{word}`")).join(", ");
            InvalidValue::new(text, "is not a way to balance", format!("use one of {known}"))
        })
    }
}

impl fmt::Display for BalanceWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_cores() {
        for word in BalanceWord::ALL {
            assert_eq!(word.to_string().parse(), Ok(word));
        }
        assert_eq!("round-robin".parse::<BalanceWord>().unwrap().balance(), Balance::RoundRobin);
    }

    #[test]
    fn others_are_refused_with_the_known_ones() {
        for text in ["Auto", "least_connections", "Kernel", "", "round_robin"] {
            let error = text.parse::<BalanceWord>().unwrap_err().to_string();
            let known = "`auto`, `kernel`, `least-connections`, `round-robin`, `shared`";
            assert!(error.ends_with(&format!("use one of {known}")), "{error}");
        }
    }
}
