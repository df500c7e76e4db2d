//! `relevo events`: what has happened to a service, and what happens.

use std::cell::LazyCell;
use std::ops::ControlFlow;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use relevo_config::ServiceName;
use relevo_wire::protocol::Verb;
use relevo_wire::{Event, ExitCode};

use super::Failure;
use super::client::report::{finish, print_if_read, printable};
use super::client::{self, ClientError, Connection, PATIENCE, Until};
use super::services::Service;

/// Show what has happened to a service: starts, ends, reloads and their reports
///
/// The primary remembers the last 1,000 events for as long as it runs. Times are local; with
/// `--json` they are in UTC, and the end of a reload comes with its whole report.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  relevo events\n  relevo events web -f\n  relevo events -n 20\n  relevo events --json | jq 'select(.kind == \"rollout_ended\") | .rollout'"
)]
pub(crate) struct Args {
    /// The service [default: the only one that runs, else the one that relevo.toml or package.json names]
    name: Option<ServiceName>,

    /// Go on with what happens from now on, until the service ends
    #[arg(short, long)]
    follow: bool,

    /// Begin with the last so many only
    #[arg(short = 'n', long, value_name = "COUNT")]
    last: Option<u32>,

    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Asks, and prints.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    finish(args.json, show(args))
}

fn show(args: &Args) -> Result<u8, Failure> {
    let (service, mut connection) = client::open(args.name.as_ref())?;
    let deadline = if args.follow { None } else { Instant::now().checked_add(PATIENCE) };
    let verb = Verb::Events { follow: args.follow, last: args.last };
    // JSON needs none, and it is looked up among all that the machine has.
    let zone = LazyCell::new(TimeZone::system);
    let mut printed = Ok(true);
    let heard = connection.hear(verb, Until { deadline, interrupt: None }, &mut |event, json| {
        let text = if args.json { format!("{json}\n") } else { lines(event, &zone) };
        printed = print_if_read(&text);
        if matches!(printed, Ok(true)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    printed?;
    match heard {
        Ok(()) => Ok(0),
        Err(ClientError::Closed) if args.follow => match Connection::open(&service, PATIENCE) {
            Ok(again) if again.pid == connection.pid => Err(left_behind(&service)),
            Ok(_) | Err(_) => {
                eprintln!("relevo: `{}` has ended", service.name);
                Ok(0)
            }
        },
        Err(error) => Err(error.into_failure(&service)),
    }
}

/// The primary keeps a bounded amount for a client that does not read.
fn left_behind(service: &Service) -> Failure {
    let reason = format!(
        "`{}` runs on and has closed this connection: too much waited to be read. Read faster, or begin again with `relevo events {0} -f -n 0`",
        service.name
    );
    Failure::new(ExitCode::Failed, reason)
}

/// One line, and one more for each line of detail.
fn lines(event: &Event, zone: &TimeZone) -> String {
    let at = match event.at.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%F %T%.3f").to_string(),
        Err(_) => printable(&event.at).into_owned(),
    };
    let mut text = format!("{at}  {}\n", printable(&event.text));
    for line in &event.detail {
        text.push_str(&format!("    {}\n", printable(line)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_in_local_time_with_its_detail() {
        let json = r#"{"number":1,"at":"2026-11-27T23:59:59.120Z","kind":"worker_failed","text":"slot 0: worker 1 exited","detail":["Error: \u001b[31mno"]}"#;
        let event: Event = serde_json::from_str(json).unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let expected =
            "2026-11-28 00:59:59.120  slot 0: worker 1 exited\n    Error: \u{fffd}[31mno\n";
        assert_eq!(lines(&event, &zone), expected);
        assert!(lines(&Event { at: "soon".into(), ..event }, &zone).starts_with("soon  slot 0"));
    }
}
