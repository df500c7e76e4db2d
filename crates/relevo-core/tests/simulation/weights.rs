//! Which sockets must get connections, and which must not, by what the dealer has been told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use relevo_core::{DealerEvent, GroupView, ListenerId, Seat, Slot, Time, WorkerId};

use crate::kernel::{Group, Kernel, Place};
use crate::tally::Tally;

/// Dealing does not give way to the kernel, nor come back, sooner than this after it last did.
const FLIPS: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct Weights {
    by_load: bool,
    serving: BTreeMap<ListenerId, BTreeSet<(Slot, WorkerId)>>,
    /// What part of new connections a slot is to have.
    share: Option<(Slot, u32)>,
    /// What the dealer ordered last.
    ordered: BTreeMap<ListenerId, Vec<u32>>,
    /// Whether the primary dealt the connections of each group that has a front, and since when, if
    /// that was ever otherwise.
    modes: BTreeMap<ListenerId, (bool, Option<Time>)>,
}

impl Weights {
    pub(crate) fn new(by_load: bool) -> Self {
        Self { by_load, ..Self::default() }
    }

    /// Who serves the listener, as the dealer knows.
    pub(crate) fn serving(&self, listener: ListenerId) -> impl Iterator<Item = (Slot, WorkerId)> {
        self.serving.get(&listener).into_iter().flatten().copied()
    }

    pub(crate) fn ordered(&mut self, listener: ListenerId, weights: Vec<u32>) {
        self.ordered.insert(listener, weights);
    }

    pub(crate) fn told(&mut self, event: &DealerEvent) {
        if let DealerEvent::Eligible { worker, slot, listener, on, .. } = event {
            let serving = self.serving.entry(*listener).or_default();
            if *on {
                serving.insert((*slot, *worker));
            } else {
                serving.remove(&(*slot, *worker));
            }
        }
        if let DealerEvent::Share { slot, percent } = event {
            self.share = percent.map(|percent| (*slot, percent));
        }
        if let DealerEvent::Gone { worker } = event {
            for serving in self.serving.values_mut() {
                serving.retain(|(_, who)| who != worker);
            }
        }
    }

    pub(crate) fn check(
        &mut self,
        now: Time,
        views: &[GroupView],
        kernel: &Kernel,
        tally: &mut Tally,
    ) {
        let there = |listener: &ListenerId| views.iter().any(|view| view.listener == *listener);
        self.ordered.retain(|listener, _| there(listener));
        self.modes.retain(|listener, _| there(listener));
        for view in views {
            let group = kernel.group(view.listener).expect("a group that the kernel has");
            if kernel.refuses {
                assert!(!view.front, "the primary deals, it thinks, what the hash does");
                continue;
            }
            self.check_mode(now, view, group, tally);
            if group.places().len() > 1 && group.is_clear() {
                self.check_weights(view, group, tally);
            }
        }
    }

    fn check_mode(&mut self, now: Time, view: &GroupView, group: &Group, tally: &mut Tally) {
        if !group.has_front() {
            assert!(!view.front, "no front deals");
            self.modes.remove(&view.listener);
            return;
        }
        let (front, since) = self.modes.entry(view.listener).or_insert((view.front, None));
        if *front == view.front {
            return;
        }
        let lasted = since.is_none_or(|since| now.since(since) >= FLIPS);
        assert!(lasted, "dealing goes to and fro: {since:?}, {now}");
        (*front, *since) = (view.front, Some(now));
        if view.front {
            tally.flips_to_front += 1;
        } else {
            tally.flips_to_kernel += 1;
        }
    }

    fn check_weights(&self, view: &GroupView, group: &Group, tally: &mut Tally) {
        let what = || format!("{:?}, {:?}, {:?}", self.ordered, group.places(), self.serving);
        let Some(ordered) = self.ordered.get(&view.listener) else {
            panic!("a group of two is not weighed: {}", what());
        };
        assert_eq!(ordered.len(), group.places().len(), "{}", what());
        assert!(ordered.iter().any(|weight| *weight > 0), "nobody gets anything: {}", what());
        let serving = self.serving.get(&view.listener);
        let serves = |slot: Slot| {
            serving.is_some_and(|serving| serving.iter().any(|(other, _)| *other == slot))
        };
        let gets = |slot: Slot| serves(slot) && !view.blocked.contains(&slot);
        let some_slot = group.places().iter().any(
            |place| matches!(place, Place::Ours(m) if matches!(m.seat, Seat::Slot(s) if gets(s))),
        );
        let mut of_slots = BTreeSet::new();
        let (mut sum, mut shared) = (0, 0);
        for (place, weight) in group.places().iter().zip(ordered.iter().copied()) {
            let Place::Ours(member) = place else {
                assert_eq!(weight, 0, "a stranger gets something: {}", what());
                continue;
            };
            match member.seat {
                Seat::Slot(slot) if some_slot && !view.front => {
                    assert_eq!(weight > 0, gets(slot), "slot {slot}: {}", what());
                    sum += u64::from(weight);
                    if self.share.is_some_and(|(other, _)| other == slot) {
                        shared = u64::from(weight);
                    } else {
                        of_slots.extend((weight > 0).then_some(weight));
                    }
                }
                Seat::Slot(slot) if group.has_front() => {
                    assert_eq!(weight, 0, "slot {slot} beside the front: {}", what());
                }
                Seat::Slot(_) => assert!(weight > 0, "some must get something: {}", what()),
                Seat::Front => assert!(weight > 0, "the front: {}", what()),
                Seat::Common => panic!("{member} is in no group"),
            }
        }
        if let Some((_, percent)) = self.share.filter(|_| shared > 0 && sum > shared) {
            let (others, percent) = (sum - shared, u64::from(percent));
            assert_eq!(shared, (others * percent / (100 - percent)).max(1), "{}", what());
            tally.weights_with_share += 1;
        }
        if of_slots.len() > 1 {
            assert!(self.by_load, "nobody asked for it: {}", what());
            tally.leaned += 1;
        }
        tally.weights_with_blocked += u64::from(!view.blocked.is_empty());
    }
}
