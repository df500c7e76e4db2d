//! The commands, one file each.

mod abort;
mod check;
mod chosen;
mod client;
mod events;
pub(crate) mod exec;
mod pause;
mod prove;
mod ps;
mod reload;
mod resume;
mod rollback;
mod rolling;
mod run;
mod scale;
mod services;
mod status;
mod stop;
mod usage;

use std::ffi::OsString;
use std::process;

use clap::{CommandFactory, Parser, Subcommand};
use relevo_wire::ExitCode;

/// Keeps a Node server on every core and replaces its workers without losing a request.
///
/// The app is not changed: Relevo owns the listening sockets and speaks the primary's side of
/// Node's own cluster protocol to it. `relevo run app.js` starts it, `relevo reload` (or SIGUSR2)
/// brings new code, one worker at a time, a new one listening before the old one goes.
#[derive(Debug, Parser)]
#[command(name = "relevo", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Args>),
    Reload(reload::Args),
    Rollback(rollback::Args),
    Abort(abort::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Scale(scale::Args),
    Status(status::Args),
    Events(events::Args),
    Ps(ps::Args),
    Stop(stop::Args),
    Prove(Box<prove::Args>),
    Check(check::Args),
    #[command(name = exec::NAME, hide = true)]
    Exec(exec::Args),
}

/// Why a command did not do what it was asked: one sentence, some lines of detail, an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: ExitCode,
    reason: String,
    detail: Vec<String>,
}

impl Failure {
    pub(crate) fn new(code: ExitCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), detail: Vec::new() }
    }

    /// Wrong usage or configuration.
    pub(crate) fn usage(reason: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, reason)
    }

    /// The sentence and the detail.
    pub(crate) fn into_parts(self) -> (String, Vec<String>) {
        (self.reason, self.detail)
    }

    pub(crate) fn with_detail(mut self, detail: Vec<String>) -> Self {
        self.detail = detail;
        self
    }
}

/// Parses the command line, does what it says, and returns the exit code.
pub(crate) fn main() -> process::ExitCode {
    let words = run::options_first(std::env::args_os().collect());
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => match usage::failure(&error) {
            Some(failure) => return report(&failure),
            None => error.exit(),
        },
    };
    let outcome = match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Reload(args) => reload::run(&args),
        Command::Rollback(args) => rollback::run(&args),
        Command::Abort(args) => abort::run(&args),
        Command::Pause(args) => pause::run(&args),
        Command::Resume(args) => resume::run(&args),
        Command::Scale(args) => scale::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Events(args) => events::run(&args),
        Command::Ps(args) => ps::run(&args),
        Command::Stop(args) => stop::run(&args),
        Command::Prove(args) => prove::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Exec(args) => exec::run(args),
    };
    match outcome {
        Ok(code) => process::ExitCode::from(code),
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> process::ExitCode {
    eprintln!("relevo: {}", failure.reason);
    for line in &failure.detail {
        eprintln!("    {line}");
    }
    process::ExitCode::from(failure.code.code())
}

/// The names of all options of `run` that take a value in the next word.
pub(crate) fn options_with_value() -> Vec<String> {
    let command = Cli::command();
    let Some(run) = command.find_subcommand("run") else { return Vec::new() };
    run.get_arguments()
        .filter(|arg| arg.get_action().takes_values() && !arg.is_positional())
        .filter(|arg| !arg.is_require_equals_set())
        .flat_map(|arg| {
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            long.into_iter().chain(short)
        })
        .collect()
}

/// Whether a word is on a command line as written by hand: lossless, for comparison only.
pub(crate) fn text(word: &OsString) -> &str {
    word.to_str().unwrap_or("")
}

/// What the system said, without the number that Rust adds.
pub(crate) fn error_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
