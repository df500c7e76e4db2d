//! Carrying out what the dealer decides.

use relevo_core::{
    ConnectionId, DealerAction, DealerEvent, Event, ListenerId, Member, NotTaken, WorkerId,
};
use relevo_sys::poll::Interest;
use relevo_sys::socket::accept;

use super::Hub;
use super::order::Report;
use super::token::Token;

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
            DealerAction::Release { connection } | DealerAction::Lose { connection } => {
                self.connections.remove(&connection.0);
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
        let dealt = self.talk_to(worker).is_some_and(|wire| {
            wire.key_of
                .get(&listener)
                .is_some_and(|key| wire.channel.deal(key, connection.0).is_ok())
        });
        (!dealt).then_some(DealerEvent::NotTaken { connection, why: NotTaken::Unsent })
    }
}
