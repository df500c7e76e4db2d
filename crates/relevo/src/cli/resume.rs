//! `relevo resume`: let a rollout go on that is paused.

use relevo_config::ServiceName;
use relevo_wire::protocol::Verb;

use super::{Failure, pause};

/// Let a reload go on that `relevo pause` holds
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  relevo resume\n  relevo resume web")]
pub(crate) struct Args {
    /// The service [default: the only one that runs, else the one that relevo.toml or package.json names]
    name: Option<ServiceName>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks for it.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    pause::ask(Verb::Resume, args.name.as_ref(), args.json)
}
