//! Relevo keeps a server running while every process in it is replaced.
//!
//! `cli/` has one file for each command; `configuration/` reads what a service is to be; `primary/` is what `run` becomes: the process that owns the
//! sockets, starts the workers and carries out what `relevo-core` decides. ARCHITECTURE.md is the map.

mod cli;
mod configuration;
mod primary;
mod runtime_dir;

use std::process::ExitCode;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(report_bug));
    cli::main()
}

/// A panic is a bug: it is said so, with what is needed to find it, and has an exit code of its own.
fn report_bug(panic: &std::panic::PanicHookInfo<'_>) {
    primary::terminal::restore();
    eprintln!("relevo: bug in Relevo {}, please report it: {panic}", env!("CARGO_PKG_VERSION"));
    std::process::exit(relevo_wire::ExitCode::Bug.code().into());
}
