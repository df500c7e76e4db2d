//! `relevo events`: what is told of rollouts when they are over.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::{Service, wait_for_exit};

fn events(service: &Service, more: &[&str]) -> Vec<Value> {
    let output = service.ask("events", &[more, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[track_caller]
fn last_of<'a>(kind: &str, events: &'a [Value]) -> &'a Value {
    let found = events.iter().rfind(|event| event["kind"] == kind);
    found.unwrap_or_else(|| panic!("no `{kind}` in {events:#?}"))
}

#[test]
fn reports_are_kept_with_the_last_words_of_the_culprit() {
    let mood = Mood::new();
    let service = mood.service(port(), "-w 2 --probation 100ms").start();
    let rollout = service.reload();
    service.wait_until_calm();
    let all = events(&service, &[]);
    let numbers: Vec<u64> = (1..=all.len() as u64).collect();
    assert_eq!(all.iter().map(|event| event["number"].clone()).collect::<Vec<_>>(), numbers);
    assert_eq!(last_of("rollout_ended", &all)["rollout"], rollout);
    assert_eq!(all.iter().filter(|event| event["kind"] == "worker_ready").count(), 4);

    mood.set("exit 3");
    assert_eq!(service.ask("reload", &[]).status.code(), Some(1));
    let all = events(&service, &[]);
    let ended = last_of("rollout_ended", &all);
    assert_eq!(ended["generation"], 3);
    assert_eq!(ended["rollout"]["outcome"], "failed");
    assert_eq!(ended["rollout"], service.status()["rollout"]);
    let failed = last_of("worker_failed", &all);
    assert_eq!((&failed["slot"], &failed["detail"]), (&json!(0), &ended["detail"]));
    assert!(failed["pid"].is_number(), "{failed}");
    assert_eq!(failed["detail"], json!(["moody: the last words before exit 3"]));
    assert_eq!(events(&service, &["-n", "1"]), [all.last().expect("events").clone()]);
    assert_eq!(events(&service, &["--last", "0"]), [Value::Null; 0]);
    let words = service.ask("events", &[]);
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    let refused = format!("  {}\n", ended["text"].as_str().expect("a text"));
    assert!(words.contains(&refused), "{words}");
    assert_eq!(words.lines().filter(|line| line.starts_with("20")).count(), all.len(), "{words}");
}

#[test]
fn who_follows_hears_of_everything_until_the_end() {
    let mood = Mood::new();
    let service = mood.service(port(), "-w 1 --probation 100ms").start();
    let mut command = service.command(&["events", &service.name, "-f", "--json"]);
    let mut follower =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(follower.stdout.take().expect("piped")).lines();
    let mut kinds = Vec::new();
    let mut hear_until = |wanted: Option<&str>| {
        for line in lines.by_ref() {
            let event: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
            kinds.push(event["kind"].as_str().expect("a word").to_owned());
            if kinds.last().map(String::as_str) == wanted {
                return kinds.clone();
            }
        }
        kinds.clone()
    };
    let before = hear_until(Some("service_ready"));
    assert_eq!(before, ["listener_opened", "worker_ready", "service_ready"]);
    service.reload();
    let rollout = hear_until(Some("worker_left"));
    let expected = ["rollout_started", "worker_ready", "rollout_ended", "worker_left"];
    assert_eq!(rollout[before.len()..], expected);
    service.stop();
    let end = hear_until(None);
    assert_eq!(end[rollout.len()..], ["stopping", "listener_closed", "worker_left"]);
    let output = follower.wait_with_output().expect("its end");
    assert!(output.status.success(), "{output:?}");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.ends_with("has ended\n"), "{words}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it() {
    let mood = Mood::new();
    let service = mood.service(port(), "-w 1 --probation 100ms").start();
    let mut command = service.command(&["events", &service.name, "-f"]);
    let mut follower = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(follower.stdout.take().expect("piped"));
    lines.read_line(&mut String::new()).expect("a line");
    drop(lines);
    service.reload();
    assert!(wait_for_exit(&mut follower).success());
}
