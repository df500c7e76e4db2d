//! A service's name: it becomes part of a socket's path and of an abstract socket's name.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::InvalidValue;

/// A name of 1 to 64 characters out of `A-Z a-z 0-9 . _ -`, and neither `.` nor `..`.
///
/// The length keeps `<runtime directory>/<name>/control.sock` below the 108 bytes of a Unix
/// socket's address (unix(7)); the characters keep it one component of that path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(String);

impl ServiceName {
    /// The most characters a name may have.
    pub const MAX_LENGTH: usize = 64;

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name for a package: without its scope, other characters replaced by `-`.
    ///
    /// `None` when nothing usable remains.
    pub fn from_package_name(name: &str) -> Option<Self> {
        let unscoped = match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').map_or(scoped, |(_, name)| name),
            None => name,
        };
        Self::from_any(unscoped)
    }

    /// The name for a script in `directory`: its last component, other characters replaced by `-`.
    ///
    /// `None` when it has no last component (`/`, `..`) or nothing usable remains.
    pub fn from_directory(directory: &Path) -> Option<Self> {
        Self::from_any(&directory.file_name()?.to_string_lossy())
    }

    fn from_any(text: &str) -> Option<Self> {
        let mut name = String::new();
        for c in text.chars() {
            if is_allowed(c) {
                name.push(c);
            } else if !name.is_empty() && !name.ends_with('-') {
                name.push('-');
            }
        }
        // All characters are ASCII here, so a byte is a character.
        name.truncate(Self::MAX_LENGTH);
        // A leading `-` would read as an option on the command line.
        name.trim_start_matches('-').trim_end_matches('-').parse().ok()
    }
}

impl FromStr for ServiceName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const ALLOWED: &str = "use letters, digits, `.`, `_` and `-` only";
        if text.is_empty() {
            return Err(InvalidValue::new(text, "is an empty name", ALLOWED));
        }
        if text.contains('/') {
            let reason = "has a slash, and a service's name is one component of its socket's path";
            return Err(InvalidValue::new(text, reason, ALLOWED));
        }
        if let Some(c) = text.chars().find(|c| !is_allowed(*c)) {
            let reason = format!("has the character {c:?}, which a service's name cannot have");
            return Err(InvalidValue::new(text, reason, ALLOWED));
        }
        if text.len() > Self::MAX_LENGTH {
            let reason = format!("has {} characters", text.len());
            let remedy = "a service's name has 64 at most, so that its socket's path stays short";
            return Err(InvalidValue::new(text, reason, remedy));
        }
        if text == "." || text == ".." {
            let reason = "is a directory's name of its own, not a service's";
            return Err(InvalidValue::new(text, reason, "use a name with a letter or digit"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ServiceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

const fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<ServiceName>().unwrap_err().to_string()
    }

    #[test]
    fn names_of_the_alphabet_are_taken() {
        for name in ["web", "a", "Web-1.2_b", "...", "0", &"x".repeat(64)] {
            assert_eq!(name.parse::<ServiceName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn each_fault_is_named() {
        assert!(error("a/b").starts_with("`a/b` has a slash"), "{}", error("a/b"));
        assert!(error("").contains("empty"));
        assert!(error("a b").contains("' '"));
        assert!(error("wéb").contains("'é'"));
        assert!(error(&"x".repeat(65)).contains("65 characters"));
        assert!(error(".").contains("directory"));
        assert!(error("..").contains("directory"));
        assert!(error("../x").contains("slash"));
    }

    #[test]
    fn a_package_loses_its_scope_and_odd_characters() {
        let from = |name: &str| ServiceName::from_package_name(name).map(|name| name.to_string());
        assert_eq!(from("web").as_deref(), Some("web"));
        assert_eq!(from("@acme/web").as_deref(), Some("web"));
        assert_eq!(from("my app (old)!").as_deref(), Some("my-app-old"));
        assert_eq!(from("~x").as_deref(), Some("x"));
        assert_eq!(from("@acme/"), None);
        assert_eq!(from("é"), None);
        assert_eq!(from(".."), None);
        assert_eq!(from(""), None);
        assert_eq!(from(&"y".repeat(200)).map(|name| name.len()), Some(64));
        assert_eq!(from("--x").as_deref(), Some("x"));
    }

    #[test]
    fn a_directory_gives_its_last_component() {
        let from = |path| ServiceName::from_directory(Path::new(path)).map(|n| n.to_string());
        assert_eq!(from("/srv/web").as_deref(), Some("web"));
        assert_eq!(from("/srv/my app/").as_deref(), Some("my-app"));
        assert_eq!(from("/"), None);
        assert_eq!(from("/srv/.."), None);
    }
}
