//! How an old worker goes: when it is told what, and what becomes of an app that looks after its own
//! end.

#[path = "../support/mod.rs"]
mod support;

mod handlers;
mod no_agent;
mod signals;
mod upgrades;

use support::fixture;
use support::service::Setup;

pub(crate) fn farewell(major: u32, port: u16, options: &str) -> Setup {
    Setup::new(major, fixture("farewell.js")).options(options).env("PORT", port)
}
