//! `relevo rollback`: ask for the release before the present one, and wait until it serves.

use relevo_config::{ServiceName, Span};
use relevo_wire::protocol::Verb;

use super::Failure;
use super::client::report::finish;
use super::client::{Connection, PATIENCE};
use super::rolling::Wanted;

/// Go back to the release before: every worker is replaced by one of the code that served before
///
/// Code, configuration and environment are those of then, also if the link that the service was started
/// by points elsewhere by now; the next reload follows it again. New workers must listen and prove
/// themselves as in a reload, and no request is lost. A second rollback returns to where the first came
/// from.
///
/// It is refused (exit 1) where that release's directory is gone, and where all code so far was loaded
/// from the same place: then bring the old code back there, and reload. A reload in progress is undone
/// by `relevo abort`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  relevo rollback\n  relevo rollback web --timeout 2m")]
pub(crate) struct Args {
    /// The service [default: the only one that runs, else the one that relevo.toml or package.json names]
    name: Option<ServiceName>,

    /// Return once the rollback is accepted
    #[arg(long)]
    no_wait: bool,

    /// How long to wait for the end, exit 4 after that; the rollout goes on [default: no limit]
    #[arg(long, value_name = "TIME", conflicts_with = "no_wait")]
    timeout: Option<Span>,

    /// Print the rollout as one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks for the way back.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let &Args { ref name, timeout, json, .. } = args;
    let (name, noun, done) = (name.as_ref(), "rollback", "rolled back");
    let wanted = Wanted { name, noun, done, timeout, json };
    let verb = Verb::Rollback { wait: !args.no_wait };
    let outcome = if args.no_wait { wanted.ask(verb) } else { wanted.ask_and_wait(verb, release) };
    finish(json, outcome)
}

/// Which one it is, if that can be learned: what was asked for is done in any case.
fn release(connection: &mut Connection) -> String {
    let status = connection.ask_within(PATIENCE, Verb::Status).ok();
    let release = status.and_then(|answer| answer.status().ok()?.release);
    release.map(|release| format!("; release {release}")).unwrap_or_default()
}
