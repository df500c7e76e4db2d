//! Waiting for the end of a change that goes on without whoever waits.

use relevo_config::Span;
use relevo_wire::ExitCode;

use super::{ClientError, introduce};
use crate::cli::Failure;
use crate::cli::services::Service;

/// What Ctrl-C ends a command with: the shell's 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// A failure while waiting, and what it means for what was waited for.
pub(crate) fn explain(
    error: ClientError,
    what: &str,
    timeout: Option<Span>,
    service: &Service,
    pid: Option<u32>,
) -> Failure {
    let name = &service.name;
    match error {
        ClientError::TimedOut => {
            let waited = timeout.map(|timeout| format!(" within {timeout}")).unwrap_or_default();
            let reason = format!(
                "the {what} of `{name}` did not end{waited}; it goes on, see `relevo status {name}`"
            );
            Failure::new(ExitCode::TimedOut, reason)
        }
        ClientError::Closed if service.is_gone(pid) => Failure::new(
            ExitCode::Unreachable,
            format!("the primary of `{name}` ended during the {what}: the service runs no more"),
        ),
        ClientError::Closed => Failure::new(
            ExitCode::Unreachable,
            format!(
                "{} closed the connection before the {what} ended; it may go on, see \
                 `relevo status {name}`",
                introduce(service)
            ),
        ),
        ClientError::NoSocket
        | ClientError::Connect { .. }
        | ClientError::Interrupted
        | ClientError::Version { .. }
        | ClientError::HelloRefused(_)
        | ClientError::Failed(_)
        | ClientError::NotUnderstood(_)
        | ClientError::TooLong(_)
        | ClientError::Broken(_) => error.into_failure(service),
    }
}
