//! `relevo abort`.

use serde_json::Value;

use crate::support::BALANCES;
use crate::support::load::Load;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::Service;
use crate::support::traffic::Traffic;
use crate::{pairs, wait_for_workers, workers};

fn words(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Three slots, of which the first two are replaced when it is aborted.
fn half_way(service: &Service) -> std::process::Child {
    let reload = service.begin_reload(&[]);
    let half =
        [("parked", 1), ("ready", 2), ("parked", 1), ("ready", 2), ("ready", 1), ("starting", 2)];
    wait_for_workers(service, &half);
    reload
}

#[test]
fn half_way_it_brings_the_old_workers_back() {
    for balance in BALANCES {
        println!("--balance {balance}");
        let mood = Mood::new();
        let port = port();
        let options = format!("-w 3 --probation 200ms --balance {balance}");
        let service = mood.service(port, &options).start();
        let before = service.worker_pids();
        let load = Load::new().keep_alive(20, port, "/").settled();
        let load = load.connection_per_request(4, port, "/");
        mood.set_in_slot(2, "silent");
        let reload = half_way(&service);
        let aborted = service.ask("abort", &["--json"]);
        assert!(aborted.status.success(), "{}\n{}", words(&aborted), service.log());
        let rollout: Value = serde_json::from_slice(&aborted.stdout).expect("JSON");
        assert_eq!(rollout["outcome"], "aborted");
        assert_eq!(rollout["runs"], serde_json::json!([{"generation": 1, "slots": [0, 1, 2]}]));
        let reload = reload.wait_with_output().expect("its end");
        assert_eq!(reload.status.code(), Some(1), "{}", words(&reload));
        let sentence = "reload of generation 2 aborted; generation 1 serves again on all slots";
        assert!(words(&reload).contains(sentence), "{}", words(&reload));
        service.wait_until_calm();
        assert_eq!(service.worker_pids(), before);
        let account = load.stop();
        account.assert_unnoticed(&service.log());
    }
}

#[test]
fn long_requests_go_on_wherever_they_are() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 3 --probation 200ms").start();
    let before = Traffic::begin(port);
    mood.set_in_slot(2, "silent");
    let mut reload = half_way(&service);
    let meanwhile = Traffic::begin(port);
    let aborted = service.ask("abort", &[]);
    assert!(aborted.status.success(), "{}\n{}", words(&aborted), service.log());
    assert_eq!(reload.wait().expect("its end").code(), Some(1));
    before.end("what began before the reload");
    meanwhile.end("what began half way");
    service.wait_until_calm();
    assert_eq!(workers(&service), pairs(&[("ready", 1); 3]));
}

#[test]
fn there_is_not_always_something_to_abort() {
    let mood = Mood::new();
    let service = mood.service(port(), "-w 1").start();
    for verb in ["abort", "pause", "resume"] {
        let output = service.ask(verb, &[]);
        assert_eq!(output.status.code(), Some(1));
        let sentence = format!("{verb} refused: no reload is going on");
        assert!(words(&output).contains(&sentence), "{}", words(&output));
    }
}

#[test]
fn a_reload_that_was_asked_for_meanwhile_follows() {
    let mood = Mood::new();
    let service = mood.service(port(), "-w 1 --probation 60s").start();
    let mut first = service.command(&["reload", &service.name]).spawn().expect("it runs");
    wait_for_workers(&service, &[("parked", 1), ("ready", 2)]);
    assert!(service.ask("reload", &["--no-wait"]).status.success());
    assert!(service.ask("abort", &[]).status.success(), "{}", service.log());
    assert_eq!(first.wait().expect("its end").code(), Some(1));
    service.wait_for_line("reload: generation 3 begins");
}
