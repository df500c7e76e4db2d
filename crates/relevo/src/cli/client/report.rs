//! How a command's outcome is told: data on stdout, words on stderr.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use relevo_wire::{ExitCode, protocol};

use crate::cli::Failure;

/// Writes to stdout. A reader that has seen enough, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_if_read(text).map(drop)
}

/// The same. Whether more may be of interest: `false` once the reader has gone.
pub(crate) fn print_if_read(text: &str) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            Err(Failure::new(ExitCode::Failed, format!("stdout cannot be written to: {error}")))
        }
    }
}

/// Ends a command: with `--json`, a failure goes to stdout as an object, too.
pub(crate) fn finish(json: bool, outcome: Result<u8, Failure>) -> Result<u8, Failure> {
    let failure = match outcome {
        Ok(code) => return Ok(code),
        Err(failure) => failure,
    };
    if json {
        // The words that follow on stderr matter more than whether this can be written.
        let _ = print(&failure_json(&failure));
    }
    let detail = failure.detail.iter().map(|line| printable(line).into_owned()).collect();
    Err(Failure::new(failure.code, printable(&failure.reason)).with_detail(detail))
}

/// Text from elsewhere, such as a worker's last words, without what would command a terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\t';
    if text.contains(harmful) {
        Cow::Owned(text.replace(harmful, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether stdout takes colours.
pub(crate) fn colour_on_stdout() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !set("NO_COLOR") && !dumb
}

fn failure_json(failure: &Failure) -> String {
    let failure = protocol::Failure {
        code: failure.code,
        reason: failure.reason.clone(),
        detail: failure.detail.clone(),
    };
    let object = serde_json::to_string(&failure);
    let object = object.expect("numbers, texts and lists of texts can always be serialised");
    format!("{{\"error\":{object}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_as_json() {
        let failure = Failure::new(ExitCode::Failed, "a \"b\"").with_detail(vec!["\u{1b}c".into()]);
        let expected =
            "{\"error\":{\"code\":1,\"reason\":\"a \\\"b\\\"\",\"detail\":[\"\\u001bc\"]}}\n";
        assert_eq!(failure_json(&failure), expected);
    }

    #[test]
    fn last_words_cannot_command_the_terminal() {
        assert_eq!(printable("\tat x"), "\tat x");
        assert_eq!(printable("a\x1b[2Jb\r"), "a\u{fffd}[2Jb\u{fffd}");
        let failure = Failure::new(ExitCode::Failed, "a\nb").with_detail(vec!["c\x07".into()]);
        let failure = finish(false, Err(failure)).unwrap_err();
        assert_eq!(failure.reason, "a\u{fffd}b");
        assert_eq!(failure.detail, ["c\u{fffd}"]);
    }
}
