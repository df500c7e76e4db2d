//! The sockets of one address, and the weights on them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::blocked::{Blocked, LOOK_EVERY, Sight};
use super::lean::Lean;
use super::order::{Order, Place};
use super::rate::Rate;
use super::shares::Shares;
use super::{GroupView, seat};
use crate::dealer::hand::Hand;
use crate::dealer::share::Share;
use crate::dealer::{DealerAction, DealerNotice, Disturbance, Seen, SeenMember};
use crate::{Balance, ListenerId, Member, Seat, Slot, Time, WorkerId};

/// An even share; large enough for fine shades, small enough for a sum of all slots'.
const EVEN: f64 = 1000.0;
/// One in so many goes to the front while the kernel deals.
const SAMPLE: u32 = 100;
/// How often it is checked that nobody interferes, while anything goes on.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// For how long queues are still looked at after the slots have stopped getting connections.
const LOOK_AFTER: Duration = Duration::from_secs(5);
/// How often people are told of the same.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct Group {
    listener: ListenerId,
    balance: Balance,
    by_load: bool,
    order: Order,
    /// Who serves in which slot.
    serving: BTreeSet<(Slot, WorkerId)>,
    /// Whether the primary deals what comes. Under `auto` only, and only with a front.
    dealt: bool,
    /// Until when queues of slots may hold something.
    look_until: Time,
    rate: Rate,
    lean: Lean,
    share: Option<Share>,
    blocked: Blocked,
    shares: Shares,
    /// What the program on the group says; `None` where there is none, or it cannot be relied on.
    set: Option<Vec<u32>>,
    /// There is no such program to be had.
    refused: bool,
    /// The weights may have to be others than those that are set.
    stale: bool,
    looked_at: Time,
    checked_at: Time,
    /// Something happened since the last look.
    eventful: bool,
    /// When people were told of what; they are not told of the same over and over.
    told: BTreeMap<Topic, Time>,
}

/// What people are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    NotListening,
    Strangers,
    Shares,
    Blocked(Slot),
}

impl Group {
    pub(super) fn new(listener: ListenerId, balance: Balance, by_load: bool, now: Time) -> Self {
        let mut rate = Rate::default();
        rate.restart(now);
        Self {
            listener,
            balance,
            by_load,
            order: Order::default(),
            serving: BTreeSet::new(),
            dealt: balance == Balance::Auto,
            look_until: now,
            rate,
            lean: Lean::default(),
            share: None,
            blocked: Blocked::default(),
            shares: Shares::default(),
            set: None,
            refused: false,
            stale: false,
            looked_at: now,
            checked_at: now,
            eventful: false,
            told: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.ours().next().is_none()
    }

    pub(super) fn joined(&mut self, member: Member) {
        self.order.joined(member);
        self.order_changed();
    }

    pub(super) fn left(&mut self, member: Member) {
        self.order.left(member);
        if let Seat::Slot(slot) = member.seat {
            self.blocked.forget(slot);
        }
        self.order_changed();
    }

    pub(super) fn share(&mut self, share: Option<Share>) {
        self.stale |= self.share != share;
        self.share = share;
    }

    fn order_changed(&mut self) {
        self.set = None;
        self.stale = true;
    }

    pub(super) fn serves(&mut self, slot: Slot, worker: WorkerId, on: bool) {
        let changed = if on {
            self.serving.insert((slot, worker))
        } else {
            self.serving.remove(&(slot, worker))
        };
        if changed {
            self.lean.forget(slot);
            self.blocked.forget(slot);
            self.stale = true;
        }
    }

    pub(super) fn gone(&mut self, worker: WorkerId) {
        let slots: Vec<Slot> =
            self.serving.iter().filter(|(_, who)| *who == worker).map(|(slot, _)| *slot).collect();
        for slot in slots {
            self.serves(slot, worker, false);
        }
    }

    pub(super) fn arrived(&mut self, seat: Seat, now: Time) {
        self.eventful = true;
        self.shares.arrived(seat, 1, now);
        if seat == Seat::Front {
            self.rate.arrived(now);
        }
    }

    pub(super) fn failed(&mut self) {
        self.eventful = true;
    }

    pub(super) fn accepted_by_itself(&mut self, slot: Slot, count: u64, now: Time) {
        self.shares.arrived(seat(slot), count, now);
    }

    /// A sign of life.
    pub(super) fn heard(
        &mut self,
        slot: Slot,
        worker: WorkerId,
        at: Time,
        actions: &mut Vec<DealerAction>,
    ) {
        self.eventful = true;
        if let Some(after) = self.blocked.revive(slot, worker, at) {
            self.stale = true;
            if self.told.get(&Topic::Blocked(slot)).is_some_and(|told| at.since(*told) <= after) {
                let notice = DealerNotice::Unblocked { worker, slot, after };
                actions.push(DealerAction::Tell(notice));
            }
        }
    }

    pub(super) fn steered(
        &mut self,
        refused: Option<i32>,
        now: Time,
        actions: &mut Vec<DealerAction>,
    ) {
        let Some(errno) = refused else {
            self.shares.set(&self.weights(), now);
            return;
        };
        self.set = None;
        if !std::mem::replace(&mut self.refused, true) {
            let notice = DealerNotice::NotSteered { listener: self.listener, errno };
            actions.push(DealerAction::Tell(notice));
        }
    }

    // ---------------------------------------------------------------------------------- what is due

    pub(super) fn step(
        &mut self,
        workers: &BTreeMap<WorkerId, Hand>,
        now: Time,
        actions: &mut Vec<DealerAction>,
    ) {
        if self.has_front() {
            let open = || self.open(workers);
            let due = self.rate.next_window().is_none_or(|at| at <= now);
            if due && self.rate.window_is_over(now, open()) {
                self.review_mode(now);
            }
        }
        let check = self.eventful && now >= self.checked_at + CHECK_EVERY;
        if check || self.next_look(workers).is_some_and(|at| at <= now) {
            self.looked_at = now;
            let strangers = now >= self.checked_at + CHECK_EVERY;
            if strangers {
                self.checked_at = now;
                self.eventful = false;
                self.review_load(workers);
            }
            actions.push(DealerAction::Look { listener: self.listener, strangers });
        }
        if std::mem::take(&mut self.stale) {
            self.steer(now, actions);
        }
    }

    /// Whether dealing is still, or again, what these connections should have.
    fn review_mode(&mut self, now: Time) {
        if self.balance != Balance::Auto || self.refused {
            return;
        }
        let change = if self.dealt {
            self.rate.is_too_high_to_deal()
        } else {
            self.rate.is_low_enough_to_deal(1.0 / f64::from(SAMPLE))
        };
        if change {
            self.dealt = !self.dealt;
            self.look_until = now + LOOK_AFTER;
            self.rate.restart(now);
            self.stale = true;
        }
    }

    fn review_load(&mut self, workers: &BTreeMap<WorkerId, Hand>) {
        if !self.by_load || !self.kernel_deals() {
            return;
        }
        let busy: BTreeMap<Slot, u32> = self
            .serving
            .iter()
            .filter(|(slot, _)| !self.blocked.contains(*slot))
            .filter_map(|(slot, worker)| Some((*slot, workers.get(worker)?.busy?)))
            .collect();
        if self.lean.review(&busy) {
            self.stale = true;
        }
    }

    pub(super) fn deadline(&self, workers: &BTreeMap<WorkerId, Hand>) -> Option<Time> {
        let review = (self.has_front() && !self.dealt).then(|| self.rate.next_window()).flatten();
        [review, self.next_look(workers)].into_iter().flatten().min()
    }

    /// Queues matter while the kernel deals, or did so recently, and something goes on: somebody has
    /// connections, or had some since the last look, or some waited then.
    fn next_look(&self, workers: &BTreeMap<WorkerId, Hand>) -> Option<Time> {
        let at = self.looked_at + LOOK_EVERY;
        let matters = self.kernel_deals() || at <= self.look_until;
        let open = || {
            self.serving.iter().any(|(_, worker)| {
                let load = workers.get(worker).and_then(|hand| hand.load);
                load.is_some_and(|load| load.connections > 0)
            })
        };
        let goes_on = || self.eventful || self.blocked.some_wait() || open();
        // Nobody is to blame where there is nobody to compare with.
        (matters && self.serving.len() > 1 && goes_on()).then_some(at)
    }

    /// How many connections the agents counted last.
    fn open(&self, workers: &BTreeMap<WorkerId, Hand>) -> u64 {
        let hands = self.serving.iter().filter_map(|(_, worker)| workers.get(worker));
        hands.filter_map(|hand| Some(u64::from(hand.load?.connections))).sum()
    }

    // ---------------------------------------------------------------------------------- what was seen

    pub(super) fn looked(
        &mut self,
        seen: &Seen,
        workers: &BTreeMap<WorkerId, Hand>,
        now: Time,
        actions: &mut Vec<DealerAction>,
    ) {
        let heard: BTreeMap<WorkerId, Time> = seen.heard.iter().copied().collect();
        for (slot, worker) in self.serving.clone() {
            if let Some(at) = heard.get(&worker) {
                self.heard(slot, worker, *at, actions);
            }
        }
        self.eventful = false;
        self.check_members(seen, now, actions);
        self.check_strangers(seen, now, actions);
        if seen.strangers.is_some() {
            let waiting = seen.members.iter().map(|sight| sight.waiting).max().unwrap_or(0);
            if self.shares.contradict(waiting) && self.set.is_some() {
                self.disturbed(Disturbance::Shares, now, actions);
            }
        }
        self.judge_queues(seen, &heard, workers, now, actions);
    }

    fn check_members(&mut self, seen: &Seen, now: Time, actions: &mut Vec<DealerAction>) {
        for sight in seen.members.iter().filter(|sight| !sight.listens) {
            let member = sight.member;
            if self.order.contains(member) {
                self.order.left(member);
                self.order.joined(member);
                actions.push(DealerAction::Mend { member });
                self.disturbed(Disturbance::NotListening { member }, now, actions);
            }
        }
    }

    fn check_strangers(&mut self, seen: &Seen, now: Time, actions: &mut Vec<DealerAction>) {
        let Some(count) = seen.strangers else { return };
        let before = self.order.strangers();
        if count as usize != before {
            self.order.set_strangers(count as usize);
            if count as usize > before {
                self.disturbed(Disturbance::Strangers { count }, now, actions);
            } else {
                self.order_changed();
            }
        }
    }

    /// The program is put in place anew, whatever it is now.
    fn disturbed(&mut self, how: Disturbance, now: Time, actions: &mut Vec<DealerAction>) {
        self.order_changed();
        let topic = match how {
            Disturbance::NotListening { .. } => Topic::NotListening,
            Disturbance::Strangers { .. } => Topic::Strangers,
            Disturbance::Shares => Topic::Shares,
        };
        if self.may_tell(topic, now) {
            let notice = DealerNotice::Disturbed { listener: self.listener, how };
            actions.push(DealerAction::Tell(notice));
        }
    }

    fn may_tell(&mut self, topic: Topic, now: Time) -> bool {
        if self.told.get(&topic).is_some_and(|told| now.since(*told) < TELL_EVERY) {
            return false;
        }
        self.told.insert(topic, now);
        true
    }

    fn judge_queues(
        &mut self,
        seen: &Seen,
        heard: &BTreeMap<WorkerId, Time>,
        workers: &BTreeMap<WorkerId, Hand>,
        now: Time,
        actions: &mut Vec<DealerAction>,
    ) {
        let sights: Vec<Sight> = self
            .serving
            .iter()
            .filter(|(_, worker)| workers.get(worker).is_some_and(|hand| hand.load.is_some()))
            .filter_map(|(slot, worker)| {
                let of_slot = |sight: &&SeenMember| sight.member.seat == seat(*slot);
                let waiting = seen.members.iter().find(of_slot)?.waiting;
                Some(Sight { slot: *slot, worker: *worker, waiting, heard: *heard.get(worker)? })
            })
            .collect();
        for (slot, worker) in self.blocked.judge(&sights, now) {
            self.stale = true;
            if self.may_tell(Topic::Blocked(slot), now) {
                actions.push(DealerAction::Tell(DealerNotice::Blocked { worker, slot }));
            }
            // Its answer is the sign of life that is waited for.
            actions.push(DealerAction::Count { worker });
        }
    }

    pub(super) fn rescued(&self) -> impl Iterator<Item = Member> {
        let listener = self.listener;
        self.blocked.slots().map(move |slot| Member { listener, seat: seat(slot) })
    }

    pub(super) fn blocked(&self) -> impl Iterator<Item = WorkerId> {
        self.blocked.workers()
    }

    // ---------------------------------------------------------------------------------- the weights

    fn has_front(&self) -> bool {
        self.order.ours().any(|member| member.seat == Seat::Front)
    }

    fn kernel_deals(&self) -> bool {
        !(self.dealt && self.has_front()) || self.refused
    }

    fn steer(&mut self, now: Time, actions: &mut Vec<DealerAction>) {
        // The kernel takes a program only for two sockets or more, whosever they are.
        if self.refused || self.order.places().len() < 2 {
            self.set = None;
            return;
        }
        let weights = self.weights();
        let in_order: Vec<u32> = self
            .order
            .places()
            .iter()
            .map(|place| match place {
                Place::Ours(member) => weights.get(&member.seat).copied().unwrap_or(0),
                Place::Stranger => 0,
            })
            .collect();
        if self.set.as_ref() != Some(&in_order) {
            // Where only the weights are others, it depends on by how much.
            if self.set.is_none() {
                self.shares.restart(now);
            }
            self.set = Some(in_order.clone());
            actions.push(DealerAction::Steer { listener: self.listener, weights: in_order });
        }
    }

    /// The weight of each of our sockets. Never all 0: where no slot serves, what comes waits at the
    /// front, or anywhere.
    fn weights(&self) -> BTreeMap<Seat, u32> {
        let slots = self.slot_weights();
        let sum: u32 = slots.values().sum();
        let front = self.has_front();
        let mut weights: BTreeMap<Seat, u32> = slots
            .iter()
            .map(|(slot, weight)| (seat(*slot), if front && self.dealt { 0 } else { *weight }))
            .collect();
        if front {
            let sample = (sum / (SAMPLE - 1)).max(1);
            weights.insert(Seat::Front, if self.dealt || sum == 0 { 1 } else { sample });
        } else if sum == 0 {
            weights.values_mut().for_each(|weight| *weight = 1);
        }
        weights
    }

    fn slot_weights(&self) -> BTreeMap<Slot, u32> {
        let slots = self.order.ours().filter_map(|member| match member.seat {
            Seat::Slot(slot) => Some(slot),
            Seat::Front | Seat::Common => None,
        });
        let mut weights = slots
            .map(|slot| {
                let serves = self.serving.iter().any(|(other, _)| *other == slot);
                let gets = serves && !self.blocked.contains(slot);
                (slot, if gets { (EVEN * self.lean.of(slot)) as u32 } else { 0 })
            })
            .collect();
        if let Some(share) = self.share {
            share.weigh(&mut weights);
        }
        weights
    }

    pub(super) fn view(&self) -> GroupView {
        let slots = self.slot_weights();
        let sum: u32 = slots.values().sum();
        let percent = |weight: u32| {
            if sum == 0 { 0 } else { (f64::from(weight) * 100.0 / f64::from(sum)).round() as u32 }
        };
        let weights = slots.into_iter().map(|(slot, weight)| (slot, percent(weight))).collect();
        GroupView {
            listener: self.listener,
            front: !self.kernel_deals(),
            weights: self.set.as_ref().map(|_| weights),
            blocked: self.blocked.slots().collect(),
        }
    }
}
