//! One service of the table, from its start to its end.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::rows::{Besides, Place, Row};
use super::target::{Asker, Client, Target};
use super::{bare, is_running, socket_activation};
use crate::support::client::Lost;
use crate::support::load::{Account, Load};
use crate::support::service::{Service, Setup, signal_process};
use crate::support::{eventually, fixture};

/// How many requests each address must answer, at each look.
const REQUESTS: usize = 20;

/// A service under test.
struct Life<'a> {
    row: &'a Row,
    major: u32,
    place: Place,
    service: Service,
    targets: Vec<Target>,
    /// Those of the second port, where that is the worker's own.
    own: Vec<Target>,
    /// What the first worker said that it listens on.
    first_addresses: Vec<Value>,
    asker: Option<Asker>,
    has_session: bool,
}

/// Lives one combination. `step` says how far it came.
pub(crate) fn live(row: &Row, major: u32, balance: &str, step: &Mutex<&'static str>) {
    let at = |name| *step.lock().expect("nobody panics with it") = name;
    at("first start");
    let mut life = Life::begin(row, major, balance);
    let first = life.look();

    at("kill -9 of a worker");
    let victim = first[0];
    signal_process(victim, Signal::KILL);
    eventually("the end of the victim", || if is_running(victim) { Err(victim) } else { Ok(()) });
    life.ask_everywhere(None);
    life.wait_for_workers(&format!("a replacement of {victim}"), |pids| !pids.contains(&victim));
    let second = life.look();

    at("reload");
    life.reload_under_load();
    life.wait_for_workers("new workers", |pids| !pids.iter().any(|pid| second.contains(pid)));
    let third = life.look();

    at("aborted reload");
    life.abort_under_load();
    life.wait_for_workers("the same workers", |pids| pids == third);
    life.look();

    at("failed reload");
    File::create(life.place.fail_file()).expect("the file");
    let output = life.service.ask("reload", &[]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "of a reload that had to fail: {output:?}");
    assert!(words.contains("exited with code 1"), "the reason is missing: {words}");
    assert!(words.contains("told to fail at boot"), "the last words are missing: {words}");
    life.wait_for_workers("the old workers", |pids| pids == third);
    life.look();

    at("stop");
    life.end();
}

impl<'a> Life<'a> {
    fn begin(row: &'a Row, major: u32, balance: &str) -> Self {
        let place = Place::new();
        let socket = if row.form.starts_with("abstract") {
            place.abstract_name.clone()
        } else {
            "app.sock".to_owned()
        };
        let mut setup = Setup::new(major, fixture("forms.js"))
            .options(&format!("-w {} --balance {balance} --probation 500ms", row.workers))
            .directory(place.directory.path())
            .env("FORM", row.form)
            .env("PORT", place.port)
            .env("PORT2", place.second_port)
            .env("SOCK", socket)
            .env("FAIL_FILE", place.fail_file().display());
        if row.besides == Besides::Activated {
            let socket = TcpListener::bind(("0.0.0.0", place.port)).expect("a free port");
            setup = socket_activation(setup, socket.into());
        } else if row.besides == Besides::ActivatedPath {
            let socket = UnixListener::bind(place.socket_file()).expect("a free path");
            setup = socket_activation(setup, socket.into());
        }
        let service = setup.start();
        let asker = (row.besides == Besides::Resumption).then(Asker::start);
        let (targets, first_addresses) = (Vec::new(), Vec::new());
        let own = Vec::new();
        let mut life = Self {
            row,
            major,
            place,
            service,
            targets,
            own,
            first_addresses,
            asker,
            has_session: false,
        };
        let said = life.wait_for_words_of_all();
        life.first_addresses = addresses(&said[0]);
        life.targets = (row.at)(&life.place, &life.first_addresses);
        assert!(!life.targets.is_empty(), "nothing to ask: {said:?}");
        if let Besides::Unprotected { .. } = row.besides {
            life.own = vec![Target::v4(life.place.second_port)];
            for pid in life.service.worker_pids() {
                let warning = format!("(pid {pid}) listens on port {}", life.place.second_port);
                let line = life.service.wait_for_line(&warning);
                assert!(line.contains("past Relevo"), "{line}");
                let protected = format!("port {} (", life.place.port);
                assert!(!line.contains(&protected), "that port is protected: {line}");
            }
        }
        life
    }

    /// Sees that all is as it should be in a calm service, and gives the workers' pids.
    fn look(&mut self) -> Vec<u32> {
        let said = self.wait_for_words_of_all();
        let pids = self.service.worker_pids();
        self.ask_everywhere(Some(&pids));
        for target in (self.row.not_at)(&self.place) {
            assert_eq!(target.is_open(), Some(false), "{target} is served too");
        }
        match self.row.besides {
            Besides::SameAddresses => {
                for words in &said {
                    assert_eq!(addresses(words), self.first_addresses, "other addresses");
                }
            }
            Besides::SecondFails => {
                let bare = bare::error_of(self.major, "twice-at-once");
                for words in &said {
                    let error = words.iter().find(|one| one["error"].is_object());
                    let error = error.unwrap_or_else(|| panic!("no error: {words:?}"));
                    // The rest is worded by Node's side of the cluster: it always says `bind`.
                    assert_eq!(error["error"]["code"], bare["code"], "{error}, bare node: {bare}");
                }
            }
            Besides::Resumption => self.resume(&pids),
            Besides::Unprotected { is_shareable } => self.look_at_own(&said, &pids, is_shareable),
            Besides::Nothing | Besides::NoFile | Besides::Activated | Besides::ActivatedPath => {}
        }
        pids
    }

    /// What the worker opened past us: it is there unless another process had it at that time.
    fn look_at_own(&self, said: &[Vec<Value>], pids: &[u32], is_shareable: bool) {
        let failed = said.iter().flatten().find(|words| words["error"].is_object());
        let code = failed.map(|words| words["error"]["code"].clone());
        match code {
            None => {
                for target in &self.own {
                    ask(target, Some(pids));
                }
            }
            Some(code) => {
                assert!(!is_shareable, "{said:?}");
                assert_eq!(code, "EADDRINUSE", "{said:?}");
            }
        }
    }

    /// 20 requests to each address, all answered; given the workers, by each of them.
    fn ask_everywhere(&self, pids: Option<&[u32]>) {
        for target in &self.targets {
            ask(target, pids);
        }
    }

    fn reload_under_load(&self) {
        let mut load = Load::new();
        for target in &self.targets {
            let target = target.clone();
            load = load.add(2, move |stop| keep_asking(&target, stop));
        }
        self.service.reload();
        let account = load.stop();
        account.assert_nothing_lost();
    }

    /// A reload is aborted when its first new worker serves. Without an agent there is no way back.
    fn abort_under_load(&self) {
        if self.major < 18 {
            return;
        }
        let mut load = Load::new();
        for target in &self.targets {
            let target = target.clone();
            load = load.add(2, move |stop| keep_asking(&target, stop));
        }
        let done = |verb, more: &[&str]| {
            let output = self.service.ask(verb, more);
            assert!(output.status.success(), "{output:?}\n{}", self.service.log());
        };
        done("reload", &["--no-wait"]);
        done("pause", &[]);
        self.service.wait_for_status("a parked worker", |status| {
            let workers = status["slots"][0]["workers"].as_array().cloned().unwrap_or_default();
            let states: Vec<&str> = workers.iter().filter_map(|w| w["state"].as_str()).collect();
            states == ["parked", "ready"]
        });
        done("abort", &[]);
        load.stop().assert_nothing_lost();
    }

    /// Each worker resumes the session that one of them began.
    fn resume(&mut self, pids: &[u32]) {
        let asker = self.asker.as_mut().expect("this row has one");
        let port = self.place.port;
        if !self.has_session {
            let begun = asker.ask("resume", port).expect("an answer");
            assert!(begun.ends_with(" full"), "{begun}");
            self.has_session = true;
        }
        let mut missing: BTreeSet<u32> = pids.iter().copied().collect();
        eventually("a resumption by every worker", || {
            let answer = asker.ask("resume", port).expect("an answer");
            let (pid, how) = answer.split_once(' ').expect("two words");
            assert_eq!(how, "resumed", "by {pid} of {pids:?}");
            missing.remove(&pid.parse().expect("a pid"));
            if missing.is_empty() { Ok(()) } else { Err(missing.clone()) }
        });
    }

    fn wait_for_workers(&self, what: &str, wanted: impl Fn(&[u32]) -> bool) {
        let count = self.row.workers;
        self.service.wait_for_status(what, |status| {
            let workers: Vec<&Value> = status["slots"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(|slot| slot["workers"].as_array().into_iter().flatten())
                .collect();
            let pids: Vec<u32> = workers.iter().filter_map(|worker| pid_of(worker)).collect();
            workers.len() == count
                && workers.iter().all(|worker| worker["state"] == "ready")
                && (status["state"] == "running" || status["state"] == "degraded")
                && wanted(&pids)
        });
    }

    /// What each of the present workers has said, once each has said all.
    fn wait_for_words_of_all(&self) -> Vec<Vec<Value>> {
        let pids = self.service.worker_pids();
        assert_eq!(pids.len(), self.row.workers, "workers: {}", self.service.log());
        eventually("every worker's words", || {
            let lines = self.service.lines();
            let said: Vec<Value> =
                lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
            let of = |pid: &u32| -> Vec<Value> {
                said.iter().filter(|words| pid_of(words) == Some(*pid)).cloned().collect()
            };
            let all: Vec<Vec<Value>> = pids.iter().map(of).collect();
            let complete = all.iter().all(|words| words.len() >= self.row.lines);
            if complete { Ok(all) } else { Err((pids.clone(), lines)) }
        })
    }

    fn end(self) {
        let (status, lines) = self.service.stop();
        let log = lines.join("\n");
        assert_eq!(status.code(), Some(0), "of the stop:\n{log}");
        assert!(!log.contains("bug in Relevo"), "{log}");
        for target in &self.targets {
            assert_ne!(target.is_open(), Some(true), "{target} is still served:\n{log}");
        }
        if self.row.besides == Besides::NoFile {
            assert!(!self.place.socket_file().exists(), "the socket's file is left:\n{log}");
        } else if self.row.besides == Besides::ActivatedPath {
            assert!(self.place.socket_file().exists(), "the manager's file is gone:\n{log}");
        }
    }
}

fn addresses(words: &[Value]) -> Vec<Value> {
    words.iter().filter_map(|one| one["listening"].as_array()).flatten().cloned().collect()
}

fn pid_of(value: &Value) -> Option<u32> {
    value["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
}

/// Requests that must all be answered, until enough were, and by every one of `pids`.
fn ask(target: &Target, pids: Option<&[u32]>) {
    let mut client = Client::new(target.clone());
    let mut answers = |count: usize| -> BTreeSet<u32> {
        (0..count)
            .map(|number| match client.ask() {
                Ok(pid) => pid,
                Err(error) => panic!("request {number} at {target}: {error}"),
            })
            .collect()
    };
    let mut seen = answers(REQUESTS);
    let Some(pids) = pids else { return };
    let wanted: BTreeSet<u32> = pids.iter().copied().collect();
    eventually(&format!("an answer by every worker at {target}"), || {
        assert!(seen.is_subset(&wanted), "{target}: {seen:?} answered, the workers are {wanted:?}");
        if seen == wanted {
            return Ok(());
        }
        // Who asks alone may always meet the same one, where whoever wakes first accepts.
        let more = std::thread::scope(|scope| {
            let others: Vec<_> = (0..4)
                .map(|_| {
                    let target = target.clone();
                    scope.spawn(move || Client::new(target).ask())
                })
                .collect();
            others.into_iter().map(|other| other.join().expect("no panic")).collect::<Vec<_>>()
        });
        for answer in more {
            seen.insert(answer.unwrap_or_else(|error| panic!("at {target}: {error}")));
        }
        Err((seen.clone(), wanted.clone()))
    });
}

/// Asks until it is told to stop. It thinks in between: what is asked must all be answered, but the
/// machine has other services to run.
fn keep_asking(target: &Target, stop: &AtomicBool) -> Account {
    const THINK: Duration = Duration::from_millis(3);
    let mut client = Client::new(target.clone());
    let mut account = Account::default();
    while !stop.load(Ordering::Relaxed) || account.answered == 0 {
        match client.ask() {
            Ok(_) => account.answered += 1,
            Err(error) => {
                *account.lost.entry(Lost::Wrong).or_default() += 1;
                account.examples.push(format!("{target}: {error}"));
                if account.examples.len() > 5 {
                    break;
                }
            }
        }
        std::thread::sleep(THINK);
    }
    account
}
