//! Listeners, their sockets, and who of the workers listens on what.

use std::collections::BTreeSet;

use super::{MAX_LISTENERS, Supervisor};
use crate::listener::{Arrangement, Listener, MemberState};
use crate::worker::Door;
use crate::{
    Action, Balance, Generation, ListenerId, Member, Notice, QueryId, Seat, Slot, Wish, WorkerId,
};

/// What bare Node gives for an address that is taken (`errno(3)`, Linux).
const EADDRINUSE: i32 = 98;
/// How many requests to listen a worker that is parked or held may have waiting for its day.
const MAX_POSTPONED: usize = 64;
/// What is given to a worker that wants more listeners than a service may have.
const EMFILE: i32 = 24;

impl Supervisor {
    /// A worker on its way out gets no answer: to it, a late one could do harm (`docs/node-channel.md`,
    /// 2.4), and it will be told to disconnect soon.
    pub(super) fn listen_requested(&mut self, id: WorkerId, query: QueryId, wish: Wish) {
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.hears_answers()) else {
            return;
        };
        // Told twice: it is answered once.
        if worker.last_query >= Some(query) {
            return;
        }
        worker.last_query = Some(query);
        let waits = worker.is_parked() || worker.is_held || self.is_held_back(id);
        let Some(worker) = self.workers.get_mut(&id).filter(|_| waits) else {
            return self.answer_request(id, query, wish);
        };
        if worker.postponed.len() < MAX_POSTPONED {
            worker.postponed.push((query, wish));
            if worker.is_held {
                self.has_loaded(id);
            }
        } else {
            self.act(Action::Refuse { worker: id, query, errno: EMFILE });
        }
    }

    pub(super) fn answer_request(&mut self, id: WorkerId, query: QueryId, wish: Wish) {
        let Some(worker) = self.workers.get(&id) else { return };
        let slot = worker.slot;
        let Some(listener_id) = self.find_or_add_listener(&wish) else {
            self.act(Action::Refuse { worker: id, query, errno: EMFILE });
            return;
        };
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.doors.contains_key(&listener_id) {
            self.act(Action::Refuse { worker: id, query, errno: EADDRINUSE });
            return;
        }
        worker.doors.insert(listener_id, Door::Asked(query));
        let Some(listener) = self.listeners.get_mut(&listener_id) else { return };
        let seat = listener.seat(slot);
        let member = Member { listener: listener_id, seat };
        match listener.members.get_mut(&seat) {
            Some(MemberState::Open) => self.answer(id, query, member),
            Some(MemberState::Opening(waiters)) => waiters.push((id, query)),
            None => {
                listener.members.insert(seat, MemberState::Opening(vec![(id, query)]));
                self.act(Action::OpenMember { member, wish });
            }
        }
    }

    fn find_or_add_listener(&mut self, wish: &Wish) -> Option<ListenerId> {
        if let Some((id, _)) = self.listeners.iter().find(|(_, listener)| listener.wish == *wish) {
            return Some(*id);
        }
        if self.listeners.len() >= MAX_LISTENERS {
            return None;
        }
        let id = ListenerId(self.next_listener);
        self.next_listener += 1;
        self.listeners.insert(id, Listener::new(wish.clone(), self.spec.balance, self.wanted));
        Some(id)
    }

    fn answer(&mut self, id: WorkerId, query: QueryId, member: Member) {
        let Some(listener) = self.listeners.get(&member.listener) else { return };
        let given = listener.arrangement.given();
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let asked = worker.doors.get(&member.listener) == Some(&Door::Asked(query));
        if !asked || !worker.hears_answers() {
            return;
        }
        worker.doors.insert(member.listener, Door::Answered);
        self.act(Action::Answer { worker: id, query, member, given });
    }

    pub(super) fn member_opened(&mut self, member: Member, address: String) {
        let listener = self.listeners.get_mut(&member.listener);
        let Some(listener) =
            listener.filter(|listener| listener.members.contains_key(&member.seat))
        else {
            // Nobody wants it any more.
            self.act(Action::CloseMember { member });
            return;
        };
        let Some(state) = listener.members.get_mut(&member.seat) else { return };
        let MemberState::Opening(waiters) = std::mem::replace(state, MemberState::Open) else {
            return;
        };
        let anew = std::mem::replace(&mut listener.given_up, false) || listener.address.is_none();
        if anew {
            self.bind_failures_told.clear();
            // Of an outage's end another line tells, unless the port is any and has changed.
            if listener.address.as_ref() != Some(&address) {
                listener.address = Some(address.clone());
                self.tell(Notice::ListenerOpened { address });
            }
        }
        for (worker, query) in waiters {
            self.answer(worker, query, member);
        }
    }

    pub(super) fn member_failed(&mut self, member: Member, errno: i32, holder: Option<String>) {
        let Some(listener) = self.listeners.get_mut(&member.listener) else { return };
        let Some(MemberState::Opening(waiters)) = listener.members.get_mut(&member.seat) else {
            return;
        };
        let waiters = std::mem::take(waiters);
        listener.members.remove(&member.seat);
        listener.front_failed |= member.seat == Seat::Front;
        let address = listener.shown().to_owned();
        if self.bind_failures_told.len() < MAX_LISTENERS
            && self.bind_failures_told.insert(address.clone())
        {
            self.tell(Notice::BindFailed { address, errno, holder });
        }
        for (id, query) in waiters {
            let Some(worker) = self.workers.get_mut(&id) else { continue };
            if worker.doors.get(&member.listener) == Some(&Door::Asked(query)) {
                worker.doors.remove(&member.listener);
                if worker.hears_answers() {
                    self.act(Action::Refuse { worker: id, query, errno });
                }
            }
        }
    }

    pub(super) fn listening(&mut self, id: WorkerId, listener: ListenerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.doors.get(&listener) != Some(&Door::Answered) {
            return;
        }
        worker.doors.insert(listener, Door::Listening);
        if worker.first_asked.is_none() {
            worker.first_asked = Some(worker.doors.keys().copied().collect());
        }
        if worker.is_ready() {
            let slot = worker.slot;
            self.slot_mut(slot).serves.insert(listener);
        }
    }

    /// Outside a drain, the slot no longer serves this listener, by its worker's own wish.
    pub(super) fn listener_closed(&mut self, id: WorkerId, listener: ListenerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.doors.remove(&listener).is_none() {
            return;
        }
        let slot = worker.slot;
        if worker.is_ready() && !self.has_hung_up(id, listener) {
            self.slot_mut(slot).serves.remove(&listener);
        }
    }

    pub(super) fn listened_on(&self, id: WorkerId) -> BTreeSet<ListenerId> {
        self.workers.get(&id).map_or_else(BTreeSet::new, |worker| {
            worker
                .doors
                .iter()
                .filter(|(_, door)| **door == Door::Listening)
                .map(|(listener, _)| *listener)
                .collect()
        })
    }

    /// Closes the sockets that no slot serves and no worker has or wants, as Node's primary does. A parked
    /// worker may be called back, and has to listen on them again then.
    pub(super) fn close_unused_listeners(&mut self) {
        let unused: Vec<ListenerId> =
            self.listeners
                .keys()
                .filter(|id| {
                    let served = self.slots.iter().any(|slot| slot.serves.contains(id));
                    let held = self.workers.values().any(|worker| {
                        worker.channel_ended.is_none() && worker.doors.contains_key(id)
                    });
                    let owed = self
                        .workers
                        .values()
                        .any(|worker| worker.is_parked() && worker.owes.contains(id));
                    !served && !held && !owed
                })
                .copied()
                .collect();
        for id in unused {
            self.close_listener(id);
        }
    }

    pub(super) fn close_listener(&mut self, id: ListenerId) {
        let Some(listener) = self.listeners.remove(&id) else { return };
        for (seat, state) in &listener.members {
            let member = Member { listener: id, seat: *seat };
            self.told_accepting.remove(&member);
            if *state == MemberState::Open {
                self.act(Action::CloseMember { member });
            }
        }
        if let Some(address) = listener.address.filter(|_| !listener.given_up) {
            self.tell(Notice::ListenerClosed { address });
        }
    }

    /// Under `auto` a group has one more socket, from which the primary deals; a slot alone needs none.
    pub(super) fn open_fronts(&mut self) {
        if self.spec.balance != Balance::Auto || self.wanted < 2 {
            return;
        }
        let mut wanted = Vec::new();
        for (id, listener) in &mut self.listeners {
            let is_open = listener.members.values().any(|state| *state == MemberState::Open);
            let has_one = listener.members.contains_key(&Seat::Front) || listener.front_failed;
            if listener.arrangement == Arrangement::Group && is_open && !has_one {
                listener.members.insert(Seat::Front, MemberState::Opening(Vec::new()));
                let member = Member { listener: *id, seat: Seat::Front };
                wanted.push(Action::OpenMember { member, wish: listener.wish.clone() });
            }
        }
        self.actions.extend(wanted);
    }

    /// Closes the sockets that one slot has for itself; whether none is left. The last socket of a
    /// listener that others serve, and have no socket of yet, is still to be connected to.
    pub(super) fn close_seat(&mut self, slot: Slot) -> bool {
        let seat = Seat::Slot(slot);
        let open: Vec<ListenerId> = self
            .listeners
            .iter()
            .filter(|(_, listener)| listener.is_open(seat) && !listener.is_the_only(seat))
            .map(|(id, _)| *id)
            .collect();
        for id in open {
            self.close_member(Member { listener: id, seat });
        }
        !self.listeners.values().any(|listener| listener.members.contains_key(&seat))
    }

    pub(super) fn close_member(&mut self, member: Member) {
        let Some(listener) = self.listeners.get_mut(&member.listener) else { return };
        if listener.members.remove(&member.seat) == Some(MemberState::Open) {
            self.told_accepting.remove(&member);
            self.act(Action::CloseMember { member });
        }
    }

    /// Tells the shell from which sockets the primary accepts: those that it deals from, and those
    /// of a group on which nobody in their slot listens (covering).
    pub(super) fn update_accepting(&mut self) {
        let wanted: BTreeSet<Member> = self
            .listeners
            .iter()
            .flat_map(|(id, listener)| {
                listener.members.keys().map(move |seat| (*id, listener, *seat))
            })
            .filter(|(id, listener, seat)| {
                listener.is_open(*seat) && self.primary_accepts(*id, listener, *seat)
            })
            .map(|(listener, _, seat)| Member { listener, seat })
            .collect();
        let told = std::mem::replace(&mut self.told_accepting, wanted.clone());
        for member in told.difference(&wanted) {
            self.act(Action::Accept { member: *member, on: false });
        }
        for member in wanted.difference(&told) {
            self.act(Action::Accept { member: *member, on: true });
        }
    }

    pub(super) fn primary_accepts(&self, id: ListenerId, listener: &Listener, seat: Seat) -> bool {
        match (listener.arrangement, seat) {
            (Arrangement::Group, Seat::Slot(slot)) => {
                !self.workers.values().any(|worker| worker.slot == slot && worker.listens_on(id))
            }
            (Arrangement::Dealt, _) | (Arrangement::Group, Seat::Front) => true,
            (Arrangement::Group, Seat::Common) | (Arrangement::OneShared, _) => false,
        }
    }

    /// Tells the shell to whom connections may be dealt.
    pub(super) fn update_eligible(&mut self) {
        let wanted: BTreeSet<Told> = self
            .workers
            .iter()
            .flat_map(|(id, worker)| worker.doors.keys().map(move |door| (*id, worker, *door)))
            .filter(|(_, worker, listener)| worker.is_eligible(*listener))
            .filter(|(_, _, listener)| {
                self.listeners.get(listener).is_some_and(|l| l.wish.kind.is_stream())
            })
            .map(|(worker, of, listener)| {
                let (slot, generation) = (of.slot, of.generation);
                Told { worker, slot, generation, listener }
            })
            .collect();
        let told = std::mem::replace(&mut self.told_eligible, wanted.clone());
        for told in told.difference(&wanted) {
            self.act(told.action(false));
        }
        for told in wanted.difference(&told) {
            self.act(told.action(true));
        }
    }
}

/// Who the dealer has been told may be dealt connections, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Told {
    pub(super) worker: WorkerId,
    slot: Slot,
    generation: Generation,
    listener: ListenerId,
}

impl Told {
    pub(super) fn action(self, on: bool) -> Action {
        let Self { worker, slot, generation, listener } = self;
        Action::Eligible { worker, slot, generation, listener, on }
    }
}
