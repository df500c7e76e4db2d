//! What `relevo scale` says, when, and with which exit code.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::{Service, wait_for_exit};
use crate::support::traffic::slow_response;
use crate::{scale, slots};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn check(service: &Service, words: &[&str], code: i32, told: &str) {
    let output = service.ask("scale", words);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(told), "{said}");
}

#[test]
fn it_tells_what_came_of_it() {
    let service = Mood::new().service(port(), "-w 2").start();
    check(&service, &["2"], 0, "nothing to do: 2 workers\n");
    check(&service, &["+1"], 0, "scaled: 3 workers in ");
    check(&service, &["-2"], 0, "scaled: 1 worker in ");
    check(&service, &["-1"], 1, "scale refused: 1 worker is wanted now, and one is the least");
    check(&service, &["+1024"], 1, "scale refused: 1 worker is wanted now, and 1024 are the most");
    check(&service, &["0"], 2, "to end the service, use `relevo stop`");
    check(&service, &["1025"], 2, "from 1 to 1024");
    check(&service, &["2", "--no-wait", "--timeout", "1s"], 2, "cannot be used with");
    let up = scale(&service, "2");
    assert_eq!((&up["from"], &up["to"], &up["ready"]), (&json!(1), &json!(2), &json!(2)));
    assert!(up["duration_ms"].is_u64() && up["cut"]["request"] == 0, "{up}");
}

#[test]
fn it_waits_or_does_not() {
    let mood = Mood::new();
    let service = mood.service(port(), "-w 1").start();
    mood.set("late 1500");
    check(&service, &["2", "--timeout", "50ms"], 4, "did not end within 50ms; it goes on");
    check(&service, &["2", "--no-wait"], 0, "scale accepted: from 1 to 2 workers\n");
    // Who asks for the same waits along.
    check(&service, &["2"], 0, "scaled: 2 workers in ");
    let began = Instant::now();
    let accepted = service.ask("scale", &["3", "--no-wait", "--json"]);
    let accepted: Value = serde_json::from_slice(&accepted.stdout).expect("JSON");
    assert_eq!((&accepted["to"], &accepted["ready"]), (&json!(3), &json!(2)));
    assert!(began.elapsed() < Duration::from_millis(1500));
    service.wait_for_line("scale done: 3 workers");
}

#[test]
fn a_new_worker_that_fails_is_told_with_its_last_words_and_tried_again() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 1").start();
    mood.set_in_slot(1, "exit 7");
    let output = service.ask("scale", &["2"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("exited with code 7 before it listened; 1 of 2 are ready"), "{said}");
    assert!(said.contains("    moody: the last words before exit 7"), "{said}");
    let status = service.status();
    assert_eq!((&status["state"], slots(&status)), (&json!("degraded"), vec![0, 1]));
    assert_eq!(get(port, "/").map(|response| response.status), Ok(200));
    mood.set_in_slot(1, "well");
    service.wait_until_calm();
    assert_eq!(service.worker_pids().len(), 2);
}

#[test]
fn the_last_wish_wins() {
    let mood = Mood::new();
    let service = mood.service(port(), "-w 1").start();
    mood.set("late 60000");
    let first = service
        .command(&["scale", &service.name, "3"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("relevo runs");
    service.wait_for_line("scale: from 1 to 3 workers");
    check(&service, &["1"], 0, "scaled: 1 worker in ");
    let ended = first.wait_with_output().expect("its end");
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("scale to 3 given up: by now 1 worker is wanted"), "{said}");
}

/// The workers that leave finish what they do first, and are shown until they are gone.
#[test]
fn it_waits_for_the_work_of_those_that_leave() {
    let port = port();
    let service = Mood::new().service(port, "-w 2 --balance round-robin").start();
    let long: Vec<_> = (0..2).map(|_| slow_response(port, 1500)).collect();
    let mut down = service.command(&["scale", &service.name, "1"]).spawn().expect("relevo runs");
    let status = service
        .wait_for_status("a slot that leaves", |status| status["slots"][1]["state"] == "vacant");
    assert_eq!(status["slots"][1]["workers"][0]["state"], "draining", "{status}");
    assert!(down.try_wait().expect("our child").is_none());
    for request in long {
        assert_eq!(request.join().expect("no panic").map(|response| response.status), Ok(200));
    }
    assert_eq!(wait_for_exit(&mut down).code(), Some(0));
    service.wait_for_status("one slot", |status| slots(status) == [0]);
}

#[test]
fn a_stop_ends_the_waiting() {
    let mood = Mood::new();
    let service = mood.service(port(), "-w 1").start();
    mood.set("late 60000");
    let waiting = service
        .command(&["scale", &service.name, "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("relevo runs");
    service.wait_for_line("scale: from 1 to 2 workers");
    let stopped = service.ask("stop", &[]);
    assert!(stopped.status.success(), "{stopped:?}");
    let ended = waiting.wait_with_output().expect("its end");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(text(&ended.stderr).contains("given up: the service is stopping"), "{ended:?}");
}
