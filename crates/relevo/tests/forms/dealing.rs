//! What `--balance round-robin` promises: exact turns, and no connection lost between two workers.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::QUIET;
use super::target::{Client, Target};
use crate::support::client::{Connection, get};
use crate::support::nodes::MAJORS;
use crate::support::ports::port;
use crate::support::service::{Service, Setup, signal_process};
use crate::support::{eventually, fixture};

/// Two of the fixture's workers that wait for turns.
fn dealt(major: u32, script: &str, workers: usize, port: u16) -> Setup {
    Setup::new(major, fixture(script))
        .options(&format!("-w {workers} --balance round-robin"))
        .env("PORT", port)
}

#[test]
fn connections_one_by_one_are_dealt_in_turn() {
    for major in MAJORS {
        let port = port();
        let service = dealt(major, "forms.js", 4, port).env("FORM", "port").start();
        let mut client = Client::new(Target::v4(port));
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for _ in 0..60 {
            *counts.entry(client.ask().expect("an answer")).or_default() += 1;
        }
        let each: Vec<usize> = counts.values().copied().collect();
        assert_eq!(each, [15; 4], "node {major}: {counts:?}\n{}", service.log());
    }
}

/// Asks for a response after `ms` and says who gave it, and how many connections it had at most.
fn held(port: u16, ms: u32) -> (u32, u64) {
    let response = get(port, &format!("/?ms={ms}")).expect("an answer");
    let words: Value = response.json();
    let pid = words["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    (pid.expect("a pid"), words["peak"].as_u64().expect("a number"))
}

#[test]
fn more_than_all_workers_may_have_waits_and_nothing_is_lost() {
    for major in MAJORS {
        let port = port();
        let service = dealt(major, "max-connections.js", 2, port).env("MAX", 2).start();
        let clients: Vec<_> =
            (0..12).map(|_| std::thread::spawn(move || held(port, 100))).collect();
        for client in clients {
            let (pid, peak) = client.join().expect("an answer");
            assert!(peak <= 2, "node {major}: worker {pid} had {peak}\n{}", service.log());
        }
    }
}

#[test]
fn a_worker_that_is_full_is_left_alone() {
    let _quiet = QUIET.write();
    for major in MAJORS {
        let port = port();
        let _service = dealt(major, "max-connections.js", 2, port).env("MAX", 2).start();
        let (full, mut stay) = fill_one(port);
        for _ in 0..10 {
            let asked = Instant::now();
            assert_ne!(held(port, 0).0, full, "node {major}: it has no room");
            let waited = asked.elapsed();
            assert!(waited < Duration::from_secs(1), "node {major}: waited {waited:?}");
        }
        for connection in &mut stay {
            let words = connection.receive().expect("the late answer").json();
            assert_eq!(words["pid"], full, "node {major}");
        }
    }
}

/// Opens connections until one worker has two, which are then busy; gives its pid and those.
fn fill_one(port: u16) -> (u32, Vec<Connection>) {
    let mut of_worker: BTreeMap<u32, Vec<Connection>> = BTreeMap::new();
    loop {
        let mut connection = Connection::open(port).expect("a connection");
        // The first answer says who has it, and that it has arrived there.
        let words = connection.get("/?ms=0").expect("an answer").json();
        let pid = words["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a pid");
        let its = of_worker.entry(pid).or_default();
        its.push(connection);
        if let [_, _] = &mut its[..] {
            let mut stay = std::mem::take(its);
            for connection in &mut stay {
                connection.send_get("/?ms=3000").expect("a request");
            }
            return (pid, stay);
        }
    }
}

/// Requests whose answers come by the channel.
fn ask_in_background(port: u16, count: usize) -> mpsc::Receiver<Result<u32, String>> {
    let (sender, receiver) = mpsc::channel();
    for _ in 0..count {
        let sender = sender.clone();
        std::thread::spawn(move || sender.send(Client::new(Target::v4(port)).ask()));
    }
    receiver
}

#[test]
fn what_a_dead_worker_was_dealt_goes_to_another() {
    for major in MAJORS {
        let port = port();
        let service = dealt(major, "forms.js", 2, port).env("FORM", "port").start();
        let [stopped, other] = service.worker_pids()[..] else { panic!("two workers") };
        signal_process(stopped, Signal::STOP);
        // By turns: at least one of these, and two at most, are with the one that takes none.
        let answers = ask_in_background(port, 4);
        for _ in 0..2 {
            assert_eq!(answers.recv().expect("the client's end"), Ok(other), "node {major}");
        }
        wait_for_in_flight(&service, port);
        signal_process(stopped, Signal::KILL);
        for _ in 0..2 {
            let answer = answers.recv().expect("the client's end");
            assert!(answer.is_ok(), "node {major}: {answer:?}\n{}", service.log());
        }
    }
}

/// Waits until nothing is left in the socket's queue: what is not answered has been accepted.
fn wait_for_in_flight(service: &Service, port: u16) {
    let address = format!(":{port}");
    eventually("an empty queue", || {
        let status = service.status();
        let listeners = status["listeners"].as_array().cloned().unwrap_or_default();
        let ours = listeners.iter().find(|listener| {
            listener["address"].as_str().is_some_and(|known| known.ends_with(&address))
        });
        match ours.map(|listener| listener["queued"].as_u64()) {
            Some(Some(0)) => Ok(()),
            _ => Err(status.to_string()),
        }
    });
}
