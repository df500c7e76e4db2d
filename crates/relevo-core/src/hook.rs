//! Commands of the user's that are run when something happens.

use std::fmt;
use std::time::Duration;

use crate::{Exit, ExitHow, Failure, Generation, RolloutReport, Slot, WorkerId};

/// When a hook is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookKind {
    /// Before a rollout starts anything; its failure refuses the rollout.
    Before,
    /// When the first new worker of a rollout is ready; its failure undoes the rollout.
    Ready,
    /// When a rollout has succeeded.
    Success,
    /// When a rollout has not.
    Failure,
    /// When a worker has ended although nobody asked it to.
    Crash,
}

impl HookKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Before, Self::Ready, Self::Success, Self::Failure, Self::Crash];

    /// The name of its option, without the dashes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "hook-before",
            Self::Ready => "hook-ready",
            Self::Success => "hook-success",
            Self::Failure => "hook-failure",
            Self::Crash => "hook-crash",
        }
    }
}

impl fmt::Display for HookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which hooks there are, and how long one may take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookSpec {
    /// Those that were given a command.
    pub there: Vec<HookKind>,
    /// After so long it is ended and has failed.
    pub timeout: Duration,
}

/// What a hook is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookFacts {
    /// The generation that a rollout brings; that of the worker that ended.
    pub generation: Generation,
    /// The slot in question.
    pub slot: Option<Slot>,
    /// The worker in question.
    pub worker: Option<WorkerId>,
    /// What happened to it.
    pub failure: Option<Failure>,
    /// How the rollout ended.
    pub report: Option<Box<RolloutReport>>,
}

/// What became of a hook's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookEnd {
    /// It ended.
    Exited(Exit),
    /// It could not be started.
    NotStarted {
        /// The system's error number.
        errno: i32,
    },
}

/// Why a hook has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookFailure {
    /// It ended otherwise than with code 0.
    Exited(Exit),
    /// It could not be started.
    NotStarted {
        /// The system's error number.
        errno: i32,
    },
    /// It was ended, since it took too long.
    TimedOut {
        /// How long it had.
        after: Duration,
    },
}

impl HookEnd {
    /// `None` where all is well.
    pub(crate) fn failure(self) -> Option<HookFailure> {
        match self {
            Self::Exited(Exit { how: ExitHow::Code(0), .. }) => None,
            Self::Exited(exit) => Some(HookFailure::Exited(exit)),
            Self::NotStarted { errno } => Some(HookFailure::NotStarted { errno }),
        }
    }
}
