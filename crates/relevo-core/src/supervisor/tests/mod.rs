//! Every transition, one by one. `tests/simulation` throws them together.

mod canary;
mod cause;
mod changed_listeners;
mod configuration;
mod crash;
mod drain;
mod final_exit;
mod first_start;
mod hang;
mod harness;
mod hooks;
mod leave;
mod listeners;
mod memory;
mod outage;
mod readiness;
mod ready_when;
mod refused;
mod releases;
mod renewal;
mod requests;
mod rollout;
mod scaling;
mod standby;
mod stop;
mod undo;
