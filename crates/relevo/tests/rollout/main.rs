//! Rollouts that cannot hurt: a bad version gives way to the good one, and no request is lost by that.

#[path = "../support/mod.rs"]
mod support;

mod abort;
mod canary;
mod events;
mod paused;
mod probation;
mod strategies;
mod stuck;

use serde_json::Value;
use support::service::Service;

/// State and generation of all workers, by slot, oldest first.
pub(crate) fn workers(service: &Service) -> Vec<(String, u64)> {
    all_workers(&service.status())
}

pub(crate) fn all_workers(status: &Value) -> Vec<(String, u64)> {
    let slots = status["slots"].as_array().expect("slots");
    let workers = slots.iter().flat_map(|slot| slot["workers"].as_array().expect("workers"));
    let one = |worker: &Value| {
        let state = worker["state"].as_str().expect("a word").to_owned();
        (state, worker["generation"].as_u64().expect("a number"))
    };
    workers.map(one).collect()
}

pub(crate) fn pairs(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(state, generation)| ((*state).to_owned(), *generation)).collect()
}

/// Waits until the workers are in these states, and gives the whole status.
pub(crate) fn wait_for_workers(service: &Service, expected: &[(&str, u64)]) -> Value {
    let wanted = pairs(expected);
    service.wait_for_status(&format!("{expected:?}"), |status| all_workers(status) == wanted)
}
