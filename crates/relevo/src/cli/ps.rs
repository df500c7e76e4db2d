//! `relevo ps`: all services of this user.

use std::thread;
use std::time::{Duration, Instant};

use relevo_wire::PsEntry;
use relevo_wire::protocol::Verb;

use super::Failure;
use super::client::report::{colour_on_stdout, finish, print};
use super::client::{ClientError, Connection, Until};
use super::services::{self, Service, directory_of};
use super::status::service_state;
use super::status::table::{Cell, Mood, Table, UNKNOWN};

/// How long a primary may take to tell its status. Shorter than elsewhere: one that hangs should
/// not hide the others for long.
const PATIENCE: Duration = Duration::from_secs(2);

/// List all of this user's services
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print an array of JSON objects
    #[arg(long)]
    json: bool,
}

/// Asks every service for its status.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    finish(args.json, show(args))
}

fn show(args: &Args) -> Result<u8, Failure> {
    let entries = ask_all(&services::all());
    if args.json {
        let array = serde_json::to_string(&entries);
        let array = array.expect("numbers and texts can always be serialised");
        print(&format!("{array}\n"))?;
    } else if entries.is_empty() {
        eprintln!("no service runs");
    } else {
        print(&render(&entries, colour_on_stdout()))?;
    }
    Ok(0)
}

/// All at once, so that several which do not answer take no longer than one.
fn ask_all(services: &[Service]) -> Vec<PsEntry> {
    thread::scope(|scope| {
        let asked: Vec<_> =
            services.iter().map(|service| scope.spawn(move || entry(service))).collect();
        asked.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect()
    })
}

/// What is known of a service; `None` if it has ended meanwhile.
fn entry(service: &Service) -> Option<PsEntry> {
    match ask(service) {
        Ok(entry) => Some(entry),
        Err(_) => {
            let still = services::find(&service.name)?;
            let directory = still.sockets.first().map(|socket| directory_of(socket));
            let directory = directory.map(|directory| directory.display().to_string());
            Some(PsEntry::silent(
                still.name.to_string(),
                still.pid(),
                directory.unwrap_or_default(),
            ))
        }
    }
}

fn ask(service: &Service) -> Result<PsEntry, ClientError> {
    let deadline = Instant::now().checked_add(PATIENCE);
    let mut connection = Connection::open(service, PATIENCE)?;
    let until = Until { deadline, interrupt: None };
    let status = connection.ask(Verb::Status, until, &mut |_| {})?.status()?;
    let directory = directory_of(&connection.socket).display().to_string();
    Ok(PsEntry::of_status(&status, directory))
}

fn render(entries: &[PsEntry], colour: bool) -> String {
    let mut table = Table::new(["NAME", "PID", "STATE", "READY", "GENERATION", "DIRECTORY"]);
    for entry in entries {
        let state = match entry.state {
            Some(state) => service_state(state),
            None => Cell::in_mood("no answer", Mood::Bad),
        };
        let directory = entry.runtime_directory.as_str();
        table.push([
            Cell::plain(&entry.name),
            Cell::known(entry.pid),
            state,
            Cell::known(entry.workers.map(|workers| format!("{}/{}", workers.ready, workers.of))),
            Cell::known(entry.generation),
            Cell::plain(if directory.is_empty() { UNKNOWN } else { directory }),
        ]);
    }
    table.render(colour)
}

#[cfg(test)]
mod tests {
    use relevo_wire::PsWorkers;
    use relevo_wire::status::ServiceState;

    use super::*;

    #[test]
    fn services_that_do_not_answer_are_shown_too() {
        let shop = PsEntry {
            name: "shop".to_owned(),
            pid: Some(900),
            state: Some(ServiceState::Running),
            workers: Some(PsWorkers { ready: 3, of: 4 }),
            generation: Some(12),
            runtime_directory: "/run/user/1000/relevo/shop".to_owned(),
            uptime_ms: None,
        };
        let silent = PsEntry::silent("a".to_owned(), None, String::new());
        let expected = "\
NAME  PID  STATE      READY  GENERATION  DIRECTORY
shop  900  running    3/4    12          /run/user/1000/relevo/shop
a     -    no answer  -      -           -
";
        assert_eq!(render(&[shop, silent], false), expected);
    }

    #[test]
    fn a_service_that_has_ended_is_left_out() {
        let gone = Service::stand_in("cli-ps-test-never-ran", Some(1), Vec::new());
        assert_eq!(ask_all(&[gone]), []);
    }
}
