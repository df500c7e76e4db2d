//! What a `package.json` says about its program.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// The fields of a `package.json` that Relevo reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// `name`, if it is a string.
    pub name: Option<String>,
    /// `main`, if it is a string; anything else Node ignores, too.
    pub main: Option<String>,
    /// `scripts.start`, if it is a string.
    pub start: Option<String>,
}

/// Why a text is not a `package.json`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// The text is not JSON, or not an object.
    #[error("line {line}, column {column}: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The byte in the line, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The text is larger than [`Package::MAX_BYTES`].
    #[error("it is larger than 1 MiB")]
    TooLarge,
}

impl Package {
    /// The largest text that is taken.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// Reads the text of a `package.json`.
    pub fn parse(text: &str) -> Result<Self, PackageError> {
        if text.len() > Self::MAX_BYTES {
            return Err(PackageError::TooLarge);
        }
        // Editors on Windows put it there, and Node and npm pass over it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut json = serde_json::Deserializer::from_str(text);
        let package = json.deserialize_map(PackageVisitor).and_then(|package| {
            json.end()?;
            Ok(package)
        });
        package.map_err(|error| {
            let (line, column) = place(text, &error);
            PackageError::Syntax { line, column, reason: reason(&error) }
        })
    }
}

/// Where `error` is. A fault at the end of a line is serde_json's column 0 of the next.
fn place(text: &str, error: &serde_json::Error) -> (usize, usize) {
    match (error.line(), error.column()) {
        (line @ 2.., 0) => {
            let before = text.lines().nth(line - 2).unwrap_or_default();
            (line - 1, before.len() + 1)
        }
        (line, column) => (line.max(1), column.max(1)),
    }
}

/// `error`'s text without its place, which has fields of its own.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// Written out, because a derived one refuses repeated keys and foreign types, with which Node and
/// npm live: the last of a key counts, and what is not a string is not there.
struct PackageVisitor;

impl<'de> Visitor<'de> for PackageVisitor {
    type Value = Package;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Package, M::Error> {
        let mut package = Package::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => package.name = string(map.next_value()?),
                "main" => package.main = string(map.next_value()?),
                "scripts" => {
                    let mut scripts: Value = map.next_value()?;
                    package.start = scripts.get_mut("start").map(Value::take).and_then(string);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(package)
    }
}

fn string(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: Option<&str>, main: Option<&str>, start: Option<&str>) -> Package {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Package { name: owned(name), main: owned(main), start: owned(start) }
    }

    #[test]
    fn the_fields_are_read() {
        let text = r#"{ "name": "@acme/web", "version": "1.0.0", "main": "lib/a.js",
            "scripts": { "test": "x", "start": "node lib/a.js" }, "deep": [[{"name": "no"}]] }"#;
        let expected = package(Some("@acme/web"), Some("lib/a.js"), Some("node lib/a.js"));
        assert_eq!(Package::parse(text), Ok(expected));
        assert_eq!(Package::parse("{}"), Ok(Package::default()));
        assert_eq!(Package::parse("\u{feff}{}"), Ok(Package::default()));
    }

    #[test]
    fn foreign_types_and_repeated_keys_are_taken_as_node_does() {
        let text = r#"{"name": 1, "main": false, "scripts": ["start"], "name": "b"}"#;
        assert_eq!(Package::parse(text), Ok(package(Some("b"), None, None)));
        assert_eq!(Package::parse(r#"{"scripts":{"start":null}}"#), Ok(Package::default()));
    }

    #[test]
    fn faults_have_their_place() {
        let place = |text: &str| match Package::parse(text) {
            Err(PackageError::Syntax { line, column, reason }) => (line, column, reason),
            other => panic!("{other:?}"),
        };
        assert_eq!(place("{\n  \"a\": 1,\n}").0, 3);
        let unfinished = place("{\n  \"name\": tru\n}");
        assert_eq!((unfinished.0, unfinished.1), (2, 14));
        assert_eq!((place("").0, place("").1), (1, 1));
        assert!(place("[1]").2.contains("expected an object"));
        assert!(place("{} x").2.contains("trailing"));
        assert!(!place("{").2.contains("line"));
        place(&format!("{{\"a\":{}", "[".repeat(100_000)));
    }

    #[test]
    fn a_huge_text_is_refused() {
        let text = " ".repeat(Package::MAX_BYTES + 1);
        assert_eq!(Package::parse(&text), Err(PackageError::TooLarge));
    }
}
