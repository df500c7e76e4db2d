//! Another number of workers while the service runs.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod arrivals;
mod half_open;
mod signals;
mod sockets;
mod under_load;

use serde_json::Value;
use support::service::Service;

/// Changes the number of workers and waits for it; fails the test if that is refused.
pub(crate) fn scale(service: &Service, to: &str) -> Value {
    service.scale(to)
}

/// The slots that are shown, by number.
pub(crate) fn slots(status: &Value) -> Vec<u64> {
    let slots = status["slots"].as_array().expect("slots");
    slots.iter().map(|slot| slot["slot"].as_u64().expect("a number")).collect()
}
