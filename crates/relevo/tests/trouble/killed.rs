//! `kill -9` of a worker in every state that it goes through. What it had accepted itself ends with it;
//! nothing else does.

use rustix::process::Signal;
use serde_json::Value;

use crate::assert_refused;
use crate::support::client::Lost;
use crate::support::load::Load;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::{Service, signal_process};
use crate::support::traffic::slow_response;

/// Waits for a worker of this generation in this state, and kills it.
fn kill(service: &Service, state: &str, generation: u64) -> u32 {
    let found = |status: &Value| pids(status, state, generation).first().copied();
    let what = format!("{state} of generation {generation}");
    let status = service.wait_for_status(&what, |status| found(status).is_some());
    let pid = found(&status).expect("it is there");
    signal_process(pid, Signal::KILL);
    pid
}

fn pids(status: &Value, state: &str, generation: u64) -> Vec<u32> {
    let slots = status["slots"].as_array().expect("slots");
    let workers = slots.iter().flat_map(|slot| slot["workers"].as_array().expect("workers"));
    let there = workers.filter(|worker| {
        let is_so = worker["state"] == state && worker["generation"] == generation;
        is_so && worker["pid"].is_u64()
    });
    there.map(|worker| worker["pid"].as_u64().expect("a pid") as u32).collect()
}

/// Whose connections are never those of a worker that is killed.
fn visitors(port: u16) -> Load {
    Load::new().connection_per_request(3, port, "/")
}

#[test]
fn while_it_starts_the_reload_fails_and_the_old_ones_serve() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2").start();
    let before = service.worker_pids();
    let load = crate::load(port);
    mood.set("late 5000");
    let reload = service.begin_reload(&[]);
    kill(&service, "starting", 2);
    let output = reload.wait_with_output().expect("its end");
    assert_refused(&output, "was killed by SIGKILL before it listened", &service);
    assert_eq!(service.worker_pids(), before, "{}", service.log());
    mood.set("well");
    assert_eq!(service.reload()["outcome"], "succeeded");
    load.stop().assert_unnoticed(&service.log());
    service.wait_until_calm();
}

#[test]
fn on_standby_another_takes_its_place() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 1 --standby 1").start();
    let load = crate::load(port);
    let killed = kill(&service, "standby", 1);
    service.wait_for_status("another is on standby", |status| {
        pids(status, "standby", 1).into_iter().any(|pid| pid != killed)
    });
    load.stop().assert_unnoticed(&service.log());
}

/// What a parked worker keeps are its connections, and there are none here.
#[test]
fn while_it_is_parked_the_reload_goes_on() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2 --probation 1s").start();
    let load = visitors(port);
    let reload = service.begin_reload(&[]);
    kill(&service, "parked", 1);
    let output = reload.wait_with_output().expect("its end");
    assert!(output.status.success(), "{output:?}\n{}", service.log());
    load.stop().assert_unnoticed(&service.log());
    assert_eq!(service.wait_until_calm()["generation"], 2);
}

#[test]
fn while_it_drains_only_what_it_works_on_is_lost() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 1 --probation 0s").start();
    let load = visitors(port);
    let own = slow_response(port, 20_000);
    let reload = service.begin_reload(&[]);
    kill(&service, "draining", 1);
    let output = reload.wait_with_output().expect("its end");
    assert!(output.status.success(), "{output:?}\n{}", service.log());
    let own = own.join().expect("a client");
    assert!(matches!(own, Err(Lost::Closed | Lost::Reset)), "{own:?}");
    load.stop().assert_unnoticed(&service.log());
    assert_eq!(service.wait_until_calm()["generation"], 2);
}

/// The first new worker, on probation: the reload is undone.
#[test]
fn when_it_has_just_become_ready_the_old_one_comes_back() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 1 --probation 2s").start();
    let before = service.worker_pids();
    let reload = service.begin_reload(&[]);
    kill(&service, "ready", 2);
    let output = reload.wait_with_output().expect("its end");
    assert_refused(&output, "was killed by SIGKILL", &service);
    assert_eq!(service.worker_pids(), before, "{}", service.log());
    assert_eq!(service.reload()["outcome"], "succeeded");
    service.wait_until_calm();
}
