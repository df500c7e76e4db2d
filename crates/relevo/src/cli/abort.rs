//! `relevo abort`: have the rollout in progress undone, and wait until it is.

use std::time::Instant;

use relevo_config::{ServiceName, Span};
use relevo_sys::signals::Signals;
use relevo_wire::protocol::Verb;
use relevo_wire::status::Rollout;

use super::Failure;
use super::client::report::{finish, print};
use super::client::waiting::{INTERRUPTED, explain};
use super::client::{self, ClientError, Until};
use super::status::units::took;

/// Undo the reload in progress: the workers that it has replaced serve again
///
/// They were parked for that, alive and with the old code loaded, so nothing is started and no
/// request is lost. When every slot runs the new code and the old workers are finishing, it is too
/// late: exit 1. So it is if a slot could not be taken back; which, is said.
///
/// A reload that was asked for meanwhile, and waits for this one to end, begins afterwards.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  relevo abort\n  relevo abort web --timeout 1m")]
pub(crate) struct Args {
    /// The service [default: the only one that runs, else the one that relevo.toml or package.json names]
    name: Option<ServiceName>,

    /// How long to wait for the end, exit 4 after that; the undoing goes on [default: no limit]
    #[arg(long, value_name = "TIME")]
    timeout: Option<Span>,

    /// Print what became of the rollout as one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks for the way back.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    finish(args.json, ask(args))
}

fn ask(args: &Args) -> Result<u8, Failure> {
    let (service, mut connection) = client::open(args.name.as_ref())?;
    let interrupt = client::take_interrupt();
    let deadline = args.timeout.and_then(|limit| Instant::now().checked_add(limit.duration()));
    let until = Until { deadline, interrupt: interrupt.as_ref().map(Signals::fd) };
    match connection.ask(Verb::Abort, until, &mut |_| {}) {
        Ok(answer) => {
            let rollout = answer.rollout().map_err(|error| error.into_failure(&service))?;
            let line = sentence(&rollout);
            print(&format!("{}\n", if args.json { answer.json } else { line }))?;
            Ok(0)
        }
        Err(ClientError::Interrupted) => {
            eprintln!("relevo: the undoing goes on; see `relevo status {}`", service.name);
            Ok(INTERRUPTED)
        }
        Err(error) => Err(explain(error, "abort", args.timeout, &service, connection.pid)),
    }
}

/// The end in one line.
fn sentence(rollout: &Rollout) -> String {
    let time = rollout.duration_ms.map(|ms| format!(" after {}", took(ms))).unwrap_or_default();
    let runs = rollout.runs.iter().flatten().map(|runs| runs.generation).max();
    let serves = runs.map(|generation| format!("; generation {generation} serves"));
    let serves = serves.unwrap_or_default();
    format!("aborted: generation {}{time}{serves}", rollout.generation)
}

#[cfg(test)]
mod tests {
    use relevo_wire::status::{Cut, Runs};

    use super::*;

    #[test]
    fn the_end_in_one_line() {
        let rollout = Rollout {
            generation: 4,
            cause: None,
            outcome: None,
            phase: None,
            slot: Some(1),
            of: Some(4),
            reason: None,
            paused: None,
            waits_for: None,
            runs: Some(vec![Runs { generation: 3, slots: vec![0, 1, 2, 3] }]),
            duration_ms: Some(812),
            handed_over: None,
            closed_idle: None,
            not_zero: None,
            not_movable: None,
            cut: Cut::default(),
        };
        assert_eq!(sentence(&rollout), "aborted: generation 4 after 812 ms; generation 3 serves");
        let little_known = Rollout { runs: None, duration_ms: None, ..rollout };
        assert_eq!(sentence(&little_known), "aborted: generation 4");
    }
}
