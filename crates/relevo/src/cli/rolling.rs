//! Asking for a rollout, and waiting for its end: what `reload` and `rollback` have in common.

use std::time::Instant;

use relevo_config::{ServiceName, Span};
use relevo_sys::signals::Signals;
use relevo_wire::protocol::Verb;

use super::Failure;
use super::client::report::print;
use super::client::waiting::{INTERRUPTED, explain};
use super::client::{self, ClientError, Connection, PATIENCE, Until};
use super::reload::{sentence_of, show_progress};

/// A rollout that somebody wants.
pub(super) struct Wanted<'a> {
    pub(super) name: Option<&'a ServiceName>,
    /// What it is called: `reload`.
    pub(super) noun: &'static str,
    /// What has been done when it is over: `reloaded`.
    pub(super) done: &'static str,
    pub(super) timeout: Option<Span>,
    pub(super) json: bool,
}

impl Wanted<'_> {
    /// Returns when it is accepted.
    pub(super) fn ask(&self, verb: Verb) -> Result<u8, Failure> {
        let (service, mut connection) = client::open(self.name)?;
        let answer =
            connection.ask_within(PATIENCE, verb).map_err(|error| error.into_failure(&service))?;
        print(&if self.json {
            format!("{}\n", answer.json)
        } else {
            format!("{} accepted: {}\n", self.noun, service.name)
        })?;
        Ok(0)
    }

    /// Returns when it is over. `more` is told people behind its last line.
    pub(super) fn ask_and_wait(
        &self,
        verb: Verb,
        more: impl FnOnce(&mut Connection) -> String,
    ) -> Result<u8, Failure> {
        let (service, mut connection) = client::open(self.name)?;
        let interrupt = client::take_interrupt();
        let deadline = self.timeout.and_then(|limit| Instant::now().checked_add(limit.duration()));
        let until = Until { deadline, interrupt: interrupt.as_ref().map(Signals::fd) };
        match connection.ask(verb, until, &mut show_progress()) {
            Ok(answer) => {
                let rollout = answer.rollout().map_err(|error| error.into_failure(&service))?;
                let line = sentence_of(self.done, &rollout)?;
                print(&if self.json {
                    format!("{}\n", answer.json)
                } else {
                    format!("{line}{}\n", more(&mut connection))
                })?;
                Ok(0)
            }
            Err(ClientError::Interrupted) => {
                eprintln!(
                    "relevo: the rollout goes on; see `relevo status {0}`, or undo it by `relevo abort {0}`",
                    service.name
                );
                Ok(INTERRUPTED)
            }
            Err(error) => Err(explain(error, self.noun, self.timeout, &service, connection.pid)),
        }
    }
}
