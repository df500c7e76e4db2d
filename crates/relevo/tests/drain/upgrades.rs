//! Connections that another protocol took over.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::farewell;
use crate::support::client::Connection;
use crate::support::nodes::MAJORS;
use crate::support::ports::port;

fn upgraded(port: u16) -> Connection {
    const ANSWER: &str =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    let mut connection = Connection::open(port).expect("a connection");
    let head = "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    connection.send(head.as_bytes()).expect("a request");
    let mut answer = [0; ANSWER.len()];
    connection.stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&answer), ANSWER);
    connection
}

fn echoes(connection: &mut Connection, word: &[u8; 4]) -> bool {
    let mut back = [0; 4];
    connection.stream.write_all(word).is_ok()
        && connection.stream.read_exact(&mut back).is_ok()
        && back == *word
}

#[test]
fn upgraded_connections_live_until_the_drain_timeout_and_are_named() {
    for major in MAJORS {
        let port = port();
        let service = farewell(major, port, "-w 1 --drain-timeout 2s").start();
        let mut sockets = [upgraded(port), upgraded(port)];
        let began = Instant::now();
        service.signal(rustix::process::Signal::USR2);
        service.wait_for_status("a draining worker", |status| {
            status["slots"][0]["workers"][0]["state"] == "draining"
        });
        for socket in &mut sockets {
            assert!(echoes(socket, b"ping"), "node {major}: {}", service.log());
        }
        service.wait_for_line("reload done: generation 2");
        assert!(began.elapsed() >= Duration::from_secs(2), "node {major}: {}", service.log());
        let rollout = &service.status()["rollout"];
        assert_eq!(rollout["cut"]["websocket"], 2, "node {major}: {rollout}\n{}", service.log());
        assert_eq!(rollout["cut"]["request"], 0, "node {major}: {rollout}");
        let line = service.wait_for_line("did not finish in time; ending ");
        assert!(line.ends_with("ending 2 upgraded connections"), "node {major}: {line}");
        // They end with the process, a second after its `disconnect`.
        service.wait_until_calm();
        for socket in &mut sockets {
            assert!(!echoes(socket, b"pong"), "node {major}");
        }
    }
}
