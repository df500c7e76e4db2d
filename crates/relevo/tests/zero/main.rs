//! Replacing workers loses nothing: every framework on every Node major under every balance, and apps that are hard.
//!
//! Accounted clients drive the real app under the real `relevo` while its workers are replaced, become more and
//! fewer, and are killed. Each request ends in exactly one way; the number that is lost must be 0, not small.
//!
//! By default each app runs on one major under one balance, so that all majors and balances occur. All of them, with
//! the figures written to `docs/zero.md`, take about half an hour:
//!
//! ```console
//! $ RELEVO_MATRIX=full cargo test -p relevo --test zero
//! ```

#[path = "../support/mod.rs"]
mod support;

mod account;
mod clients;
mod crowd;
mod facts;
mod foreign;
mod frameworks;
mod hard;
mod killed;
mod report;
mod trial;
