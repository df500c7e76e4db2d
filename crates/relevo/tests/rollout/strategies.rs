//! How new workers come: several at once, all loaded first, and from standby.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::load::Load;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::{Service, signal_process};
use crate::support::{BALANCES, client};
use crate::{pairs, wait_for_workers, workers};

/// Reloads under load with these options; nothing is lost, and idle connections are moved.
fn reloads(options: &str) {
    for balance in BALANCES {
        println!("{options} --balance {balance}");
        let (mood, port) = (Mood::new(), port());
        let service = mood.service(port, &format!("{options} --balance {balance}")).start();
        let load = Load::new().keep_alive(20, port, "/").settled();
        let load = load.connection_per_request(4, port, "/");
        assert_eq!(service.reload()["outcome"], "succeeded");
        let account = load.stop();
        account.assert_unnoticed(&service.log());
        service.wait_for_status("new workers alone", |status| {
            crate::all_workers(status) == pairs(&[("ready", 2); 4])
        });
    }
}

#[test]
fn a_surge_loses_nothing() {
    reloads("-w 4 --surge 75% --probation 100ms");
}

#[test]
fn all_first_loses_nothing() {
    reloads("-w 4 --all-first --surge 2 --probation 100ms");
}

/// All that answer, as they say who they are.
fn who_answers(port: u16, times: usize) -> Vec<Value> {
    let ask = || client::get(port, "/").expect("an answer").json();
    (0..times).map(|_| ask()).collect()
}

#[test]
fn where_one_cannot_load_no_request_meets_the_new_code() {
    let (mood, port) = (Mood::new(), port());
    let service = mood.service(port, "-w 3 --all-first --balance round-robin").start();
    let before = service.worker_pids();
    let load = Load::new().keep_alive(10, port, "/").settled();
    let load = load.connection_per_request(2, port, "/");
    mood.set_in_slot(2, "exit 3");
    let output = service.ask("reload", &[]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("the last words before exit 3"), "{words}");
    assert_eq!(service.count_lines("on standby"), 2, "{}", service.log());
    // Nobody new was ever ready: who answers is as old as before.
    assert_eq!(service.count_lines("ready after"), 3, "{}", service.log());
    let account = load.stop();
    account.assert_unnoticed(&service.log());
    assert_eq!(service.worker_pids(), before);
}

/// The pid of the worker on standby.
fn spare(service: &Service) -> u32 {
    let status = service.wait_for_status("a worker on standby", |status| {
        crate::all_workers(status).iter().any(|(state, _)| state == "standby")
    });
    let slots = status["slots"].as_array().expect("slots");
    let mut all = slots.iter().flat_map(|slot| slot["workers"].as_array().expect("workers"));
    let spare = all.find(|worker| worker["state"] == "standby").expect("it was there");
    spare["pid"].as_u64().expect("a number") as u32
}

#[test]
fn a_spare_worker_takes_over_and_knows_its_slot() {
    let (mood, port) = (Mood::new(), port());
    let service = mood.service(port, "-w 2 --standby 1 --balance round-robin").start();
    let spare = spare(&service);
    let victim = service.worker_pids()[1];
    signal_process(victim, Signal::KILL);
    let line = service.wait_for_line("takes over from standby");
    assert!(line.contains("slot 1:") && line.contains(&format!("pid {spare}")), "{line}");
    service.wait_for_status("the spare one in its place", |_| {
        service.worker_pids().get(1) == Some(&spare)
    });
    let said = who_answers(port, 4);
    let its: Vec<&Value> = said.iter().filter(|said| said["pid"] == spare).collect();
    assert!(!its.is_empty(), "{said:?}");
    assert!(its.iter().all(|said| said["slot"] == 1), "{its:?}");
    // Another one has been loaded.
    assert_ne!(self::spare(&service), spare);
}

#[test]
fn the_only_worker_has_a_spare_one_and_a_reload_brings_a_new_one() {
    let (mood, port) = (Mood::new(), port());
    let service = mood.service(port, "-w 1 --standby 1 --probation 0s").start();
    let spare = spare(&service);
    signal_process(service.worker_pids()[0], Signal::KILL);
    // Whoever asks now waits for the worker that takes over.
    let said = who_answers(port, 1);
    assert_eq!(said[0]["pid"], spare, "{}", service.log());
    wait_for_workers(&service, &[("ready", 1), ("standby", 1)]);
    service.reload();
    wait_for_workers(&service, &[("ready", 2), ("standby", 2)]);
    assert_eq!(workers(&service).len(), 2);
    let (status, _) = service.stop();
    assert!(status.success());
}
