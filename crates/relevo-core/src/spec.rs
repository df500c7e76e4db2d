//! What the service should be: the part of a configuration that decisions depend on.

use std::time::Duration;

use crate::{Canary, ExitCodes, HookSpec, Limits, ReadyWhen};

/// The wishes that the [`Supervisor`](crate::Supervisor) fulfils.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// How many slots there are at the start; at least 1, at most [`Spec::MAX_SLOTS`].
    pub slots: u32,
    /// Who gets a new connection.
    pub balance: Balance,
    /// Whether workers are given the agent, which drains them without losing a request.
    pub agent: bool,
    /// What makes a new worker ready.
    pub ready: ReadyWhen,
    /// How long a new worker may take until it is ready.
    pub ready_timeout: Duration,
    /// How long the first new worker of a rollout serves before the others follow, and the last one
    /// before there is no way back.
    pub probation: Duration,
    /// What the first new worker of a rollout must have answered until the others follow, if anything.
    pub canary: Option<Canary>,
    /// How many of a hundred new connections it gets until then; `None`: as many as any other.
    pub canary_share: Option<u32>,
    /// How many new workers a rollout starts at once.
    pub surge: Surge,
    /// Whether all of them are loaded before any of them serves.
    pub all_first: bool,
    /// How many spare workers there are.
    pub standby: u32,
    /// How long a replaced worker may finish its work.
    pub drain_timeout: Duration,
    /// How long a replaced worker without work may wait for its idle connections to end.
    pub linger: Duration,
    /// How long a stop may take, draining and stopping together.
    pub shutdown_timeout: Duration,
    /// How long a stop goes on serving before that, with clients told to go elsewhere.
    pub lame_duck: Duration,
    /// How long a worker has after the stop signal before it is killed.
    pub stop_timeout: Duration,
    /// Whether to go on when the first start has failed in every slot.
    pub keep_trying: bool,
    /// Exits by themselves with such a code are not followed by a replacement.
    pub final_exit_codes: ExitCodes,
    /// Commands that are run when something happens.
    pub hooks: HookSpec,
    /// How long connections may wait while no worker is there to have them; then the listeners close.
    pub hold: Duration,
    /// How much one worker may use up before it is replaced.
    pub limits: Limits,
    /// How long a worker's event loop may stand still, if there is a limit to that.
    pub hang_timeout: Option<Duration>,
    /// How often the kernel repeats a SYN-ACK (`net.ipv4.tcp_synack_retries`).
    pub synack_retries: u32,
}

impl Spec {
    /// The most slots a service may have.
    pub const MAX_SLOTS: u32 = 1024;
    /// What the kernel does unless somebody has set it otherwise.
    pub const SYNACK_RETRIES: u32 = 5;

    /// How long the socket of a slot that has left is kept: until no handshake that began in it
    /// can still end there. The kernel repeats a SYN-ACK after 1 s, 2 s, 4 s, … (tcp(7)).
    pub(crate) fn retirement(&self) -> Duration {
        let doublings = self.synack_retries.saturating_add(1).min(7);
        Duration::from_secs((1 << doublings) - 1)
    }
}

/// How many new workers a rollout starts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surge {
    /// So many.
    Workers(u32),
    /// So many of a hundred slots, rounded up.
    Percent(u32),
}

impl Surge {
    /// How many that are of so many slots: one at least.
    pub fn workers(self, slots: u32) -> u32 {
        let workers = match self {
            Self::Workers(workers) => workers,
            Self::Percent(percent) => {
                let hundredths = u64::from(slots) * u64::from(percent);
                u32::try_from(hundredths.div_ceil(100)).unwrap_or(u32::MAX)
            }
        };
        workers.clamp(1, slots.max(1))
    }
}

/// Who gets a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The primary deals by fewest connections as long as that is cheap beside the work, else the
    /// kernel by the slots' weights.
    Auto,
    /// Each slot has a socket of its own in a `SO_REUSEPORT` group; the kernel's hash chooses.
    Kernel,
    /// The primary accepts and deals to the worker with the fewest connections.
    LeastConnections,
    /// The primary accepts and deals in turn.
    RoundRobin,
    /// All slots share one socket; whoever is quickest accepts.
    Shared,
}

impl Balance {
    /// The word a user writes for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Kernel => "kernel",
            Self::LeastConnections => "least-connections",
            Self::RoundRobin => "round-robin",
            Self::Shared => "shared",
        }
    }
}
