//! `relevo reload`: ask for a rollout and wait for its end.

mod dry_run;

use std::io::{self, IsTerminal};

use relevo_config::{ServiceName, Span};
use relevo_wire::ExitCode;
use relevo_wire::protocol::{Progress, Verb};
use relevo_wire::status::{Outcome, Phase, Rollout};

use super::Failure;
use super::client::report::finish;
use super::rolling::Wanted;
use super::status::units::{counted, took};
use super::status::{became, mixed, place};

/// Replace every worker by one with the code as it is now, one slot after the other
///
/// relevo.toml and env files are read again: new workers get what is written there now, and what is
/// not there any more they do not get.
///
/// A new worker must listen, and prove itself (`--probation` of `relevo run`), before the others
/// follow. Whom it replaces is parked until all have: if one fails, the parked workers serve again and
/// the reload is undone: exit 1, with the reason, the worker's last words, and which slots run what.
/// Then the old workers finish their work and go. `relevo abort` undoes a reload in progress,
/// `relevo pause` holds it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  relevo reload\n  relevo reload web --timeout 2m\n  relevo reload --dry-run"
)]
pub(crate) struct Args {
    /// The service [default: the only one that runs, else the one that relevo.toml or package.json names]
    name: Option<ServiceName>,

    /// Tell what of the configuration would change, and change nothing
    #[arg(long, conflicts_with_all = ["no_wait", "timeout"])]
    dry_run: bool,

    /// Return once the reload is accepted
    #[arg(long)]
    no_wait: bool,

    /// How long to wait for the end, exit 4 after that; the rollout goes on [default: no limit]
    #[arg(long, value_name = "TIME", conflicts_with = "no_wait")]
    timeout: Option<Span>,

    /// What the new workers must listen on: on all that the old ones do, or on what they like; then an
    /// address that they do not want closes
    #[arg(long, value_name = "same|changed", value_enum, hide_possible_values = true, default_value_t = Listeners::Same, conflicts_with = "dry_run")]
    listeners: Listeners,

    /// Print the rollout, or with --dry-run the differences, as one JSON object
    #[arg(long)]
    json: bool,
}

/// The value of `--listeners`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Listeners {
    Same,
    Changed,
}

/// Asks for a rollout.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let &Args { ref name, timeout, json, .. } = args;
    let wanted = Wanted { name: name.as_ref(), noun: "reload", done: "reloaded", timeout, json };
    let outcome = if args.dry_run {
        dry_run::run(args.name.as_ref(), args.json)
    } else if args.no_wait {
        wanted.ask(verb(args, false))
    } else {
        wanted.ask_and_wait(verb(args, true), |_| String::new())
    };
    finish(args.json, outcome)
}

fn verb(args: &Args, wait: bool) -> Verb {
    let changed_listeners = match args.listeners {
        Listeners::Same => false,
        Listeners::Changed => true,
    };
    Verb::Reload { wait, changed_listeners }
}

/// Tells each step to somebody who watches.
pub(super) fn show_progress() -> impl FnMut(Progress) {
    let watched = io::stderr().is_terminal();
    move |progress| {
        if let Some(line) = step(progress).filter(|_| watched) {
            eprintln!("{line}");
        }
    }
}

/// One line for one step; none for what is not known well enough to tell.
fn step(progress: Progress) -> Option<String> {
    let place = place(progress.slot?, progress.of);
    let worker = match progress.worker {
        Some(worker) => format!("worker {worker}"),
        None => "the new worker".to_owned(),
    };
    Some(match progress.phase {
        Some(Phase::Starting) => format!("{place}: {worker} started"),
        Some(Phase::Loaded) => format!("{place}: {worker} loaded, waits for the others"),
        Some(Phase::Probation) => format!("{place}: {worker} ready, on probation"),
        Some(Phase::Draining) => format!("{place}: {worker} ready, old one draining"),
        Some(Phase::Undoing) => format!("{place}: {worker} serves again"),
        None => format!("{place}: replaced"),
    })
}

/// The end of a rollout in one line, or why it is a failure.
pub(super) fn sentence(rollout: &Rollout) -> Result<String, Failure> {
    sentence_of("reloaded", rollout)
}

/// The same of what else is done by a rollout.
pub(super) fn sentence_of(done: &str, rollout: &Rollout) -> Result<String, Failure> {
    let generation = rollout.generation;
    let slots = rollout.of.map(|of| format!(" on {}", counted(of.into(), "slot")));
    let time = rollout.duration_ms.map(|ms| format!(" in {}", took(ms)));
    let became = mixed(rollout).into_iter().chain(became(rollout));
    let became = became.map(|what| format!("; {what}"));
    let tail = [slots, time].into_iter().flatten().chain(became).collect::<String>();
    let undone = |what: &str| {
        let reason = match &rollout.reason {
            Some(reason) => reason.clone(),
            None => format!("the rollout to generation {generation} {what}"),
        };
        Err(Failure::new(ExitCode::Failed, reason))
    };
    match rollout.outcome {
        Some(Outcome::Succeeded) => Ok(format!("{done}: generation {generation}{tail}")),
        Some(Outcome::Failed) => undone("failed"),
        Some(Outcome::RolledBack) => undone("was rolled back"),
        Some(Outcome::Aborted) => undone("was aborted"),
        None => Ok(format!("accepted: generation {generation}{tail} so far")),
    }
}

#[cfg(test)]
mod tests {
    use relevo_wire::status::Cut;

    use super::*;

    fn rollout(outcome: Option<Outcome>, reason: Option<&str>) -> Rollout {
        Rollout {
            generation: 4,
            cause: None,
            outcome,
            phase: None,
            slot: None,
            of: Some(4),
            reason: reason.map(str::to_owned),
            paused: None,
            waits_for: None,
            runs: None,
            duration_ms: Some(812),
            handed_over: None,
            closed_idle: None,
            not_zero: None,
            not_movable: None,
            cut: Cut::default(),
        }
    }

    #[test]
    fn the_end_in_one_line() {
        let succeeded = rollout(Some(Outcome::Succeeded), None);
        let line = sentence(&succeeded).unwrap();
        assert_eq!(line, "reloaded: generation 4 on 4 slots in 812 ms");
        let little_known = Rollout { of: None, duration_ms: None, ..succeeded };
        assert_eq!(sentence(&little_known).unwrap(), "reloaded: generation 4");
        let (handed_over, closed_idle, not_zero) = (Some(64), Some(1), Some(2));
        let cut = Cut { request: Some(1), ..Cut::default() };
        let eventful = Rollout { handed_over, closed_idle, not_zero, cut, ..little_known };
        assert_eq!(
            sentence(&eventful).unwrap(),
            "reloaded: generation 4; 64 connections handed over; 1 idle connection closed; cut: 1 request; not zero: 2 idle connections with a keep-alive timeout longer than --linger, or none"
        );
    }

    #[test]
    fn a_rollout_that_did_not_succeed_is_a_failure() {
        let failure = |outcome, reason| sentence(&rollout(Some(outcome), reason)).unwrap_err();
        let failed = failure(Outcome::Failed, Some("worker 9 exited"));
        assert_eq!((failed.code, failed.reason.as_str()), (ExitCode::Failed, "worker 9 exited"));
        let aborted = failure(Outcome::Aborted, None);
        assert_eq!(aborted.reason, "the rollout to generation 4 was aborted");
    }

    #[test]
    fn each_step_has_a_line() {
        let progress = |phase, worker| Progress { slot: Some(0), of: Some(4), phase, worker };
        #[track_caller]
        fn check(progress: Progress, expected: &str) {
            assert_eq!(step(progress).as_deref(), Some(expected));
        }
        check(progress(Some(Phase::Starting), Some(9)), "slot 0 (1 of 4): worker 9 started");
        check(
            progress(Some(Phase::Draining), Some(9)),
            "slot 0 (1 of 4): worker 9 ready, old one draining",
        );
        check(progress(None, Some(9)), "slot 0 (1 of 4): replaced");
        check(progress(Some(Phase::Starting), None), "slot 0 (1 of 4): the new worker started");
        check(Progress { of: None, ..progress(None, None) }, "slot 0: replaced");
        assert_eq!(step(Progress::default()), None);
    }
}
