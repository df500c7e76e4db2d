//! Who gets a new connection, under each balance: by real connections to real workers.

#[path = "../support/mod.rs"]
mod support;

mod blocked;
mod disturbed;
mod idle;
mod passage;
mod spread;

use std::collections::BTreeMap;
use std::sync::RwLock;

use serde_json::Value;

use support::client::Connection;
use support::fixture;
use support::service::{Service, Setup};

/// A test that measures time, or needs all of the machine, holds this for writing.
pub(crate) static QUIET: RwLock<()> = RwLock::new(());

/// Workers that keep connections for as long as a test may take.
pub(crate) fn kitchen(major: u32, port: u16, options: &str) -> Setup {
    Setup::new(major, fixture("kitchen.js"))
        .options(options)
        .env("PORT", port)
        .env("KEEPALIVE_MS", 120_000)
}

/// A kept connection, and the pid of the worker that has it.
pub(crate) fn connect(port: u16) -> (u32, Connection) {
    let mut connection = Connection::open(port).expect("a connection");
    let pid = ask_pid(&mut connection);
    (pid, connection)
}

/// Who has this connection.
pub(crate) fn ask_pid(connection: &mut Connection) -> u32 {
    let answer = connection.get("/").expect("an answer").json();
    answer["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a pid")
}

/// The connections of each worker, as `status` has them.
pub(crate) fn counted(status: &Value) -> BTreeMap<u32, Option<u64>> {
    let slots = status["slots"].as_array().expect("slots");
    let workers = slots.iter().flat_map(|slot| slot["workers"].as_array().expect("workers"));
    workers
        .map(|worker| {
            let pid = worker["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
            (pid.expect("a pid"), worker["connections"].as_u64())
        })
        .collect()
}

/// Who deals what comes to the only listener.
pub(crate) fn dealing(service: &Service) -> String {
    service.status()["listeners"][0]["dealing"].as_str().expect("a word").to_owned()
}

/// The slot of the worker with this pid.
pub(crate) fn slot_of(status: &Value, pid: u32) -> usize {
    let slots = status["slots"].as_array().expect("slots");
    let works = |slot: &Value| slot["workers"][0]["pid"] == pid;
    slots.iter().position(works).unwrap_or_else(|| panic!("pid {pid} is nobody's: {status}"))
}
