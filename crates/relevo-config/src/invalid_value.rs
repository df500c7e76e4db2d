//! The error of every option's value: what was given, what is wrong with it, what to do.

use std::borrow::Cow;

/// Why a value was not taken, as one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` {reason}: {remedy}")]
pub struct InvalidValue {
    value: String,
    reason: Cow<'static, str>,
    remedy: Cow<'static, str>,
}

impl InvalidValue {
    /// The most characters of a value that an error repeats.
    const SHOWN: usize = 80;

    pub(crate) fn new(
        value: &str,
        reason: impl Into<Cow<'static, str>>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { value: shown(value, Self::SHOWN), reason: reason.into(), remedy: remedy.into() }
    }
}

/// `text` fit for a terminal: control characters escaped, and cut after `most` characters, because
/// a value can be a whole file by a slip of the shell's quoting.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_debug());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_sentence() {
        let error = InvalidValue::new("abc", "is not a number", "give a whole number");
        assert_eq!(error.to_string(), "`abc` is not a number: give a whole number");
    }

    #[test]
    fn a_value_cannot_write_to_the_terminal_or_fill_it() {
        assert_eq!(shown("a\x1b[2Jb\nc", 80), "a\\u{1b}[2Jb\\nc");
        assert_eq!(shown("abcdef", 3), "abc…");
        assert_eq!(shown("abc", 3), "abc");
    }
}
