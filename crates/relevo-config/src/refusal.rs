//! Why Relevo will not run what it was given: the cause and the remedy, in one sentence.

use std::fmt;

use crate::invalid_value::shown;

/// Why a program cannot be run, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No script was given, and no `package.json` names one.
    NothingToRun,
    /// The script's name is the empty word.
    EmptyScript,
    /// Where the script should be there is an option.
    OptionAsScript {
        /// The option.
        word: String,
    },
    /// `node` without a script starts a prompt.
    NodeWithoutScript,
    /// `node -` reads its program from standard input.
    StandardInput,
    /// A flag of node that wants a value has none.
    FlagWithoutValue {
        /// The flag.
        flag: String,
    },
    /// A flag with which node does not serve.
    Flag {
        /// The flag.
        flag: String,
        /// What it makes node do.
        because: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A word among node's flags that is none, so that node would take it for the script.
    NotAFlag {
        /// The word.
        word: String,
    },
    /// A command that only starts another program, which Relevo has to start itself.
    Wrapper {
        /// The command as given.
        command: String,
        /// The command to use, where it can be told.
        instead: Option<String>,
    },
    /// A command that runs programs, but not with node.
    OtherRuntime {
        /// Its name.
        command: String,
    },
    /// `scripts.start` cannot be run without a shell.
    StartNeedsShell {
        /// Its text.
        start: String,
        /// The character that only a shell understands.
        character: char,
        /// The command to use, where it can be told.
        instead: Option<String>,
    },
    /// `scripts.start` has a quote without its end.
    StartOpenQuote {
        /// Its text.
        start: String,
        /// The quote.
        quote: char,
    },
    /// `scripts.start` sets variables.
    StartSetsEnvironment {
        /// Its text.
        start: String,
        /// The command to use, where it can be told.
        instead: Option<String>,
    },
    /// `scripts.start` does not begin with `node`, and there is no `main`.
    StartIsNotNode {
        /// Its text.
        start: String,
        /// The command to use, where it can be told.
        instead: Option<String>,
    },
    /// The file is no program for node.
    NotJavaScript {
        /// The file.
        script: String,
        /// What it is instead.
        because: String,
    },
    /// This node cannot run TypeScript.
    NoTypeStripping {
        /// The file.
        script: String,
        /// Node's version.
        version: (u32, u32, u32),
    },
}

/// The most characters of a user's text that a sentence repeats.
const SHOWN: usize = 200;

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToRun => f.write_str(
                "nothing says what to run: name the script, as in `relevo run app.js`, or give \
                 package.json a `main`",
            ),
            Self::EmptyScript => f.write_str(
                "the script's name is empty: name the script, as in `relevo run app.js`",
            ),
            Self::OptionAsScript { word } => write!(
                f,
                "`{}` is not a script: name the script first, and put flags for node after \
                 `node`, as in `relevo run node --inspect app.js`",
                shown(word, SHOWN)
            ),
            Self::NodeWithoutScript => f.write_str(
                "`node` without a script starts a prompt: name the script, as in \
                 `relevo run node app.js`",
            ),
            Self::StandardInput => f.write_str(
                "`node -` reads the program from standard input, which only one worker could: \
                 put it into a file and run that",
            ),
            Self::FlagWithoutValue { flag } => {
                let flag = shown(flag, SHOWN);
                write!(f, "node's `{flag}` wants a value: write it after the flag")
            }
            Self::Flag { flag, because, remedy } => {
                write!(f, "`node {}` {because}: {remedy}", shown(flag, SHOWN))
            }
            Self::NotAFlag { word } => write!(
                f,
                "`{}` is not a flag, so node would take it for the script: give each flag and \
                 each value in a `--node-arg` of its own, as in `--node-arg=--import \
                 --node-arg=tsx`",
                shown(word, SHOWN)
            ),
            Self::Wrapper { command, instead } => {
                let command = shown(command, SHOWN);
                write!(f, "`{command}` only starts the program, which Relevo has to do itself: ")?;
                remedy(f, instead.as_deref())
            }
            Self::OtherRuntime { command } => write!(
                f,
                "`{}` is not node, whose programs Relevo runs: name a script that node can run, \
                 as in `relevo run app.js`",
                shown(command, SHOWN)
            ),
            Self::StartNeedsShell { start, character, instead } => {
                let (start, character) = (shown(start, SHOWN), character.escape_debug());
                write!(f, "package.json's start script `{start}` needs a shell for its ")?;
                write!(f, "`{character}`: ")?;
                remedy(f, instead.as_deref())
            }
            Self::StartOpenQuote { start, quote } => {
                let start = shown(start, SHOWN);
                write!(f, "package.json's start script `{start}` never closes its {quote}: ")?;
                f.write_str("close it there")
            }
            Self::StartSetsEnvironment { start, instead } => {
                let start = shown(start, SHOWN);
                write!(f, "package.json's start script `{start}` sets variables, ")?;
                f.write_str("which is `--env`'s part: ")?;
                remedy(f, instead.as_deref())
            }
            Self::StartIsNotNode { start, instead } => {
                let start = shown(start, SHOWN);
                write!(f, "package.json's start script `{start}` does not begin with `node`, ")?;
                f.write_str("and there is no `main`: ")?;
                remedy(f, instead.as_deref())
            }
            Self::NotJavaScript { script, because } => write!(
                f,
                "`{}` is not a JavaScript file, {because}: name the JavaScript file that it \
                 starts, or end its name in .js or begin it with `#!/usr/bin/env node` if it is \
                 one",
                shown(script, SHOWN)
            ),
            Self::NoTypeStripping { script, version: (major, minor, patch) } => {
                let script = shown(script, SHOWN);
                write!(
                    f,
                    "`{script}` is TypeScript, which node {major}.{minor}.{patch} does not run: \
                     use node 22.18 or later, or `relevo run --node-arg=--import \
                     --node-arg=tsx {script}`"
                )
            }
        }
    }
}

fn remedy(f: &mut fmt::Formatter<'_>, instead: Option<&str>) -> fmt::Result {
    match instead {
        Some(command) => write!(f, "use `{command}`"),
        None => f.write_str("run the program that it starts, as in `relevo run app.js`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_cause_and_remedy_in_one_line() {
        let instead = Some("relevo run node app.js".to_owned());
        let refusal = Refusal::Wrapper { command: "npm start".to_owned(), instead };
        assert_eq!(
            refusal.to_string(),
            "`npm start` only starts the program, which Relevo has to do itself: use \
             `relevo run node app.js`"
        );
    }

    #[test]
    fn what_the_user_gave_cannot_write_to_the_terminal() {
        let refusal = Refusal::OptionAsScript { word: "-\x1b[2J".to_owned() };
        assert!(!refusal.to_string().contains('\x1b'));
    }
}
