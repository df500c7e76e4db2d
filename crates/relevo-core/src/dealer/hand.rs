//! What a worker may be dealt, what it has in flight, and who comes next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Load;
use crate::{ConnectionId, Generation, ListenerId, Slot, Time, WorkerId};

/// How many connections one worker may have in flight, when every other has as many.
pub(super) const WINDOW: usize = 8;

/// A worker that has not taken a connection for so long gets no more while others do.
const BLOCKED: Duration = Duration::from_millis(20);
/// The same in a crowd: a burst that keeps every processor busy makes everybody slow.
const BLOCKED_IN_A_CROWD: Duration = Duration::from_millis(100);
/// A worker that has not taken a connection for so long gets no second one while another has none.
const LATE: Duration = Duration::from_millis(5);
/// By how many connections a worker may be ahead of the one that has fewest, and be dealt to all the
/// same: whoever is quick need not wait for who is slow, but gets no more than this out of it.
const AHEAD: u64 = 1;

/// How the next worker is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Choice {
    /// One after the other.
    #[default]
    InTurn,
    /// Who has fewest connections; in turn where somebody's are not counted.
    Fewest,
}

/// What a worker may have, and has.
#[derive(Clone, Debug)]
pub(super) struct Hand {
    /// Where it works; not known until it listens.
    pub(super) slot: Option<Slot>,
    /// Which load of the code it is; known when it listens.
    pub(super) generation: Generation,
    pub(super) listeners: BTreeSet<ListenerId>,
    /// What it was given and has not taken, and when.
    pub(super) in_flight: Vec<(ConnectionId, Time)>,
    /// The same of those that other workers gave away.
    pub(super) arrivals: Vec<(ConnectionId, Time)>,
    pub(super) shunned_until: Option<Time>,
    /// Whether an agent counts for it.
    pub(super) has_agent: bool,
    /// Whether that can give connections away, and treats arrivals as what they are.
    pub(super) hands_over: bool,
    /// What its agent counted last.
    pub(super) load: Option<Load>,
    /// How busy its event loop is, per mille, smoothed.
    pub(super) busy: Option<u32>,
    /// How many connections it took.
    pub(super) placed: u64,
    /// The same, when its agent counted last.
    pub(super) placed_then: u64,
    /// How many connections it gave away.
    pub(super) gave: u64,
    /// The same, when its agent counted last.
    pub(super) gave_then: u64,
}

impl Hand {
    pub(super) fn new(slot: Option<Slot>) -> Self {
        Self {
            slot,
            generation: Generation(0),
            listeners: BTreeSet::new(),
            in_flight: Vec::new(),
            arrivals: Vec::new(),
            shunned_until: None,
            has_agent: false,
            hands_over: false,
            load: None,
            busy: None,
            placed: 0,
            placed_then: 0,
            gave: 0,
            gave_then: 0,
        }
    }

    /// Whether there is anything to remember of it.
    pub(super) fn matters(&self) -> bool {
        self.has_agent
            || !self.in_flight.is_empty()
            || !self.arrivals.is_empty()
            || !self.listeners.is_empty()
    }

    /// Takes note of a count, and says how many connections it accepted by itself since the last.
    pub(super) fn counted(&mut self, load: Load) -> u64 {
        let direct = self.load.map_or(0, |before| {
            let accepted = load.accepted.saturating_sub(before.accepted);
            // A worker may say what it likes; more than this tells nothing more.
            accepted.saturating_sub(self.placed - self.placed_then).min(1 << 32)
        });
        if let Some(now) = load.utilization {
            let now = u32::from(now.min(1000));
            self.busy = Some(self.busy.map_or(now, |before| (7 * before + 3 * now) / 10));
        }
        self.load = Some(load);
        self.placed_then = self.placed;
        self.gave_then = self.gave;
        direct
    }

    /// How many connections it has or is about to have, where that is known.
    pub(super) fn connections(&self) -> Option<u64> {
        let counted = u64::from(self.load?.connections);
        let on_the_way = (self.in_flight.len() + self.arrivals.len()) as u64;
        let came = (self.placed - self.placed_then) + on_the_way;
        Some((counted + came).saturating_sub(self.gave - self.gave_then))
    }

    /// The same, or where nobody counts, how many it was ever given.
    pub(super) fn connections_or_placed(&self) -> u64 {
        self.connections().unwrap_or(self.placed + self.arrivals.len() as u64)
    }

    /// For how long it has not taken what it was given.
    fn owes_for(&self, now: Time) -> Duration {
        let oldest = self.in_flight.iter().map(|(_, given)| *given).min();
        oldest.map_or(Duration::ZERO, |given| now.since(given))
    }

    fn has_room(&self) -> bool {
        self.shunned_until.is_none() && self.in_flight.len() < WINDOW
    }
}

/// Those who serve one listener, at one moment.
pub(super) struct Circle<'a> {
    hands: Vec<(WorkerId, &'a Hand)>,
    /// Those known to stand still, by what waits in their queues.
    blocked: Vec<WorkerId>,
    last: Option<WorkerId>,
    now: Time,
}

impl<'a> Circle<'a> {
    /// `last`: who was dealt the last connection.
    pub(super) fn of(
        workers: &'a BTreeMap<WorkerId, Hand>,
        listener: ListenerId,
        blocked: Vec<WorkerId>,
        last: Option<WorkerId>,
        now: Time,
    ) -> Self {
        let serve = workers.iter().filter(|(_, hand)| hand.listeners.contains(&listener));
        Self { hands: serve.map(|(id, hand)| (*id, hand)).collect(), blocked, last, now }
    }

    /// Who is dealt the next connection; nobody, if it had better wait.
    pub(super) fn next(&self, choice: Choice) -> Option<WorkerId> {
        let live: Vec<_> = self.live().copied().collect();
        // Nobody is given more while blocked, unless all are: then who is so for least long may only be
        // slow.
        let all = if live.is_empty() { self.least_late() } else { live };
        let counted: Option<Vec<_>> = match choice {
            Choice::InTurn => None,
            Choice::Fewest => {
                all.iter().map(|(id, hand)| Some((hand.connections()?, *id, *hand))).collect()
            }
        };
        match counted {
            Some(counted) => self.fewest(&counted),
            // Who has fewer in flight comes first: a worker is given a second one only when every
            // other has one too.
            None => all
                .iter()
                .filter(|(_, hand)| hand.has_room())
                .min_by_key(|(id, hand)| (hand.in_flight.len(), self.turn(*id)))
                .map(|(id, _)| *id),
        }
    }

    /// Those who work in the slot, and the others.
    pub(super) fn parted(&self, slot: Slot) -> (Self, Self) {
        let (own, others) =
            self.hands.iter().copied().partition(|(_, hand)| hand.slot == Some(slot));
        let of = |hands| Self { hands, blocked: self.blocked.clone(), ..*self };
        (of(own), of(others))
    }

    /// Whether one of them is not blocked.
    pub(super) fn somebody_lives(&self) -> bool {
        self.live().next().is_some()
    }

    /// The same as `next`, but nobody who is blocked, even if all are.
    pub(super) fn next_live(&self, choice: Choice) -> Option<WorkerId> {
        self.somebody_lives().then(|| self.next(choice)).flatten()
    }

    fn fewest(&self, all: &[(u64, WorkerId, &Hand)]) -> Option<WorkerId> {
        let order = |(count, id, hand): &&(u64, WorkerId, &Hand)| {
            (!hand.in_flight.is_empty(), *count, self.turn(*id))
        };
        let least = all.iter().min_by_key(|(count, ..)| *count)?;
        let with_room = || all.iter().filter(|(.., hand)| hand.has_room());
        let near = with_room().filter(|(count, ..)| *count <= least.0 + AHEAD).min_by_key(order);
        let idle = with_room().filter(|(.., hand)| hand.in_flight.is_empty()).min_by_key(order);
        let late = !self.is_crowd() && least.2.owes_for(self.now) >= LATE;
        let chosen = match (near, idle) {
            (Some(near), _) if near.2.in_flight.is_empty() => near,
            (_, Some(idle)) if late => idle,
            (near, _) => near?,
        };
        Some(chosen.1)
    }

    fn turn(&self, id: WorkerId) -> (bool, WorkerId) {
        (Some(id) <= self.last, id)
    }

    fn live(&self) -> impl Iterator<Item = &(WorkerId, &'a Hand)> {
        let limit = self.blocked_after();
        self.hands.iter().filter(move |(id, hand)| {
            let blocked = hand.owes_for(self.now) >= limit || self.blocked.contains(id);
            hand.shunned_until.is_none() && !blocked
        })
    }

    /// Those who have not taken what they were given for less than twice as long as the quickest.
    fn least_late(&self) -> Vec<(WorkerId, &'a Hand)> {
        let willing = || self.hands.iter().filter(|(_, hand)| hand.shunned_until.is_none());
        let least = willing().map(|(_, hand)| hand.owes_for(self.now)).min().unwrap_or_default();
        willing().filter(|(_, hand)| hand.owes_for(self.now) <= least * 2).copied().collect()
    }

    /// Whether so much is in flight that being slow says nothing.
    fn is_crowd(&self) -> bool {
        let in_flight: usize = self.hands.iter().map(|(_, hand)| hand.in_flight.len()).sum();
        in_flight > self.hands.len() * WINDOW / 2
    }

    fn blocked_after(&self) -> Duration {
        if self.is_crowd() { BLOCKED_IN_A_CROWD } else { BLOCKED }
    }

    /// When the next of them counts as blocked, so that others need no longer wait for it.
    pub(super) fn next_blocked(&self) -> Option<Time> {
        if !self.hands.iter().any(|(_, hand)| hand.has_room()) {
            return None;
        }
        let limit = self.blocked_after();
        let oldest = |hand: &Hand| hand.in_flight.iter().map(|(_, given)| *given).min();
        self.live().filter_map(|(_, hand)| Some(oldest(hand)? + limit)).min()
    }
}
