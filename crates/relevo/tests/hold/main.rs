//! No worker is there: connections wait for `--hold`, then the listeners close until one is ready.

#[path = "../support/mod.rs"]
mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;
use support::client::{Connection, Lost, get};
use support::eventually;
use support::mood::Mood;
use support::ports::port;
use support::service::{Service, Setup};
use support::traffic::slow_response;

/// The worker that answers this ends.
fn crash(port: u16) {
    assert!(get(port, "/exit?code=9").is_err(), "it ends without an answer");
}

fn wait_until_down(service: &Service) {
    service.wait_for_line("down: no worker was there to accept for");
    let status = service.status();
    assert_eq!((&status["state"], &status["listeners"]), (&json!("down"), &json!([])), "{status}");
    let reason = status["reason"].as_str().expect("a reason");
    assert!(reason.contains("the listeners are closed until a worker is ready"), "{reason}");
    assert!(reason.contains("no ready worker in slot"), "{reason}");
}

#[track_caller]
fn assert_serves(port: u16) {
    assert_eq!(get(port, "/").map(|response| response.status), Ok(200));
}

#[test]
fn what_comes_within_the_hold_waits_for_the_next_worker() {
    let (port, mood) = (port(), Mood::new());
    let service = mood.service(port, "-w 1 --hold 25s").start();
    mood.set("late 1500");
    crash(port);
    let began = Instant::now();
    let waiting: Vec<_> =
        (0..20).map(|_| std::thread::spawn(move || get(port, "/").map(|r| r.status))).collect();
    for client in waiting {
        assert_eq!(client.join().expect("no panic"), Ok(200), "{}", service.log());
    }
    assert!(began.elapsed() > Duration::from_millis(1000), "nobody had to wait");
    assert_eq!(service.count_lines("down:"), 0);
}

fn closes_and_opens_again(balance: &str) {
    let (port, mood) = (port(), Mood::new());
    let options = format!("-w 2 --hold 800ms --balance {balance}");
    let service = mood.service(port, &options).start();
    mood.set("exit 3");
    crash(port);
    crash(port);
    // It waits with the others of its time, and is not served.
    let mut waiting = Connection::open(port).expect("the listeners are open");
    waiting.send_get("/").expect("a request");
    assert!(!waiting.is_closed());
    wait_until_down(&service);
    let lost = waiting.receive().map(|response| response.status);
    assert!(matches!(lost, Err(Lost::Reset | Lost::Closed)), "{lost:?}");
    let refused = get(port, "/").map(|response| response.status);
    assert_eq!(refused, Err(Lost::Refused));
    assert_eq!(service.count_lines("down:"), 1);
    mood.set("well");
    eventually("the same port", || get(port, "/"));
    service.wait_for_line("up again after ");
    service.wait_until_calm();
    assert_eq!(service.status()["listeners"][0]["address"], format!("[::]:{port}"));
    let (status, log) = service.stop();
    assert!(status.success(), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("bug in Relevo")), "{log:?}");
}

#[test]
fn a_socket_for_each_slot_closes_and_opens_again() {
    closes_and_opens_again("kernel");
}

#[test]
fn a_socket_that_is_dealt_from_closes_and_opens_again() {
    closes_and_opens_again("round-robin");
}

#[test]
fn a_shared_socket_closes_and_opens_again() {
    closes_and_opens_again("shared");
}

#[test]
fn a_port_that_was_taken_meanwhile_is_an_error_as_at_a_first_start() {
    let (port, mood) = (port(), Mood::new());
    let service = mood.service(port, "-w 1 --hold 300ms").start();
    mood.set("exit 3");
    crash(port);
    wait_until_down(&service);
    let thief = TcpListener::bind(("::", port)).expect("the port is free");
    mood.set("well");
    let failed = service.wait_for_line("cannot listen on ");
    let holder = format!("Address already in use: pid {} (", std::process::id());
    assert!(failed.contains(&holder), "{failed}");
    service.wait_for_line("EADDRINUSE");
    service.wait_for_line("exited with code 1 before it listened; next try in ");
    assert_eq!(service.status()["state"], "down");
    drop(thief);
    service.wait_until_calm();
    assert_serves(port);
}

/// Each time it is ready the service is up, and each of its ends begins another outage.
#[test]
fn a_worker_that_crashes_again_and_again_brings_it_up_and_down() {
    let (port, mood) = (port(), Mood::new());
    let service = mood.service(port, "-w 1 --hold 100ms").start();
    mood.set("brief 50 7");
    crash(port);
    service.wait_for_lines("down:", 3);
    assert!(service.count_lines("up again after ") >= 2, "{}", service.log());
    mood.set("well");
    service.wait_until_calm();
    assert_serves(port);
}

/// A worker that drains has no listening socket any more, and is not ended.
#[test]
fn work_in_flight_in_a_worker_that_drains_is_finished() {
    let (port, mood) = (port(), Mood::new());
    let service = mood.service(port, "-w 1 --hold 300ms --probation 0s").start();
    let long = slow_response(port, 4000);
    mood.set("brief 300 7");
    let accepted = service.ask("reload", &["--no-wait"]);
    assert!(accepted.status.success(), "{accepted:?}");
    service.wait_for_line("worker 2");
    mood.set("exit 3");
    wait_until_down(&service);
    let answer = long.join().expect("no panic").map(|response| response.status);
    assert_eq!(answer, Ok(200), "{}", service.log());
}

#[test]
fn a_unix_socket_s_file_goes_and_comes_back() {
    let mood = Mood::new();
    let runtime = support::TempDir::new("hold");
    let path = runtime.join("app.sock");
    let setup: Setup = mood.service(0, "-w 1 --hold 200ms").env("LISTEN_PATH", path.display());
    let service = setup.start();
    assert!(path.exists());
    mood.set("exit 3");
    support::service::signal_process(service.worker_pids()[0], rustix::process::Signal::KILL);
    wait_until_down(&service);
    assert!(!path.exists());
    mood.set("well");
    service.wait_until_calm();
    assert!(path.exists());
}

/// The hold is for a service that has served: a first start has a rule of its own.
#[test]
fn a_first_start_takes_as_long_as_it_takes() {
    let (port, mood) = (port(), Mood::new());
    mood.set("late 700");
    let service = mood.service(port, "-w 1 --hold 0").start();
    assert_serves(port);
    assert_eq!(service.count_lines("down:"), 0);
}
