//! Idle connections of workers that leave: they go to others, and their clients notice nothing.

#[path = "../support/mod.rs"]
mod support;

mod balance;
mod far;
mod life;
mod reload;
mod stays;

use serde_json::Value;

use support::client::Connection;
use support::fixture;
use support::service::{Service, Setup};

pub(crate) fn keeps(major: u32, port: u16, options: &str) -> Setup {
    Setup::new(major, fixture("keeps.js")).options(options).env("PORT", port)
}

/// So many connections, each of which has had one answer and is idle.
pub(crate) fn idle(port: u16, count: usize) -> Vec<Connection> {
    let mut connections: Vec<Connection> =
        (0..count).map(|_| Connection::open(port).expect("a connection")).collect();
    for connection in &mut connections {
        assert_eq!(connection.get("/").expect("an answer").status, 200);
    }
    connections
}

/// Asks once more on each, and fails unless a worker of this generation answers and keeps it.
pub(crate) fn all_answered_by(generation: u64, connections: &mut [Connection], service: &Service) {
    for (number, connection) in connections.iter_mut().enumerate() {
        let response = connection.get("/").unwrap_or_else(|lost| {
            panic!("connection {number}: {lost:?}\n{}", service.log());
        });
        assert_eq!(response.json()["generation"], generation, "connection {number}");
        assert!(!response.says_close(), "connection {number}: {:?}", response.headers);
    }
}

/// How many connections each worker has.
pub(crate) fn shares(status: &Value) -> Vec<u64> {
    let slots = status["slots"].as_array().expect("a list");
    let workers = slots.iter().filter_map(|slot| slot["workers"].as_array()?.last());
    workers.filter_map(|worker| worker["connections"].as_u64()).collect()
}
