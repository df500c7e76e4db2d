//! What `relevo check --json` prints.

use serde::{Deserialize, Serialize};

/// Whether a file is right, and all that is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The file, as it was named.
    pub file: String,
    /// Whether `run` would take it.
    pub valid: bool,
    /// What is wrong, in the order of the lines.
    pub faults: Vec<Fault>,
    /// How many more there are.
    pub more: usize,
    /// What came of starting a worker, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
}

/// Whether a worker became ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Whether it did.
    pub ready: bool,
    /// How long after its start.
    pub after_ms: Option<u64>,
    /// Where it would listen.
    pub listens_on: Vec<String>,
    /// Why it did not.
    pub reason: Option<String>,
}

/// One fault. What has no place in the file has `null` for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The line, from 1.
    pub line: Option<usize>,
    /// The character in it, from 1.
    pub column: Option<usize>,
    /// How many characters are meant.
    pub length: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do, where the message does not say it.
    pub help: Option<String>,
}

impl Checked {
    /// A file without faults.
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), valid: true, faults: Vec::new(), more: 0, boot: None }
    }

    /// The object, on a line.
    pub fn to_line(&self) -> String {
        let text = serde_json::to_string(self);
        let text = text.expect("numbers, texts and lists of texts can always be serialised");
        format!("{text}\n")
    }
}

impl Fault {
    /// A fault that has no place in the file.
    pub fn elsewhere(message: &str) -> Self {
        let message = message.to_owned();
        Self { line: None, column: None, length: None, message, help: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_null() {
        let faults = vec![Fault::elsewhere("it is gone")];
        let checked = Checked { valid: false, faults, ..Checked::new("a.toml") };
        let expected = r#"{"file":"a.toml","valid":false,"faults":[{"line":null,"column":null,"length":null,"message":"it is gone","help":null}],"more":0}"#;
        assert_eq!(checked.to_line(), format!("{expected}\n"));
    }
}
