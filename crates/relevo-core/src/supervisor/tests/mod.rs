//! Every transition, one by one. `tests/simulation.rs` throws them together.

mod configuration;
mod crash;
mod drain;
mod first_start;
mod harness;
mod leave;
mod listeners;
mod outage;
mod readiness;
mod refused;
mod releases;
mod requests;
mod rollout;
mod scaling;
mod standby;
mod stop;
mod undo;
