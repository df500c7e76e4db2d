//! A stop that has the time it needs.

use rustix::process::Signal;

use crate::support::client::{Connection, Lost, get};
use crate::support::nodes::MAJORS;
use crate::support::notify::Manager;
use crate::support::ports::port;
use crate::support::service::{Setup, is_alive, signal_process};
use crate::support::traffic::{slow_response, slow_upload};
use crate::support::{BALANCES, fixture};
use crate::{answers, ask_all, lost};

#[test]
fn what_is_in_flight_is_finished_on_every_major() {
    for major in MAJORS {
        let manager = Manager::new();
        let port = port();
        let mut service = Setup::new(major, fixture("kitchen.js"))
            .options("-w 2")
            .env("PORT", port)
            .env("NOTIFY_SOCKET", manager.path().display())
            .start();
        assert_eq!(manager.next()[0], "READY=1");
        let response = slow_response(port, 1500);
        let upload = slow_upload(port, 15);
        let requests = ask_all(port, 20, "/slow?ms=800");
        // Also what was idle when it began may ask once more.
        let mut idle = Connection::open(port).expect("a connection");
        idle.get("/").expect("an answer");

        service.signal(Signal::TERM);
        assert_eq!(manager.next()[0], "STOPPING=1");
        service.wait_for_line("relevo: no longer listening");
        idle.get("/").expect("an answer on an idle connection");
        drop(idle);
        let answers = answers(requests);
        assert_eq!(lost(&answers), 0, "node {major}: {answers:?}\n{}", service.log());
        assert_eq!(response.join().expect("no panic").map(|r| r.status), Ok(200), "node {major}");
        assert_eq!(upload.join().expect("no panic").map(|r| r.status), Ok(200), "node {major}");
        assert_eq!(service.wait().code(), Some(0), "{}", service.log());
        assert_eq!(get(port, "/").err(), Some(Lost::Refused));
        manager.assert_empty();
    }
}

/// The workers block, so that nothing of this is accepted by them when the stop begins.
#[test]
fn what_waits_in_the_queues_is_answered() {
    for balance in BALANCES {
        let port = port();
        let mut service = Setup::new(22, fixture("kitchen.js"))
            .options(&format!("-w 2 --balance {balance}"))
            .env("PORT", port)
            .start();
        let workers = service.worker_pids();
        for worker in &workers {
            signal_process(*worker, Signal::STOP);
        }
        let queued = ask_all(port, 60, "/");
        service.signal(Signal::TERM);
        service.wait_for_line("relevo: stopping");
        for worker in &workers {
            signal_process(*worker, Signal::CONT);
        }
        let answers = answers(queued);
        assert_eq!(lost(&answers), 0, "{balance}: {answers:?}\n{}", service.log());
        assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    }
}

#[test]
fn blocked_workers_answer_what_came_meanwhile() {
    let port = port();
    let mut service =
        Setup::new(22, fixture("kitchen.js")).options("-w 2").env("PORT", port).start();
    let blocking = ask_all(port, 4, "/block?ms=250");
    let queued = ask_all(port, 40, "/");
    service.signal(Signal::TERM);
    let answers: Vec<_> = answers(blocking).into_iter().chain(answers(queued)).collect();
    assert_eq!(lost(&answers), 0, "{answers:?}\n{}", service.log());
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
}

#[test]
fn the_stop_command_returns_when_everything_is_gone() {
    let port = port();
    let mut service =
        Setup::new(22, fixture("kitchen.js")).options("-w 2").env("PORT", port).start();
    let workers = service.worker_pids();
    let requests = ask_all(port, 5, "/slow?ms=500");
    let output = service.ask("stop", &[]);
    assert!(output.status.success(), "{output:?}\n{}", service.log());
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("stopped: {}\n", service.name));
    for worker in workers {
        assert!(!is_alive(worker), "worker {worker} is there");
    }
    assert_eq!(service.wait().code(), Some(0));
    let answers = answers(requests);
    assert_eq!(lost(&answers), 0, "{answers:?}\n{}", service.log());
    assert_eq!(service.ask("status", &[]).status.code(), Some(3));
    assert_eq!(service.ask("stop", &["--if-running"]).status.code(), Some(0));
}

#[test]
fn ctrl_c_drains() {
    let port = port();
    let mut service =
        Setup::new(22, fixture("kitchen.js")).options("-w 2").env("PORT", port).start();
    let requests = ask_all(port, 5, "/slow?ms=500");
    service.signal(Signal::INT);
    let answers = answers(requests);
    assert_eq!(lost(&answers), 0, "{answers:?}\n{}", service.log());
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
}
