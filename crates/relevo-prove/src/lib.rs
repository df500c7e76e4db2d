//! Clients that account for every request, while the server they talk to is replaced.
//!
//! ```text
//! rehearsal ──▶ clients ──▶ ledger ──▶ report
//!                  ▲          ▲
//!                pulse     disturber (a thread: reloads, a command, kills)
//! ```
//!
//! - [`rehearsal`] asks each path a few times and finds out what a right answer is;
//! - [`clients`] run, one task each, on one thread; every request is a [`ledger::Ticket`] that is
//!   ended once;
//! - a [`Disturb`] replaces the server meanwhile, from a thread of its own, because it waits. When it
//!   says that something is being replaced, the [`pulse`] makes clients speak just then;
//! - the [`ledger`] has the counts, from which the [`report`](mod@report) is made.
//!
//! Nothing here knows of Relevo's insides: what is tried may be any server.

mod clients;
mod disturb;
mod drive;
mod ledger;
mod plan;
mod pulse;
mod rehearsal;
pub mod report;
mod response;
mod stream;
mod target;
mod timeline;
mod tls;

pub use disturb::{Disturb, Done, Killed, Tell};
pub use drive::{Glance, prove};
pub use plan::{Plan, Schedule};
pub use target::{BadUrl, Target};
pub use tls::Trust;

/// Why a trial did not begin, or had to end: one sentence with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);
