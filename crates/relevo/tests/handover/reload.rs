//! A reload moves every idle connection.

use std::time::Duration;

use crate::support::client::Connection;
use crate::support::nodes::MAJORS;
use crate::support::ports::port;
use crate::support::service::Setup;
use crate::support::{BALANCES, TempDir, fixture};
use crate::{all_answered_by, idle, keeps};

const CONNECTIONS: usize = 24;

fn moves_all(major: u32, balance: &str) {
    let what = format!("node {major}, {balance}");
    let port = port();
    let service = keeps(major, port, &format!("-w 2 --balance {balance}")).start();
    let mut connections = idle(port, CONNECTIONS);
    // One that has never said anything goes along.
    let mut silent = Connection::open(port).expect("a connection");
    service.wait_for_status("the silent one at a worker", |status| {
        let counted = crate::shares(status);
        counted.is_empty() || counted.iter().sum::<u64>() == CONNECTIONS as u64 + 1
    });
    service.reload();
    let status = service.wait_until_calm();
    let rollout = &status["rollout"];
    assert_eq!(rollout["closed_idle"], 0, "{what}: {rollout}\n{}", service.log());
    assert_eq!(rollout["not_movable"], serde_json::json!({}), "{what}");
    let moved = rollout["handed_over"].as_u64().expect("a number");
    assert!(moved >= CONNECTIONS as u64, "{what}: {moved} handed over\n{}", service.log());
    for connection in &mut connections {
        assert!(!connection.is_closed(), "{what}: closed\n{}", service.log());
    }
    all_answered_by(2, &mut connections, &service);
    let answer = silent.get("/").unwrap_or_else(|lost| panic!("{what}: {lost:?}"));
    assert_eq!(answer.json()["generation"], 2, "{what}");
    // What has arrived once can leave again.
    service.reload();
    service.wait_until_calm();
    all_answered_by(3, &mut connections, &service);
    assert_eq!(service.status()["totals"]["closed_idle"], 0, "{what}");
}

#[test]
fn idle_connections_move_on_every_major_under_every_balance() {
    for major in MAJORS {
        std::thread::scope(|scope| {
            for balance in BALANCES {
                scope.spawn(move || moves_all(major, balance));
            }
        });
    }
}

#[test]
fn a_busy_one_follows_when_it_has_been_answered() {
    for major in MAJORS {
        let port = port();
        let service =
            Setup::new(major, fixture("kitchen.js")).options("-w 1").env("PORT", port).start();
        let mut connection = Connection::open(port).expect("a connection");
        connection.send_get("/slow?ms=1500").expect("a request");
        service.reload();
        let slow = connection.receive().expect("an answer");
        assert!(!slow.says_close(), "node {major}: {:?}", slow.headers);
        let status = service.wait_until_calm();
        assert_eq!(status["rollout"]["handed_over"], 1, "node {major}\n{}", service.log());
        let next = connection.get("/").expect("an answer");
        assert_eq!(next.json()["generation"], 2, "node {major}");
        assert_ne!(slow.json()["pid"], next.json()["pid"]);
    }
}

#[test]
fn requests_cut_at_every_byte_are_answered_whenever_the_rest_comes() {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    for major in MAJORS {
        let port = port();
        let service = keeps(major, port, "-w 2").start();
        let mut connections = idle(port, REQUEST.len() * 2);
        for (at, connection) in connections.iter_mut().enumerate() {
            // Whole requests before the cut, for half of them: pipelined behind one another.
            let whole = if at >= REQUEST.len() { 2 } else { 0 };
            connection.send(&REQUEST.repeat(whole)).expect("whole requests");
            connection.send(&REQUEST[..at % REQUEST.len()]).expect("a part");
        }
        let reload = std::thread::scope(|scope| {
            let reload = scope.spawn(|| service.reload());
            // The rest comes while the rollout goes on, each at another moment.
            for (at, connection) in connections.iter_mut().enumerate() {
                std::thread::sleep(Duration::from_millis(8));
                connection.send(&REQUEST[at % REQUEST.len()..]).expect("the rest");
            }
            reload.join().expect("a report")
        });
        assert_eq!(reload["closed_idle"], 0, "node {major}: {reload}");
        for (at, connection) in connections.iter_mut().enumerate() {
            let answers = if at >= REQUEST.len() { 3 } else { 1 };
            for number in 1..=answers {
                let answer = connection.receive();
                let status = answer.map(|answer| answer.status);
                assert_eq!(status, Ok(200), "node {major}, cut {at}, answer {number}");
            }
        }
    }
}

#[test]
fn unix_sockets_hand_over_as_well() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    let directory = TempDir::new("unix");
    let path = directory.join("app.sock");
    let service = Setup::new(22, fixture("keeps.js"))
        .options("-w 2")
        .env("LISTEN_PATH", path.display())
        .start();
    let ask = |stream: &mut UnixStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").expect("a request");
        let mut text = String::new();
        let mut buffer = [0; 4096];
        while !text.ends_with('}') {
            let length = stream.read(&mut buffer).expect("an answer");
            assert!(length > 0, "closed\n{}", service.log());
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        text
    };
    let mut stream = UnixStream::connect(&path).expect("a connection");
    assert!(ask(&mut stream).contains("\"generation\":1"));
    service.reload();
    let status = service.wait_until_calm();
    assert_eq!(status["rollout"]["handed_over"], 1, "{}", service.log());
    assert!(ask(&mut stream).contains("\"generation\":2"));
}
