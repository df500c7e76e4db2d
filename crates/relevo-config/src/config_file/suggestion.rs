//! What somebody may have meant by a key that is not known.

use crate::Setting;

/// The key that is most like this one, if one is.
pub(super) fn similar(key: &str) -> Option<&'static str> {
    let written: String = key.chars().take(64).map(as_option).collect();
    let known = Setting::ALL.iter().map(|setting| setting.name).chain([super::SCRIPT, super::ARGS]);
    crate::similar(&written, known)
}

/// The character as options have it: other tools write `drain_timeout`, or `Workers`.
fn as_option(c: char) -> char {
    if c == '_' { '-' } else { c.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::similar;

    #[test]
    fn slips_and_other_spellings_are_understood() {
        for (written, meant) in [
            ("drain_timeout", Some("drain-timeout")),
            ("drainTimeout", Some("drain-timeout")),
            ("node-args", Some("node-arg")),
            ("node_args", Some("node-arg")),
            ("env_files", Some("env-file")),
            ("worker", Some("workers")),
            ("Name", Some("name")),
            ("arg", Some("args")),
            ("listen", None),
            ("", None),
        ] {
            assert_eq!(similar(written), meant, "{written}");
        }
        assert_eq!(similar(&"x".repeat(1_000_000)), None);
    }
}
