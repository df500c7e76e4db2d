//! Carrying out what the dealer decides.

use relevo_core::{
    ConnectionId, DealerAction, DealerEvent, Event, ListenerId, Member, NotTaken, Seat, Seen,
    SeenMember, WorkerId,
};
use relevo_node::ToAgent;
use relevo_sys::diag::listeners_on;
use relevo_sys::listen::{relisten, steer};
use relevo_sys::poll::Interest;
use relevo_sys::socket::{accept, accept_queue};

use super::Hub;
use super::members::MemberSocket;
use super::order::Report;
use super::token::Token;

/// How often an agent tells what it counts, at most, in milliseconds.
const COUNT_EVERY_MS: u64 = 100;

impl Hub {
    /// Tells the dealer what happened, and does what it wants.
    pub(super) fn deal(&mut self, event: DealerEvent) {
        let mut todo = std::collections::VecDeque::from([event]);
        while let Some(event) = todo.pop_front() {
            for action in self.dealer.handle(self.now, event) {
                todo.extend(self.perform(action));
            }
        }
    }

    /// One action of the dealer's; what comes of it is its next event.
    fn perform(&mut self, action: DealerAction) -> Option<DealerEvent> {
        match action {
            DealerAction::Watch { member, on } => {
                self.watch(member, on);
                None
            }
            DealerAction::Try { member } => Some(self.try_accept(member)),
            DealerAction::Give { connection, worker, listener } => {
                self.give(connection, worker, listener)
            }
            DealerAction::Release { connection, worker } => {
                self.connections.remove(&connection.0);
                self.arrival_placed(connection, worker);
                None
            }
            DealerAction::Lose { connection } => {
                self.connections.remove(&connection.0);
                self.arrival_lost(connection);
                None
            }
            DealerAction::GiveBack { connection, .. } => {
                self.give_back(connection);
                None
            }
            DealerAction::Credit { worker, listener, count } => {
                self.credit(worker, listener, count);
                None
            }
            DealerAction::Count { worker } => {
                if let Some(wire) = self.talk_to(worker) {
                    wire.channel.tell_agent(ToAgent::Count { every_ms: COUNT_EVERY_MS });
                }
                None
            }
            DealerAction::Steer { listener, weights } => Some(self.steer(listener, &weights)),
            DealerAction::Look { listener, strangers } => {
                let seen = self.see(listener, strangers);
                Some(DealerEvent::Looked { listener, seen })
            }
            DealerAction::Mend { member } => {
                if let Some(socket) = self.members.get(&member) {
                    // If it cannot listen, the next look finds it so.
                    let _ = relisten(&socket.socket, self.backlog);
                }
                None
            }
            DealerAction::Tell(notice) => {
                self.unreported.push_back(Report::Notice(notice));
                None
            }
            DealerAction::QueuesEmptied => {
                self.unreported.push_back(Report::Event(Event::QueuesEmptied));
                None
            }
        }
    }

    fn watch(&mut self, member: Member, on: bool) {
        let Some(socket) = self.members.get_mut(&member) else { return };
        let token = Token::Member(member).pack();
        let done = match (on, socket.is_known_to_poller) {
            (true, false) => self.poller.add(&socket.socket, token, Interest::READ),
            // Not only "no interest": an error on the socket would be reported all the same.
            (false, true) => self.poller.remove(&socket.socket),
            (true, true) | (false, false) => Ok(()),
        };
        match done {
            Ok(()) => socket.is_known_to_poller = on,
            Err(errno) => self.complain(format!("cannot watch {member}: {errno}")),
        }
    }

    fn try_accept(&mut self, member: Member) -> DealerEvent {
        let Some(socket) = self.members.get(&member) else {
            return DealerEvent::NothingThere { member };
        };
        match accept(&socket.socket) {
            Ok(Some(connection)) => {
                let id = ConnectionId(self.next_connection);
                self.next_connection += 1;
                self.connections.insert(id.0, connection);
                DealerEvent::Accepted { connection: id, member }
            }
            Ok(None) => DealerEvent::NothingThere { member },
            Err(errno) => {
                self.complain(format!("cannot accept from {member}: {errno}"));
                DealerEvent::AcceptFailed { member }
            }
        }
    }

    fn give(
        &mut self,
        connection: ConnectionId,
        worker: WorkerId,
        listener: ListenerId,
    ) -> Option<DealerEvent> {
        let arrival = self.arrivals.get(&connection.0).map(|arrived| arrived.arrival(self.now));
        let dealt = self.talk_to(worker).is_some_and(|wire| {
            wire.key_of
                .get(&listener)
                .is_some_and(|key| wire.channel.deal(key, connection.0, arrival).is_ok())
        });
        (!dealt).then_some(DealerEvent::NotTaken { connection, why: NotTaken::Unsent })
    }

    fn steer(&self, listener: ListenerId, weights: &[u32]) -> DealerEvent {
        // Any socket of the group will do.
        let refused = match self.group(listener).next() {
            Some((_, socket)) => steer(&socket.socket, weights).err(),
            None => None,
        };
        DealerEvent::Steered { listener, refused: refused.map(relevo_sys::Errno::raw_os_error) }
    }

    /// The sockets of a listener's group.
    fn group(&self, listener: ListenerId) -> impl Iterator<Item = (&Member, &MemberSocket)> {
        self.members
            .iter()
            .filter(move |(member, _)| member.listener == listener && member.seat != Seat::Common)
    }

    /// How it is with the sockets of a group.
    pub(super) fn see(&self, listener: ListenerId, strangers: bool) -> Seen {
        let members = self.group(listener).filter_map(|(member, socket)| {
            let queue = accept_queue(&socket.socket).ok()?;
            Some(SeenMember {
                member: *member,
                listens: queue.is_some(),
                waiting: queue.map_or(0, |queue| queue.waiting),
            })
        });
        Seen {
            members: members.collect(),
            strangers: strangers.then(|| self.strangers(listener)).flatten(),
            heard: self.wires.iter().map(|(worker, wire)| (*worker, wire.heard)).collect(),
        }
    }

    /// How many sockets listen on the group's address that are not ours.
    fn strangers(&self, listener: ListenerId) -> Option<u32> {
        let address = self.group(listener).find_map(|(_, socket)| socket.address())?;
        let ours: Vec<u64> =
            self.group(listener).filter_map(|(_, socket)| socket.inode()).collect();
        let listeners = listeners_on(address).ok()?;
        let strange = listeners.iter().filter(|entry| !ours.contains(&entry.inode)).count();
        u32::try_from(strange).ok()
    }
}
