//! What an event is about, by name and number; the words are the log's.

use relevo_core::{
    Answer, DealerNotice, Generation, HookId, Notice, Outcome, ScaleOutcome, Slot, WorkerId,
};
use relevo_wire::status::{Rollout, Scaling};

use crate::primary::status;

/// What an event is about.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(super) kind: &'static str,
    pub(super) slot: Option<Slot>,
    pub(super) worker: Option<WorkerId>,
    pub(super) pid: Option<u32>,
    pub(super) generation: Option<Generation>,
    pub(super) rollout: Option<Box<Rollout>>,
    pub(super) scaling: Option<Box<Scaling>>,
}

/// Whose last words explain a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Culprit {
    Worker(WorkerId),
    Hook(HookId),
}

impl About {
    /// Of this kind, and nothing more is known.
    pub(crate) const fn of(kind: &'static str) -> Self {
        Self {
            kind,
            slot: None,
            worker: None,
            pid: None,
            generation: None,
            rollout: None,
            scaling: None,
        }
    }

    fn worker(kind: &'static str, worker: WorkerId) -> Self {
        Self { worker: Some(worker), ..Self::of(kind) }
    }

    fn in_slot(kind: &'static str, slot: Slot, worker: WorkerId) -> Self {
        Self { slot: Some(slot), ..Self::worker(kind, worker) }
    }

    fn generation(kind: &'static str, generation: Generation) -> Self {
        Self { generation: Some(generation), ..Self::of(kind) }
    }

    /// With the worker's process, where that is known.
    pub(crate) fn with_pid(mut self, pid: impl FnOnce(WorkerId) -> Option<u32>) -> Self {
        self.pid = self.worker.and_then(pid);
        self
    }
}

impl From<&Notice> for About {
    fn from(notice: &Notice) -> Self {
        match notice {
            Notice::WorkerReady { worker, slot, .. } => {
                Self::in_slot("worker_ready", *slot, *worker)
            }
            Notice::WorkerLoaded { worker, slot, .. } => {
                Self::in_slot("worker_loaded", *slot, *worker)
            }
            Notice::SparePromoted { worker, slot } => {
                Self::in_slot("spare_promoted", *slot, *worker)
            }
            Notice::StartExtended { worker, slot, .. } => {
                Self::in_slot("start_extended", *slot, *worker)
            }
            Notice::WorkerFailed { worker, slot, .. } => {
                Self::in_slot("worker_failed", *slot, *worker)
            }
            Notice::WorkerLeft { worker, slot, .. } => Self::in_slot("worker_left", *slot, *worker),
            Notice::DrainCut { worker, slot, .. } => Self::in_slot("drain_cut", *slot, *worker),
            Notice::Killing { worker, slot } => Self::in_slot("worker_killed", *slot, *worker),
            Notice::WorkerLeaving { worker, slot } => {
                Self::in_slot("worker_leaving", *slot, *worker)
            }
            Notice::WorkerPaused { worker, slot, .. } => {
                Self::in_slot("worker_paused", *slot, *worker)
            }
            Notice::WorkerDue { worker, slot, .. } => Self::in_slot("worker_due", *slot, *worker),
            Notice::WorkerRenewed { worker, slot, .. } => {
                Self::in_slot("worker_renewed", *slot, *worker)
            }
            Notice::RenewalFailed { worker, slot, .. } => {
                Self::in_slot("renewal_failed", *slot, *worker)
            }
            Notice::RequestsNotCounted { worker } => Self::worker("requests_not_counted", *worker),
            Notice::Unprotected { worker, .. } => Self::worker("unprotected", *worker),
            Notice::BindFailed { .. } => Self::of("bind_failed"),
            Notice::ListenerOpened { .. } => Self::of("listener_opened"),
            Notice::ListenerClosed { .. } => Self::of("listener_closed"),
            Notice::ServiceReady { .. } => Self::of("service_ready"),
            Notice::FirstStartFailed { worker, .. } => Self::worker("start_failed", *worker),
            Notice::RolloutStarted { generation, .. } => {
                Self::generation("rollout_started", *generation)
            }
            Notice::FellBack { slot, to, .. } => {
                Self { slot: Some(*slot), ..Self::generation("fell_back", *to) }
            }
            Notice::HeldBack { worker, slot, .. } => Self::in_slot("held_back", *slot, *worker),
            Notice::RolloutWaits { generation, .. }
            | Notice::RolloutWaitsForDrain { generation, .. } => {
                Self::generation("rollout_waits", *generation)
            }
            Notice::MemoryTight { generation, .. } => Self::generation("memory_tight", *generation),
            Notice::CanaryPassed { worker, slot, .. } => {
                Self::in_slot("canary_passed", *slot, *worker)
            }
            Notice::RolloutHeld { generation, paused: true } => {
                Self::generation("rollout_paused", *generation)
            }
            Notice::RolloutHeld { generation, paused: false } => {
                Self::generation("rollout_resumed", *generation)
            }
            Notice::RolloutUndone { generation, .. } => {
                Self::generation("rollout_undone", *generation)
            }
            Notice::WorkerReturned { worker, slot } => {
                Self::in_slot("worker_returned", *slot, *worker)
            }
            Notice::ParkedTooLong { worker, slot } => {
                Self::in_slot("parked_too_long", *slot, *worker)
            }
            Notice::HookFailed { .. } => Self::of("hook_failed"),
            Notice::HookLeftOut { .. } => Self::of("hook_left_out"),
            Notice::RolloutEnded(report) => Self {
                rollout: Some(Box::new(status::of_report(report))),
                ..Self::generation("rollout_ended", report.generation)
            },
            Notice::Down { .. } => Self::of("down"),
            Notice::Up { .. } => Self::of("up"),
            Notice::Scaling { .. } => Self::of("scale_started"),
            Notice::ScaleEnded(report) => Self {
                scaling: Some(Box::new(status::of_scaling(report))),
                ..Self::of("scale_ended")
            },
            Notice::NotScaled(_) => Self::of("refused"),
            Notice::AllEnded { .. } => Self::of("all_ended"),
            Notice::Stopping => Self::of("stopping"),
            Notice::LeftBehind { .. } => Self::of("left_behind"),
            Notice::Bug { .. } => Self::of("bug"),
        }
    }
}

impl From<&DealerNotice> for About {
    fn from(notice: &DealerNotice) -> Self {
        match notice {
            DealerNotice::NotSteered { .. } => Self::of("not_steered"),
            DealerNotice::Disturbed { .. } => Self::of("listener_disturbed"),
            DealerNotice::Blocked { worker, slot } => {
                Self::in_slot("worker_blocked", *slot, *worker)
            }
            DealerNotice::Unblocked { worker, slot, .. } => {
                Self::in_slot("worker_unblocked", *slot, *worker)
            }
        }
    }
}

impl Culprit {
    /// Who explains that a wish was not granted.
    pub(crate) fn of_answer(answer: &Answer) -> Option<Self> {
        match answer {
            Answer::RolledOut(report) => Self::of_outcome(&report.outcome),
            Answer::Scaled(report) => match &report.outcome {
                ScaleOutcome::Failed { worker, .. } => Some(Self::Worker(*worker)),
                ScaleOutcome::Accepted
                | ScaleOutcome::Done
                | ScaleOutcome::Superseded { .. }
                | ScaleOutcome::Aborted => None,
            },
            Answer::Held { .. } | Answer::Stopped | Answer::Refused(_) => None,
        }
    }

    const fn of_outcome(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Failed { worker, .. } => Some(Self::Worker(*worker)),
            Outcome::HookFailed { hook, .. } => Some(Self::Hook(*hook)),
            Outcome::Succeeded | Outcome::Aborted | Outcome::Stopped => None,
        }
    }

    /// Who explains what has happened.
    pub(crate) fn of(notice: &Notice) -> Option<Self> {
        if let Notice::WorkerFailed { worker, .. } | Notice::FirstStartFailed { worker, .. } =
            notice
        {
            Some(Self::Worker(*worker))
        } else if let Notice::HookFailed { hook, .. } = notice {
            Some(Self::Hook(*hook))
        } else if let Notice::RolloutEnded(report) = notice {
            Self::of_outcome(&report.outcome)
        } else {
            None
        }
    }
}
