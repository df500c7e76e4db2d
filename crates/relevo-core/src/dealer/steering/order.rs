//! The order of a group's sockets, by which the program on it names them.
//!
//! It is the order in which they began to listen; when one leaves, the last takes its place
//! (`docs/node-channel.md`, section 9).

use crate::Member;

/// One place in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Ours(Member),
    /// A socket of somebody else's, to which nothing is sent.
    Stranger,
}

/// Who is where in a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Order(Vec<Place>);

impl Order {
    pub(super) fn places(&self) -> &[Place] {
        &self.0
    }

    /// How many of the sockets are ours.
    pub(super) fn ours(&self) -> impl Iterator<Item = Member> {
        self.0.iter().filter_map(|place| match place {
            Place::Ours(member) => Some(*member),
            Place::Stranger => None,
        })
    }

    pub(super) fn contains(&self, member: Member) -> bool {
        self.0.contains(&Place::Ours(member))
    }

    pub(super) fn joined(&mut self, member: Member) {
        if !self.contains(member) {
            self.0.push(Place::Ours(member));
        }
    }

    pub(super) fn left(&mut self, member: Member) {
        self.remove(Place::Ours(member));
    }

    pub(super) fn strangers(&self) -> usize {
        self.0.iter().filter(|place| **place == Place::Stranger).count()
    }

    /// There are so many strangers now. New ones came last, since we look before we join; which of
    /// several went cannot be told.
    pub(super) fn set_strangers(&mut self, count: usize) {
        while self.strangers() < count {
            self.0.push(Place::Stranger);
        }
        while self.strangers() > count {
            self.remove(Place::Stranger);
        }
    }

    fn remove(&mut self, place: Place) {
        if let Some(index) = self.0.iter().position(|other| *other == place) {
            self.0.swap_remove(index);
        }
    }
}
