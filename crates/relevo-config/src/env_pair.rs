//! One variable for the workers' environment, as `KEY=value`.

use std::fmt;
use std::str::FromStr;

use crate::InvalidValue;

/// The value of `--env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvPair {
    /// The name: not empty, without `=` and NUL.
    pub key: String,
    /// The value, which may be empty; without NUL.
    pub value: String,
}

impl FromStr for EnvPair {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const REMEDY: &str = "write KEY=value, as in `--env PORT=3000`";
        // An environment's entry is a C string (environ(7)): the rest would be lost silently.
        if text.contains('\0') {
            return Err(InvalidValue::new(text, "has a NUL character", "leave it out"));
        }
        let Some((key, value)) = text.split_once('=') else {
            return Err(InvalidValue::new(text, "has no `=`", REMEDY));
        };
        if key.is_empty() {
            return Err(InvalidValue::new(text, "has no name before the `=`", REMEDY));
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

impl fmt::Display for EnvPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_equals_sign_parts() {
        let cases =
            [("A=b", "A", "b"), ("A=", "A", ""), ("A=b=c", "A", "b=c"), ("a b= ", "a b", " ")];
        for (text, key, value) in cases {
            let pair: EnvPair = text.parse().unwrap();
            assert_eq!((pair.key.as_str(), pair.value.as_str()), (key, value));
            assert_eq!(pair.to_string(), text);
        }
    }

    #[test]
    fn each_fault_is_named() {
        for (text, reason) in [("A", "no `=`"), ("", "no `=`"), ("=b", "no name"), ("A=\0", "NUL")]
        {
            let error = text.parse::<EnvPair>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
