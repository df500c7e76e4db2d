//! Stopping: what was accepted or waits in a queue is answered, and nothing is left behind.

#[path = "../support/mod.rs"]
mod support;

mod at_once;
mod deadlines;
mod in_between;
mod lame_duck;
mod leftovers;
mod politely;

use support::client::{Connection, Lost};

/// Opens connections with a request on each.
pub(crate) fn ask_all(port: u16, count: usize, path: &str) -> Vec<Connection> {
    let ask = |_| {
        let mut connection = Connection::open(port).expect("a connection");
        connection.send_get(path).expect("a request");
        connection
    };
    (0..count).map(ask).collect()
}

/// Reads the answers: the status of each, or how it was lost. Ends with the first that does not come
/// in time: waiting for all others would take as long for each.
pub(crate) fn answers(connections: Vec<Connection>) -> Vec<Result<u16, Lost>> {
    let mut answers = Vec::new();
    for mut connection in connections {
        let answer = connection.receive().map(|response| response.status);
        answers.push(answer);
        if answer == Err(Lost::TimedOut) {
            break;
        }
    }
    answers
}

pub(crate) fn lost(answers: &[Result<u16, Lost>]) -> usize {
    answers.iter().filter(|answer| **answer != Ok(200)).count()
}
