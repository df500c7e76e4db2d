//! Which worker gets a connection that the primary has accepted.
//!
//! ```text
//!   accepted ──▶ waiting ──▶ in flight ──▶ placed (the worker said so: our copy is closed)
//!                   ▲            │
//!                   └────────────┘ not taken, or the worker died first
//! ```
//!
//! A connection is the primary's until a worker says that it has it. Nothing is accepted that could
//! not be dealt at once, so what waits here is bounded by the windows of the workers; what comes
//! beyond that waits in the kernel's queue, and nothing is looked for there until a worker has room.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::{ConnectionId, ListenerId, Member, Slot, Time, WorkerId};

/// How many connections one worker may have in flight, when every other has as many.
const WINDOW: usize = 8;
/// How long a worker that did not take a connection is left alone (`server.maxConnections`).
const SHUN: Duration = Duration::from_millis(250);
/// How long a worker that is out of descriptors is left alone.
const SHUN_EXHAUSTED: Duration = Duration::from_secs(1);
/// How long nothing is accepted after that failed.
const PAUSE: Duration = Duration::from_millis(100);

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
    /// The socket is closed; with the last one of a listener, what waits for it is lost.
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
        /// For what.
        listener: ListenerId,
        /// Whether it may.
        on: bool,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    },
    /// Close it: its listener is gone and nobody can have it.
    Lose {
        /// Which.
        connection: ConnectionId,
    },
    /// Every queue is empty, and what was in it has been placed.
    QueuesEmptied,
}

/// Deals connections in turn. Pure: see the crate's documentation.
#[derive(Clone, Debug, Default)]
pub struct Dealer {
    now: Time,
    members: BTreeMap<Member, Watched>,
    workers: BTreeMap<WorkerId, Hand>,
    held: BTreeMap<ConnectionId, Held>,
    waiting: VecDeque<ConnectionId>,
    /// Who was given the last connection of each listener.
    turn: BTreeMap<ListenerId, WorkerId>,
    emptying: Option<BTreeSet<Member>>,
    trying: BTreeSet<Member>,
    /// Listeners that are closed, as long as a connection of theirs may still be under way.
    closed: BTreeSet<ListenerId>,
    /// Until when nothing is accepted, because the system could not.
    paused_until: Option<Time>,
    actions: Vec<DealerAction>,
}

/// Whether the shell watches a socket that the primary accepts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    Yes,
    No,
    /// Not until a try finds nothing: it had more than there was room for, so looking at once is
    /// cheaper than watching again for what is there already.
    Full,
}

/// What a worker may have, and has.
#[derive(Clone, Debug, Default)]
struct Hand {
    listeners: BTreeSet<ListenerId>,
    in_flight: usize,
    shunned_until: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    listener: ListenerId,
    with: Option<WorkerId>,
}

impl Dealer {
    /// A dealer that knows of no worker and no socket.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do about `event`. Total, like the supervisor's.
    #[must_use]
    pub fn handle(&mut self, now: Time, event: DealerEvent) -> Vec<DealerAction> {
        self.now = self.now.max(now);
        self.record(event);
        self.deal_waiting();
        self.lose_closed();
        self.update_watching();
        self.empty_queues();
        std::mem::take(&mut self.actions)
    }

    /// When the dealer wants to see a [`DealerEvent::Tick`]: only while something waits for a worker
    /// that is left alone.
    pub fn deadline(&self) -> Option<Time> {
        let held_back = !self.waiting.is_empty()
            || self.emptying.is_some()
            || self.members.values().any(|watched| *watched != Watched::Yes);
        if !held_back {
            return None;
        }
        let shunned = self.workers.values().filter_map(|hand| hand.shunned_until);
        shunned.chain(self.paused_until).min()
    }

    /// Whether every worker has so much in flight that nothing is lost by letting what they say gather
    /// for a moment.
    pub fn has_time(&self) -> bool {
        let mut hands = self.workers.values().filter(|hand| !hand.listeners.is_empty()).peekable();
        hands.peek().is_some() && hands.all(|hand| hand.in_flight > WINDOW / 2)
    }

    /// How many connections the primary holds: accepted, and not yet placed.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn record(&mut self, event: DealerEvent) {
        match event {
            DealerEvent::Accept { member, on: true } => {
                self.members.entry(member).or_insert(Watched::No);
            }
            DealerEvent::Accept { member, on: false } => self.stop_watching(member),
            DealerEvent::Closed { member } => self.closed(member),
            DealerEvent::Eligible { worker, slot: _, listener, on: true } => {
                self.workers.entry(worker).or_default().listeners.insert(listener);
            }
            DealerEvent::Eligible { worker, slot: _, listener, on: false } => {
                if let Some(hand) = self.workers.get_mut(&worker) {
                    hand.listeners.remove(&listener);
                }
            }
            DealerEvent::Readable { member } => {
                if self.members.contains_key(&member) {
                    self.try_accept(member);
                }
            }
            DealerEvent::Accepted { connection, member } => {
                self.trying.remove(&member);
                if let Entry::Vacant(unknown) = self.held.entry(connection) {
                    unknown.insert(Held { listener: member.listener, with: None });
                    self.waiting.push_back(connection);
                }
                self.deal_waiting();
                if self.members.contains_key(&member) {
                    self.try_accept(member);
                }
            }
            DealerEvent::NothingThere { member } => {
                self.trying.remove(&member);
                if let Some(watched @ Watched::Full) = self.members.get_mut(&member) {
                    *watched = Watched::No;
                }
                if let Some(emptying) = &mut self.emptying {
                    emptying.remove(&member);
                }
            }
            DealerEvent::AcceptFailed { member } => {
                self.trying.remove(&member);
                self.paused_until = Some(self.now + PAUSE);
            }
            DealerEvent::Placed { connection } => {
                if self.take_back(connection).is_some() {
                    self.held.remove(&connection);
                    self.actions.push(DealerAction::Release { connection });
                }
            }
            DealerEvent::NotTaken { connection, why } => self.not_taken(connection, why),
            DealerEvent::Gone { worker } => self.gone(worker),
            DealerEvent::EmptyQueues { members } => {
                self.emptying = Some(members.into_iter().collect());
            }
            DealerEvent::Tick => {}
        }
        self.paused_until = self.paused_until.filter(|until| *until > self.now);
        self.workers.retain(|_, hand| {
            hand.shunned_until = hand.shunned_until.filter(|until| *until > self.now);
            hand.in_flight > 0 || !hand.listeners.is_empty()
        });
    }

    /// Ends a connection's flight: it is with nobody now.
    fn take_back(&mut self, connection: ConnectionId) -> Option<WorkerId> {
        let worker = self.held.get_mut(&connection)?.with.take()?;
        if let Some(hand) = self.workers.get_mut(&worker) {
            hand.in_flight = hand.in_flight.saturating_sub(1);
        }
        Some(worker)
    }

    fn not_taken(&mut self, connection: ConnectionId, why: NotTaken) {
        let Some(worker) = self.take_back(connection) else { return };
        // Before those that came later.
        self.waiting.push_front(connection);
        let alone_for = match why {
            NotTaken::Refused | NotTaken::Unsent => SHUN,
            NotTaken::Exhausted => SHUN_EXHAUSTED,
        };
        if let Some(hand) = self.workers.get_mut(&worker) {
            hand.shunned_until = hand.shunned_until.max(Some(self.now + alone_for));
        }
    }

    fn gone(&mut self, worker: WorkerId) {
        self.workers.remove(&worker);
        for (connection, held) in self.held.iter_mut().rev() {
            if held.with == Some(worker) {
                held.with = None;
                self.waiting.push_front(*connection);
            }
        }
    }

    fn stop_watching(&mut self, member: Member) {
        if self.members.remove(&member) == Some(Watched::Yes) {
            self.actions.push(DealerAction::Watch { member, on: false });
        }
    }

    fn closed(&mut self, member: Member) {
        self.members.remove(&member);
        self.closed.insert(member.listener);
        if let Some(emptying) = &mut self.emptying {
            emptying.remove(&member);
        }
    }

    /// Closes what waits for a listener that is closed and has no worker left: now, and when it
    /// comes back from a worker that did not take it.
    fn lose_closed(&mut self) {
        for listener in self.closed.clone() {
            let served = self.members.keys().any(|other| other.listener == listener)
                || self.workers.values().any(|hand| hand.listeners.contains(&listener));
            if served {
                continue;
            }
            let (waiting, held, actions) = (&mut self.waiting, &mut self.held, &mut self.actions);
            waiting.retain(|connection| {
                let keep = held.get(connection).is_none_or(|held| held.listener != listener);
                if !keep {
                    held.remove(connection);
                    actions.push(DealerAction::Lose { connection: *connection });
                }
                keep
            });
            self.turn.remove(&listener);
            let under_way = self.trying.iter().any(|member| member.listener == listener)
                || self.held.values().any(|held| held.listener == listener);
            if !under_way {
                self.closed.remove(&listener);
            }
        }
    }

    fn deal_waiting(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some(connection) = self.waiting.pop_front() else { return };
            let Some(listener) = self.held.get(&connection).map(|held| held.listener) else {
                continue;
            };
            match self.next_worker(listener) {
                Some(worker) => self.give(connection, worker, listener),
                None => self.waiting.push_back(connection),
            }
        }
    }

    fn give(&mut self, connection: ConnectionId, worker: WorkerId, listener: ListenerId) {
        self.turn.insert(listener, worker);
        if let Some(held) = self.held.get_mut(&connection) {
            held.with = Some(worker);
        }
        if let Some(hand) = self.workers.get_mut(&worker) {
            hand.in_flight += 1;
        }
        self.actions.push(DealerAction::Give { connection, worker, listener });
    }

    /// In turn, but who has fewer in flight comes first: a worker is given a second one only when
    /// every other has one too.
    fn next_worker(&self, listener: ListenerId) -> Option<WorkerId> {
        let last = self.turn.get(&listener);
        self.workers
            .iter()
            .filter(|(_, hand)| hand.listeners.contains(&listener))
            .filter(|(_, hand)| hand.shunned_until.is_none() && hand.in_flight < WINDOW)
            .min_by_key(|(id, hand)| (hand.in_flight, Some(*id) <= last, **id))
            .map(|(id, _)| *id)
    }

    /// Whether a connection accepted now could be dealt at once.
    fn has_room(&self, listener: ListenerId) -> bool {
        let queued = |connection| {
            self.held.get(connection).is_some_and(|held: &Held| held.listener == listener)
        };
        self.paused_until.is_none()
            && !self.waiting.iter().any(queued)
            && self.next_worker(listener).is_some()
    }

    /// Whether there are workers for the listener, and each has all that it may have in flight.
    fn all_are_busy(&self, listener: ListenerId) -> bool {
        let mut hands =
            self.workers.values().filter(|hand| hand.listeners.contains(&listener)).peekable();
        hands.peek().is_some() && hands.all(|hand| hand.in_flight >= WINDOW)
    }

    fn try_accept(&mut self, member: Member) {
        if self.has_room(member.listener) && self.trying.insert(member) {
            self.actions.push(DealerAction::Try { member });
        }
    }

    fn update_watching(&mut self) {
        let members: Vec<(Member, Watched)> =
            self.members.iter().map(|(member, watched)| (*member, *watched)).collect();
        for (member, watched) in members {
            let now = match (watched, self.has_room(member.listener)) {
                (Watched::No, true) => Watched::Yes,
                (Watched::Yes, false) if self.all_are_busy(member.listener) => Watched::Full,
                (Watched::Yes, false) => Watched::No,
                (Watched::Full, true) => {
                    self.try_accept(member);
                    continue;
                }
                (Watched::Yes, true) | (Watched::No | Watched::Full, false) => continue,
            };
            self.members.insert(member, now);
            self.actions.push(DealerAction::Watch { member, on: now == Watched::Yes });
        }
    }

    fn empty_queues(&mut self) {
        let Some(mut emptying) = self.emptying.take() else { return };
        // Where nobody is left to have them, there is nothing to wait for.
        emptying.retain(|member| {
            self.workers.values().any(|hand| hand.listeners.contains(&member.listener))
        });
        if emptying.is_empty() && self.held.is_empty() {
            self.actions.push(DealerAction::QueuesEmptied);
            return;
        }
        for member in &emptying {
            self.try_accept(*member);
        }
        self.emptying = Some(emptying);
    }
}

#[cfg(test)]
mod tests;
