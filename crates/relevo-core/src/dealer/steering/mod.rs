//! The weights of a group's sockets: which of them the kernel gives a new connection to.
//!
//! ```text
//!              more than 1,000 a second for 2 s, the bucket empty, and they do not stay
//!    ┌───────┐ ───────────────────────────────────────────────────────────────────────▶ ┌────────┐
//!    │ front │   the primary accepts all, and deals by fewest connections               │ kernel │
//!    └───────┘ ◀─────────────────────────────────────────────────────────────────────── └────────┘
//!              at most 500 a second for 5 s, read from the 1 % that the front keeps
//! ```
//!
//! Under balance `kernel` there is no front and the weights are the slots' alone. A slot without a worker
//! that serves has weight 0, and so has one whose worker is blocked. What is set is checked, not
//! believed: workers hold duplicates of the sockets, and strangers of the same user can join.

mod blocked;
mod group;
mod lean;
mod order;
mod rate;
mod shares;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::hand::Hand;
use super::share::Share;
use super::{DealerAction, Seen};
use crate::{Balance, ListenerId, Member, Seat, Slot, Time, WorkerId};
use group::Group;

/// All groups.
#[derive(Clone, Debug)]
pub(super) struct Steering {
    balance: Balance,
    /// Whether slots that are busier get fewer.
    by_load: bool,
    /// What one slot gets of new connections.
    share: Option<Share>,
    groups: BTreeMap<ListenerId, Group>,
}

/// How the connections of a group are dealt, for people to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Whose group.
    pub listener: ListenerId,
    /// Whether the primary deals, or the kernel.
    pub front: bool,
    /// The slots' shares of new connections in percent, the front left out; `None` without steering.
    pub weights: Option<BTreeMap<Slot, u32>>,
    /// Slots whose worker is blocked.
    pub blocked: Vec<Slot>,
}

impl Steering {
    pub(super) fn new(balance: Balance, by_load: bool) -> Self {
        Self { balance, by_load, share: None, groups: BTreeMap::new() }
    }

    pub(super) fn joined(&mut self, member: Member, now: Time) {
        let (balance, by_load) = (self.balance, self.by_load);
        let group = self
            .groups
            .entry(member.listener)
            .or_insert_with(|| Group::new(member.listener, balance, by_load, now));
        group.share(self.share);
        group.joined(member);
    }

    /// From now on one slot gets this part of new connections, or none a part of its own.
    pub(super) fn share(&mut self, share: Option<Share>) {
        self.share = share;
        for group in self.groups.values_mut() {
            group.share(share);
        }
    }

    pub(super) fn left(&mut self, member: Member) {
        if let Some(group) = self.groups.get_mut(&member.listener) {
            group.left(member);
            if group.is_empty() {
                self.groups.remove(&member.listener);
            }
        }
    }

    /// A worker of the slot serves the listener from now on, or no longer.
    pub(super) fn serves(&mut self, listener: ListenerId, slot: Slot, worker: WorkerId, on: bool) {
        if let Some(group) = self.groups.get_mut(&listener) {
            group.serves(slot, worker, on);
        }
    }

    pub(super) fn gone(&mut self, worker: WorkerId) {
        for group in self.groups.values_mut() {
            group.gone(worker);
        }
    }

    /// The primary has accepted a connection from this socket.
    pub(super) fn arrived(&mut self, member: Member, now: Time) {
        if let Some(group) = self.groups.get_mut(&member.listener) {
            group.arrived(member.seat, now);
        }
    }

    /// The primary could not accept from this socket: perhaps it does not listen any more.
    pub(super) fn failed(&mut self, member: Member) {
        if let Some(group) = self.groups.get_mut(&member.listener) {
            group.failed();
        }
    }

    /// A worker gave a sign of life, and accepted so many connections by itself.
    pub(super) fn counted(
        &mut self,
        worker: WorkerId,
        hand: &Hand,
        direct: u64,
        now: Time,
        actions: &mut Vec<DealerAction>,
    ) {
        // With several listeners it cannot be told where they came from.
        let only = hand.listeners.len() == 1;
        let Some(slot) = hand.slot else { return };
        for listener in &hand.listeners {
            let Some(group) = self.groups.get_mut(listener) else { continue };
            if only {
                group.accepted_by_itself(slot, direct, now);
            }
            group.heard(slot, worker, now, actions);
        }
    }

    pub(super) fn steered(
        &mut self,
        listener: ListenerId,
        refused: Option<i32>,
        now: Time,
        actions: &mut Vec<DealerAction>,
    ) {
        if let Some(group) = self.groups.get_mut(&listener) {
            group.steered(refused, now, actions);
        }
    }

    pub(super) fn looked(
        &mut self,
        listener: ListenerId,
        seen: &Seen,
        workers: &BTreeMap<WorkerId, Hand>,
        now: Time,
        actions: &mut Vec<DealerAction>,
    ) {
        if let Some(group) = self.groups.get_mut(&listener) {
            group.looked(seen, workers, now, actions);
        }
    }

    /// Does what is due: of one group, or of all.
    pub(super) fn step(
        &mut self,
        only: Option<ListenerId>,
        workers: &BTreeMap<WorkerId, Hand>,
        now: Time,
        actions: &mut Vec<DealerAction>,
    ) {
        match only {
            Some(listener) => {
                if let Some(group) = self.groups.get_mut(&listener) {
                    group.step(workers, now, actions);
                }
            }
            None => {
                for group in self.groups.values_mut() {
                    group.step(workers, now, actions);
                }
            }
        }
    }

    pub(super) fn deadline(&self, workers: &BTreeMap<WorkerId, Hand>) -> Option<Time> {
        self.groups.values().filter_map(|group| group.deadline(workers)).min()
    }

    /// The sockets of slots whose worker is blocked: others get what waits there.
    pub(super) fn rescued(&self) -> BTreeSet<Member> {
        self.groups.values().flat_map(Group::rescued).collect()
    }

    /// Workers that stand still while connections wait in their queues.
    pub(super) fn blocked(&self) -> impl Iterator<Item = WorkerId> {
        self.groups.values().flat_map(Group::blocked)
    }

    pub(super) fn view(&self) -> Vec<GroupView> {
        self.groups.values().map(Group::view).collect()
    }
}

/// The socket of a slot in a group.
fn seat(slot: Slot) -> Seat {
    Seat::Slot(slot)
}
