//! Trying whether a worker becomes ready, beside a service that may be running (`relevo check --boot`).

use std::time::Duration;

use relevo_core::{Event, Notice};

use super::{Primary, log};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    /// How long after its start the worker was ready.
    pub(crate) ready_after: Option<Duration>,
    /// Where it would listen.
    pub(crate) addresses: Vec<String>,
    /// Why it was not ready, and what it said last.
    pub(crate) failure: Option<(String, Vec<String>)>,
}

impl Primary {
    /// Starts a worker, waits until it is ready or has failed, and ends it.
    pub(crate) fn try_out(mut self) -> Trial {
        self.trial = Some(Trial::default());
        self.live();
        self.trial.take().unwrap_or_default()
    }

    /// Whether this is a trial, of which people need not be told this.
    pub(super) fn note_trial(&mut self, notice: &Notice) -> bool {
        let Some(trial) = &mut self.trial else { return false };
        if let Notice::WorkerReady { after, .. } = notice {
            trial.ready_after = Some(*after);
        } else if let Notice::ServiceReady { .. } = notice {
            let listeners = self.supervisor.view().listeners();
            trial.addresses = listeners.into_iter().map(|listener| listener.address).collect();
            self.events.push_back(Event::StopRequested { request: None });
        } else if let Notice::FirstStartFailed { worker, failure } = notice {
            let why = format!("the worker {}", log::failed(failure));
            trial.failure = Some((why, self.output.last_words(*worker)));
        }
        let is_needed = matches!(
            notice,
            Notice::Unprotected { .. } | Notice::BindFailed { .. } | Notice::Bug { .. }
        );
        !is_needed
    }
}
