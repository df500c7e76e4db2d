//! What the primary and its hub say to each other across their threads.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use relevo_core::{
    DealerNotice, Event, Generation, Given, GroupView, ListenerId, Member, QueryId, Slot, Wish,
    WorkerId,
};
use relevo_node::ListenAddress;
use relevo_sys::wake::Bell;

use super::DrainWords;

/// What the supervisor wants done.
#[derive(Debug)]
pub(super) enum Order {
    /// Take over the primary's end of a worker's channel.
    AddChannel {
        worker: WorkerId,
        socket: OwnedFd,
    },
    /// Read what a worker that has ended still said, give up its channel, and report `Ended`.
    EndChannel {
        worker: WorkerId,
    },
    OpenMember {
        member: Member,
        wish: Wish,
    },
    CloseMember {
        member: Member,
    },
    Answer {
        worker: WorkerId,
        query: QueryId,
        member: Member,
        given: Given,
    },
    Refuse {
        worker: WorkerId,
        query: QueryId,
        errno: i32,
    },
    /// Hand this connection to this worker and to nobody else.
    Probe {
        worker: WorkerId,
        listener: ListenerId,
        connection: OwnedFd,
    },
    Accept {
        member: Member,
        on: bool,
    },
    Eligible {
        worker: WorkerId,
        slot: Slot,
        generation: Generation,
        listener: ListenerId,
        on: bool,
    },
    EmptyQueues,
    Tally {
        worker: WorkerId,
        on: bool,
    },
    Share {
        slot: Slot,
        percent: Option<u32>,
    },
    Park {
        worker: WorkerId,
    },
    Unpark {
        worker: WorkerId,
    },
    ChangeSlot {
        worker: WorkerId,
        slot: Slot,
    },
    Drain {
        worker: WorkerId,
        within: Duration,
        hand_over: bool,
    },
    Disconnect {
        worker: WorkerId,
    },
    LimitRequests {
        worker: WorkerId,
        requests: u64,
    },
    Ping {
        worker: WorkerId,
    },
    /// Tell, once, when a connection comes to any of the sockets.
    WatchSockets,
    LameDuck {
        worker: WorkerId,
    },
    AllowLeave {
        worker: WorkerId,
    },
    /// From now on workers drain like this.
    DrainWords(DrainWords),
    /// Tell how things are.
    Look {
        answer: SyncSender<Sight>,
    },
}

/// What the hub tells.
#[derive(Debug)]
pub(super) enum Report {
    /// Something happened that the supervisor must know.
    Event(Event),
    /// A socket could not be made. Who holds the address is found out on the other thread: that means
    /// reading all of `/proc`.
    MemberFailed { member: Member, errno: i32, address: Option<ListenAddress> },
    /// Something of the dealer's that people should be told.
    Notice(DealerNotice),
    /// Something that people should be told, besides.
    Complaint(String),
    /// Of this worker nothing more is to come.
    Ended(WorkerId),
}

/// The hub's ends of the two queues.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) orders: Receiver<Order>,
    /// Rings when there are orders.
    pub(super) bell: Arc<Bell>,
    pub(super) reports: SyncSender<Report>,
    /// To be rung when there are reports.
    pub(super) primary: Arc<Bell>,
}

/// How things are with the hub's sockets.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// The inodes of all sockets that are ours.
    pub(crate) inodes: Vec<u64>,
    /// How many connections wait in the sockets of a listener, where that can be told.
    pub(crate) queued: BTreeMap<ListenerId, u64>,
    /// How the connections of groups are dealt.
    pub(crate) groups: BTreeMap<ListenerId, GroupView>,
    /// How many connections each worker has, where its agent counts them.
    pub(crate) connections: BTreeMap<WorkerId, u64>,
}
