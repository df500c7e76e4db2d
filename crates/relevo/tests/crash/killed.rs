//! Workers that are killed: `kill -9` under load, and with connections in their queue.

use std::time::Instant;

use rustix::process::Signal;

use crate::support::client::{Connection, Lost, get};
use crate::support::load::Load;
use crate::support::ports::port;
use crate::support::service::{Service, Setup, signal_process};
use crate::support::{BALANCES, eventually, fixture, proc};

fn kitchen(major: u32, port: u16, options: &str) -> Setup {
    Setup::new(major, fixture("kitchen.js")).options(options).env("PORT", port)
}

/// Opens connections with a request on each. Nobody need accept them.
fn ask_all(port: u16, count: usize) -> Vec<Connection> {
    let ask = |_| {
        let mut connection = Connection::open(port).expect("a connection");
        connection.send_get("/").expect("a request");
        connection
    };
    (0..count).map(ask).collect()
}

/// Fails at the first that is lost: waiting for all others would take as long for each.
fn assert_all_answered(connections: Vec<Connection>, service: &Service, what: &str) {
    let all = connections.len();
    for (nth, mut connection) in connections.into_iter().enumerate() {
        let end = connection.receive().map(|response| response.status);
        assert_eq!(end, Ok(200), "{what}: {nth} of {all}\n{}", service.log());
    }
}

/// A stopped worker accepts nothing, so that all it is given is not accepted when it is killed.
#[test]
fn what_a_killed_worker_had_not_accepted_is_answered_by_others() {
    for balance in BALANCES {
        let port = port();
        let service = kitchen(22, port, &format!("-w 2 --balance {balance}")).start();
        let victim = service.worker_pids()[0];
        signal_process(victim, Signal::STOP);
        let connections = ask_all(port, 40);
        signal_process(victim, Signal::KILL);
        assert_all_answered(connections, &service, balance);
    }
}

/// With one worker alone they wait for its successor.
#[test]
fn with_nobody_else_they_wait_for_the_successor() {
    for major in [18, 22, 26] {
        for balance in BALANCES {
            let port = port();
            let service = kitchen(major, port, &format!("-w 1 --balance {balance}")).start();
            let victim = service.worker_pids()[0];
            signal_process(victim, Signal::STOP);
            let connections = ask_all(port, 40);
            signal_process(victim, Signal::KILL);
            assert_all_answered(connections, &service, &format!("node {major}, {balance}"));
        }
    }
}

/// Connections that come while nobody is there wait in the kernel's queue.
#[test]
fn a_request_right_after_the_death_of_the_only_worker_is_answered() {
    for balance in BALANCES {
        let port = port();
        let service = kitchen(22, port, &format!("-w 1 --balance {balance}")).start();
        for _ in 0..5 {
            let victim = service.worker_pids()[0];
            signal_process(victim, Signal::KILL);
            eventually("the worker's death", || if proc::lives(victim) { Err(()) } else { Ok(()) });
            assert_all_answered(ask_all(port, 5), &service, balance);
            // Backing off is another test's: here each death is a first one.
            service.reload();
        }
    }
}

/// Only what was on connections that the dead worker had accepted: at most one for each client.
#[test]
fn under_load_a_killed_worker_takes_at_most_what_it_had_accepted() {
    const CLIENTS: usize = 6;
    for balance in BALANCES {
        let port = port();
        let service = kitchen(22, port, &format!("-w 2 --balance {balance}")).start();
        let load = Load::new().connection_per_request(CLIENTS, port, "/");
        let mut deaths = 0;
        for slot in [0, 1, 0] {
            let status = service.wait_until_calm();
            let pid = &status["slots"][slot]["workers"][0]["pid"];
            signal_process(pid.as_u64().expect("a pid") as u32, Signal::KILL);
            deaths += 1;
            service.wait_for_lines("was killed by SIGKILL", deaths);
        }
        service.wait_until_calm();
        let account = load.stop();
        println!("{balance}, {deaths} deaths: {account:?}");
        let lost: u64 = account.lost.values().sum();
        let cut_only = account.lost.keys().all(|lost| matches!(lost, Lost::Closed | Lost::Reset));
        assert!(cut_only, "not only accepted connections were lost: {account:#?}");
        assert!(lost <= (deaths * CLIENTS) as u64, "{account:#?}");
        assert!(account.answered > 0);
    }
}

#[test]
fn the_first_restart_is_immediate_and_the_log_says_what_died_and_how() {
    let port = port();
    let service = kitchen(22, port, "-w 2").env("LEAK_CHILD", 1).start();
    let leaked = get(port, "/").expect("an answer").json();
    let child = leaked["leaked"].as_u64().expect("a pid") as u32;
    let parent = leaked["pid"].as_u64().expect("a pid") as u32;
    let began = Instant::now();
    signal_process(parent, Signal::KILL);
    let line = service.wait_for_line("was killed by SIGKILL");
    assert!(line.contains(&format!("(pid {parent})")), "{line}");
    assert!(line.ends_with("; starting another now"), "{line}");
    let status = service.wait_until_calm();
    println!("ready again after {:?}", began.elapsed());
    let slots = status["slots"].as_array().expect("slots");
    let slot = slots.iter().find(|slot| slot["restarts"] == 1).expect("a slot with a restart");
    assert_eq!(slot["last_exit"]["signal"], "SIGKILL", "{slot}");
    // What it had started does not outlive it.
    eventually("the end of its child", || if proc::lives(child) { Err(child) } else { Ok(()) });
}

#[test]
fn an_app_that_exits_with_0_is_replaced() {
    let port = port();
    let service = kitchen(22, port, "-w 2").start();
    let before = service.worker_pids();
    assert_eq!(get(port, "/exit?code=0").err(), Some(Lost::Closed));
    let line = service.wait_for_line("exited with code 0");
    assert!(line.ends_with("; starting another now"), "{line}");
    service.wait_until_calm();
    let after = service.worker_pids();
    assert_eq!(after.len(), 2);
    assert_eq!(before.iter().filter(|pid| after.contains(pid)).count(), 1);
}

#[test]
fn an_uncaught_exception_is_told_with_its_words() {
    let port = port();
    let service = kitchen(22, port, "-w 2").start();
    assert_eq!(get(port, "/throw").err(), Some(Lost::Closed));
    let line = service.wait_for_line("exited with code 1");
    let lines = service.lines();
    let said = lines.iter().position(|line| line.contains("Error: told to throw by a request"));
    let ended = lines.iter().position(|other| *other == line);
    assert!(said.is_some() && said < ended, "{lines:#?}");
    service.wait_until_calm();
}
