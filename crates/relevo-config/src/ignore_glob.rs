//! The value of `--ignore`: a line as in a `.gitignore` (gitignore(5)).

use std::fmt;
use std::str::FromStr;

use ignore::gitignore::GitignoreBuilder;

use crate::InvalidValue;

/// A pattern of files whose changes are no reason to reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreGlob(String);

impl FromStr for IgnoreGlob {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let refuse = |remedy| Err(InvalidValue::new(text, "is no pattern of files", remedy));
        if text.trim().is_empty() || text.contains(['\n', '\r', '\0']) {
            let remedy = "give one line as in a .gitignore, such as `*.log` or `/uploads/`";
            return refuse(remedy);
        }
        let mut builder = GitignoreBuilder::new("/");
        let tried = builder.add_line(None, text).map(drop);
        if tried.is_err() || builder.build().is_err() {
            let remedy = "close its brackets and braces, or put a backslash before them";
            return refuse(remedy);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for IgnoreGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_gitignore_are_taken() {
        for text in ["*.log", "/uploads/", "!node_modules/", "**/cache", "a b", "[ab].js"] {
            assert_eq!(text.parse::<IgnoreGlob>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn others_are_refused_with_the_remedy() {
        for text in ["", "  ", "a\nb", "{a"] {
            let error = text.parse::<IgnoreGlob>().unwrap_err().to_string();
            assert!(error.contains("is no pattern of files"), "{error}");
        }
    }
}
