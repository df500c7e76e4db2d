//! Who holds each connection, kept apart from what the dealer believes.

use std::collections::{BTreeMap, VecDeque};

use relevo_core::{ConnectionId, ListenerId, Member, WorkerId};

/// Every connection that was ever made.
#[derive(Default)]
pub(crate) struct Books {
    connections: BTreeMap<ConnectionId, Connection>,
    /// Of dealt connections, and of those that workers gave away.
    in_flight: BTreeMap<(WorkerId, bool), usize>,
    held: usize,
    queues: BTreeMap<Member, VecDeque<ConnectionId>>,
    /// Those without an end.
    open: usize,
}

struct Connection {
    member: Member,
    /// The primary has a copy of the descriptor.
    held: bool,
    /// The worker it was sent to, as long as that has not answered.
    in_flight: Option<WorkerId>,
    /// The living worker that has it.
    accepted_by: Option<WorkerId>,
    /// Whether any worker has ever had it, or been sent it.
    ever_accepted: bool,
    ever_given: bool,
    /// Who gave it away, and still has a copy.
    donor: Option<WorkerId>,
    /// What the primary's copy of it is called, while it is given away.
    copy: Option<ConnectionId>,
    /// What it is a copy of.
    copy_of: Option<ConnectionId>,
    /// Its listener was closed, though one like it may be open again.
    of_closed: bool,
    end: Option<End>,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Served,
    /// Its worker had accepted it, and died.
    LostWithWorker,
    /// Its listener was closed.
    LostWithListener,
    /// It lives on under another number, with another worker or its first.
    Moved,
}

impl Books {
    pub(crate) fn arrives(&mut self, connection: ConnectionId, member: Member) {
        let fresh = Connection {
            member,
            held: false,
            in_flight: None,
            accepted_by: None,
            ever_accepted: false,
            ever_given: false,
            donor: None,
            copy: None,
            copy_of: None,
            of_closed: false,
            end: None,
        };
        self.connections.insert(connection, fresh);
        self.queues.entry(member).or_default().push_back(connection);
        self.open += 1;
    }

    /// A worker sends a connection of its own to the primary, and keeps it until it hears of it.
    pub(crate) fn sent_back(
        &mut self,
        connection: ConnectionId,
        copy: ConnectionId,
        donor: WorkerId,
    ) {
        let own = self.get(connection);
        assert_eq!(own.accepted_by, Some(donor), "{connection} is another's to give");
        own.copy = Some(copy);
        let fresh = Connection {
            member: own.member,
            held: false,
            in_flight: None,
            accepted_by: None,
            ever_accepted: true,
            ever_given: false,
            donor: Some(donor),
            copy: None,
            copy_of: Some(connection),
            of_closed: own.of_closed,
            end: None,
        };
        self.connections.insert(copy, fresh);
        self.open += 1;
    }

    /// It has come through the channel, or was closed with it.
    pub(crate) fn received(&mut self, copy: ConnectionId, read: bool) {
        if read {
            self.get(copy).held = true;
            self.held += 1;
        } else {
            self.is_alone_again(copy);
        }
    }

    pub(crate) fn donor_of(&mut self, connection: ConnectionId) -> Option<WorkerId> {
        self.get(connection).donor
    }

    pub(crate) fn is_with_another(&mut self, connection: ConnectionId, worker: WorkerId) -> bool {
        self.get(connection).accepted_by.is_some_and(|with| with != worker)
    }

    /// The primary closes its copy, and the donor has the only one.
    pub(crate) fn given_back(&mut self, copy: ConnectionId) {
        let c = self.get(copy);
        assert!(c.held && c.in_flight.is_none(), "{copy} is given back but on its way");
        assert_eq!(c.accepted_by, None, "{copy} is given back but a worker has it");
        c.held = false;
        self.held -= 1;
        self.is_alone_again(copy);
    }

    fn is_alone_again(&mut self, copy: ConnectionId) {
        let own = self.get(copy).copy_of;
        self.ends(copy, End::Moved);
        let Some(own) = own else { return };
        let c = self.get(own);
        c.copy = None;
        // Its donor may have died while the primary's copy kept it alive.
        if c.accepted_by.is_none() {
            self.ends(own, End::LostWithWorker);
        }
    }

    pub(crate) fn waiting_in(&self, member: Member) -> usize {
        self.queues.get(&member).map_or(0, VecDeque::len)
    }

    /// How many connections the primary must be holding.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// How many connections have not come to an end.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// The worker is one that may accept: take the first from the kernel's queue.
    pub(crate) fn worker_accepts(
        &mut self,
        worker: WorkerId,
        member: Member,
    ) -> Option<ConnectionId> {
        let connection = self.queues.get_mut(&member)?.pop_front()?;
        self.taken(connection, worker);
        Some(connection)
    }

    pub(crate) fn primary_accepts(&mut self, member: Member) -> Option<ConnectionId> {
        let connection = self.queues.get_mut(&member)?.pop_front()?;
        self.get(connection).held = true;
        self.held += 1;
        Some(connection)
    }

    /// The dealer sends it to a worker. Says whether that is a second try.
    pub(crate) fn given(
        &mut self,
        connection: ConnectionId,
        worker: WorkerId,
        window: usize,
    ) -> bool {
        let c = self.get(connection);
        assert!(c.held, "{connection} is given away but not held");
        assert_eq!(c.in_flight, None, "{connection} is sent to two workers at once");
        assert_eq!(c.accepted_by, None, "{connection} is given away but a worker has it");
        let again = std::mem::replace(&mut c.ever_given, true);
        c.in_flight = Some(worker);
        let given_away = c.donor.is_some();
        let count = self.in_flight.entry((worker, given_away)).or_default();
        *count += 1;
        assert!(*count <= window, "{count} connections are on their way to {worker}");
        again
    }

    /// It is no longer on its way: answered, or its worker's channel has ended.
    pub(crate) fn landed(&mut self, connection: ConnectionId) {
        let c = self.get(connection);
        let given_away = c.donor.is_some();
        if let Some(worker) = c.in_flight.take()
            && let Some(count) = self.in_flight.get_mut(&(worker, given_away))
        {
            *count -= 1;
        }
    }

    /// A worker's channel has ended.
    pub(crate) fn all_landed(&mut self, worker: WorkerId) {
        for c in self.connections.values_mut().filter(|c| c.in_flight == Some(worker)) {
            c.in_flight = None;
        }
        self.in_flight.retain(|(other, _), _| *other != worker);
    }

    /// A worker has it now, from the kernel or from the primary.
    pub(crate) fn taken(&mut self, connection: ConnectionId, worker: WorkerId) {
        let c = self.get(connection);
        assert_eq!(c.accepted_by, None, "{connection} is accepted twice");
        c.accepted_by = Some(worker);
        c.ever_accepted = true;
    }

    pub(crate) fn served(&mut self, connection: ConnectionId) {
        self.get(connection).accepted_by = None;
        self.ends(connection, End::Served);
    }

    /// The primary closes its copy because a worker has one.
    pub(crate) fn released(&mut self, connection: ConnectionId) -> Option<End> {
        let c = self.get(connection);
        assert!(c.held && c.ever_accepted, "{connection} is released but no worker has it");
        c.held = false;
        let died_with_it = c.accepted_by.is_none() && c.end.is_none();
        let own = c.copy_of;
        self.held -= 1;
        if let Some(own) = own {
            self.get(own).accepted_by = None;
            self.ends(own, End::Moved);
        }
        if died_with_it {
            self.ends(connection, End::LostWithWorker);
        }
        died_with_it.then_some(End::LostWithWorker)
    }

    /// The primary closes its copy because nobody can have it.
    pub(crate) fn lost(&mut self, connection: ConnectionId) {
        let c = self.get(connection);
        assert!(c.held && c.in_flight.is_none(), "{connection} is lost but on its way");
        assert_eq!(c.accepted_by, None, "{connection} is lost but a worker has it");
        c.held = false;
        let own = c.copy_of;
        self.held -= 1;
        self.ends(connection, End::LostWithListener);
        if let Some(own) = own {
            self.get(own).accepted_by = None;
            self.ends(own, End::LostWithListener);
        }
    }

    pub(crate) fn listener_of(&mut self, connection: ConnectionId) -> relevo_core::ListenerId {
        self.get(connection).member.listener
    }

    /// What a dying worker had accepted dies with it, unless the primary still has a copy.
    pub(crate) fn worker_dies(&mut self, had: &[ConnectionId]) -> usize {
        let mut lost = 0;
        for connection in had {
            let c = self.get(*connection);
            c.accepted_by = None;
            if !c.held && c.copy.is_none() {
                self.ends(*connection, End::LostWithWorker);
                lost += 1;
            }
        }
        lost
    }

    /// What waits in the queue of a socket that is closed is lost.
    pub(crate) fn socket_closes(&mut self, member: Member) -> usize {
        let queue = self.queues.remove(&member).unwrap_or_default();
        for connection in &queue {
            self.ends(*connection, End::LostWithListener);
        }
        queue.len()
    }

    pub(crate) fn listener_closes(&mut self, listener: ListenerId) {
        for c in self.connections.values_mut().filter(|c| c.member.listener == listener) {
            c.of_closed = true;
        }
    }

    pub(crate) fn is_of_closed(&mut self, connection: ConnectionId) -> bool {
        self.get(connection).of_closed
    }

    /// The connections without an end, for a person to read.
    pub(crate) fn forgotten(&self) -> Vec<String> {
        self.connections
            .iter()
            .filter(|(_, c)| c.end.is_none())
            .map(|(id, c)| {
                let (member, held) = (c.member, c.held);
                let (sent, with) = (c.in_flight, c.accepted_by);
                format!("{id} of {member}: held {held}, on its way to {sent:?}, with {with:?}")
            })
            .collect()
    }

    fn ends(&mut self, connection: ConnectionId, end: End) {
        let c = self.get(connection);
        if c.end.is_none() {
            c.end = Some(end);
            self.open -= 1;
        }
    }

    fn get(&mut self, connection: ConnectionId) -> &mut Connection {
        self.connections.get_mut(&connection).expect("a connection that was made")
    }
}
