//! Reloads under load: nothing in flight is lost, whatever becomes of the reload.

#[path = "../support/mod.rs"]
mod support;

mod endurance;
mod notified;
mod oldest;
mod refused;
mod release;
mod several;
mod under_load;
mod waiting;

use support::service::Service;

/// The generations of all ready workers, by slot.
pub(crate) fn generations(service: &Service) -> Vec<u64> {
    let status = service.status();
    let slots = status["slots"].as_array().expect("slots");
    let workers = slots.iter().flat_map(|slot| slot["workers"].as_array().expect("workers"));
    workers
        .filter(|worker| worker["state"] == "ready")
        .map(|worker| worker["generation"].as_u64().expect("a number"))
        .collect()
}
