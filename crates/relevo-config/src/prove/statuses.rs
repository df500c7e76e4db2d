//! Which statuses are right answers.

use std::str::FromStr;

use crate::InvalidValue;

/// The value of `--expect`: `200,304`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<u16>);

impl Statuses {
    /// Whether this one is among them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}

impl FromStr for Statuses {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let parse = |word: &str| word.trim().parse().ok().filter(|code| (200..=599).contains(code));
        let codes = text.split(',').map(parse).collect::<Option<Vec<u16>>>();
        codes.map(Self).ok_or_else(|| {
            let remedy = "write statuses from 200 to 599, as in `200,304`";
            InvalidValue::new(text, "is no list of HTTP statuses", remedy)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_statuses() {
        let statuses: Statuses = "200, 304".parse().unwrap();
        assert!(statuses.contains(304) && !statuses.contains(500));
        for text in ["", "20", "600", "200;304", "ok"] {
            let error = text.parse::<Statuses>().unwrap_err().to_string();
            assert!(error.contains("no list of HTTP statuses"), "{text}: {error}");
        }
    }
}
