//! The parts of a world's life that are about who gets its connections.

use std::time::Duration;

use relevo_core::{Limits, ListenerId, Member, Seat, Slot, WorkerId};

use crate::kernel::Group;
use crate::world::{Happening, World};

/// In so many of a hundred worlds very many connections come: they take time.
const FLOODED: u64 = 4;
/// In so many of a hundred worlds somebody interferes once more when all is well.
const MEDDLED: u64 = 40;
/// In so many of a hundred worlds a worker stands still while all else is well.
const STANDS_STILL: u64 = 40;

impl World {
    /// What interfered with the sockets is found out and set right.
    pub(crate) fn settles(&mut self) {
        if !self.rules.stopping && self.random.percent(MEDDLED) {
            let groups = self.dealer.groups();
            let watched = groups.iter().find(|group| self.is_watched(group.listener));
            if let Some(listener) = watched.map(|group| group.listener) {
                self.meddles_with(listener);
            }
        }
        self.brisk = !self.is_in_order();
        self.tally.set_right += u64::from(self.brisk);
        self.lives_until("is in order", World::is_in_order);
        self.brisk = false;
    }

    /// The kernel deals while very many connections come, and the primary when they have ended.
    pub(crate) fn is_flooded(&mut self) {
        if self.rules.stopping || !self.random.percent(FLOODED) {
            return;
        }
        let fronts = |world: &Self| world.dealer.groups().into_iter().filter(|g| g.front);
        // Where somebody has weighed the sockets by himself, and nobody counts, that stays unnoticed.
        let is_ours = |group: &Group| group.is_clear() && !group.is_disturbed();
        let clear = |listener: &ListenerId| self.kernel.group(*listener).is_some_and(is_ours);
        let Some(listener) = fronts(self).map(|group| group.listener).find(clear) else { return };
        let mode = |world: &Self| {
            let groups = world.dealer.groups();
            groups.iter().find(|group| group.listener == listener).map(|group| group.front)
        };
        let deals = |world: &Self| mode(world) == Some(true);
        self.tally.floods += 1;
        self.flooded = true;
        self.floods(listener);
        self.live_until(self.now + Duration::from_secs(6), |world| !deals(world));
        assert_eq!(mode(self), Some(false), "the primary deals a flood");
        self.live_until(self.now + Duration::from_millis(300), |_| false);
        self.flooded = false;
        if self.random.percent(50) {
            self.unkind = true;
            let end = self.now + self.random.millis(15_000);
            self.live_until(end, |_| false);
            self.recovers();
            self.settles();
        }
        self.live_until(self.now + Duration::from_secs(10), deals);
        let closed = self.kernel.group(listener).is_none_or(|group| !group.has_front());
        let ours = self.kernel.group(listener).is_some_and(is_ours);
        assert!(closed || deals(self) || !ours, "the kernel still deals the few that come");
    }

    /// One worker stands still: what waits for it goes to others, until it goes on.
    pub(crate) fn stands_still(&mut self) {
        if self.rules.stopping || !self.random.percent(STANDS_STILL) {
            return;
        }
        // Where there are limits it might be replaced meanwhile.
        if self.spec.limits != Limits::default() {
            return;
        }
        let Some((member, worker)) = self.who_may_stand_still() else { return };
        self.process(worker).hung = true;
        self.brisk = true;
        let blocked = |world: &Self| world.is_blocked(member);
        self.lives_within(5, "is blocked", blocked);
        self.lives_within(1, "is rescued", |world| world.books.waiting_in(member) == 0);
        assert!(blocked(self), "it has not said anything");
        self.tally.rescued_in_time += 1;
        self.brisk = false;
        self.thaws(worker);
        self.lives_within(1, "goes on", |world| !blocked(world));
    }

    /// Somebody alone in its slot, of a group that the kernel deals to.
    fn who_may_stand_still(&self) -> Option<(Member, WorkerId)> {
        let groups = self.dealer.groups();
        let group = groups.iter().find(|group| {
            let clear = self.kernel.group(group.listener).is_some_and(Group::is_clear);
            !group.front && clear && self.is_watched(group.listener)
        })?;
        let serving: Vec<(Slot, WorkerId)> = self.weights.serving(group.listener).collect();
        let alone = |slot| serving.iter().filter(|(other, _)| *other == slot).count() == 1;
        let (slot, worker) = *serving.first().filter(|(slot, _)| alone(*slot))?;
        let member = Member { listener: group.listener, seat: Seat::Slot(slot) };
        // One that is not ready yet may accept from the same socket.
        let accepts_alone = self.acceptors(member) == [worker];
        (serving.len() > 1 && accepts_alone).then_some((member, worker))
    }

    pub(crate) fn is_blocked(&self, member: Member) -> bool {
        let Seat::Slot(slot) = member.seat else { return false };
        let of_it = |group: &relevo_core::GroupView| group.listener == member.listener;
        self.dealer.groups().iter().any(|group| of_it(group) && group.blocked.contains(&slot))
    }

    fn lives_within(&mut self, seconds: u64, what: &str, done: impl Fn(&Self) -> bool) {
        self.live_until(self.now + Duration::from_secs(seconds), &done);
        assert!(done(self), "not within {seconds} s: {what}");
    }

    /// Whether nothing can go on in a group's sockets unnoticed: the primary accepts from them, or an
    /// agent counts, and counts for this listener alone.
    pub(crate) fn is_watched(&self, listener: ListenerId) -> bool {
        let counts = |worker: &WorkerId| {
            self.processes.get(worker).is_some_and(|process| process.agent.counting)
        };
        self.ports.len() == 1 && self.weights.serving(listener).all(|(_, worker)| counts(&worker))
    }

    /// Nobody interferes any more, and what did has been found and set right.
    pub(crate) fn is_in_order(&self) -> bool {
        if self.kernel.refuses || self.rules.exited.is_some() {
            return true;
        }
        self.dealer.groups().iter().all(|view| {
            let group = self.kernel.group(view.listener);
            let disturbed = group.is_some_and(|g| g.is_disturbed() && g.places().len() > 1);
            !self.is_watched(view.listener) || !disturbed && view.blocked.is_empty()
        })
    }

    /// Very many connections come, and go soon.
    pub(crate) fn floods(&mut self, listener: ListenerId) {
        if !self.flooded {
            return;
        }
        for _ in 0..15 {
            self.connects(listener);
        }
        let at = self.now + Duration::from_millis(5);
        self.at(at, Happening::Floods(listener));
    }
}
