//! `relevo pause`: hold the rollout in progress where it is. How that is asked is here for `resume`, too.

use relevo_config::ServiceName;
use relevo_wire::protocol::Verb;
use relevo_wire::status::Held;

use super::Failure;
use super::client::report::{finish, print};
use super::client::{self, PATIENCE};
use super::status::place;

/// Hold the reload in progress where it is, until `relevo resume` or `relevo abort`
///
/// Slots that are replaced serve with the new code, the others with the old; no further one is
/// begun, and the old workers stay parked, so that the way back stays open. A parked worker is let
/// go after an hour: its slot then has no way back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  relevo pause\n  relevo pause web")]
pub(crate) struct Args {
    /// The service [default: the only one that runs, else the one that relevo.toml or package.json names]
    name: Option<ServiceName>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks for it.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    ask(Verb::Pause, args.name.as_ref(), args.json)
}

/// Holds a rollout, or lets it go on.
pub(super) fn ask(verb: Verb, name: Option<&ServiceName>, json: bool) -> Result<u8, Failure> {
    finish(json, hold(verb, name, json))
}

fn hold(verb: Verb, name: Option<&ServiceName>, json: bool) -> Result<u8, Failure> {
    let (service, mut connection) = client::open(name)?;
    let answer =
        connection.ask_within(PATIENCE, verb).map_err(|error| error.into_failure(&service))?;
    let held = answer.held().map_err(|error| error.into_failure(&service))?;
    print(&format!("{}\n", if json { answer.json } else { sentence(&held) }))?;
    Ok(0)
}

fn sentence(held: &Held) -> String {
    let what = if held.paused { "paused" } else { "resumed" };
    let at = held.slot.map(|slot| format!(" at {}", place(slot, held.of))).unwrap_or_default();
    format!("{what}: generation {}{at}", held.generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_in_one_line() {
        let held = Held { generation: 4, paused: true, slot: Some(1), of: Some(4) };
        assert_eq!(sentence(&held), "paused: generation 4 at slot 1 (2 of 4)");
        let goes_on = Held { paused: false, slot: None, ..held };
        assert_eq!(sentence(&goes_on), "resumed: generation 4");
    }
}
