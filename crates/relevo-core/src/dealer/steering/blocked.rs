//! Workers that accept nothing and say nothing while connections wait for them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Slot, Time, WorkerId};

/// How often queues are looked at while they matter.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
/// For how long a worker must have said nothing: twice as long as between two of its counts while
/// anything goes on.
const SILENT: Duration = Duration::from_millis(200);
/// An older look says nothing about now.
const TOO_OLD: Duration = Duration::from_secs(1);

/// What is known of the queues of a group's slots.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocked {
    /// What waited in each slot's queue when it was looked at last.
    before: BTreeMap<Slot, (u32, Time)>,
    /// Since when each blocked slot's worker has said nothing, and who that is.
    slots: BTreeMap<Slot, (WorkerId, Time)>,
}

/// A slot that serves, as a look showed it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) slot: Slot,
    pub(super) worker: WorkerId,
    pub(super) waiting: u32,
    /// When the worker last said anything.
    pub(super) heard: Time,
}

impl Blocked {
    pub(super) fn contains(&self, slot: Slot) -> bool {
        self.slots.contains_key(&slot)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.slots.keys().copied()
    }

    pub(super) fn workers(&self) -> impl Iterator<Item = WorkerId> {
        self.slots.values().map(|(worker, _)| *worker)
    }

    /// Whether connections waited in some queue when it was looked at last.
    pub(super) fn some_wait(&self) -> bool {
        self.before.values().any(|(waiting, _)| *waiting > 0)
    }

    /// Takes note of what was seen; returns the workers that are blocked from now on.
    ///
    /// A queue that has not become shorter while its worker said nothing is stuck. That is the
    /// worker's fault only if some other slot's is not.
    pub(super) fn judge(&mut self, seen: &[Sight], now: Time) -> Vec<(Slot, WorkerId)> {
        let stuck: Vec<bool> = seen.iter().map(|sight| self.is_stuck(sight, now)).collect();
        for sight in seen {
            self.before.insert(sight.slot, (sight.waiting, now));
        }
        let some_move =
            seen.iter().zip(&stuck).any(|(sight, stuck)| !stuck && !self.contains(sight.slot));
        if !some_move {
            return Vec::new();
        }
        let mut new = Vec::new();
        for (sight, _) in seen.iter().zip(&stuck).filter(|(_, stuck)| **stuck) {
            if !self.contains(sight.slot) {
                self.slots.insert(sight.slot, (sight.worker, now));
                new.push((sight.slot, sight.worker));
            }
        }
        new
    }

    fn is_stuck(&self, sight: &Sight, now: Time) -> bool {
        let Some((waiting, then)) = self.before.get(&sight.slot).copied() else { return false };
        let age = now.since(then);
        let recent = age >= LOOK_EVERY && age <= TOO_OLD;
        let silent = now.since(sight.heard) >= SILENT;
        recent && waiting > 0 && sight.waiting >= waiting && silent
    }

    /// The slot's worker gave a sign of life at this time, or is somebody else now. Returns for how
    /// long it was blocked, if it was.
    pub(super) fn revive(&mut self, slot: Slot, worker: WorkerId, heard: Time) -> Option<Duration> {
        let (who, since) = self.slots.get(&slot).copied()?;
        if who == worker && heard <= since {
            return None;
        }
        self.forget(slot);
        Some(heard.since(since))
    }

    /// Nobody works there any more.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.slots.remove(&slot);
        self.before.remove(&slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Slot = Slot(0);
    const B: Slot = Slot(1);

    fn at(millis: u64) -> Time {
        Time::from_origin(Duration::from_millis(millis))
    }

    fn sight(slot: Slot, waiting: u32, heard: u64) -> Sight {
        Sight { slot, worker: WorkerId(u64::from(slot.0) + 1), waiting, heard: at(heard) }
    }

    #[test]
    fn a_queue_that_stands_still_while_another_moves_is_blocked() {
        let mut blocked = Blocked::default();
        assert_eq!(blocked.judge(&[sight(A, 3, 0), sight(B, 2, 0)], at(1000)), []);
        let seen = [sight(A, 4, 0), sight(B, 2, 1050)];
        assert_eq!(blocked.judge(&seen, at(1100)), [(A, WorkerId(1))]);
        assert!(blocked.contains(A));
        assert_eq!(blocked.judge(&[sight(A, 0, 0), sight(B, 0, 1150)], at(1200)), []);
        assert_eq!(blocked.revive(A, WorkerId(1), at(900)), None, "an old word");
        let after = blocked.revive(A, WorkerId(1), at(4100));
        assert_eq!(after, Some(Duration::from_secs(3)));
        assert!(!blocked.contains(A));
    }

    #[test]
    fn an_empty_queue_is_not_blocked() {
        let mut blocked = Blocked::default();
        for millis in [1000, 1100, 1200] {
            assert_eq!(blocked.judge(&[sight(A, 0, 0), sight(B, 0, 0)], at(millis)), []);
        }
    }

    #[test]
    fn where_all_stand_still_nobody_is_to_blame() {
        let mut blocked = Blocked::default();
        for millis in [1000, 1100, 1200] {
            assert_eq!(blocked.judge(&[sight(A, 3, 0), sight(B, 2, 0)], at(millis)), []);
        }
    }

    #[test]
    fn two_looks_far_apart_say_nothing() {
        let mut blocked = Blocked::default();
        assert_eq!(blocked.judge(&[sight(A, 3, 0), sight(B, 0, 0)], at(1000)), []);
        assert_eq!(blocked.judge(&[sight(A, 3, 0), sight(B, 0, 0)], at(5000)), []);
        assert_eq!(blocked.judge(&[sight(A, 3, 0), sight(B, 0, 0)], at(5100)).len(), 1);
    }

    #[test]
    fn somebody_new_in_the_slot_is_a_sign_of_life() {
        let mut blocked = Blocked::default();
        let _ = blocked.judge(&[sight(A, 3, 0), sight(B, 0, 0)], at(1000));
        let _ = blocked.judge(&[sight(A, 3, 0), sight(B, 0, 0)], at(1100));
        assert!(blocked.revive(A, WorkerId(9), at(0)).is_some());
    }
}
