//! What goes on at a `kitchen.js` while a test replaces its workers: fifty clients that keep their
//! connections, two that open one for each request, a response of 3 s and a slow upload.

use std::io::{Read, Write};
use std::thread::JoinHandle;
use std::time::Duration;

use super::client::{Connection, Lost, Response};
use super::load::{Account, Load};

/// Clients at work.
pub(crate) struct Traffic {
    load: Load,
    long: Vec<(&'static str, JoinHandle<Result<Response, Lost>>)>,
}

impl Traffic {
    /// Returns when all clients have had an answer and the long requests are in flight.
    pub(crate) fn begin(port: u16) -> Self {
        let load = Load::new()
            .keep_alive_unhurried(50, port, "/")
            .connection_per_request(2, port, "/")
            .settled();
        let long = vec![
            ("a response of 3 s", slow_response(port, 3000)),
            ("a slow upload", slow_upload(port, 30)),
        ];
        Self { load, long }
    }

    /// Lets everything finish, prints what became of it, and fails if anything was lost.
    pub(crate) fn end(self, what: &str) -> Account {
        for (request, thread) in self.long {
            let response = thread.join().expect("a client does not panic");
            assert_eq!(response.map(|r| r.status), Ok(200), "{what}: {request} was lost");
        }
        let account = self.load.stop();
        println!("{what}: answered {}, raced {}", account.answered, account.raced);
        // Idle connections are moved: the server closes none, and there is no race to lose.
        account.assert_unnoticed(what);
        account
    }
}

/// A response that takes `ms` from its first byte to its last. It is in flight when this returns.
pub(crate) fn slow_response(port: u16, ms: u32) -> JoinHandle<Result<Response, Lost>> {
    let mut connection = Connection::open(port).expect("a connection");
    connection.send_get(&format!("/stream?ms={ms}&chunks=10")).expect("a request");
    connection.stream.peek(&mut [0]).expect("the beginning of a response");
    std::thread::spawn(move || {
        let response = connection.receive()?;
        let whole = response.text().ends_with("chunk 10 of 10\n");
        if whole { Ok(response) } else { Err(Lost::Wrong) }
    })
}

/// An upload of so many pieces, ten a second. Its head has been read when this returns.
pub(crate) fn slow_upload(port: u16, pieces: usize) -> JoinHandle<Result<Response, Lost>> {
    const PIECE: [u8; 1024] = [b'u'; 1024];
    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut connection = Connection::open(port).expect("a connection");
    let length = pieces * PIECE.len();
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    );
    connection.send(head.as_bytes()).expect("a head");
    let mut answer = [0; CONTINUE.len()];
    connection.stream.read_exact(&mut answer).expect("leave to go on");
    assert_eq!(String::from_utf8_lossy(&answer), CONTINUE);
    std::thread::spawn(move || {
        for _ in 0..pieces {
            connection.stream.write_all(&PIECE).map_err(|_| Lost::Reset)?;
            std::thread::sleep(Duration::from_millis(100));
        }
        let response = connection.receive()?;
        let whole = response.json()["bytes"] == length;
        if whole { Ok(response) } else { Err(Lost::Wrong) }
    })
}
