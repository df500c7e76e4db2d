//! One of the service's positions: who works there, and what it serves.

use std::collections::BTreeSet;

use crate::backoff::Backoff;
use crate::renewal::Pace;
use crate::{Exit, Failure, Generation, ListenerId, Time, WorkerId};

/// A slot and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct SlotState {
    /// Who serves here, or is starting to because nobody does.
    pub(crate) current: Option<WorkerId>,
    /// Who is starting in order to take over from `current` in a rollout.
    pub(crate) incoming: Option<WorkerId>,
    /// The code load that this slot's next worker counts as, unless a rollout starts it.
    pub(crate) generation: Generation,
    /// What the last ready worker here listened on: what its successor must listen on.
    pub(crate) serves: BTreeSet<ListenerId>,
    pub(crate) backoff: Backoff,
    /// What became of replacing workers here that had reached a limit.
    pub(crate) pace: Pace,
    /// When the next worker is started, if nobody is here.
    pub(crate) retry_at: Option<Time>,
    /// Whether a worker failed here before any had been ready.
    pub(crate) failed_once: bool,
    /// Whether the last worker here failed, or left by itself, and none has been ready since.
    pub(crate) crashed: bool,
    /// How many workers failed here.
    pub(crate) restarts: u64,
    /// The last end of a worker here that nobody had asked for.
    pub(crate) last_exit: Option<(Time, Exit)>,
    /// What happened to the last worker that failed here.
    pub(crate) last_failure: Option<Failure>,
    /// How its last worker ended, if that was for good (`supervisor/final_exit.rs`).
    pub(crate) ended: Option<Exit>,
    /// It was added while the service ran, and has not had a ready worker since.
    pub(crate) joining: bool,
    /// It has left, and this is until when its sockets are kept.
    pub(crate) retired_until: Option<Time>,
}

impl SlotState {
    pub(crate) fn new(generation: Generation) -> Self {
        Self {
            current: None,
            incoming: None,
            generation,
            serves: BTreeSet::new(),
            backoff: Backoff::default(),
            pace: Pace::default(),
            retry_at: None,
            failed_once: false,
            crashed: false,
            restarts: 0,
            last_exit: None,
            last_failure: None,
            ended: None,
            joining: false,
            retired_until: None,
        }
    }

    /// A slot that is added to those of a running service.
    pub(crate) fn joining(generation: Generation) -> Self {
        Self { joining: true, ..Self::new(generation) }
    }

    /// A slot that has left: nothing of it counts any more but its sockets.
    pub(crate) fn retired(generation: Generation, until: Time) -> Self {
        Self { retired_until: Some(until), ..Self::new(generation) }
    }

    /// Nobody works here, or is starting to.
    pub(crate) fn is_vacant(&self) -> bool {
        self.current.is_none() && self.incoming.is_none()
    }
}
