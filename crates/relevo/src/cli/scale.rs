//! `relevo scale`: ask for another number of workers and wait until there are so many.

use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;
use std::time::Instant;

use relevo_config::{ScaleTo, ServiceName, Span};
use relevo_sys::signals::Signals;
use relevo_wire::protocol::{Count, Progress, Verb};
use relevo_wire::status::{Phase, Scaling};

use super::Failure;
use super::client::report::{finish, print};
use super::client::waiting::{INTERRUPTED, explain};
use super::client::{self, Answer, ClientError, Connection, PATIENCE, Until};
use super::status::place;
use super::status::units::{counted, took};

/// Change the number of workers; returns when they are ready, or have finished their work
///
/// With fewer wanted, the highest slots leave: their workers finish what they do, as in a reload. If
/// a new worker fails, exit 1 with its last words; it is tried again, as after a crash.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "relevo scale [OPTIONS] [NAME] <N|+N|-N>",
    after_help = "Examples:\n  relevo scale 4\n  relevo scale web +2\n  relevo scale web -1 --no-wait"
)]
pub(crate) struct Args {
    /// The service [default: the only one that runs, else the one that relevo.toml or package.json names]
    // Which of the two a single word is, cannot be known before it is clear that it is the only one.
    #[arg(value_name = "NAME", allow_negative_numbers = true)]
    first: Option<String>,

    /// How many workers, from 1 to 1024; with a sign, how many more or fewer
    #[arg(value_name = "N|+N|-N", allow_negative_numbers = true)]
    second: Option<String>,

    /// Return once the change is accepted
    #[arg(long)]
    no_wait: bool,

    /// How long to wait for the end, exit 4 after that; the change goes on [default: no limit]
    #[arg(long, value_name = "TIME", conflicts_with = "no_wait")]
    timeout: Option<Span>,

    /// Print what became of it as one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    /// The service that is meant, if one is named, and how many workers it is to have.
    fn words(&self) -> Result<(Option<ServiceName>, ScaleTo), Failure> {
        let (name, workers) = match (&self.first, &self.second) {
            (Some(workers), None) => (None, workers),
            (name, Some(workers)) => (name.as_ref(), workers),
            (None, None) => {
                return Err(Failure::usage("how many workers is not said: write `relevo scale 4`"));
            }
        };
        let refused =
            |what: &str, why: &dyn std::fmt::Display| Failure::usage(format!("{what}: {why}"));
        let name = name.map(|name| name.parse()).transpose();
        let name = name.map_err(|why| refused("the service", &why))?;
        let workers = workers.parse().map_err(|why| refused("the number of workers", &why))?;
        Ok((name, workers))
    }
}

fn verb(workers: ScaleTo, wait: bool) -> Verb {
    let by = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let to = match workers {
        ScaleTo::Exactly(count) => Count::To(count),
        ScaleTo::More(count) => Count::By(by(count)),
        ScaleTo::Fewer(count) => Count::By(-by(count)),
    };
    Verb::Scale { to, wait }
}

/// Asks for the change.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    finish(args.json, ask(args))
}

fn ask(args: &Args) -> Result<u8, Failure> {
    let (name, workers) = args.words()?;
    let (service, mut connection) = client::open(name.as_ref())?;
    let interrupt = client::take_interrupt();
    let verb = verb(workers, !args.no_wait);
    match wait(&mut connection, args, verb, interrupt.as_ref().map(Signals::fd)) {
        Ok(answer) => {
            let scaling = answer.scaling().map_err(|error| error.into_failure(&service))?;
            let line = sentence(&scaling, !args.no_wait);
            print(&format!("{}\n", if args.json { answer.json } else { line }))?;
            Ok(0)
        }
        Err(ClientError::Interrupted) => {
            eprintln!("relevo: the change goes on; see `relevo status {}`", service.name);
            Ok(INTERRUPTED)
        }
        Err(error) if args.no_wait => Err(error.into_failure(&service)),
        Err(error) => Err(explain(error, "scaling", args.timeout, &service, connection.pid)),
    }
}

fn wait(
    connection: &mut Connection,
    args: &Args,
    verb: Verb,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<Answer, ClientError> {
    let at_once = args.no_wait.then_some(PATIENCE);
    let limit = args.timeout.map(Span::duration).or(at_once);
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let watched = io::stderr().is_terminal();
    connection.ask(verb, Until { deadline, interrupt }, &mut |progress| {
        if let Some(line) = step(progress).filter(|_| watched) {
            eprintln!("{line}");
        }
    })
}

/// One line for one step; none for what is not known well enough to tell.
fn step(progress: Progress) -> Option<String> {
    let (slot, of) = (progress.slot?, progress.of?);
    let worker = match progress.worker {
        Some(worker) => format!("worker {worker}"),
        None => "its worker".to_owned(),
    };
    if slot >= of {
        return Some(match progress.phase {
            Some(_) => format!("slot {slot}: {worker} draining"),
            None => format!("slot {slot}: {worker} has finished"),
        });
    }
    let place = place(slot, Some(of));
    Some(match progress.phase {
        Some(Phase::Starting) => format!("{place}: {worker} started"),
        Some(Phase::Loaded | Phase::Probation | Phase::Draining | Phase::Undoing) | None => {
            format!("{place}: {worker} ready")
        }
    })
}

/// The end in one line.
fn sentence(scaling: &Scaling, is_over: bool) -> String {
    let workers = counted(scaling.to.into(), "worker");
    if scaling.from == scaling.to {
        return format!("nothing to do: {workers}");
    }
    if !is_over {
        return format!("scale accepted: from {} to {workers}", scaling.from);
    }
    let time = scaling.duration_ms.map(|ms| format!(" in {}", took(ms))).unwrap_or_default();
    format!("scaled: {workers}{time}")
}

#[cfg(test)]
mod tests {
    use relevo_wire::status::Cut;

    use super::*;

    #[test]
    fn the_end_in_one_line() {
        let scaling =
            Scaling { from: 2, to: 4, ready: Some(4), duration_ms: Some(812), cut: Cut::default() };
        assert_eq!(sentence(&scaling, true), "scaled: 4 workers in 812 ms");
        assert_eq!(sentence(&scaling, false), "scale accepted: from 2 to 4 workers");
        let nothing = Scaling { from: 4, ..scaling };
        assert_eq!(sentence(&nothing, true), "nothing to do: 4 workers");
        let little_known = Scaling { to: 1, duration_ms: None, ..scaling };
        assert_eq!(sentence(&little_known, true), "scaled: 1 worker");
    }

    #[test]
    fn a_single_word_is_the_number() {
        let words = |first: Option<&str>, second: Option<&str>| {
            let [first, second] = [first, second].map(|word| word.map(str::to_owned));
            let args = Args { first, second, no_wait: false, timeout: None, json: false };
            args.words().map_err(|failure| failure.reason)
        };
        assert_eq!(words(Some("4"), None), Ok((None, ScaleTo::Exactly(4))));
        let web = "web".parse().ok();
        assert_eq!(words(Some("web"), Some("-1")), Ok((web, ScaleTo::Fewer(1))));
        let nothing = words(None, None).unwrap_err();
        assert_eq!(nothing, "how many workers is not said: write `relevo scale 4`");
        let word = words(Some("web"), None).unwrap_err();
        assert!(word.starts_with("the number of workers: `web` is not a number"), "{word}");
        assert!(words(Some("a/b"), Some("4")).unwrap_err().starts_with("the service: `a/b`"));
    }

    #[test]
    fn each_step_has_a_line() {
        #[track_caller]
        fn check(slot: u32, phase: Option<Phase>, expected: &str) {
            let progress = Progress { slot: Some(slot), of: Some(4), phase, worker: Some(9) };
            assert_eq!(step(progress).as_deref(), Some(expected));
        }
        check(2, Some(Phase::Starting), "slot 2 (3 of 4): worker 9 started");
        check(2, None, "slot 2 (3 of 4): worker 9 ready");
        check(4, Some(Phase::Draining), "slot 4: worker 9 draining");
        check(4, None, "slot 4: worker 9 has finished");
        assert_eq!(step(Progress::default()), None);
    }
}
