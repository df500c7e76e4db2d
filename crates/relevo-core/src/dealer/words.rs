//! What the dealer is told, and what it asks for.

use std::time::Duration;

use crate::{ConnectionId, Generation, ListenerId, Member, Slot, Time, WorkerId};

/// What the dealer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DealerEvent {
    /// The primary accepts from this socket from now on, or no longer.
    Accept {
        /// Which socket.
        member: Member,
        /// Whether it accepts.
        on: bool,
    },
    /// The socket is closed, and others of its listener stay open.
    Retired {
        /// Which socket.
        member: Member,
    },
    /// The socket is closed, the last one of a listener: what waits for it is lost.
    Closed {
        /// Which socket.
        member: Member,
    },
    /// The worker may be dealt connections of the listener from now on, or no longer.
    Eligible {
        /// Who.
        worker: WorkerId,
        /// Where it works.
        slot: Slot,
        /// Which load of the code it is.
        generation: Generation,
        /// For what.
        listener: ListenerId,
        /// Whether it may.
        on: bool,
    },
    /// A slot gets this part of new connections from now on.
    Share {
        /// Which slot.
        slot: Slot,
        /// How many of a hundred; `None`: as any other.
        percent: Option<u32>,
    },
    /// A socket of a reuseport group has begun to listen, as the last of its group.
    Joined {
        /// Which socket.
        member: Member,
    },
    /// The worker has an agent, which can count.
    Agent {
        /// Whose.
        worker: WorkerId,
        /// Whether it can hand connections over, and treats those that arrive so as what they are.
        hands_over: bool,
    },
    /// A worker that no longer serves would give away idle connections.
    Offered {
        /// Who.
        worker: WorkerId,
        /// Of which listener.
        listener: ListenerId,
        /// How many, beyond those that it has credit for.
        count: u32,
    },
    /// A worker has no more connections to give away for what is left of its credit.
    Spent {
        /// Who.
        worker: WorkerId,
        /// Of which listener.
        listener: ListenerId,
    },
    /// A worker has given a connection away, and keeps a copy until it is told what became of it.
    HandedOver {
        /// Which, from now on.
        connection: ConnectionId,
        /// Who.
        worker: WorkerId,
        /// Of which listener it is.
        listener: ListenerId,
    },
    /// The worker's agent has counted.
    Load {
        /// Whose.
        worker: WorkerId,
        /// What it counted.
        load: Load,
    },
    /// A `Steer` is done, or could not be.
    Steered {
        /// Whose group.
        listener: ListenerId,
        /// The system's error number if it could not.
        refused: Option<i32>,
    },
    /// A `Look` is done.
    Looked {
        /// At whose group.
        listener: ListenerId,
        /// What was seen.
        seen: Seen,
    },
    /// A watched socket has connections.
    Readable {
        /// Which socket.
        member: Member,
    },
    /// A `Try` brought a connection.
    Accepted {
        /// Which.
        connection: ConnectionId,
        /// From which socket.
        member: Member,
    },
    /// A `Try` found nothing.
    NothingThere {
        /// In which socket.
        member: Member,
    },
    /// A `Try` failed: the system has no descriptor or no memory left.
    AcceptFailed {
        /// At which socket.
        member: Member,
    },
    /// The worker has the connection.
    Placed {
        /// Which.
        connection: ConnectionId,
    },
    /// The worker does not have the connection.
    NotTaken {
        /// Which.
        connection: ConnectionId,
        /// Why.
        why: NotTaken,
    },
    /// The worker's channel is gone. What it had in flight is dealt to others.
    Gone {
        /// Whose.
        worker: WorkerId,
    },
    /// What waits in these sockets' queues is to be dealt now: they are about to close.
    EmptyQueues {
        /// Every socket that can be accepted from.
        members: Vec<Member>,
    },
    /// Time has passed.
    Tick,
}

impl DealerEvent {
    /// The listener that alone is concerned, at one moment; `None` where what other listeners can have
    /// may change too.
    pub(super) fn listener(&self) -> Option<ListenerId> {
        match self {
            Self::Accept { member, .. }
            | Self::Retired { member }
            | Self::Closed { member }
            | Self::Joined { member }
            | Self::Readable { member }
            | Self::NothingThere { member } => Some(member.listener),
            Self::Eligible { listener, .. }
            | Self::Offered { listener, .. }
            | Self::Spent { listener, .. }
            | Self::Steered { listener, .. }
            | Self::Looked { listener, .. } => Some(*listener),
            Self::Agent { .. }
            | Self::Share { .. }
            | Self::Load { .. }
            | Self::HandedOver { .. }
            | Self::Accepted { .. }
            | Self::AcceptFailed { .. }
            | Self::Placed { .. }
            | Self::NotTaken { .. }
            | Self::Gone { .. }
            | Self::EmptyQueues { .. }
            | Self::Tick => None,
        }
    }
}

impl DealerEvent {
    /// Whether the workers may have other numbers of connections now, or others may be asked for some.
    pub(super) fn changes_counts(&self) -> bool {
        match self {
            Self::Load { .. } | Self::Eligible { .. } | Self::Spent { .. } | Self::Gone { .. } => {
                true
            }
            Self::Tick
            | Self::Accept { .. }
            | Self::Share { .. }
            | Self::Retired { .. }
            | Self::Closed { .. }
            | Self::Joined { .. }
            | Self::Agent { .. }
            | Self::Offered { .. }
            | Self::HandedOver { .. }
            | Self::Steered { .. }
            | Self::Looked { .. }
            | Self::Readable { .. }
            | Self::Accepted { .. }
            | Self::NothingThere { .. }
            | Self::AcceptFailed { .. }
            | Self::Placed { .. }
            | Self::NotTaken { .. }
            | Self::EmptyQueues { .. } => false,
        }
    }
}

/// What a worker's agent counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Connections that are open.
    pub connections: u32,
    /// Connections that the worker's servers got so far, dealt or accepted by itself.
    pub accepted: u64,
    /// How much of the time since its last report its event loop was busy, per mille.
    pub utilization: Option<u16>,
}

/// What a look at a group of sockets showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Each socket of the group that is ours.
    pub members: Vec<SeenMember>,
    /// How many sockets listen on the address that are not ours, where that was asked and can be told.
    pub strangers: Option<u32>,
    /// When each worker last said anything.
    pub heard: Vec<(WorkerId, Time)>,
}

/// What a look at one socket showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenMember {
    /// Which socket.
    pub member: Member,
    /// Whether it listens.
    pub listens: bool,
    /// How many connections wait in its queue.
    pub waiting: u32,
}

/// Why a worker did not take a connection that it was dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It said so: it is at its `maxConnections`, or has closed this listener.
    Refused,
    /// The descriptor did not reach it: it has none left.
    Exhausted,
    /// It could not be sent: the channel is full, or ends.
    Unsent,
}

/// What the dealer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DealerAction {
    /// Watch the socket for connections from now on, or no longer.
    Watch {
        /// Which socket.
        member: Member,
        /// Whether to.
        on: bool,
    },
    /// Accept one connection; answered by `Accepted`, `NothingThere` or `AcceptFailed`.
    Try {
        /// From which socket.
        member: Member,
    },
    /// Send the connection to the worker; answered by `Placed`, `NotTaken` or `Gone`.
    Give {
        /// Which.
        connection: ConnectionId,
        /// To whom.
        worker: WorkerId,
        /// Of which listener it is.
        listener: ListenerId,
    },
    /// Close our copy: the worker has its own.
    Release {
        /// Which.
        connection: ConnectionId,
        /// Who.
        worker: WorkerId,
    },
    /// Close it: its listener is gone and nobody can have it, or a worker gave it without credit.
    Lose {
        /// Which.
        connection: ConnectionId,
    },
    /// The worker may give away so many connections more; each that it does comes as `HandedOver`.
    Credit {
        /// Who.
        worker: WorkerId,
        /// Of which listener.
        listener: ListenerId,
        /// How many.
        count: u32,
    },
    /// Nobody takes the connection: close our copy, and tell the worker that it has it again.
    GiveBack {
        /// Which.
        connection: ConnectionId,
        /// Who gave it.
        worker: WorkerId,
    },
    /// Every queue is empty, and what was in it has been placed.
    QueuesEmptied,
    /// Have the worker's agent count now, and from then on whenever something changes.
    Count {
        /// Whose.
        worker: WorkerId,
    },
    /// Weigh the sockets of a group, in the order in which they joined; answered by `Steered`.
    Steer {
        /// Whose group.
        listener: ListenerId,
        /// One for each socket; nothing new goes to one of weight 0.
        weights: Vec<u32>,
    },
    /// Look at the sockets of a group; answered by `Looked`.
    Look {
        /// At whose.
        listener: ListenerId,
        /// Whether to look for strangers as well.
        strangers: bool,
    },
    /// The socket does not listen any more: make it listen, as the last of its group.
    Mend {
        /// Which.
        member: Member,
    },
    /// Tell the people who read the log.
    Tell(DealerNotice),
}

/// Something of the dealer's that is worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DealerNotice {
    /// The sockets cannot be weighed here; the kernel's hash chooses among them.
    NotSteered {
        /// Whose group.
        listener: ListenerId,
        /// The system's error number.
        errno: i32,
    },
    /// Something interfered with the sockets of a group, and it was set right.
    Disturbed {
        /// Whose group.
        listener: ListenerId,
        /// What was found.
        how: Disturbance,
    },
    /// A worker accepts nothing and says nothing: others get its connections.
    Blocked {
        /// Who.
        worker: WorkerId,
        /// Where it works.
        slot: Slot,
    },
    /// It lives again.
    Unblocked {
        /// Who.
        worker: WorkerId,
        /// Where it works.
        slot: Slot,
        /// After how long.
        after: Duration,
    },
}

/// What interfered with the sockets of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// A socket did not listen any more: a worker shut its duplicate down.
    NotListening {
        /// Which.
        member: Member,
    },
    /// Other sockets of the same user joined; they get nothing.
    Strangers {
        /// How many there are.
        count: u32,
    },
    /// Connections went where the weights do not send them: a worker put a program of its own there.
    Shares,
}
