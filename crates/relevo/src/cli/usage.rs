//! What clap finds wrong with a command line, said in one sentence like every other error.

use std::num::{IntErrorKind, ParseIntError};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Failure;

/// The failure that clap's error is; `None` for help and version, which are none.
///
/// The remedy of each comes with it: a value's own error names it, an option that is not known is
/// either misspelt or the app's.
pub(super) fn failure(error: &clap::Error) -> Option<Failure> {
    let kind = error.kind();
    if kind == ErrorKind::DisplayHelp
        || kind == ErrorKind::DisplayVersion
        || kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        return None;
    }
    let reason = if kind == ErrorKind::ValueValidation {
        invalid_value(error)
    } else if kind == ErrorKind::InvalidValue {
        missing_value(error)
    } else if kind == ErrorKind::UnknownArgument {
        unknown_argument(error)
    } else if kind == ErrorKind::InvalidSubcommand {
        unknown_command(error)
    } else {
        None
    };
    Some(Failure::usage(reason.unwrap_or_else(|| in_claps_words(error))))
}

fn invalid_value(error: &clap::Error) -> Option<String> {
    let argument = text(error, ContextKind::InvalidArg)?;
    let option = option_name(&argument);
    let why = std::error::Error::source(error)?;
    let Some(number) = why.downcast_ref::<ParseIntError>() else {
        return Some(format!("{option}: {why}"));
    };
    let given = text(error, ContextKind::InvalidValue)?;
    let what = if *number.kind() == IntErrorKind::PosOverflow {
        "is too large"
    } else {
        "is not a whole number in digits"
    };
    Some(format!("{option}: `{given}` {what}: write it as in `{option} 20`"))
}

fn missing_value(error: &clap::Error) -> Option<String> {
    let given = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let argument = text(error, ContextKind::InvalidArg)?;
    given.is_empty().then(|| format!("`{argument}` wants its value: write it after the option"))
}

fn unknown_argument(error: &clap::Error) -> Option<String> {
    let argument = text(error, ContextKind::InvalidArg)?;
    let command = command(error);
    if let Some(similar) = text(error, ContextKind::SuggestedArg) {
        return Some(format!("there is no option `{argument}`; did you mean `{similar}`?"));
    }
    if !argument.starts_with('-') {
        return Some(format!(
            "`{argument}` is one argument too many: `{command} --help` shows what it takes"
        ));
    }
    Some(if command.ends_with(" run") {
        format!(
            "there is no option `{argument}`: `{command} --help` lists them; options of the app come after `--`, as in `{command} app.js -- {argument}`"
        )
    } else {
        format!("there is no option `{argument}`: `{command} --help` lists them")
    })
}

fn unknown_command(error: &clap::Error) -> Option<String> {
    let command = text(error, ContextKind::InvalidSubcommand)?;
    Some(match text(error, ContextKind::SuggestedSubcommand) {
        Some(similar) => format!("there is no command `{command}`; did you mean `{similar}`?"),
        None => format!("there is no command `{command}`: `relevo --help` lists them"),
    })
}

/// The first paragraph of what clap would print, on one line.
fn in_claps_words(error: &clap::Error) -> String {
    let text = error.to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

/// The command that the error is about, out of its usage.
fn command(error: &clap::Error) -> String {
    let usage = text(error, ContextKind::Usage).unwrap_or_default();
    let words = usage.trim_start_matches("Usage: ").split_whitespace();
    let words: Vec<&str> =
        words.take_while(|word| word.chars().all(|c| c.is_ascii_lowercase())).collect();
    if words.is_empty() { "relevo".to_owned() } else { words.join(" ") }
}

/// `--workers` out of `--workers <N|auto>`.
fn option_name(argument: &str) -> &str {
    argument.split_whitespace().next().unwrap_or(argument)
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    let value = error.get(kind)?;
    if let ContextValue::Strings(texts) = value {
        return texts.first().cloned();
    }
    Some(value.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::super::run::options_first;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let words = line.split(' ').map(|word| word.trim_matches('\'').into()).collect();
        let error = Cli::try_parse_from(options_first(words)).expect_err("a mistake");
        let failure = super::failure(&error).expect("no help");
        assert_eq!(failure.reason, expected);
    }

    #[test]
    fn each_mistake_is_one_sentence_with_its_remedy() {
        check(
            "relevo run -w 0 app.js",
            "--workers: `0` workers would serve nobody: give a whole number from 1 to 1024, or `auto`",
        );
        check(
            "relevo run --throttle 2 app.js",
            "there is no option `--throttle`: `relevo run --help` lists them; options of the app come after `--`, as in `relevo run app.js -- --throttle`",
        );
        check(
            "relevo run --drain-timout app.js",
            "there is no option `--drain-timout`; did you mean `--drain-timeout`?",
        );
        check(
            "relevo run app.js --name",
            "`--name <NAME>` wants its value: write it after the option",
        );
        check(
            "relevo reload --hold 3",
            "there is no option `--hold`: `relevo reload --help` lists them",
        );
        check(
            "relevo reload a b",
            "`b` is one argument too many: `relevo reload --help` shows what it takes",
        );
        check("relevo logs", "there is no command `logs`: `relevo --help` lists them");
        check("relevo relaod", "there is no command `relaod`; did you mean `reload`?");
        check(
            "relevo run --name a --name b app.js",
            "the argument '--name <NAME>' cannot be used multiple times",
        );
    }

    #[test]
    fn help_is_no_mistake() {
        for line in ["relevo --help", "relevo --version", "relevo", "relevo help run"] {
            let error = Cli::try_parse_from(line.split(' ')).expect_err("help");
            assert!(super::failure(&error).is_none(), "{line}");
        }
    }
}
