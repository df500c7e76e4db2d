//! `--hang-timeout`.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::thread::JoinHandle;

use relevo_sys::Signal;

use crate::support::client::{Connection, Lost, Response, get};
use crate::support::ports::port;
use crate::support::service::{Service, Setup, signal_process};
use crate::support::{BALANCES, fixture};

fn kitchen(port: u16, options: &str) -> Setup {
    Setup::new(22, fixture("kitchen.js")).options(options).env("PORT", port)
}

/// Asks whoever takes the connection for something that it does not come back from; who it was.
fn hang(service: &Service, port: u16, path: &str) -> (Connection, u32) {
    let mut connection = Connection::open(port).expect("a worker");
    let pid = connection.get("/").expect("an answer").json()["pid"].as_u64().expect("a pid");
    connection.send_get(path).expect("it takes the request");
    let pid = u32::try_from(pid).expect("a pid");
    assert!(service.worker_pids().contains(&pid), "{}", service.log());
    (connection, pid)
}

/// Requests that begin while the worker stands still.
fn visits(port: u16, count: usize) -> Vec<JoinHandle<Result<Response, Lost>>> {
    (0..count).map(|_| std::thread::spawn(move || get(port, "/"))).collect()
}

#[test]
fn who_hangs_is_replaced_and_who_waits_for_it_is_answered_under_every_balance() {
    for balance in BALANCES {
        println!("--balance {balance}");
        let port = port();
        let options = format!("-w 2 --hang-timeout 1s --balance {balance}");
        let service = kitchen(port, &options).start();
        let (mut connection, pid) = hang(&service, port, "/block?ms=60000");
        let visits = visits(port, 20);
        let line = service.wait_for_line("hung, no answer for ");
        assert!(line.contains(&format!("(pid {pid})")), "{line}");
        assert!(line.contains("(--hang-timeout): it computes, with "), "{line}");
        let own = connection.receive();
        assert!(
            matches!(own, Err(Lost::Closed | Lost::Reset)),
            "what it held ends with it: {own:?}"
        );
        for visit in visits {
            let answer = visit.join().expect("a client");
            assert!(answer.is_ok(), "{answer:?}\n{}", service.log());
        }
        service.wait_until_calm();
        assert!(!service.worker_pids().contains(&pid), "{}", service.log());
    }
}

#[test]
fn what_it_did_is_written_down_for_its_owner() {
    let port = port();
    let service = kitchen(port, "-w 1 --hang-timeout 1s").start();
    let (_connection, pid) = hang(&service, port, "/wait");
    let line = service.wait_for_line("hung, no answer for ");
    assert!(
        line.contains("it waits for something in a loop of its own, as execSync() does"),
        "{line}"
    );
    let path = line.split("; see ").nth(1).and_then(|rest| rest.split(';').next());
    let path = path.expect("a file is named");
    let report = fs::read_to_string(path).expect("the report");
    assert!(report.starts_with(&format!("worker 1 (pid {pid}) in slot 0")), "{report}");
    assert!(report.contains("kitchen.js") && report.contains("epoll_"), "{report}");
    let mode = fs::metadata(path).expect("the report").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    service.wait_until_calm();
}

#[test]
fn who_is_stopped_is_left_alone_and_shown_as_hung() {
    let port = port();
    let service = kitchen(port, "-w 1 --hang-timeout 1s").start();
    let mut connection = Connection::open(port).expect("a worker");
    let _answer = connection.get("/").expect("an answer");
    let pid = service.worker_pids()[0];
    signal_process(pid, Signal::STOP);
    service.wait_for_status("it is shown as hung", |status| status["slots"][0]["state"] == "hung");
    service.wait_for_line("gives no sign of life: its process was stopped, as by SIGSTOP");
    signal_process(pid, Signal::CONT);
    service.wait_for_status("it serves", |status| status["slots"][0]["state"] == "ready");
    assert!(connection.get("/").is_ok());
    assert_eq!(service.worker_pids(), [pid], "{}", service.log());
}

#[test]
fn who_is_debugged_is_left_alone() {
    let (port, inspector) = (port(), port());
    // The first worker's is the next one, as under Node's primary.
    let options = format!("-w 1 --hang-timeout 1s --node-arg=--inspect={}", inspector - 1);
    let service = kitchen(port, &options).start();
    let _debugger = TcpStream::connect(("127.0.0.1", inspector)).expect("an inspector");
    let (_connection, pid) = hang(&service, port, "/block?ms=5000");
    service.wait_for_line("gives no sign of life: a debugger is connected to its inspector");
    service.wait_for_status("it serves", |status| status["slots"][0]["state"] == "ready");
    assert_eq!(service.worker_pids(), [pid], "{}", service.log());
    assert_eq!(service.count_lines("gives no sign of life"), 1);
}

#[test]
fn with_no_limit_it_may_take_its_time() {
    let port = port();
    let service = kitchen(port, "-w 1 --hang-timeout 0s").start();
    let (mut connection, pid) = hang(&service, port, "/block?ms=3000");
    assert!(connection.receive().is_ok());
    assert_eq!(service.worker_pids(), [pid], "{}", service.log());
}
