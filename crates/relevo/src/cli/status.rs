//! `relevo status`: one service in detail.

mod render;
pub(super) mod table;
pub(super) mod units;

use relevo_config::ServiceName;
use relevo_wire::protocol::Verb;

use super::Failure;
use super::client::report::{colour_on_stdout, finish, print};
use super::client::{self, PATIENCE};
pub(super) use render::{became, mixed, place, service_state};

/// Show a service: its slots and workers, its listeners, its last rollout
///
/// What is not known is shown as `-`, and is null in the JSON.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  relevo status\n  relevo status web --json")]
pub(crate) struct Args {
    /// The service [default: the only one that runs, else the one that relevo.toml or package.json names]
    name: Option<ServiceName>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks for the status and prints it.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    finish(args.json, show(args))
}

fn show(args: &Args) -> Result<u8, Failure> {
    let (service, mut connection) = client::open(args.name.as_ref())?;
    let answer = connection
        .ask_within(PATIENCE, Verb::Status)
        .map_err(|error| error.into_failure(&service))?;
    if args.json {
        print(&format!("{}\n", answer.json))?;
    } else {
        let status = answer.status().map_err(|error| {
            let hint = "`relevo status --json` shows all of it".to_owned();
            error.into_failure(&service).with_detail(vec![hint])
        })?;
        print(&render::status(&status, colour_on_stdout()))?;
    }
    Ok(0)
}
