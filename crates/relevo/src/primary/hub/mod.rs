//! Everything between the listening sockets and the workers' channels.
//!
//! The hub owns the sockets, the channels and the connections that the primary holds, and the
//! [`Dealer`], which decides who gets them. It turns what workers say into events for the
//! supervisor, and does what the supervisor wants said. It has an interface as narrow as two queues,
//! so that it can have a thread of its own.

mod dealing;
mod members;
mod wire;
mod wishes;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use relevo_core::{
    Dealer, DealerEvent, Event, Given, Left, ListenerId, Member, NotTaken, QueryId, Time, Wish,
    WorkerId,
};
use relevo_node::{
    FromAgent, Happened, Key, ListenAddress, PendingLeave, PendingQuery, PortCheck, RawValue,
    RefusedBecause, SockName, ToAgent,
};
use relevo_sys::Errno;
use relevo_sys::listen::relisten;
use relevo_sys::poll::{Interest, Poller};

use super::token::Token;
use members::MemberSocket;
use wire::{Connections, ReadOutcome, Wire};
pub(crate) use wishes::Inherited;

/// How often the channel of a worker that has ended is read: more than its socket can hold.
const MAX_LAST_READS: usize = 1024;
/// For how many listeners the data of TLS servers is kept.
const MAX_TICKET_DATA: usize = 256;

/// See the module's documentation.
pub(crate) struct Hub {
    poller: Rc<Poller>,
    backlog: u32,
    dealer: Dealer,
    wires: BTreeMap<WorkerId, Wire>,
    members: BTreeMap<Member, MemberSocket>,
    connections: Connections,
    inherited: Vec<Inherited>,
    queries: BTreeMap<QueryId, Pending>,
    leaves: BTreeMap<WorkerId, PendingLeave>,
    /// What the first worker of each listener sent along: the ticket keys of TLS servers, which all
    /// others are given, so that sessions can be resumed with any of them.
    ticket_data: BTreeMap<Wish, Box<RawValue>>,
    next_query: u64,
    next_connection: u64,
    events: VecDeque<Event>,
    complaints: Vec<String>,
    told_of_primary_branch: bool,
    buffer: Vec<u8>,
}

/// A worker's request to listen that waits for its answer.
struct Pending {
    worker: WorkerId,
    query: PendingQuery,
    wish: Wish,
}

impl Hub {
    pub(crate) fn new(poller: Rc<Poller>, backlog: u32, inherited: Vec<Inherited>) -> Self {
        Self {
            poller,
            backlog,
            dealer: Dealer::new(),
            wires: BTreeMap::new(),
            members: BTreeMap::new(),
            connections: BTreeMap::new(),
            inherited,
            queries: BTreeMap::new(),
            leaves: BTreeMap::new(),
            ticket_data: BTreeMap::new(),
            next_query: 1,
            next_connection: 1,
            events: VecDeque::new(),
            complaints: Vec::new(),
            told_of_primary_branch: false,
            buffer: Vec::new(),
        }
    }

    /// Takes over the primary's end of a worker's channel.
    pub(crate) fn add_channel(&mut self, worker: WorkerId, socket: OwnedFd) -> Result<(), Errno> {
        let wire = Wire::new(worker, socket);
        self.poller.add(wire.fd(), Token::Channel(worker).pack(), Interest::READ)?;
        self.wires.insert(worker, wire);
        Ok(())
    }

    /// What has happened since this was last asked.
    pub(crate) fn take_events(&mut self) -> VecDeque<Event> {
        std::mem::take(&mut self.events)
    }

    /// What people should be told, besides.
    pub(crate) fn take_complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// When the dealer wants to be woken.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.dealer.deadline()
    }

    /// The inodes of all sockets that are ours.
    pub(crate) fn inodes(&self) -> Vec<u64> {
        self.members.values().filter_map(MemberSocket::inode).collect()
    }

    /// How many connections wait in each socket of a listener, where that can be told.
    pub(crate) fn queued(&self, listener: ListenerId) -> Option<u64> {
        let mut total = None;
        for (_, socket) in self.members.iter().filter(|(member, _)| member.listener == listener) {
            if let Ok(Some(queue)) = relevo_sys::socket::accept_queue(&socket.socket) {
                total = Some(total.unwrap_or(0) + u64::from(queue.waiting));
            }
        }
        total
    }

    /// The sockets that can be accepted from.
    pub(crate) fn stream_members(&self) -> Vec<Member> {
        self.members
            .iter()
            .filter(|(_, socket)| socket.is_stream)
            .map(|(member, _)| *member)
            .collect()
    }

    pub(crate) fn close_member(&mut self, member: Member, now: Time) {
        self.deal(now, DealerEvent::Closed { member });
        if let Some(socket) = self.members.remove(&member) {
            if socket.is_known_to_poller {
                // A duplicate may live on in a worker, so closing ours alone would not do.
                let _ = self.poller.remove(&socket.socket);
            }
            socket.clean_up();
        }
    }

    /// Reads what a worker has to say: once, which nearly always takes all there is. Asking whether
    /// there is more would cost as much again.
    pub(crate) fn read(&mut self, worker: WorkerId, now: Time) {
        self.read_once(worker, now);
    }

    /// Reads what a worker said before its end.
    pub(crate) fn read_rest(&mut self, worker: WorkerId, now: Time) {
        for _ in 0..MAX_LAST_READS {
            if !self.read_once(worker, now) {
                break;
            }
        }
    }

    /// Whether something was read, and more may follow.
    fn read_once(&mut self, worker: WorkerId, now: Time) -> bool {
        let Some(wire) = self.wires.get_mut(&worker).filter(|wire| !wire.is_deaf) else {
            return false;
        };
        match wire.read(&mut self.buffer) {
            Ok(ReadOutcome::Some) => self.handle_messages(worker, now),
            Ok(ReadOutcome::Nothing) => false,
            Ok(ReadOutcome::Ended) => {
                self.end_channel(worker, now);
                false
            }
            Err(violation) => {
                self.condemn(worker, violation.to_string());
                false
            }
        }
    }

    /// Writes what is queued for any worker.
    pub(crate) fn flush(&mut self, now: Time) {
        let mut gone = Vec::new();
        for (worker, wire) in &mut self.wires {
            if !wire.flush(&self.connections, &self.poller) {
                gone.push(*worker);
            }
        }
        for worker in gone {
            self.end_channel(worker, now);
        }
    }

    /// Answers a request to listen.
    pub(crate) fn answer(
        &mut self,
        worker: WorkerId,
        query: QueryId,
        member: Member,
        given: Given,
    ) {
        let Some(pending) = self.queries.remove(&query) else { return };
        let (Some(wire), Some(socket)) = (self.wires.get_mut(&worker), self.members.get(&member))
        else {
            return;
        };
        let data = self.ticket_data.get(&pending.wish).cloned();
        let own = pending.query.query().data.clone().filter(|own| own.get() != "null");
        if let (None, Some(own)) = (&data, own)
            && self.ticket_data.len() < MAX_TICKET_DATA
        {
            self.ticket_data.insert(pending.wish, own);
        }
        let key = Key(format!("{}#{query}", member.listener));
        let answered = match given {
            Given::Socket => {
                let number = wire.next_attachment;
                wire.next_attachment += 1;
                wire.listeners.insert(number, Rc::clone(&socket.socket));
                let data = data.as_deref();
                wire.channel.answer_shared(
                    pending.query,
                    key.clone(),
                    PortCheck::Check,
                    number,
                    data,
                )
            }
            Given::Connections => {
                let name = socket.address().map(SockName::from);
                wire.channel.answer_dealt(pending.query, key.clone(), name, data.as_deref())
            }
        };
        if answered.is_ok() {
            wire.listener_of.insert(key.clone(), member.listener);
            wire.key_of.insert(member.listener, key);
        }
    }

    pub(crate) fn refuse(&mut self, worker: WorkerId, query: QueryId, errno: i32) {
        if let (Some(pending), Some(wire)) =
            (self.queries.remove(&query), self.wires.get_mut(&worker))
        {
            wire.channel.refuse(pending.query, errno, None);
        }
    }

    pub(crate) fn drain(&mut self, worker: WorkerId, within: Duration) {
        if let Some(wire) = self.wires.get_mut(&worker) {
            let deadline_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
            wire.channel.tell_agent(ToAgent::Drain { deadline_ms });
        }
    }

    pub(crate) fn disconnect(&mut self, worker: WorkerId) {
        if let Some(wire) = self.wires.get_mut(&worker) {
            wire.channel.disconnect();
        }
    }

    pub(crate) fn allow_leave(&mut self, worker: WorkerId) {
        if let (Some(leave), Some(wire)) =
            (self.leaves.remove(&worker), self.wires.get_mut(&worker))
        {
            wire.channel.acknowledge_leave(leave);
        }
    }

    /// The address that somebody wishes for right now.
    fn address_of(&self, wish: &Wish) -> Option<ListenAddress> {
        let pending = self.queries.values().find(|pending| pending.wish == *wish)?;
        Some(pending.query.query().address.clone())
    }

    /// Goes through what was read. `false`: there is nothing more to read from this worker.
    fn handle_messages(&mut self, worker: WorkerId, now: Time) -> bool {
        loop {
            let Some(wire) = self.wires.get_mut(&worker) else { return false };
            let incoming = match wire.next_message() {
                None => return true,
                Some(Ok(incoming)) => incoming,
                Some(Err(violation)) => {
                    self.condemn(worker, violation.to_string());
                    return false;
                }
            };
            // What an app passes on has no taker: its descriptor is closed here.
            let with_descriptor = incoming.descriptor.is_some();
            match wire.channel.receive(incoming.message, with_descriptor) {
                Ok(Some(happened)) => self.happened(worker, happened, now),
                Ok(None) => {}
                Err(violation) => {
                    self.condemn(worker, violation.to_string());
                    return false;
                }
            }
        }
    }

    fn happened(&mut self, worker: WorkerId, happened: Happened, now: Time) {
        match happened {
            Happened::Online | Happened::User(_) | Happened::PassedHandle => {}
            Happened::Asked(query) => self.asked(worker, query),
            Happened::Listening { key } => self.listening(worker, &key),
            Happened::Closed { key } | Happened::ListenerNotTaken { key } => {
                self.server_closed(worker, &key);
            }
            Happened::LeaveAsked(leave) => {
                self.leaves.insert(worker, leave);
                self.events.push_back(Event::LeaveRequested { worker });
            }
            Happened::Placed { connection } => {
                let connection = relevo_core::ConnectionId(connection);
                self.deal(now, DealerEvent::Placed { connection });
            }
            Happened::Refused { connection, why } => {
                let connection = relevo_core::ConnectionId(connection);
                let why = match why {
                    RefusedBecause::NotAccepted => NotTaken::Refused,
                    RefusedBecause::NoDescriptor => NotTaken::Exhausted,
                };
                self.deal(now, DealerEvent::NotTaken { connection, why });
            }
            Happened::Agent(said) => self.agent_said(worker, &said),
        }
    }

    fn asked(&mut self, worker: WorkerId, query: PendingQuery) {
        match wishes::wish(query.query(), &self.inherited) {
            Ok(wish) => {
                let id = QueryId(self.next_query);
                self.next_query += 1;
                let event = Event::ListenRequested { worker, query: id, wish: wish.clone() };
                self.queries.insert(id, Pending { worker, query, wish });
                self.events.push_back(event);
            }
            Err(unwishable) => {
                self.complaints.push(format!("worker {worker}: {}", unwishable.why));
                if let Some(wire) = self.wires.get_mut(&worker) {
                    wire.channel.refuse(query, unwishable.errno, None);
                }
            }
        }
    }

    /// The worker's own `listen(2)` has set the backlog of the socket it shares with us to what Node
    /// takes: it is set back (`docs/node-channel.md`, the third of its five).
    fn listening(&mut self, worker: WorkerId, key: &Key) {
        let Some(wire) = self.wires.get(&worker) else { return };
        let Some(listener) = wire.listener_of.get(key).copied() else { return };
        for (member, socket) in &self.members {
            if member.listener == listener && socket.is_stream {
                // Fails only on a socket that does not listen any more, which others will notice.
                let _ = relisten(&socket.socket, self.backlog);
            }
        }
        self.events.push_back(Event::Listening { worker, listener });
    }

    fn server_closed(&mut self, worker: WorkerId, key: &Key) {
        let Some(wire) = self.wires.get_mut(&worker) else { return };
        if let Some(listener) = wire.listener_of.remove(key) {
            if wire.key_of.get(&listener) == Some(key) {
                wire.key_of.remove(&listener);
            }
            self.events.push_back(Event::ListenerClosed { worker, listener });
        }
    }

    fn agent_said(&mut self, worker: WorkerId, said: &FromAgent) {
        let event = match said {
            FromAgent::Hello { .. } => Event::AgentArrived { worker },
            FromAgent::Stopped => Event::StoppedAccepting { worker },
            FromAgent::Left(left) => Event::WorkLeft { worker, left: count(*left) },
            FromAgent::Drained => Event::Drained { worker },
            FromAgent::PrimaryBranch { file } => return self.primary_branch(file),
            FromAgent::Unknown => return,
        };
        self.events.push_back(event);
    }

    /// Said once: all workers run the same program.
    fn primary_branch(&mut self, file: &str) {
        if !std::mem::replace(&mut self.told_of_primary_branch, true) {
            let file = file.escape_debug();
            self.complaints.push(format!(
                "{file} forks workers of its own where it is the cluster's primary, which is Relevo here: only its worker branch runs, and what its primary branch does was not done"
            ));
        }
    }

    /// A worker that breaks the rules is not listened to any more, and will be ended.
    fn condemn(&mut self, worker: WorkerId, reason: String) {
        if let Some(wire) = self.wires.get_mut(&worker)
            && !wire.is_deaf
        {
            wire.is_deaf = true;
            let _ = self.poller.remove(wire.fd());
            self.events.push_back(Event::Misbehaved { worker, reason });
        }
    }

    /// The worker's end is closed: what it had not accepted goes to others.
    pub(crate) fn end_channel(&mut self, worker: WorkerId, now: Time) {
        let Some(mut wire) = self.wires.remove(&worker) else { return };
        if !wire.is_deaf {
            let _ = self.poller.remove(wire.fd());
        }
        // The dealer knows which connections these are.
        let _ = wire.channel.end();
        self.queries.retain(|_, pending| pending.worker != worker);
        self.leaves.remove(&worker);
        self.deal(now, DealerEvent::Gone { worker });
        self.events.push_back(Event::ChannelEnded { worker });
    }
}

fn count(left: relevo_node::Left) -> Left {
    Left {
        requests: left.requests,
        uploads: left.uploads,
        event_streams: left.event_streams,
        websockets: left.websockets,
        unknown: left.unknown,
        idle: left.idle,
    }
}
