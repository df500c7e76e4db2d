//! Every transition, one by one. `tests/simulation.rs` throws them together.

mod cause;
mod configuration;
mod crash;
mod drain;
mod final_exit;
mod first_start;
mod harness;
mod hooks;
mod leave;
mod listeners;
mod memory;
mod outage;
mod readiness;
mod requests;
mod rollout;
mod scaling;
mod standby;
mod stop;
mod undo;
