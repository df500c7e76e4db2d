//! Relevo keeps a server running while every process in it is replaced.
//!
//! `cli/` has one file for each command; `primary/` is what `run` becomes: the process that owns the
//! sockets, starts the workers and carries out what `relevo-core` decides. ARCHITECTURE.md is the map.

mod cli;
mod primary;
mod runtime_dir;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
