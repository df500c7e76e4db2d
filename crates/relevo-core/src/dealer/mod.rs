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

mod hand;
mod handover;
mod rebalance;
mod share;
mod steering;
mod words;

#[cfg(test)]
mod tests;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::{Balance, ConnectionId, Generation, ListenerId, Member, Slot, Time, WorkerId};
use hand::{Choice, Circle, Hand, WINDOW};
use handover::{Donors, Origin};
use rebalance::Rebalance;
use share::{Counted, Share};
use steering::Steering;

pub use steering::GroupView;
pub use words::{
    DealerAction, DealerEvent, DealerNotice, Disturbance, Load, NotTaken, Seen, SeenMember,
};

/// How long a worker that did not take a connection is left alone (`server.maxConnections`).
const SHUN: Duration = Duration::from_millis(250);
/// How long a worker that is out of descriptors is left alone.
const SHUN_EXHAUSTED: Duration = Duration::from_secs(1);
/// How long nothing is accepted after that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Deals connections, and weighs the sockets that the kernel deals to. Pure: see the crate's
/// documentation.
#[derive(Clone, Debug)]
pub struct Dealer {
    now: Time,
    choice: Choice,
    steering: Steering,
    counted: Counted,
    /// The sockets that the primary accepts from.
    members: BTreeMap<Member, Watched>,
    /// Those of them that the supervisor wants to be accepted from.
    ordered: BTreeSet<Member>,
    /// Those of slots whose worker is blocked.
    rescued: BTreeSet<Member>,
    workers: BTreeMap<WorkerId, Hand>,
    held: BTreeMap<ConnectionId, Held>,
    donors: Donors,
    rebalance: Rebalance,
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

#[derive(Clone, Debug)]
struct Held {
    listener: ListenerId,
    with: Option<WorkerId>,
    /// Who gave it away, and still has a copy.
    origin: Option<Origin>,
}

impl Dealer {
    /// A dealer that knows of no worker and no socket. `by_load`: slots that are busier get fewer.
    pub fn new(balance: Balance, by_load: bool) -> Self {
        let choice = match balance {
            Balance::Auto | Balance::LeastConnections | Balance::Kernel => Choice::Fewest,
            Balance::RoundRobin | Balance::Shared => Choice::InTurn,
        };
        Self {
            now: Time::default(),
            choice,
            steering: Steering::new(balance, by_load),
            counted: Counted::default(),
            members: BTreeMap::new(),
            ordered: BTreeSet::new(),
            rescued: BTreeSet::new(),
            workers: BTreeMap::new(),
            held: BTreeMap::new(),
            donors: Donors::default(),
            rebalance: Rebalance::default(),
            waiting: VecDeque::new(),
            turn: BTreeMap::new(),
            emptying: None,
            trying: BTreeSet::new(),
            closed: BTreeSet::new(),
            paused_until: None,
            actions: Vec::new(),
        }
    }

    /// What to do about `event`. Total, like the supervisor's.
    #[must_use]
    pub fn handle(&mut self, now: Time, event: DealerEvent) -> Vec<DealerAction> {
        // What time alone has made due is due at every listener.
        let later = now > self.now;
        self.now = self.now.max(now);
        let mut concerned = event.listener().filter(|_| !later);
        let uneven = later || event.changes_counts();
        self.record(event);
        self.steering.step(concerned, &self.workers, self.now, &mut self.actions);
        // Who is blocked for one listener is so for all.
        if self.rescue() {
            concerned = None;
        }
        let before = self.actions.len();
        self.deal_waiting();
        // Who has all that it may have in flight has no room for another listener's either.
        if self.actions.len() > before {
            concerned = None;
        }
        self.lose_closed();
        self.give_credit();
        if uneven {
            self.rebalance();
        }
        self.update_watching(concerned);
        self.empty_queues();
        std::mem::take(&mut self.actions)
    }

    /// When the dealer wants to see a [`DealerEvent::Tick`]: only while something waits for a worker
    /// that is left alone, or the kernel deals and somebody has connections.
    pub fn deadline(&self) -> Option<Time> {
        let held_back = !self.waiting.is_empty()
            || self.emptying.is_some()
            || self.donors.want_credit()
            || self.members.values().any(|watched| *watched != Watched::Yes);
        let shunned = self.workers.values().filter_map(|hand| hand.shunned_until);
        let again = shunned.chain(self.paused_until).min().filter(|_| held_back);
        let rebalance = self.rebalance.deadline();
        [again, self.next_blocked(), self.steering.deadline(&self.workers), rebalance]
            .into_iter()
            .flatten()
            .min()
    }

    /// When a worker that connections wait for counts as blocked, so that others get them.
    fn next_blocked(&self) -> Option<Time> {
        let unwatched = self.members.iter().filter(|(_, watched)| **watched != Watched::Yes);
        let unwatched = unwatched.map(|(member, _)| member.listener);
        let waiting = self.waiting.iter().filter_map(|connection| self.held.get(connection));
        let mut listeners: Vec<_> = unwatched.chain(waiting.map(|held| held.listener)).collect();
        listeners.dedup();
        let circles = listeners.into_iter().map(|listener| self.circle(listener));
        circles.filter_map(|circle| circle.next_blocked()).min()
    }

    fn circle(&self, listener: ListenerId) -> Circle<'_> {
        let last = self.turn.get(&listener).copied();
        let blocked = self.steering.blocked().collect();
        Circle::of(&self.workers, listener, blocked, last, self.now)
    }

    /// How the connections of reuseport groups are dealt.
    pub fn groups(&self) -> Vec<GroupView> {
        self.steering.view()
    }

    /// How many connections a worker has, where its agent counts them.
    pub fn connections(&self, worker: WorkerId) -> Option<u64> {
        self.workers.get(&worker)?.connections()
    }

    /// Whether every worker has so much in flight that nothing is lost by letting what they say gather
    /// for a moment.
    pub fn has_time(&self) -> bool {
        let mut hands = self.workers.values().filter(|hand| !hand.listeners.is_empty()).peekable();
        hands.peek().is_some() && hands.all(|hand| hand.in_flight.len() > WINDOW / 2)
    }

    /// How many connections the primary holds: accepted, and not yet placed.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn record(&mut self, event: DealerEvent) {
        match event {
            DealerEvent::Accept { member, on: true } => {
                // It may have been closed, and opened again.
                self.closed.remove(&member.listener);
                self.ordered.insert(member);
                self.members.entry(member).or_insert(Watched::No);
            }
            DealerEvent::Accept { member, on: false } => {
                self.ordered.remove(&member);
                self.stop_watching(member);
            }
            DealerEvent::Share { slot, percent } => {
                let share = percent.map(|percent| Share::new(slot, percent));
                self.counted.set(share);
                self.steering.share(share);
            }
            DealerEvent::Joined { member } => self.steering.joined(member, self.now),
            DealerEvent::Retired { member } => self.forget_member(member),
            DealerEvent::Closed { member } => {
                self.forget_member(member);
                self.closed.insert(member.listener);
            }
            DealerEvent::Eligible { worker, slot, generation, listener, on } => {
                self.eligible(worker, (slot, generation), listener, on);
            }
            DealerEvent::Agent { worker, hands_over } => {
                let hand = self.workers.entry(worker).or_insert_with(|| Hand::new(None));
                hand.has_agent = true;
                hand.hands_over = hands_over;
                // Under every balance: who is handed over goes to the one with the fewest.
                self.actions.push(DealerAction::Count { worker });
            }
            DealerEvent::Offered { worker, listener, count } => {
                self.offered(worker, listener, count);
            }
            DealerEvent::Spent { worker, listener } => self.donors.void(worker, listener),
            DealerEvent::HandedOver { connection, worker, listener } => {
                self.handed_over(connection, worker, listener);
            }
            DealerEvent::Load { worker, load } => self.counted(worker, load),
            DealerEvent::Steered { listener, refused } => {
                self.steering.steered(listener, refused, self.now, &mut self.actions);
            }
            DealerEvent::Looked { listener, seen } => {
                let (workers, actions) = (&self.workers, &mut self.actions);
                self.steering.looked(listener, &seen, workers, self.now, actions);
            }
            DealerEvent::Readable { member } => {
                if self.members.contains_key(&member) {
                    self.try_accept(member);
                }
            }
            DealerEvent::Accepted { connection, member } => {
                self.trying.remove(&member);
                if let Entry::Vacant(unknown) = self.held.entry(connection) {
                    unknown.insert(Held { listener: member.listener, with: None, origin: None });
                    self.waiting.push_back(connection);
                    self.steering.arrived(member, self.now);
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
                self.steering.failed(member);
            }
            DealerEvent::Placed { connection } => {
                if let Some(worker) = self.take_back(connection) {
                    if let Some(hand) = self.workers.get_mut(&worker) {
                        hand.placed += 1;
                    }
                    if let Some(held) = self.held.remove(&connection) {
                        self.settle_origin(&held, true);
                    }
                    self.actions.push(DealerAction::Release { connection, worker });
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
            hand.matters()
        });
    }

    /// Ends a connection's flight: it is with nobody now.
    fn take_back(&mut self, connection: ConnectionId) -> Option<WorkerId> {
        let worker = self.held.get_mut(&connection)?.with.take()?;
        if let Some(hand) = self.workers.get_mut(&worker) {
            hand.in_flight.retain(|(other, _)| *other != connection);
            hand.arrivals.retain(|(other, _)| *other != connection);
        }
        Some(worker)
    }

    fn not_taken(&mut self, connection: ConnectionId, why: NotTaken) {
        let Some(worker) = self.take_back(connection) else { return };
        self.note_refusal(connection, worker);
        self.wait_again(connection);
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
        self.steering.gone(worker);
        self.donor_gone(worker);
        self.rebalance.gone(worker);
        let had: Vec<ConnectionId> = self.held_by(worker);
        for connection in had.into_iter().rev() {
            if let Some(held) = self.held.get_mut(&connection) {
                held.with = None;
            }
            self.wait_again(connection);
        }
    }

    fn held_by(&self, worker: WorkerId) -> Vec<ConnectionId> {
        let of_it = self.held.iter().filter(|(_, held)| held.with == Some(worker));
        of_it.map(|(connection, _)| *connection).collect()
    }

    /// Before those that came later.
    fn wait_again(&mut self, connection: ConnectionId) {
        match self.held.get(&connection) {
            Some(held) if held.origin.is_some() => {
                self.donors.waiting.entry(held.listener).or_default().push_front(connection);
            }
            Some(_) | None => self.waiting.push_front(connection),
        }
    }

    fn eligible(
        &mut self,
        worker: WorkerId,
        (slot, generation): (Slot, Generation),
        listener: ListenerId,
        on: bool,
    ) {
        if on {
            let hand = self.workers.entry(worker).or_insert_with(|| Hand::new(Some(slot)));
            hand.slot = Some(slot);
            hand.generation = generation;
            hand.listeners.insert(listener);
            self.closed.remove(&listener);
        } else if let Some(hand) = self.workers.get_mut(&worker) {
            hand.listeners.remove(&listener);
        }
        self.steering.serves(listener, slot, worker, on);
    }

    fn counted(&mut self, worker: WorkerId, load: Load) {
        let Some(hand) = self.workers.get_mut(&worker) else { return };
        let direct = hand.counted(load);
        self.steering.counted(worker, hand, direct, self.now, &mut self.actions);
    }

    /// Accepts for slots whose worker is blocked, for as long as it is. Says whether others are blocked
    /// now than before.
    fn rescue(&mut self) -> bool {
        let rescued = self.steering.rescued();
        if rescued == self.rescued {
            return false;
        }
        let before = std::mem::replace(&mut self.rescued, rescued);
        for member in self.rescued.difference(&before) {
            self.members.entry(*member).or_insert(Watched::No);
        }
        for member in before {
            self.stop_watching(member);
        }
        true
    }

    /// Unless there is still a reason to.
    fn stop_watching(&mut self, member: Member) {
        if self.ordered.contains(&member) || self.rescued.contains(&member) {
            return;
        }
        if self.members.remove(&member) == Some(Watched::Yes) {
            self.actions.push(DealerAction::Watch { member, on: false });
        }
    }

    fn forget_member(&mut self, member: Member) {
        self.steering.left(member);
        self.ordered.remove(&member);
        self.rescued.remove(&member);
        self.members.remove(&member);
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
            let of_it =
                |id: &ConnectionId| self.held.get(id).is_some_and(|held| held.listener == listener);
            let lost: Vec<ConnectionId> = self.waiting.iter().copied().filter(of_it).collect();
            self.waiting.retain(|connection| !lost.contains(connection));
            for connection in lost {
                self.held.remove(&connection);
                self.actions.push(DealerAction::Lose { connection });
            }
            for connection in self.donors.waiting.remove(&listener).unwrap_or_default() {
                self.give_back(connection);
            }
            self.turn.remove(&listener);
            self.counted.forget(listener);
            let under_way = self.trying.iter().any(|member| member.listener == listener)
                || self.held.values().any(|held| held.listener == listener);
            if !under_way {
                self.closed.remove(&listener);
            }
        }
    }

    fn deal_waiting(&mut self) {
        self.place_arrivals();
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
            hand.in_flight.push((connection, self.now));
            self.counted.dealt(listener, hand.slot);
        }
        self.actions.push(DealerAction::Give { connection, worker, listener });
    }

    fn next_worker(&self, listener: ListenerId) -> Option<WorkerId> {
        self.counted.next(listener, &self.circle(listener), self.choice)
    }

    /// Whether a connection accepted now could be dealt at once.
    fn has_room(&self, listener: ListenerId) -> bool {
        let queued = |connection| {
            let held = self.held.get(connection);
            held.is_some_and(|held: &Held| held.listener == listener && held.origin.is_none())
        };
        self.paused_until.is_none()
            && !self.waiting.iter().any(queued)
            && self.next_worker(listener).is_some()
    }

    /// Whether there are workers for the listener, and each has all that it may have in flight.
    fn all_are_busy(&self, listener: ListenerId) -> bool {
        let mut hands =
            self.workers.values().filter(|hand| hand.listeners.contains(&listener)).peekable();
        hands.peek().is_some() && hands.all(|hand| hand.in_flight.len() >= WINDOW)
    }

    fn try_accept(&mut self, member: Member) {
        if self.has_room(member.listener) && self.trying.insert(member) {
            self.actions.push(DealerAction::Try { member });
        }
    }

    /// Of one listener, or of all.
    fn update_watching(&mut self, only: Option<ListenerId>) {
        let members = self.members.iter().map(|(member, watched)| (*member, *watched));
        let members: Vec<(Member, Watched)> = members
            .filter(|(member, _)| only.is_none_or(|listener| member.listener == listener))
            .collect();
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
