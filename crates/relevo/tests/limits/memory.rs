//! `--max-memory`.

use serde_json::Value;

use crate::load;
use crate::support::client::get;
use crate::support::fixture;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::Setup;

const GROWS: &str = "/grow?mb=300";

#[test]
fn a_worker_that_grows_too_large_is_replaced() {
    let port = port();
    let options = "-w 2 --max-memory 300M";
    let service = Setup::new(22, fixture("kitchen.js")).options(options).env("PORT", port).start();
    let before = service.worker_pids();
    let load = load(port);
    let grown = get(port, GROWS).expect("an answer").json()["pid"].as_u64().expect("a pid") as u32;
    let line = service.wait_for_line("is over its memory limit");
    let slot = before.iter().position(|pid| *pid == grown).expect("one of the workers");
    assert!(line.contains(&format!("slot {slot}: worker {}", slot + 1)), "{line}");
    assert!(line.contains(" MiB of 300 MiB): a replacement starts"), "{line}");
    service.wait_for_line("takes the place of worker");
    service.wait_until_calm();
    load.stop().assert_unnoticed(&service.log());
    let after = service.worker_pids();
    assert_ne!(before[slot], after[slot]);
    assert_eq!(before[1 - slot], after[1 - slot], "{}", service.log());
    let status = service.status();
    assert_eq!(status["slots"][slot]["restarts"], 0, "it did not crash: {status}");
    assert_eq!(status["slots"][slot]["workers"][0]["generation"], 1);
    assert_eq!(status["slots"][slot]["renewal"], Value::Null);
    assert_eq!(status["rollout"], Value::Null, "it is no rollout");
}

#[test]
fn if_its_replacement_fails_it_serves_on_and_the_next_try_comes_later() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 1 --max-memory 300M").start();
    let before = service.worker_pids();
    mood.set("exit 3");
    let load = load(port);
    let _grown = get(port, GROWS).expect("an answer");
    service.wait_for_lines("keeps serving; the next replacement starts in", 2);
    let status = service.wait_for_status("a failed replacement", |status| {
        status["slots"][0]["renewal"]["failure"].is_string()
    });
    let renewal = &status["slots"][0]["renewal"];
    assert_eq!((&status["state"], &renewal["worker"]), (&"running".into(), &1.into()), "{status}");
    let failure = renewal["failure"].as_str().expect("words");
    assert!(failure.ends_with("exited with code 3 before it listened"), "{failure}");
    let shown = service.ask("status", &[]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("slot 0: worker 1 is over its memory limit ("), "{shown}");
    assert_eq!(service.worker_pids(), before);
    mood.set("well");
    service.wait_for_line("takes the place of worker 1");
    service.wait_until_calm();
    load.stop().assert_unnoticed(&service.log());
    assert_ne!(service.worker_pids(), before);
}
