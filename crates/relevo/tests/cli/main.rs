//! The commands against live services, what `run` makes of its words, and what a worker finds.

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod help;
mod naming;
mod programs;
mod surroundings;
mod workers_auto;
