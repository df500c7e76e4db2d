//! What an app may say to Relevo and hear from it, through the npm package `relevo-worker` and the real agent.

mod support;

use std::process::Command;

use serde_json::{Value, json};

use support::client::get;
use support::installed::installed;
use support::ports::port;
use support::service::{Service, Setup};
use support::{eventually, fixture, nodes};

fn start(major: u32, port: u16, options: &str, drain_ms: &str) -> Service {
    Setup::new(major, fixture("api.js"))
        .options(options)
        .env("PORT", port)
        .env("DRAIN_MS", drain_ms)
        .start()
}

/// The answer of each worker, by its number; asked until all have answered.
fn ask_each(port: u16, workers: usize, path: &str) -> Vec<Value> {
    let mut answers: Vec<(u64, Value)> = Vec::new();
    eventually("an answer of each worker", || {
        // Two requests on one connection come to the same worker.
        let mut connection =
            support::client::Connection::open(port).map_err(|lost| format!("{lost:?}"))?;
        let mut ask = |path: &str| connection.get(path).map_err(|lost| format!("{lost:?}"));
        let who = ask("/who")?.json()["id"].as_u64().ok_or("no number")?;
        if !answers.iter().any(|(known, _)| *known == who) {
            answers.push((who, ask(path)?.json()));
        }
        if answers.len() == workers { Ok(()) } else { Err(format!("{answers:?}")) }
    });
    answers.sort_by_key(|(who, _)| *who);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[test]
fn a_worker_knows_who_it_is() {
    for major in nodes::MAJORS {
        let port = port();
        let service = start(major, port, "-w 2 --balance round-robin", "0");
        service.reload();
        let status = service.wait_until_calm();
        let told = ask_each(port, 2, "/who");
        let slots = status["slots"].as_array().expect("slots").clone();
        let known: Vec<Value> = slots
            .iter()
            .map(|slot| {
                let worker = &slot["workers"][0];
                json!({
                    "pid": worker["pid"], "slot": slot["slot"], "id": worker["id"],
                    "generation": 2, "release": status["release"],
                })
            })
            .collect();
        let of_slot = |told: &Value| told["slot"].as_u64();
        let mut told = told;
        told.sort_by_key(of_slot);
        assert_eq!(told, known, "node {major}");
    }
}

#[test]
fn a_broadcast_reaches_every_worker_but_its_sender() {
    for major in nodes::MAJORS {
        let port = port();
        let _service = start(major, port, "-w 3 --balance round-robin", "0");
        let mut connection = support::client::Connection::open(port).expect("a connection");
        let sender = connection.get("/who").expect("an answer").json()["id"].clone();
        for text in ["one", "two"] {
            let told = connection.get(&format!("/tell?text={text}")).expect("an answer").json();
            assert_eq!(told, json!({"told": true}), "node {major}");
        }
        let heard = json!([{"message": "one", "from": sender}, {"message": "two", "from": sender}]);
        eventually("what the others have heard", || {
            let mut all = ask_each(port, 3, "/heard");
            all.retain(|answer| *answer != json!([]));
            if all == [heard.clone(), heard.clone()] { Ok(()) } else { Err(format!("{all:?}")) }
        });
        let own = connection.get("/heard").expect("an answer").json();
        assert_eq!(own, json!([]), "node {major}");
    }
}

#[test]
fn a_broadcast_that_cannot_be_sent_is_told_to_the_app() {
    let port = port();
    let _service = start(22, port, "-w 2", "0");
    let answer = |path: &str| get(port, path).expect("an answer").json();
    // The text, two quotes around it.
    assert_eq!(answer(&format!("/tell?bytes={}", 64 * 1024 - 2)), json!({"told": true}));
    assert_eq!(answer(&format!("/tell?bytes={}", 64 * 1024 - 1))["error"], "RangeError");
    assert_eq!(answer("/tell?odd=1")["error"], "TypeError");
}

#[test]
fn a_worker_does_not_end_before_its_work_at_the_drain_is_done() {
    for major in nodes::MAJORS {
        let port = port();
        let service = start(major, port, "-w 1", "700");
        let old = service.worker_pids()[0];
        service.reload();
        service.wait_until_calm();
        let (_, log) = service.stop();
        let at = |text: String| {
            let found = log.iter().position(|line| line.contains(&text));
            found.unwrap_or_else(|| panic!("node {major}: no `{text}` in\n{}", log.join("\n")))
        };
        let begun = at(format!("api {old}: drains, at most 30000 ms"));
        let done = at(format!("api {old}: has stopped its work"));
        assert!(begun < done, "node {major}: {log:#?}");
    }
}

#[test]
fn work_that_never_ends_is_waited_for_until_the_deadline_only() {
    let port = port();
    let service = start(22, port, "-w 1 --drain-timeout 1s --stop-timeout 1s", "forever");
    let old = service.worker_pids()[0];
    let rollout = service.reload();
    assert_eq!(rollout["outcome"], "succeeded", "{rollout}");
    let status = service.wait_until_calm();
    assert_ne!(status["slots"][0]["workers"][0]["pid"], old, "{status}");
    assert_eq!(service.count_lines(&format!("api {old}: has stopped its work")), 0);
}

/// Eight clients on two workers.
#[test]
fn socket_io_reaches_the_sockets_of_all_workers() {
    for major in nodes::MAJORS {
        let port = port();
        let _service = Setup::new(major, "app.js")
            .directory(installed("fixtures/frameworks/socketio"))
            .options("-w 2 --balance round-robin")
            .env("PORT", port)
            .start();
        let output = Command::new(nodes::node(22))
            .args(["fan-out.js", &port.to_string()])
            .current_dir(installed("fixtures/frameworks/client"))
            .output()
            .expect("node runs");
        let told: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("node {major}: {error}: {output:?}"));
        assert_eq!(told, json!({"workers": 2, "heard": 8}), "node {major}");
    }
}
