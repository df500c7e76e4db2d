//! The words for which connections of a replaced worker are moved to others.

use std::fmt;
use std::str::FromStr;

use crate::InvalidValue;

/// The value of `--handover`: which idle connections of a worker that leaves are moved to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandoverWord {
    /// Those that remember nothing of what came before.
    #[default]
    Auto,
    /// Also those that the app has put something on.
    All,
    /// None.
    Off,
}

impl HandoverWord {
    const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::All => "all",
            Self::Off => "off",
        }
    }
}

impl FromStr for HandoverWord {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let known = [Self::Auto, Self::All, Self::Off].into_iter();
        let remedy = "use `auto`, `all` or `off`";
        { known }.find(|handover| handover.word() == text).ok_or_else(|| {
            InvalidValue::new(text, "does not say what may be handed over", remedy.to_owned())
        })
    }
}

impl fmt::Display for HandoverWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_and_others_are_refused() {
        for handover in [HandoverWord::Auto, HandoverWord::All, HandoverWord::Off] {
            assert_eq!(handover.to_string().parse(), Ok(handover));
        }
        let error = "some".parse::<HandoverWord>().unwrap_err().to_string();
        assert!(error.ends_with("use `auto`, `all` or `off`"), "{error}");
    }
}
