//! Everything between the listening sockets and the workers' channels.
//!
//! The hub owns the sockets, the channels and the connections that the primary holds, and the
//! [`Dealer`], which decides who gets them. It has a thread of its own, so that a new connection never
//! waits behind a log line, a status or the start of a process. The two threads share nothing: orders
//! go one way, reports come the other, each through a bounded queue with a bell.
//!
//! ```text
//!   primary ── orders ──▶ hub        never waits for the primary, so the primary may wait for it
//!           ◀─ reports ──            keeps what the queue does not take, and stops hearing its source
//! ```
//!
//! | file | |
//! | --- | --- |
//! | `handle.rs`, `order.rs` | the primary's end, and what is said |
//! | `thread.rs` | the hub's loop |
//! | `channels.rs`, `wire.rs` | channels as bytes |
//! | `said.rs`, `answers.rs` | what workers say, and what they are told |
//! | `members.rs`, `wishes.rs`, `aside.rs` | listening sockets |
//! | `dealing.rs` | carrying out what the dealer decides |
//! | `probes.rs` | asking a worker whether it is ready |
//! | `stir.rs` | noticing that a connection has come |
//! | `handover.rs` | connections that workers give away |
//! | `tickets.rs` | the keys of TLS sessions |

mod answers;
mod aside;
mod channels;
mod dealing;
mod handle;
mod handover;
mod members;
mod order;
mod probes;
mod said;
mod stir;
mod thread;
mod tickets;
mod token;
mod wire;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use relevo_core::{Dealer, Event, Member, QueryId, Time, Wish, WorkerId};
use relevo_node::{PendingLeave, PendingQuery};
use relevo_sys::poll::Poller;

use super::clock::Clock;
pub(crate) use handle::{HubHandle, HubSettings, Told};
use handover::Arrived;
pub(crate) use handover::DrainWords;
use members::MemberSocket;
pub(crate) use order::Sight;
use order::{Ends, Report};
use stir::Stir;
use tickets::Tickets;
use wire::{Connections, Wire};
pub(crate) use wishes::Inherited;

/// What the hub's thread owns. See the module's documentation.
struct Hub {
    poller: Poller,
    clock: Clock,
    /// The time of the present round of the loop.
    now: Time,
    /// What leads to the primary and back.
    ends: Ends,
    /// What the queue of reports has not taken yet.
    unreported: VecDeque<Report>,
    backlog: u32,
    /// Whether sockets are made where nobody looks for them.
    aside: bool,
    dealer: Dealer,
    wires: BTreeMap<WorkerId, Wire>,
    /// Whose wires may have something to write.
    talked_to: BTreeSet<WorkerId>,
    members: BTreeMap<Member, MemberSocket>,
    stir: Stir,
    connections: Connections,
    /// Those of them that a worker handed over.
    arrivals: BTreeMap<u64, Arrived>,
    /// Those by which a worker is asked whether it is ready.
    probes: BTreeMap<u64, WorkerId>,
    drain_words: DrainWords,
    inherited: Vec<Inherited>,
    queries: BTreeMap<QueryId, Pending>,
    leaves: BTreeMap<WorkerId, PendingLeave>,
    tickets: Tickets,
    next_query: u64,
    next_connection: u64,
    told_of_primary_branch: bool,
    told_of_dropped_broadcast: bool,
    buffer: Vec<u8>,
}

/// A worker's request to listen that waits for its answer.
struct Pending {
    worker: WorkerId,
    query: PendingQuery,
    wish: Wish,
}

impl Hub {
    /// A worker's channel, to say something on it.
    fn talk_to(&mut self, worker: WorkerId) -> Option<&mut Wire> {
        let wire = self.wires.get_mut(&worker)?;
        self.talked_to.insert(worker);
        Some(wire)
    }

    /// Tells the supervisor what a worker did.
    fn report(&mut self, worker: WorkerId, event: Event) {
        if let Some(wire) = self.wires.get_mut(&worker) {
            wire.unreported += 1;
        }
        self.unreported.push_back(Report::Event(event));
    }

    /// Tells people something.
    fn complain(&mut self, what: String) {
        self.unreported.push_back(Report::Complaint(what));
    }
}
