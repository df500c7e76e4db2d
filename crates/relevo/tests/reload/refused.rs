//! New workers that fail: the rollout ends there, and what served goes on serving.

use std::process::Output;

use serde_json::Value;

use crate::generations;
use crate::support::client::get;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::Service;
use crate::support::traffic::Traffic;

struct Refused {
    output: Output,
    status: Value,
}

impl Refused {
    fn words(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// Reloads under traffic with a bad mood, then with a good one.
fn refuse_and_mend(
    options: &str,
    outcome: &str,
    make_bad: impl Fn(&Mood),
    check: impl Fn(&Refused, &Service),
) {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, options).start();
    let before = service.worker_pids();
    make_bad(&mood);
    let traffic = Traffic::begin(port);
    let output = service.ask("reload", &[]);
    let refused = Refused { output, status: service.status() };
    assert_eq!(refused.output.status.code(), Some(1), "{}\n{}", refused.words(), service.log());
    assert_eq!(refused.status["state"], "degraded", "{}", service.log());
    assert_eq!(refused.status["generation"], 1);
    assert_eq!(refused.status["rollout"]["outcome"], outcome);
    assert_eq!(refused.status["rollout"]["generation"], 2);
    let reason = refused.status["reason"].as_str().expect("a reason");
    let start = "the code on disk was refused, and 2 good workers are left: ";
    let told = reason.strip_prefix(start).unwrap_or_else(|| panic!("{reason}"));
    assert!(refused.words().contains(told), "{told}\n{}", refused.words());
    let last = *before.last().expect("workers");
    assert!(service.worker_pids().contains(&last), "an old worker is gone: {}", service.log());
    check(&refused, &service);

    mood.set("well");
    mood.set_in_slot(1, "well");
    let rollout = service.reload();
    assert_eq!(rollout["generation"], 3);
    assert_eq!(generations(&service), [3, 3]);
    traffic.end("a refused reload and a good one");
    let status = service.wait_until_calm();
    assert_eq!((&status["state"], &status["reason"]), (&"running".into(), &Value::Null));
}

#[test]
fn a_new_worker_that_exits_stops_the_rollout() {
    refuse_and_mend(
        "-w 2",
        "failed",
        |mood| mood.set("exit 3"),
        |refused, service| {
            let words = refused.words();
            let sentence = "exited with code 3 before it listened; generation 1 keeps serving";
            assert!(words.contains(sentence), "{words}");
            assert!(words.contains("    moody: the last words before exit 3"), "{words}");
            assert_eq!(generations(service), [1, 1]);
        },
    );
}

#[test]
fn a_new_worker_that_throws_at_boot_stops_the_rollout() {
    refuse_and_mend(
        "-w 2",
        "failed",
        |mood| mood.set("throw"),
        |refused, service| {
            let words = refused.words();
            assert!(words.contains("exited with code 1 before it listened"), "{words}");
            assert!(words.contains("    Error: moody: told to throw at boot"), "{words}");
            assert_eq!(generations(service), [1, 1]);
        },
    );
}

#[test]
fn a_new_worker_that_never_listens_stops_the_rollout() {
    refuse_and_mend(
        "-w 2 --ready-timeout 1s",
        "failed",
        |mood| mood.set("silent"),
        |refused, service| {
            let words = refused.words();
            assert!(words.contains("within 1.0 s (--ready-timeout)"), "{words}");
            assert!(words.contains("    moody: will not listen"), "{words}");
            assert_eq!(generations(service), [1, 1]);
            service.wait_for_status("the failed worker's end", |status| {
                let slots = status["slots"].as_array().expect("slots");
                slots.iter().all(|slot| slot["workers"].as_array().map_or(0, Vec::len) == 1)
            });
        },
    );
}

#[test]
fn slots_that_were_replaced_before_are_taken_back() {
    refuse_and_mend(
        "-w 2",
        "rolled_back",
        |mood| mood.set_in_slot(1, "exit 4"),
        |refused, service| {
            let words = refused.words();
            let sentence = "exited with code 4 before it listened; generation 1 serves again";
            assert!(words.contains(sentence), "{words}");
            assert_eq!(generations(service), [1, 1]);
        },
    );
}

/// A crash after a refused reload brings back the code that the slot ran.
#[test]
fn the_json_of_a_refused_reload_has_reason_and_last_words() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 1").start();
    mood.set("exit 5");
    let output = service.ask("reload", &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let error = &answer["error"];
    assert_eq!(error["code"], 1, "{answer}");
    assert!(error["reason"].as_str().is_some_and(|r| r.contains("exited with code 5")), "{answer}");
    assert_eq!(error["detail"], serde_json::json!(["moody: the last words before exit 5"]));
    assert_eq!(get(port, "/").map(|r| r.status), Ok(200));
}
