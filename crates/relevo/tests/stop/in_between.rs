//! A stop while something else goes on.

use std::process::Stdio;

use rustix::process::Signal;

use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::{is_alive, signal_process};
use crate::support::traffic::slow_response;

#[test]
fn a_stop_during_a_rollout_gives_the_rollout_up() {
    let mood = Mood::new();
    let port = port();
    let mut service = mood.service(port, "-w 2").start();
    mood.set("silent");
    let mut command = service.command(&["reload", &service.name]);
    let reload = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a reload");
    service.wait_for_line("moody: will not listen");
    let response = slow_response(port, 1000);
    service.signal(Signal::TERM);
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    let reload = reload.wait_with_output().expect("its output");
    let words = String::from_utf8_lossy(&reload.stderr).into_owned();
    assert_eq!(reload.status.code(), Some(1), "{words}");
    assert!(words.contains("given up: the service is stopping"), "{words}");
    assert_eq!(response.join().expect("no panic").map(|r| r.status), Ok(200));
}

#[test]
fn a_stop_while_an_old_worker_drains_finishes_what_that_has() {
    let mood = Mood::new();
    let port = port();
    let mut service = mood.service(port, "-w 1").start();
    let response = slow_response(port, 2500);
    service.signal(Signal::USR2);
    service.wait_for_status("a draining worker", |status| {
        status["slots"][0]["workers"][0]["state"] == "draining"
    });
    service.signal(Signal::TERM);
    assert_eq!(response.join().expect("no panic").map(|r| r.status), Ok(200), "{}", service.log());
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
}

#[test]
fn a_stop_while_backing_off_starts_nothing_more() {
    let mood = Mood::new();
    let port = port();
    let mut service = mood.service(port, "-w 1").start();
    mood.set("exit 3");
    signal_process(service.worker_pids()[0], Signal::KILL);
    service.wait_for_lines("; next try in ", 2);
    service.signal(Signal::TERM);
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
}

#[test]
fn a_stop_during_the_first_start_ends_it() {
    let mood = Mood::new();
    mood.set("silent");
    let mut service = mood.service(port(), "-w 2").spawn();
    service.wait_for_lines("moody: will not listen", 2);
    let workers: Vec<u32> = crate::support::proc::children(service.pid());
    assert_eq!(workers.len(), 2);
    service.signal(Signal::TERM);
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    assert!(workers.iter().all(|worker| !is_alive(*worker)), "{}", service.log());
}
