//! Connections that remember something stay with their worker, which lingers for them.

use crate::support::client::Connection;
use crate::support::nodes::MAJORS;
use crate::support::ports::port;
use crate::{idle, keeps};

#[test]
fn what_the_app_has_put_something_on_stays_and_is_told_to_close() {
    for major in MAJORS {
        let port = port();
        let service = keeps(major, port, "-w 1").start();
        let mut connections = idle(port, 4);
        for (connection, path) in connections.iter_mut().zip(["/login", "/read", "/keep"]) {
            assert_eq!(connection.get(path).expect("an answer").status, 200);
        }
        let rollout = service.reload();
        assert_eq!(rollout["not_movable"], serde_json::json!({"touched": 2, "kept": 1}));
        assert_eq!(rollout["handed_over"], 1, "node {major}: {rollout}");
        assert_eq!(rollout["closed_idle"], 0, "node {major}: {rollout}");
        service.wait_for_status("a lingering worker", |status| {
            status["slots"][0]["workers"][0]["state"] == "lingering"
        });
        let mut answers = connections.iter_mut().map(|connection| connection.get("/"));
        for who in [Some("somebody"), None, None] {
            let answer = answers.next().expect("a connection").expect("an answer");
            assert_eq!(answer.json()["generation"], 1, "node {major}");
            assert_eq!(answer.json()["user"].as_str(), who, "node {major}");
            assert!(answer.says_close(), "node {major}: {:?}", answer.headers);
        }
        let moved = answers.next().expect("a connection").expect("an answer");
        assert_eq!((moved.json()["generation"].as_u64(), moved.says_close()), (Some(2), false));
        service.wait_until_calm();
    }
}

#[test]
fn all_moves_what_the_app_has_touched_and_off_moves_nothing() {
    for (mode, moved, generation) in [("all", 2, 2), ("off", 0, 1)] {
        let port = port();
        let service = keeps(22, port, &format!("-w 1 --handover {mode}")).start();
        let mut connections = idle(port, 2);
        assert_eq!(connections[0].get("/login").expect("an answer").status, 200);
        let rollout = service.reload();
        assert_eq!(rollout["handed_over"], moved, "{mode}: {rollout}");
        for connection in &mut connections {
            let answer = connection.get("/").expect("an answer");
            assert_eq!(answer.json()["generation"], generation, "{mode}");
            assert_eq!(answer.says_close(), mode == "off", "{mode}");
        }
    }
}

#[test]
fn a_worker_lingers_longer_than_a_drain_may_take_and_not_for_ever() {
    let port = port();
    let options = "-w 1 --handover off --drain-timeout 1s --linger 4s";
    let service = keeps(22, port, options).start();
    let mut connections = idle(port, 2);
    let rollout = service.reload();
    assert_eq!(rollout["not_zero"], 2, "they live for a minute: {rollout}");
    // The drain's second is over when this one is answered, by the old worker still.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let answer = connections[0].get("/").expect("an answer");
    assert_eq!(answer.json()["generation"], 1);
    drop(connections.remove(0));
    service.wait_until_calm();
    assert!(connections[0].is_closed(), "{}", service.log());
    let status = service.status();
    assert_eq!(status["rollout"]["closed_idle"], 1, "{status}");
    assert_eq!(status["rollout"]["cut"]["request"], 0, "{status}");
}

#[test]
fn with_nobody_to_take_them_clients_are_told_to_close() {
    let port = port();
    let service = keeps(22, port, "-w 2").start();
    let mut connections = idle(port, 2);
    service.signal(rustix::process::Signal::TERM);
    // Only then does each know of it: a response that has begun before says nothing.
    service.wait_for_status("workers that have said what they are left with", |status| {
        let slots = status["slots"].as_array().expect("slots");
        slots.iter().all(|slot| slot["workers"][0]["state"] == "lingering")
    });
    for connection in &mut connections {
        let answer = connection.get("/").expect("an answer");
        assert!(answer.says_close(), "{:?}\n{}", answer.headers, service.log());
    }
    drop(connections);
    assert!(Connection::open(port).is_err(), "it listens still");
}
