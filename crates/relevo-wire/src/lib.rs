//! The serialised types of Relevo, and the only ones: what crosses the control socket and what
//! `--json` prints. Fields are only ever added, never renamed.
//!
//! - [`protocol`]: the lines of the control socket;
//! - [`Status`] and [`PsEntry`]: what `status --json` and `ps --json` print;
//! - [`Event`]: what `events --json` prints, an object a line;
//! - [`prove::Report`]: what `prove --json` prints;
//! - [`checked`]: what `check --json` prints;
//! - [`difference`]: what `reload --dry-run --json` prints;
//! - [`ExitCode`]: how every command ends.

pub mod checked;
pub mod difference;
mod event;
mod exit_code;
pub mod protocol;
pub mod prove;
mod ps;
pub mod status;

pub use event::Event;
pub use exit_code::ExitCode;
pub use ps::{PsEntry, PsWorkers};
pub use status::Status;
