//! The reuseport groups as the kernel has them, and what interferes with them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use relevo_core::{
    DealerEvent, DealerNotice, Disturbance, ListenerId, Member, Seat, Seen, SeenMember, Time,
};

use crate::random::Random;
use crate::world::{Happening, World};

/// More strangers do not come to one group.
const STRANGERS: usize = 2;
/// How often a socket that does not listen is tried, at most, before that is found out.
const TRIES: u32 = 30;

/// All groups.
pub(crate) struct Kernel {
    groups: BTreeMap<ListenerId, Group>,
    /// It takes no program.
    pub(crate) refuses: bool,
}

/// The sockets that listen on one address.
#[derive(Default)]
pub(crate) struct Group {
    /// In the order in which they began to listen.
    places: Vec<Place>,
    /// Ours that a worker has shut down: they are not in the group.
    shut: BTreeSet<Member>,
    /// How often the primary has tried to accept from one of these.
    tried: u32,
    /// The weights that the last order set, or somebody else.
    program: Option<Vec<u32>>,
    foreign: bool,
    /// What nobody has told the primary of, and it has not looked.
    unseen: Unseen,
    /// Two changes met, of which a look cannot tell which came first.
    muddled: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Unseen {
    strangers: bool,
    shut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Ours(Member),
    Stranger,
}

impl Kernel {
    pub(crate) fn new(refuses: bool) -> Self {
        Self { groups: BTreeMap::new(), refuses }
    }

    pub(crate) fn has_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    pub(crate) fn group(&self, listener: ListenerId) -> Option<&Group> {
        self.groups.get(&listener)
    }

    pub(crate) fn joins(&mut self, member: Member) {
        if is_grouped(member) {
            let group = self.groups.entry(member.listener).or_default();
            group.changes();
            group.places.push(Place::Ours(member));
        }
    }

    pub(crate) fn closes(&mut self, member: Member) {
        let Some(group) = self.groups.get_mut(&member.listener) else { return };
        group.changes();
        if !group.shut.remove(&member) {
            group.leaves(Place::Ours(member));
        }
        if group.ours() == 0 {
            self.groups.remove(&member.listener);
        }
    }

    pub(crate) fn is_shut(&self, member: Member) -> bool {
        self.group(member.listener).is_some_and(|group| group.shut.contains(&member))
    }

    /// The primary tries to accept from it, in vain if it is shut down: that must strike it.
    pub(crate) fn is_tried(&mut self, member: Member) -> bool {
        let Some(group) = self.groups.get_mut(&member.listener) else { return false };
        let shut = group.shut.contains(&member);
        group.tried += u32::from(shut);
        assert!(group.tried < TRIES, "{member} is tried and tried");
        shut
    }

    /// It listens, perhaps again: the primary mends it, or a worker calls `listen` on its duplicate.
    pub(crate) fn listens(&mut self, member: Member) {
        let Some(group) = self.groups.get_mut(&member.listener) else { return };
        if group.shut.remove(&member) {
            group.tried = 0;
            group.changes();
            group.places.push(Place::Ours(member));
        }
    }

    pub(crate) fn steers(&mut self, listener: ListenerId, weights: Vec<u32>) -> Option<i32> {
        if self.refuses {
            return Some(1);
        }
        let group = self.groups.get_mut(&listener).expect("a group is weighed that there is");
        group.program = Some(weights);
        group.foreign = false;
        None
    }

    pub(crate) fn was_looked_at(&mut self, listener: ListenerId, seen: &Seen) {
        if let Some(group) = self.groups.get_mut(&listener) {
            let strangers = group.unseen.strangers && seen.strangers.is_none();
            // Mended before the strangers are known: they are thought to have come later.
            group.muddled |= strangers && group.unseen.shut;
            group.unseen = Unseen { strangers, shut: false };
        }
    }
}

impl Group {
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(crate) fn ours(&self) -> usize {
        self.places.len() - self.strangers() + self.shut.len()
    }

    /// Whether the primary can know who is where.
    pub(crate) fn is_clear(&self) -> bool {
        self.unseen == Unseen::default() && !self.muddled
    }

    /// Whether something is wrong that can be found out.
    pub(crate) fn is_disturbed(&self) -> bool {
        (self.unseen != Unseen::default() || self.foreign) && !self.muddled
    }

    pub(crate) fn has_front(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Ours(m) if m.seat == Seat::Front))
    }

    fn strangers(&self) -> usize {
        self.places.iter().filter(|place| **place == Place::Stranger).count()
    }

    fn changes(&mut self) {
        self.muddled |= self.unseen != Unseen::default();
    }

    fn leaves(&mut self, place: Place) {
        if let Some(index) = self.places.iter().position(|other| *other == place) {
            self.places.swap_remove(index);
        }
    }

    /// Where a new connection goes.
    fn chooses(&self, random: &mut Random) -> Option<Place> {
        let weights = self.program.as_deref().unwrap_or_default();
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut left = random.below(sum);
        for (index, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
            if left < u64::from(*weight) {
                // Where it names nobody, the hash decides.
                return self.places.get(index).copied().or_else(|| random.pick(&self.places));
            }
            left -= u64::from(*weight);
        }
        random.pick(&self.places)
    }
}

/// Whether the socket is one of a group.
fn is_grouped(member: Member) -> bool {
    member.seat != Seat::Common
}

impl World {
    /// The socket that the kernel puts a new connection to this listener into; `None` if it is lost
    /// to somebody else's.
    pub(crate) fn chooses(&mut self, listener: ListenerId) -> Option<Member> {
        if let Some(group) = self.kernel.group(listener) {
            return match group.chooses(&mut self.random)? {
                Place::Ours(member) => Some(member),
                Place::Stranger => {
                    self.tally.lost_to_strangers += 1;
                    None
                }
            };
        }
        self.sockets.iter().copied().find(|member| member.listener == listener)
    }

    /// How it is with the sockets of a group.
    fn sees(&mut self, listener: ListenerId, strangers: bool) -> Seen {
        self.tally.looks += 1;
        let ours = self.sockets.iter().filter(|member| member.listener == listener);
        let members = ours.map(|member| SeenMember {
            member: *member,
            listens: !self.kernel.is_shut(*member),
            waiting: self.books.waiting_in(*member) as u32,
        });
        let members = members.collect();
        let there = self.kernel.group(listener).map_or(0, Group::strangers) as u32;
        let told = strangers && !(self.unkind && self.random.percent(5));
        let reachable = self.processes.iter().filter(|(_, process)| !process.dealer_knows);
        let heard = reachable.map(|(id, process)| (*id, Time::from_origin(process.agent.heard)));
        Seen { members, strangers: told.then_some(there), heard: heard.collect() }
    }

    pub(crate) fn steers(&mut self, listener: ListenerId, weights: Vec<u32>) -> DealerEvent {
        self.tally.steers += 1;
        self.weights.ordered(listener, weights.clone());
        let refused = self.kernel.steers(listener, weights);
        self.tally.steers_refused += u64::from(refused.is_some());
        DealerEvent::Steered { listener, refused }
    }

    pub(crate) fn looks(&mut self, listener: ListenerId, strangers: bool) -> DealerEvent {
        let seen = self.sees(listener, strangers);
        DealerEvent::Looked { listener, seen }
    }

    pub(crate) fn tells(&mut self, notice: &DealerNotice) {
        let tally = &mut self.tally;
        match notice {
            DealerNotice::NotSteered { .. } => assert!(self.kernel.refuses, "{notice:?}"),
            DealerNotice::Disturbed { how: Disturbance::NotListening { .. }, .. } => {
                tally.shut_found += 1;
            }
            DealerNotice::Disturbed { how: Disturbance::Strangers { .. }, .. } => {
                tally.strangers_found += 1;
            }
            DealerNotice::Disturbed { how: Disturbance::Shares, .. } => tally.shares_wrong += 1,
            DealerNotice::Blocked { worker, .. } => {
                tally.blocked += 1;
                let free = self.processes.get(worker).is_some_and(|p| p.alive && !p.hung);
                assert!(self.unkind || !free, "{worker} is not blocked");
            }
            DealerNotice::Unblocked { .. } => tally.unblocked += 1,
        }
    }

    /// A new socket is there. Who listened before it is before it: so that is looked for first.
    pub(crate) fn joins(&mut self, member: Member) {
        if is_grouped(member) {
            if self.kernel.group(member.listener).is_some() {
                let looked = self.looks(member.listener, true);
                self.deal(looked);
            }
            self.kernel.joins(member);
        }
        self.sockets.insert(member);
        if is_grouped(member) {
            self.deal(DealerEvent::Joined { member });
        }
    }

    /// Somebody interferes with a group.
    pub(crate) fn meddles(&mut self) {
        if !self.unkind {
            return;
        }
        self.soon(10_000, Happening::Meddles);
        let listeners: Vec<ListenerId> = self.kernel.groups.keys().copied().collect();
        if let Some(listener) = self.random.pick(&listeners) {
            self.meddles_with(listener);
        }
    }

    pub(crate) fn meddles_with(&mut self, listener: ListenerId) {
        // Where the primary may not weigh, others may not either.
        let what = self.random.below(if self.kernel.refuses { 3 } else { 4 });
        let Some(group) = self.kernel.groups.get_mut(&listener) else { return };
        let ours = group.places.iter().filter_map(|place| match place {
            Place::Ours(member) => Some(*member),
            Place::Stranger => None,
        });
        let ours: Vec<Member> = ours.collect();
        let strangers = group.strangers();
        match what {
            0 if strangers < STRANGERS => {
                group.changes();
                group.unseen.strangers = true;
                group.places.push(Place::Stranger);
                self.tally.strangers_came += 1;
            }
            0 | 1 if strangers > 0 => {
                group.changes();
                // Which of several it was cannot be told.
                group.muddled |= strangers > 1;
                group.unseen.strangers = true;
                group.leaves(Place::Stranger);
                self.tally.strangers_left += 1;
            }
            2 => {
                // No worker has a duplicate of the front.
                let theirs: Vec<Member> =
                    ours.into_iter().filter(|member| member.seat != Seat::Front).collect();
                let Some(member) = self.random.pick(&theirs) else { return };
                group.changes();
                group.unseen.shut = true;
                group.leaves(Place::Ours(member));
                group.shut.insert(member);
                self.tally.shut_down += 1;
                self.tally.lost_by_shutdown += self.books.socket_closes(member) as u64;
                self.readable(member);
            }
            3 if group.places.len() > 1 => {
                let Some(member) = self.random.pick(&ours) else { return };
                let all_to = |place: &Place| u32::from(*place == Place::Ours(member));
                let foreign: Vec<u32> = group.places.iter().map(all_to).collect();
                let same = |ordered: &Vec<u32>| {
                    ordered.iter().map(|weight| u32::from(*weight > 0)).eq(foreign.iter().copied())
                };
                group.foreign = !group.program.as_ref().is_some_and(same);
                group.program = Some(foreign);
                self.tally.foreign_programs += 1;
            }
            _ => {}
        }
    }
}

/// Deals until nothing more comes of it, as the shell does.
pub(crate) type Todo = VecDeque<DealerEvent>;
