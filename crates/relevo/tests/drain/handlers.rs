//! Apps that close their server by themselves when they are told to end.

use std::thread::JoinHandle;

use rustix::process::Signal;

use crate::farewell;
use crate::support::client::{Connection, Lost, Response};
use crate::support::load::Load;
use crate::support::nodes::MAJORS;
use crate::support::ports::port;

fn slow(port: u16, count: usize) -> Vec<JoinHandle<Result<Response, Lost>>> {
    let ask = |_| {
        let mut connection = Connection::open(port).expect("a connection");
        // An answer shows that the connection is accepted, so that what follows is in flight.
        connection.get("/").expect("an answer");
        connection.send_get("/slow?ms=1500").expect("a request");
        std::thread::spawn(move || connection.receive())
    };
    (0..count).map(ask).collect()
}

/// `server.close(() => process.exit())` comes when there is nothing left to be cut.
#[test]
fn the_common_handler_of_sigterm_cuts_nothing() {
    for major in MAJORS {
        let port = port();
        let service = farewell(major, port, "-w 2").env("ON_SIGNAL", "close-then-exit").start();
        let load =
            Load::new().keep_alive_unhurried(50, port, "/").connection_per_request(2, port, "/");
        let requests = slow(port, 6);
        service.reload();
        for request in requests {
            let status = request.join().expect("no panic").map(|response| response.status);
            assert_eq!(status, Ok(200), "node {major}: {}", service.log());
        }
        let account = load.stop();
        println!("node {major}: answered {}, raced {}", account.answered, account.raced);
        account.assert_nothing_lost();
        service.wait_until_calm();

        let requests = slow(port, 6);
        let mut service = service;
        service.signal(Signal::TERM);
        for request in requests {
            let status = request.join().expect("no panic").map(|response| response.status);
            assert_eq!(status, Ok(200), "node {major}, stop: {}", service.log());
        }
        assert_eq!(service.wait().code(), Some(0));
    }
}
