//! What a service listens on, and the sockets it does so with.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Balance, Given, ListenerId, QueryId, Slot, WorkerId};

/// What a worker wants to listen on. Two equal wishes mean the same listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    /// The address in its normal form, for a person to read.
    pub address: String,
    /// What kind of address it is.
    pub kind: Kind,
    /// Tells apart what the address does not: the n-th request of a worker for any free port.
    pub index: Option<u32>,
}

/// The kinds of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// TCP. Only here can each slot have a socket of its own.
    Tcp,
    /// UDP. There are no connections to deal, and flows would move with any change of weights.
    Udp,
    /// A Unix socket, with a path or an abstract name.
    Unix,
    /// A stream socket that Relevo was started with.
    Inherited,
    /// A datagram socket that Relevo was started with.
    InheritedDatagram,
}

impl Kind {
    /// Whether connections can be accepted from such a socket.
    pub const fn is_stream(self) -> bool {
        match self {
            Self::Tcp | Self::Unix | Self::Inherited => true,
            Self::Udp | Self::InheritedDatagram => false,
        }
    }

    /// The word for it in `status`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::Inherited => "inherited",
            Self::InheritedDatagram => "inherited-datagram",
        }
    }
}

/// One listening socket: a listener's, for one slot or for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// Whose socket.
    pub listener: ListenerId,
    /// For whom.
    pub seat: Seat,
}

/// Whom a listening socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seat {
    /// One slot; its siblings have their own, in one reuseport group.
    Slot(Slot),
    /// The primary, which deals what comes here: one more member of the group.
    Front,
    /// All slots.
    Common,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seat {
            Seat::Slot(slot) => write!(f, "listener {} of slot {slot}", self.listener),
            Seat::Front => write!(f, "the front of listener {}", self.listener),
            Seat::Common => write!(f, "listener {}", self.listener),
        }
    }
}

/// A listener and the state of its sockets.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) wish: Wish,
    pub(crate) arrangement: Arrangement,
    /// The address it really has, once a socket is open.
    pub(crate) address: Option<String>,
    /// A front could not be had.
    pub(crate) front_failed: bool,
    pub(crate) members: BTreeMap<Seat, MemberState>,
    /// Its sockets were closed because nobody was there to accept; none has been opened since.
    pub(crate) given_up: bool,
}

/// How the connections of one listener find their worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrangement {
    /// A socket for each slot, in a reuseport group, to which the steering applies.
    Group,
    /// One socket, of which every worker has a duplicate.
    OneShared,
    /// One socket, from which the primary accepts and deals.
    Dealt,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// Being made; these wait for it.
    Opening(Vec<(WorkerId, QueryId)>),
    Open,
}

impl Listener {
    pub(crate) fn new(wish: Wish, balance: Balance, slots: u32) -> Self {
        let arrangement = Arrangement::of(wish.kind, balance, slots);
        Self {
            wish,
            arrangement,
            address: None,
            front_failed: false,
            members: BTreeMap::new(),
            given_up: false,
        }
    }

    /// The socket that a worker of this slot works on.
    pub(crate) fn seat(&self, slot: Slot) -> Seat {
        match self.arrangement {
            Arrangement::Group => Seat::Slot(slot),
            Arrangement::OneShared | Arrangement::Dealt => Seat::Common,
        }
    }

    /// The address as a person knows it.
    pub(crate) fn shown(&self) -> &str {
        self.address.as_deref().unwrap_or(&self.wish.address)
    }

    /// Whether no other of its sockets is open.
    pub(crate) fn is_the_only(&self, seat: Seat) -> bool {
        !self.members.keys().any(|other| *other != seat && self.is_open(*other))
    }

    pub(crate) fn is_open(&self, seat: Seat) -> bool {
        self.members.get(&seat) == Some(&MemberState::Open)
    }
}

impl Arrangement {
    fn of(kind: Kind, balance: Balance, slots: u32) -> Self {
        match (kind, balance) {
            (Kind::Udp | Kind::InheritedDatagram, _) => Self::OneShared,
            (
                Kind::Tcp | Kind::Unix | Kind::Inherited,
                Balance::RoundRobin | Balance::LeastConnections,
            ) => Self::Dealt,
            (Kind::Tcp, Balance::Kernel | Balance::Auto) => Self::Group,
            (Kind::Unix | Kind::Inherited, Balance::Kernel) => Self::OneShared,
            // One socket has no weights to set; a slot alone needs no dealing.
            (Kind::Unix | Kind::Inherited, Balance::Auto) if slots == 1 => Self::OneShared,
            (Kind::Unix | Kind::Inherited, Balance::Auto) => Self::Dealt,
            (Kind::Tcp | Kind::Unix | Kind::Inherited, Balance::Shared) => Self::OneShared,
        }
    }

    pub(crate) fn given(self) -> Given {
        match self {
            Self::Group | Self::OneShared => Given::Socket,
            Self::Dealt => Given::Connections,
        }
    }
}
