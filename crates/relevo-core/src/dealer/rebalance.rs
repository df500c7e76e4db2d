//! Moving idle connections from the worker that has most to the one that has fewest: after a crash, after
//! scaling up behind a proxy's pool, after a spell of the kernel's hash.
//!
//! Gently: one donor at a time, a few connections at a time, and a donor that had nothing to give is not
//! asked again for a while. Nothing is moved during a rollout, which moves everything by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Dealer, DealerAction};
use crate::{ListenerId, Time, WorkerId};

/// Between two donors.
const PACE: Duration = Duration::from_millis(100);
/// How many connections one donor gives at a time, at most: so some 320 a second move.
const AT_ONCE: u64 = 32;
/// A difference as small as this is left alone, in connections…
const SMALL: u64 = 2;
/// …and so is one that is no larger than this part of what the fullest has.
const SMALL_PART: u64 = 5;
/// How long a donor may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a donor that had nothing to give is left alone, at first and at most; doubled each time.
const UNWILLING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Which donor gives at the moment, and who has been found to have nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Rebalance {
    giving: Option<Giving>,
    /// When to look again, if something is uneven.
    look_at: Option<Time>,
    earliest: Time,
    unwilling: BTreeMap<WorkerId, (Time, Duration)>,
}

#[derive(Clone, Copy, Debug)]
struct Giving {
    donor: WorkerId,
    listener: ListenerId,
    until: Time,
    /// How many connections the donor had given before.
    gave: u64,
}

impl Rebalance {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.look_at
    }

    /// Whether this worker was asked to give some of what it has, and goes on serving.
    pub(super) fn is_asked(&self, donor: WorkerId, listener: ListenerId) -> bool {
        self.giving.is_some_and(|it| it.donor == donor && it.listener == listener)
    }

    pub(super) fn gone(&mut self, worker: WorkerId) {
        self.unwilling.remove(&worker);
        self.drains(worker);
    }

    /// It offers what it has since it drains: from now on it gives everything.
    pub(super) fn drains(&mut self, worker: WorkerId) {
        if self.giving.is_some_and(|giving| giving.donor == worker) {
            self.giving = None;
        }
    }
}

impl Dealer {
    /// Does what is due. Called when counts have changed, or time has passed.
    pub(super) fn rebalance(&mut self) {
        self.end_giving();
        self.rebalance.look_at = None;
        if let Some(giving) = self.rebalance.giving {
            self.rebalance.look_at = Some(giving.until);
            return;
        }
        let Some((donor, listener, count)) = self.most_uneven() else { return };
        let unwilling_until = self.rebalance.unwilling.get(&donor).map(|(until, _)| *until);
        let earliest = unwilling_until.unwrap_or_default().max(self.rebalance.earliest);
        if earliest > self.now {
            self.rebalance.look_at = Some(earliest);
            return;
        }
        let gave = self.workers.get(&donor).map_or(0, |hand| hand.gave);
        let until = self.now + PATIENCE;
        self.rebalance.giving = Some(Giving { donor, listener, until, gave });
        self.rebalance.look_at = Some(until);
        self.donors.credit(donor, listener, count);
        self.actions.push(DealerAction::Credit { worker: donor, listener, count });
    }

    fn end_giving(&mut self) {
        let Some(giving) = self.rebalance.giving else { return };
        let Giving { donor, listener, until, gave } = giving;
        if !self.donors.is_settled(donor, listener) && until > self.now {
            return;
        }
        self.donors.void(donor, listener);
        self.rebalance.giving = None;
        self.rebalance.earliest = self.now + PACE;
        let given = self.workers.get(&donor).map_or(0, |hand| hand.gave) - gave;
        if given > 0 {
            self.rebalance.unwilling.remove(&donor);
            return;
        }
        let before = self.rebalance.unwilling.get(&donor).map(|(_, wait)| *wait * 2);
        let wait = before.unwrap_or(UNWILLING.0).min(UNWILLING.1);
        self.rebalance.unwilling.insert(donor, (self.now + wait, wait));
    }

    /// Who has too many connections of a listener, and how many of them others should have.
    fn most_uneven(&self) -> Option<(WorkerId, ListenerId, u32)> {
        let mut listeners: Vec<ListenerId> =
            self.workers.values().flat_map(|hand| hand.listeners.iter().copied()).collect();
        listeners.sort_unstable();
        listeners.dedup();
        listeners.into_iter().find_map(|listener| {
            let (donor, count) = self.unevenness(listener)?;
            Some((donor, listener, count))
        })
    }

    fn unevenness(&self, listener: ListenerId) -> Option<(WorkerId, u32)> {
        let serving = self.workers.values().filter(|hand| hand.listeners.contains(&listener));
        let all = self.takers(listener);
        // Who cannot be told of an arrival, or does not count, or is of another generation: hands off.
        let generation = all.clone().map(|(_, hand)| hand.generation).next()?;
        if all.clone().count() != serving.count()
            || all.clone().any(|(_, hand)| hand.generation != generation)
        {
            return None;
        }
        let counts: Option<Vec<(u64, WorkerId)>> =
            all.map(|(id, hand)| Some((hand.connections()?, id))).collect();
        let counts = counts?;
        let (least, _) = counts.iter().min()?;
        let (most, donor) = counts.iter().max()?;
        let difference = most - least;
        if difference <= SMALL.max(most / SMALL_PART) {
            return None;
        }
        let sum: u64 = counts.iter().fold(0, |sum, (count, _)| sum.saturating_add(*count));
        let surplus = most - sum / counts.len() as u64;
        let count = surplus.min(difference / 2).clamp(1, AT_ONCE);
        u32::try_from(count).ok().map(|count| (*donor, count))
    }
}
