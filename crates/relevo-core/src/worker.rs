//! One process in a slot, as the supervisor knows it.
//!
//! ```text
//!            Spawned             every wanted listener listens
//!  Starting ─────────▶ Starting ───────────────────────────────▶ Ready
//!     │ (no pid yet)      │                                        │
//!     │                   │ replaced, stopped                      │ replaced, stopped
//!     │                   ▼                          let go        ▼ (in a rollout, first: Parked)
//!     │               Leaving ◀──── drained, or deadline ───── Draining
//!     │                   │  ▲                                     │
//!     │                   │  └───── allowed to leave ── Quitting ◀─┘ (it asked to leave by itself)
//!     │                   ▼ 1 s after the channel's end
//!     │               Stopping (stop signal sent)
//!     │                   ▼ stop timeout
//!     └── failed ────▶ Killed (SIGKILL to the group) ───▶ gone, when the process has been reaped
//! ```
//!
//! *Starting*: loads its code; may already listen, and is then dealt connections. Ends by readiness
//! or by the ready timeout. *Standby*: has loaded its code and would listen, and is answered only when
//! it is needed; then it is Starting again. *Ready*: serves. *Parked*: a rollout has replaced it; it accepts nothing new,
//! keeps the connections it has, and can serve again: then it is Starting once more, and ready when it
//! listens on what it had listened on. *Draining*: accepts nothing new, finishes its work; ends
//! when its agent says that nothing is left, or at the drain's deadline. *Quitting*: asked to leave,
//! is let go when its successor is ready. *Leaving*: has been sent Node's `disconnect`.
//! *Stopping* and *Killed*: the system's means.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ready::{Readiness, ReadyWhen, Unsaid};
use crate::supervisor::hang::Pulse;
use crate::{
    Exit, Generation, Left, Limits, ListenerId, Moved, QueryId, RenewalReason, Slot, SpawnStage,
    Tally, Time, Wish,
};

/// A worker and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) slot: Slot,
    pub(crate) generation: Generation,
    pub(crate) pid: Option<u32>,
    pub(crate) spawned_at: Time,
    pub(crate) ready_at: Option<Time>,
    pub(crate) stage: Stage,
    pub(crate) readiness: Readiness,
    pub(crate) has_agent: bool,
    /// When its channel ended although it was to go on.
    pub(crate) channel_ended: Option<Time>,
    pub(crate) doors: BTreeMap<ListenerId, Door>,
    /// What it asked last; what it asks next has a greater number.
    pub(crate) last_query: Option<QueryId>,
    /// What its predecessor listened on when this one was started: it must do so too. Of a worker
    /// that is parked, what it listened on itself.
    pub(crate) owes: BTreeSet<ListenerId>,
    /// At a slot's very first start: what it had asked for when its first listener was there.
    pub(crate) first_asked: Option<Vec<ListenerId>>,
    /// What its agent counted last, since it drains.
    pub(crate) left: Option<Left>,
    /// What has become of its idle connections since.
    pub(crate) moved: Moved,
    /// Its agent said that every listening handle is closed.
    pub(crate) stopped_accepting: bool,
    /// It is parked, and goes on accepting, or never did: it was not told.
    pub(crate) serves_on: bool,
    /// It was told that each response is to be the last on its connection.
    pub(crate) is_lame: bool,
    /// Whether its sockets were looked at because its time to become ready was up.
    pub(crate) inspected: bool,
    /// Whether what it asks is answered only when it is needed.
    pub(crate) is_held: bool,
    /// When it was needed.
    pub(crate) released_at: Option<Time>,
    /// Whether it was started from code that a rollout has refused, in want of better.
    pub(crate) suspect: bool,
    /// Until when it is not answered, because it has to prove itself first.
    pub(crate) held_until: Option<Time>,
    /// What it asked while it was parked or held (back): it is answered if it is to serve.
    pub(crate) postponed: Vec<(QueryId, Wish)>,
    /// Since when it does not listen on all that it owes although it had, in a rollout that this undoes.
    pub(crate) hung_up: Option<Time>,
    /// What it may use up before it is replaced.
    pub(crate) limits: Limits,
    /// Since when it has had more memory than it may.
    pub(crate) over_memory: Option<Time>,
    /// Why it is to be replaced although it serves, if it is.
    pub(crate) due: Option<RenewalReason>,
    /// Whether its event loop goes round.
    pub(crate) pulse: Pulse,
    /// How many connections it had when it answered last.
    pub(crate) connections: u32,
    /// Whether people have been told that somebody has stopped it.
    pub(crate) told_paused: bool,
    /// What it was found to listen on by itself.
    pub(crate) unprotected: Option<Vec<String>>,
}

/// Where a worker is in its life; see the module's diagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Starting { deadline: Time },
    Standby,
    Ready,
    Quitting { until: Time },
    Parked { since: Time, until: Time },
    Draining(Drain),
    Leaving { signal_at: Time },
    Stopping { kill_at: Time },
    Killed,
}

/// A worker finishes its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drain {
    /// When what is left is ended.
    pub(crate) deadline: Time,
    /// Until when it may go on after that, if what is left are idle connections.
    pub(crate) linger_until: Time,
    /// Until when a rollout waits for its idle connections to be handed over.
    pub(crate) move_until: Time,
    pub(crate) disconnect: Disconnect,
}

/// When a draining worker is sent Node's `disconnect`: once, or it dies of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disconnect {
    /// When it is drained: its agent closes the listening handles first.
    Last,
    /// Without an agent: then, when connections in flight have arrived.
    At(Time),
    Sent,
}

/// What a worker has of one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Asked for, not answered.
    Asked(QueryId),
    /// Answered, not yet listening.
    Answered,
    Listening,
}

impl Worker {
    pub(crate) fn new(slot: Slot, generation: Generation, now: Time, deadline: Time) -> Self {
        Self {
            slot,
            generation,
            pid: None,
            spawned_at: now,
            ready_at: None,
            stage: Stage::Starting { deadline },
            readiness: Readiness::new(ReadyWhen::default(), deadline.since(now)),
            has_agent: false,
            channel_ended: None,
            doors: BTreeMap::new(),
            last_query: None,
            owes: BTreeSet::new(),
            first_asked: None,
            left: None,
            moved: Moved::default(),
            stopped_accepting: false,
            serves_on: false,
            is_lame: false,
            inspected: false,
            is_held: false,
            released_at: None,
            suspect: false,
            held_until: None,
            postponed: Vec::new(),
            hung_up: None,
            limits: Limits::default(),
            over_memory: None,
            due: None,
            pulse: Pulse::Calm,
            connections: 0,
            told_paused: false,
            unprotected: None,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    pub(crate) fn is_parked(&self) -> bool {
        matches!(self.stage, Stage::Parked { .. })
    }

    /// Since when it is on its way to become ready.
    pub(crate) fn began_at(&self) -> Time {
        self.released_at.unwrap_or(self.spawned_at)
    }

    /// Whether it has loaded its code and waits until it is needed.
    pub(crate) fn is_on_standby(&self) -> bool {
        self.stage == Stage::Standby
    }

    pub(crate) fn is_told_to_stop_accepting(&self) -> bool {
        (self.is_parked() && !self.serves_on) || matches!(self.stage, Stage::Draining(_))
    }

    /// Whether it was parked and is to serve again.
    pub(crate) fn is_returning(&self) -> bool {
        matches!(self.stage, Stage::Starting { .. }) && self.ready_at.is_some()
    }

    /// Whether it is meant to serve, now or soon.
    pub(crate) fn is_wanted(&self) -> bool {
        match self.stage {
            Stage::Starting { .. } | Stage::Standby | Stage::Ready => true,
            Stage::Quitting { .. }
            | Stage::Parked { .. }
            | Stage::Draining(_)
            | Stage::Leaving { .. }
            | Stage::Stopping { .. }
            | Stage::Killed => false,
        }
    }

    /// Whether it may be answered: on its way out it is told nothing but to disconnect.
    pub(crate) fn hears_answers(&self) -> bool {
        (self.is_wanted() || self.is_parked()) && self.channel_ended.is_none()
    }

    pub(crate) fn listens_on(&self, listener: ListenerId) -> bool {
        self.accepts() && self.doors.get(&listener) == Some(&Door::Listening)
    }

    pub(crate) fn listens_at_all(&self) -> bool {
        self.accepts() && self.doors.values().any(|door| *door == Door::Listening)
    }

    /// Whether it may have work that it can be told to finish. Who was ready once may have closed its
    /// listeners since, and only its agent knows what is left then.
    pub(crate) fn can_finish_work(&self) -> bool {
        let may_have_some = self.has_agent && self.ready_at.is_some();
        self.listens_at_all() || (may_have_some && self.channel_ended.is_none())
    }

    /// Whether what it has open is of use: its channel may be gone, or its agent have closed all.
    fn accepts(&self) -> bool {
        self.channel_ended.is_none() && !self.stopped_accepting
    }

    /// Whether its process has, or is being given, any listening socket.
    pub(crate) fn has_a_socket(&self) -> bool {
        !self.stopped_accepting && self.doors.values().any(|door| !matches!(door, Door::Asked(_)))
    }

    /// Whether it has this listener's socket, or will be given it.
    pub(crate) fn needs(&self, listener: ListenerId) -> bool {
        match self.doors.get(&listener) {
            Some(Door::Asked(_)) => self.hears_answers(),
            Some(Door::Answered | Door::Listening) => !self.stopped_accepting,
            None => false,
        }
    }

    /// Whether connections of this listener may be dealt to it: not before it is ready, where that takes
    /// more than to listen.
    pub(crate) fn is_eligible(&self, listener: ListenerId) -> bool {
        let may_serve = self.ready_at.is_some() || self.readiness.has_said();
        let serves = if self.is_parked() { self.serves_on } else { self.is_wanted() && may_serve };
        serves && self.listens_on(listener)
    }

    /// Whether it accepts nothing and has no work left, as people are told.
    pub(crate) fn is_lingering(&self) -> bool {
        self.stopped_accepting && self.left.is_some_and(|left| left.work() == 0)
    }

    /// Whether nothing is left but connections that wait for their client or for the end of their time.
    pub(crate) fn only_lingers(&self) -> bool {
        self.stopped_accepting && self.left.is_some_and(|left| left.work() == 0 && left.quiet() > 0)
    }

    /// What a rollout waits for before it goes on: whether the worker still accepts or works.
    pub(crate) fn holds_up_rollout(&self, now: Time) -> bool {
        match &self.stage {
            Stage::Draining(drain) => {
                let may_move = now < drain.move_until;
                let is_done = |left: Left| left.work() == 0 && !(may_move && left.moving > 0);
                let quiet = self.stopped_accepting && self.left.is_some_and(is_done);
                !quiet && now < drain.deadline
            }
            // It finishes its work later, when there need be no way back. Who does not even answer
            // does not accept anything either.
            Stage::Parked { since, .. } => {
                let told = !self.stopped_accepting && !self.serves_on;
                told && now < *since + crate::supervisor::PARK_GRACE
            }
            Stage::Starting { .. } | Stage::Standby | Stage::Ready | Stage::Quitting { .. } => true,
            // Nothing is left, or its time is up.
            Stage::Leaving { .. } | Stage::Stopping { .. } | Stage::Killed => false,
        }
    }

    /// When a rollout stops waiting for its connections to be handed over, or for its word that it is
    /// parked.
    pub(crate) fn move_deadline(&self, now: Time) -> Option<(Time, &'static str)> {
        match &self.stage {
            Stage::Draining(drain)
                if drain.move_until > now && self.left.is_some_and(|left| left.moving > 0) =>
            {
                Some((drain.move_until, "idle connections must have been moved"))
            }
            Stage::Parked { since, .. } if !self.stopped_accepting && !self.serves_on => {
                let until = *since + crate::supervisor::PARK_GRACE;
                (until > now).then_some((until, "a parked worker must have stopped accepting"))
            }
            Stage::Draining(_)
            | Stage::Parked { .. }
            | Stage::Starting { .. }
            | Stage::Standby
            | Stage::Ready
            | Stage::Quitting { .. }
            | Stage::Leaving { .. }
            | Stage::Stopping { .. }
            | Stage::Killed => None,
        }
    }

    /// The next moment at which something must be done about it, and why.
    pub(crate) fn deadline(&self) -> Option<(Time, &'static str)> {
        let of_stage = match self.stage {
            Stage::Starting { deadline } => Some((deadline, "a worker must be ready")),
            Stage::Standby | Stage::Ready | Stage::Killed => None,
            Stage::Quitting { until } => Some((until, "a worker that asked to leave is let go")),
            Stage::Parked { until, .. } => Some((until, "a parked worker is let go")),
            Stage::Draining(Drain { deadline, disconnect: Disconnect::At(at), .. })
                if at < deadline =>
            {
                Some((at, "a worker without an agent is told to go"))
            }
            Stage::Draining(drain) => Some((drain.deadline, "a drain must be over")),
            Stage::Leaving { signal_at } => Some((signal_at, "a worker is sent the stop signal")),
            Stage::Stopping { kill_at } => Some((kill_at, "a worker is killed")),
        };
        let lost = self.channel_ended.filter(|_| self.is_wanted()).map(|ended| {
            (ended + crate::supervisor::LOST_CHANNEL_GRACE, "a worker without a channel is ended")
        });
        [of_stage, lost].into_iter().flatten().min()
    }
}

/// Why a worker that was wanted is no longer there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Its process ended.
    Exited {
        /// How.
        exit: Exit,
        /// Whether it had been ready.
        was_ready: bool,
        /// Whether it had asked to listen at all.
        asked_to_listen: bool,
    },
    /// Its process ended with a code after which it is not replaced.
    EndedForGood {
        /// How.
        exit: Exit,
    },
    /// It could not be started.
    SpawnFailed {
        /// Which step failed.
        stage: SpawnStage,
        /// The system's error number.
        errno: i32,
    },
    /// It was not ready in time.
    NotReady {
        /// How long it was given.
        waited: Duration,
        /// The addresses that it should have listened on.
        missing: Vec<String>,
        /// What it should have said.
        unsaid: Option<Unsaid>,
        /// The addresses that it listens on by itself, past the primary.
        unprotected: Vec<String>,
    },
    /// It asked to leave before it was ready.
    AskedToLeave,
    /// It closed its channel and went on running.
    ChannelLost,
    /// It was new, and closed listeners that its predecessor had open.
    HungUp {
        /// Their addresses.
        addresses: Vec<String>,
    },
    /// It was the first new one, and answered with more errors than the old ones, or nobody can tell.
    Canary {
        /// What it counted.
        new: Tally,
        /// What the old ones had counted.
        old: Tally,
        /// Whether it can be told.
        conclusive: bool,
        /// For how long it was waited until it could be told.
        waited: Option<Duration>,
    },
    /// It had a listening socket, and did not listen, when connections had waited for too long.
    HeldTooLong,
    /// Its event loop stood still.
    Hung {
        /// For how long it answered nothing.
        silent: Duration,
        /// What it did meanwhile, for a person to read, if that could be found out.
        doing: Option<String>,
        /// Where more about it is written.
        report: Option<String>,
    },
    /// It broke the channel's rules.
    Misbehaved {
        /// What it did.
        reason: String,
    },
}
