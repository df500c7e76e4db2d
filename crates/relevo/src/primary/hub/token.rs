//! What an epoll event of the hub's is about, packed into its 64 bits of user data.

use relevo_core::{ListenerId, Member, Seat, Slot, WorkerId};

/// Everything that the hub waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The primary has given orders.
    Orders,
    Channel(WorkerId),
    Member(Member),
    /// A connection has come to a socket that the kernel gives to workers.
    Stir,
}

const KIND_SHIFT: u32 = 56;
const PAYLOAD: u64 = (1 << KIND_SHIFT) - 1;

impl Token {
    pub(super) fn pack(self) -> u64 {
        let (kind, payload) = match self {
            Self::Orders => (0, 0),
            Self::Channel(worker) => (1, worker.0),
            Self::Member(member) => (2, pack_member(member)),
            Self::Stir => (3, 0),
        };
        (kind << KIND_SHIFT) | (payload & PAYLOAD)
    }

    /// The inverse of [`Token::pack`]; `None` for what it never makes.
    pub(super) fn unpack(packed: u64) -> Option<Self> {
        let payload = packed & PAYLOAD;
        Some(match packed >> KIND_SHIFT {
            0 => Self::Orders,
            1 => Self::Channel(WorkerId(payload)),
            2 => Self::Member(unpack_member(payload)?),
            3 => Self::Stir,
            _ => return None,
        })
    }
}

/// What stands for the front in a member's upper bits, which no slot reaches.
const FRONT: u32 = 0xFF_FFFF;

/// 32 bits of listener, then the slot plus one, 0 for the socket of all slots, or [`FRONT`].
fn pack_member(member: Member) -> u64 {
    let seat = match member.seat {
        Seat::Common => 0,
        Seat::Front => u64::from(FRONT),
        Seat::Slot(slot) => u64::from(slot.0) + 1,
    };
    (seat << 32) | u64::from(member.listener.0)
}

fn unpack_member(payload: u64) -> Option<Member> {
    let listener = ListenerId((payload & u64::from(u32::MAX)) as u32);
    let seat = match u32::try_from(payload >> 32).ok()? {
        0 => Seat::Common,
        FRONT => Seat::Front,
        slot => Seat::Slot(Slot(slot - 1)),
    };
    Some(Member { listener, seat })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back_as_it_was() {
        let member = |seat| Member { listener: ListenerId(u32::MAX), seat };
        for token in [
            Token::Orders,
            Token::Stir,
            Token::Channel(WorkerId(123_456_789_012)),
            Token::Member(member(Seat::Common)),
            Token::Member(member(Seat::Front)),
            Token::Member(member(Seat::Slot(Slot(1023)))),
        ] {
            assert_eq!(Token::unpack(token.pack()), Some(token));
        }
    }
}
