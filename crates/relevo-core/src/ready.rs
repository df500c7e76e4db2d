//! What makes a new worker ready, and what is known of its way there.

use std::time::Duration;

use crate::{ListenerId, Time};

/// What a new worker must have done to count as ready. In every case it must also listen on all that
/// its predecessor listened on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadyWhen {
    /// It listens.
    #[default]
    Listening,
    /// It has said so on its channel.
    Message,
    /// It has sent `READY=1` to the socket that it was given for that (sd_notify(3)).
    Notify,
    /// It answers a request that the primary puts to it alone.
    Probe,
    /// Its program runs.
    Spawned,
}

/// What a worker that was not ready in time had not done, beside listening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsaid {
    /// It said nothing on its channel.
    Message,
    /// It did not send `READY=1`.
    Notify,
    /// It did not answer as it should.
    Probe {
        /// What came of the last request, in words; `None` where none could be put.
        answer: Option<String>,
    },
}

/// A worker's way to readiness.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    pub(crate) when: ReadyWhen,
    /// It has said that it is ready, or has answered.
    pub(crate) said: bool,
    /// How long it may take.
    pub(crate) within: Duration,
    pub(crate) extension: Extension,
    pub(crate) probe: Probe,
    /// What came of the last request.
    pub(crate) answer: Option<String>,
}

/// Whether a worker has asked for more time to become ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extension {
    None,
    Some,
    /// As much as there is: no more is given, and the log has been told.
    All,
}

/// The requests that are put to a starting worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The next one is due then.
    Due(Time),
    /// It has been put; by then it must be answered.
    Put(Time),
}

impl Readiness {
    pub(crate) fn new(when: ReadyWhen, within: Duration) -> Self {
        Self {
            when,
            said: false,
            within,
            extension: Extension::None,
            probe: Probe::Due(Time::default()),
            answer: None,
        }
    }

    /// It may take so long, from now on.
    pub(crate) fn begin_anew(&mut self, within: Duration) {
        (self.within, self.extension) = (within, Extension::None);
    }

    /// Whether nothing but to listen is left to be done.
    pub(crate) fn has_said(&self) -> bool {
        match self.when {
            ReadyWhen::Listening | ReadyWhen::Spawned => true,
            ReadyWhen::Message | ReadyWhen::Notify | ReadyWhen::Probe => self.said,
        }
    }

    /// What it has not said.
    pub(crate) fn unsaid(&self) -> Option<Unsaid> {
        match self.when {
            ReadyWhen::Message | ReadyWhen::Notify | ReadyWhen::Probe if self.said => None,
            ReadyWhen::Message => Some(Unsaid::Message),
            ReadyWhen::Notify => Some(Unsaid::Notify),
            ReadyWhen::Probe => Some(Unsaid::Probe { answer: self.answer.clone() }),
            ReadyWhen::Listening | ReadyWhen::Spawned => None,
        }
    }
}

/// Whether the workers of a rollout must listen on what those before them listened on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listeners {
    /// They must; on more, too, if they like.
    #[default]
    Same,
    /// They listen on what they like.
    Changed,
}

/// Who is asked, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) worker: crate::WorkerId,
    pub(crate) listener: ListenerId,
}
