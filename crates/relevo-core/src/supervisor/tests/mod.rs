//! Every transition, one by one. `tests/simulation.rs` throws them together.

mod crash;
mod drain;
mod first_start;
mod harness;
mod leave;
mod listeners;
mod readiness;
mod requests;
mod rollout;
mod stop;
