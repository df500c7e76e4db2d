//! `relevo pause` and `relevo resume`.

use serde_json::Value;

use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::traffic::Traffic;
use crate::{pairs, wait_for_workers, workers};

#[test]
fn a_paused_reload_stays_where_it_is_until_it_is_resumed() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2 --probation 300ms").start();
    let traffic = Traffic::begin(port);
    let mut reload = service.command(&["reload", &service.name]).spawn().expect("it runs");
    service.wait_for_line("reload: generation 2 begins");
    let paused = service.ask("pause", &["--json"]);
    let held: Value = serde_json::from_slice(&paused.stdout).expect("JSON");
    let expected = serde_json::json!({"generation": 2, "paused": true, "slot": 0, "of": 2});
    assert_eq!(held, expected, "{}", service.log());
    let half = [("parked", 1), ("ready", 2), ("ready", 1)];
    let status = wait_for_workers(&service, &half);
    assert_eq!(status["rollout"]["paused"], Value::Bool(true));
    assert_eq!(status["rollout"]["waits_for"], "somebody to resume or abort it");
    // Twice the probation has passed when the long requests of the traffic have ended.
    traffic.end("a paused reload");
    assert_eq!(workers(&service), pairs(&half));
    let shown = service.ask("status", &[]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for words in ["probation, paused", "waits for somebody to resume or abort it"] {
        assert!(shown.contains(words), "{shown}");
    }

    let resumed = service.ask("resume", &[]);
    let words = String::from_utf8_lossy(&resumed.stdout).into_owned();
    assert!(words.starts_with("resumed: generation 2 at slot 0 (1 of 2)"), "{words}");
    assert!(reload.wait().expect("its end").success());
    service.wait_until_calm();
    let again = service.ask("resume", &[]);
    assert_eq!(again.status.code(), Some(1));
}

#[test]
fn a_paused_reload_can_be_aborted() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2 --probation 300ms").start();
    let before = service.worker_pids();
    let traffic = Traffic::begin(port);
    let mut reload = service.command(&["reload", &service.name]).spawn().expect("it runs");
    service.wait_for_line("reload: generation 2 begins");
    assert!(service.ask("pause", &[]).status.success(), "{}", service.log());
    wait_for_workers(&service, &[("parked", 1), ("ready", 2), ("ready", 1)]);
    assert!(service.ask("abort", &[]).status.success(), "{}", service.log());
    assert_eq!(reload.wait().expect("its end").code(), Some(1));
    traffic.end("a paused reload that is aborted");
    service.wait_until_calm();
    assert_eq!(service.worker_pids(), before);
}
