//! `relevo stop`: let a service finish its work and end, and wait until it has.

use std::os::fd::BorrowedFd;
use std::thread;
use std::time::{Duration, Instant};

use relevo_config::ServiceName;
use relevo_sys::signals::Signals;
use relevo_wire::ExitCode;
use relevo_wire::protocol::Verb;

use super::Failure;
use super::client::report::{finish, print};
use super::client::waiting::INTERRUPTED;
use super::client::{self, ClientError, Connection, Until, introduce};
use super::services::{self, Service};

/// How long a primary that has said that its work is done may take to be gone.
const LAST_BREATH: Duration = Duration::from_secs(10);

/// How often the lock is asked for in that time.
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// Let a service finish its work and end; returns when it has
///
/// `--shutdown-timeout` of `relevo run` bounds how long that takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service [default: the only one that runs, else the one that relevo.toml or package.json names]
    name: Option<ServiceName>,

    /// Exit 0 where there is nothing to stop
    #[arg(long)]
    if_running: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks the service to stop.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    finish(args.json, stop(args))
}

fn stop(args: &Args) -> Result<u8, Failure> {
    let (service, mut connection) = match client::open(args.name.as_ref()) {
        Ok(opened) => opened,
        Err(_) if args.if_running && !is_running(args.name.as_ref()) => {
            eprintln!("relevo: nothing to stop");
            if args.json {
                print(&json(args.name.as_ref(), false))?;
            }
            return Ok(0);
        }
        Err(failure) => return Err(failure),
    };
    let interrupt = client::take_interrupt();
    match ask_and_wait(&service, &mut connection, interrupt.as_ref().map(Signals::fd)) {
        Ok(()) => {
            let name = &service.name;
            print(&if args.json { json(Some(name), true) } else { format!("stopped: {name}\n") })?;
            Ok(0)
        }
        Err(ClientError::Interrupted) => {
            eprintln!("relevo: the stop goes on; see `relevo status {}`", service.name);
            Ok(INTERRUPTED)
        }
        Err(error) => Err(explain(error, &service, connection.pid)),
    }
}

fn is_running(name: Option<&ServiceName>) -> bool {
    match name {
        Some(name) => services::find(name).is_some(),
        None => !services::all().is_empty(),
    }
}

fn ask_and_wait(
    service: &Service,
    connection: &mut Connection,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<(), ClientError> {
    connection.ask(Verb::Stop, Until { deadline: None, interrupt }, &mut |_| {})?;
    // The answer is given just before the end: whoever starts the service anew wants the lock.
    let deadline = Instant::now().checked_add(LAST_BREATH);
    connection.wait_closed(Until { deadline, interrupt });
    while !service.is_gone(connection.pid) {
        if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
            return Err(ClientError::TimedOut);
        }
        thread::sleep(LOCK_INTERVAL);
    }
    Ok(())
}

/// A failure while waiting, and what it means for the service.
fn explain(error: ClientError, service: &Service, pid: Option<u32>) -> Failure {
    let name = &service.name;
    let who = introduce(service);
    match error {
        ClientError::TimedOut => Failure::new(
            ExitCode::Failed,
            format!("{who} has stopped its workers and does not end; end it by `kill -9`"),
        ),
        ClientError::Closed if service.is_gone(pid) => Failure::new(
            ExitCode::Unreachable,
            format!(
                "the primary of `{name}` ended before it had answered: the service runs no more; \
                 whether its workers could finish their work is not known"
            ),
        ),
        ClientError::Closed => Failure::new(
            ExitCode::Unreachable,
            format!(
                "{who} closed the connection before it had stopped; see `relevo status {name}`"
            ),
        ),
        ClientError::NoSocket
        | ClientError::Connect { .. }
        | ClientError::Interrupted
        | ClientError::Version { .. }
        | ClientError::HelloRefused(_)
        | ClientError::Failed(_)
        | ClientError::NotUnderstood(_)
        | ClientError::TooLong(_)
        | ClientError::Broken(_) => error.into_failure(service),
    }
}

fn json(name: Option<&ServiceName>, stopped: bool) -> String {
    // A service's name has no character that JSON would escape.
    let name = name.map_or_else(|| "null".to_owned(), |name| format!("\"{name}\""));
    format!("{{\"name\":{name},\"stopped\":{stopped}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_as_json() {
        let name: ServiceName = "web".parse().unwrap();
        assert_eq!(json(Some(&name), true), "{\"name\":\"web\",\"stopped\":true}\n");
        assert_eq!(json(None, false), "{\"name\":null,\"stopped\":false}\n");
    }
}
