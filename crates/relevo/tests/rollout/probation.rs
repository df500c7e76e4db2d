//! New workers that fail while they are on probation.

use std::process::Output;

use serde_json::Value;

use crate::support::BALANCES;
use crate::support::load::Load;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::Service;
use crate::support::traffic::Traffic;
use crate::{pairs, wait_for_workers, workers};

/// Reloads with a bad mood while clients ask, and with a good one afterwards.
fn undone(options: &str, clients: usize, bad: &str, reason: &str) {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, options).start();
    // Those that were still to be opened would go to the new worker, and an app that closes its server
    // closes idle connections, whoever may just ask there.
    let load = Load::new().keep_alive(20, port, "/").settled();
    let load = load.connection_per_request(clients, port, "/");
    mood.set(bad);
    let output = service.ask("reload", &[]);
    assert_undone(&output, reason, &service);
    mood.set("well");
    let rollout = service.reload();
    assert_eq!(rollout["generation"], 3);
    let account = load.stop();
    account.assert_unnoticed(&service.log());
    service.wait_until_calm();
}

fn assert_undone(output: &Output, reason: &str, service: &Service) {
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}\n{}", service.log());
    assert!(words.contains(reason), "{words}");
    assert!(words.contains("generation 1 serves again on all slots"), "{words}");
    let status = service.status();
    assert_eq!(status["state"], "degraded", "{status}");
    assert_eq!(status["rollout"]["outcome"], "rolled_back", "{status}");
    let runs = serde_json::json!([{"generation": 1, "slots": [0, 1]}]);
    assert_eq!(status["rollout"]["runs"], runs);
    wait_for_workers(service, &[("ready", 1), ("ready", 1)]);
}

#[test]
fn one_that_hangs_up_under_every_balance() {
    for balance in BALANCES {
        println!("--balance {balance}");
        let options = format!("-w 2 --probation 3s --balance {balance}");
        undone(&options, 4, "deaf 300", "stopped listening on");
    }
}

#[test]
fn one_that_exits_between_two_requests() {
    for balance in ["auto", "kernel"] {
        println!("--balance {balance}");
        let options = format!("-w 2 --probation 3s --balance {balance}");
        // With more clients it would never have no connection.
        undone(&options, 1, "quits 300 7", "exited with code 7");
    }
}

/// Long requests, uploads and fifty connections that are kept stay with whoever has them.
#[test]
fn what_is_in_flight_at_a_parked_worker_goes_on() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2 --probation 20s").start();
    let traffic = Traffic::begin(port);
    mood.set("deaf 500");
    let output = service.ask("reload", &[]);
    assert_undone(&output, "stopped listening on", &service);
    traffic.end("an undone reload");
}

#[test]
fn the_old_worker_is_parked_until_the_last_new_one_has_proved_itself() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2 --probation 2s").start();
    let pids = service.worker_pids();
    let traffic = Traffic::begin(port);
    let mut reload = service.command(&["reload", &service.name]).spawn().expect("relevo runs");
    let status = wait_for_workers(&service, &[("parked", 1), ("ready", 2), ("ready", 1)]);
    assert_eq!(status["rollout"]["phase"], "probation");
    assert_eq!(status["rollout"]["paused"], Value::Bool(false));
    assert_eq!(status["slots"][0]["workers"][0]["pid"], pids[0]);
    let both = [("parked", 1), ("ready", 2), ("parked", 1), ("ready", 2)];
    let status = wait_for_workers(&service, &both);
    assert_eq!(status["rollout"]["slot"], 1);
    assert!(reload.wait().expect("its end").success());
    traffic.end("a reload on probation");
    service.wait_until_calm();
    assert_eq!(workers(&service), pairs(&[("ready", 2), ("ready", 2)]));
}

/// The first worker is good and the second is not: the first gives way, too.
#[test]
fn a_failure_in_the_last_slot_undoes_the_first() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2 --probation 3s").start();
    let before = service.worker_pids();
    let traffic = Traffic::begin(port);
    mood.set_in_slot(1, "deaf 300");
    let output = service.ask("reload", &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", service.log());
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let reason = answer["error"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("generation 1 serves again on all slots"), "{reason}");
    wait_for_workers(&service, &[("ready", 1), ("ready", 1)]);
    assert_eq!(service.worker_pids(), before);
    traffic.end("a failure in the last slot");
}

/// After it has been undone, a service can be reloaded, scaled and stopped as ever.
#[test]
fn who_was_called_back_is_a_worker_like_any_other() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2 --probation 1s").start();
    let traffic = Traffic::begin(port);
    for round in 0..3 {
        mood.set("deaf 100");
        assert_eq!(service.ask("reload", &[]).status.code(), Some(1), "{round}: {}", service.log());
    }
    mood.set("well");
    service.scale("3");
    service.scale("2");
    assert_eq!(service.reload()["generation"], 5);
    traffic.end("called back three times");
    let (status, lines) = service.stop();
    assert!(status.success(), "{}", lines.join("\n"));
}
