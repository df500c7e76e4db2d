//! Which exits of a worker are final.

use std::str::FromStr;

use relevo_core::ExitCodes;

use crate::InvalidValue;

/// The value of `--final-exit-codes`: codes and ranges of codes with commas between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalExitCodes(ExitCodes);

impl FinalExitCodes {
    /// All of them.
    pub fn codes(&self) -> ExitCodes {
        self.0.clone()
    }

    pub(crate) fn extend(&mut self, more: &Self) {
        self.0.extend(more.0.iter());
    }

    /// As they would be written, the shortest way: nothing where there is none.
    pub(crate) fn shown(&self) -> Vec<String> {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for code in self.0.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == code => *last = code,
                Some(_) | None => ranges.push((code, code)),
            }
        }
        let one = |(first, last): (u8, u8)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        };
        let all: Vec<String> = ranges.into_iter().map(one).collect();
        if all.is_empty() { Vec::new() } else { vec![all.join(",")] }
    }
}

impl FromStr for FinalExitCodes {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const REMEDY: &str = "write codes from 0 to 255 and ranges, as in `0,64-78`";
        let mut codes = ExitCodes::default();
        for part in text.split(',') {
            let part = part.trim();
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Some(first), Some(last)) = (code(first), code(last)) else {
                let reason = if part.is_empty() {
                    "has an empty part"
                } else {
                    "has a part that is no exit code"
                };
                return Err(InvalidValue::new(text, reason, REMEDY));
            };
            if first > last {
                return Err(InvalidValue::new(
                    text,
                    "has a range that ends before it begins",
                    REMEDY,
                ));
            }
            codes.extend(first..=last);
        }
        Ok(Self(codes))
    }
}

/// `+1` and `01` are numbers to Rust, but hardly what anybody means.
fn code(text: &str) -> Option<u8> {
    let text = text.trim();
    text.parse::<u8>().ok().filter(|code| code.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<FinalExitCodes>().unwrap().shown().concat()
    }

    #[test]
    fn codes_and_ranges_are_read_and_shown() {
        assert_eq!(shown("0"), "0");
        assert_eq!(shown("64-78, 0"), "0,64-78");
        assert_eq!(shown("3,1,2,2,9,8"), "1-3,8,9");
        assert_eq!(shown("0-255"), "0-255");
        let mut both: FinalExitCodes = "1-2".parse().unwrap();
        both.extend(&"3".parse().unwrap());
        assert_eq!(both.shown(), ["1-3"]);
        assert!(both.codes().contains(3) && !both.codes().contains(-1));
    }

    #[test]
    fn what_is_no_code_is_refused_with_a_remedy() {
        for (text, reason) in [
            ("", "empty part"),
            ("1,,2", "empty part"),
            ("256", "no exit code"),
            ("-1", "no exit code"),
            ("+1", "no exit code"),
            ("1-", "no exit code"),
            ("SIGTERM", "no exit code"),
            ("9-3", "ends before it begins"),
        ] {
            let error = text.parse::<FinalExitCodes>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("0,64-78"), "{text}: {error}");
        }
    }
}
