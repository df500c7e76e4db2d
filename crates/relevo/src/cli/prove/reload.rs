//! Disturbing a service by reloading it.

use std::time::{Duration, Instant};

use relevo_prove::{Disturb, Done, Tell};
use relevo_wire::protocol::Verb;
use relevo_wire::status::Phase;

use crate::cli::client::{ClientError, Connection, PATIENCE, Until};
use crate::cli::reload::sentence;
use crate::cli::services::Service;

/// Reloads a service.
#[derive(Debug)]
pub(super) struct Reload {
    service: Service,
    limit: Duration,
}

impl Reload {
    pub(super) const fn new(service: Service, limit: Duration) -> Self {
        Self { service, limit }
    }

    fn reload(&self, tell: &Tell) -> Result<String, String> {
        let explain = |error: ClientError| error.into_failure(&self.service).reason;
        let mut connection = Connection::open(&self.service, PATIENCE).map_err(explain)?;
        let until = Until { deadline: Instant::now().checked_add(self.limit), interrupt: None };
        let answer = connection.ask(
            Verb::Reload { wait: true, changed_listeners: false },
            until,
            &mut |progress| {
                // Now the old worker stops to accept, or lets go of its connections.
                if matches!(progress.phase, Some(Phase::Probation | Phase::Draining)) {
                    tell.step();
                }
            },
        );
        if let Err(ClientError::TimedOut) = answer {
            return Err(format!("the reload did not end within {:?}", self.limit));
        }
        let answer = answer.map_err(explain)?;
        let rollout = answer.rollout().map_err(explain)?;
        sentence(&rollout).map_err(|failure| failure.reason)
    }
}

impl Disturb for Reload {
    fn name(&self) -> String {
        format!("relevo reload {}", self.service.name)
    }

    fn disturb(&mut self, tell: &Tell) -> Done {
        self.reload(tell).into()
    }
}
