//! What an epoll event is about, packed into its 64 bits of user data.

use relevo_core::{ListenerId, Member, Seat, Slot, WorkerId};

use super::output::Stream;

/// Everything that the primary waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Signals,
    ControlListener,
    /// Somebody asks who holds the service's name.
    Lock,
    Client(u32),
    Channel(WorkerId),
    /// The worker's process: its pidfd.
    Process(WorkerId),
    /// Whether its program was executed.
    Launch(WorkerId),
    Output(WorkerId, Stream),
    Member(Member),
}

const KIND_SHIFT: u32 = 56;
const PAYLOAD: u64 = (1 << KIND_SHIFT) - 1;

impl Token {
    pub(crate) fn pack(self) -> u64 {
        let (kind, payload) = match self {
            Self::Signals => (0, 0),
            Self::ControlListener => (1, 0),
            Self::Client(id) => (2, u64::from(id)),
            Self::Channel(worker) => (3, worker.0),
            Self::Process(worker) => (4, worker.0),
            Self::Launch(worker) => (5, worker.0),
            Self::Output(worker, Stream::Out) => (6, worker.0),
            Self::Output(worker, Stream::Err) => (7, worker.0),
            Self::Member(member) => (8, pack_member(member)),
            Self::Lock => (9, 0),
        };
        (kind << KIND_SHIFT) | (payload & PAYLOAD)
    }

    /// The inverse of [`Token::pack`]; `None` for what it never makes.
    pub(crate) fn unpack(packed: u64) -> Option<Self> {
        let payload = packed & PAYLOAD;
        let worker = WorkerId(payload);
        Some(match packed >> KIND_SHIFT {
            0 => Self::Signals,
            1 => Self::ControlListener,
            2 => Self::Client(u32::try_from(payload).ok()?),
            3 => Self::Channel(worker),
            4 => Self::Process(worker),
            5 => Self::Launch(worker),
            6 => Self::Output(worker, Stream::Out),
            7 => Self::Output(worker, Stream::Err),
            8 => Self::Member(unpack_member(payload)?),
            9 => Self::Lock,
            _ => return None,
        })
    }
}

/// 32 bits of listener, then the slot plus one, or 0 for the socket of all slots.
fn pack_member(member: Member) -> u64 {
    let seat = match member.seat {
        Seat::Common => 0,
        Seat::Slot(slot) => u64::from(slot.0) + 1,
    };
    (seat << 32) | u64::from(member.listener.0)
}

fn unpack_member(payload: u64) -> Option<Member> {
    let listener = ListenerId((payload & u64::from(u32::MAX)) as u32);
    let seat = match u32::try_from(payload >> 32).ok()? {
        0 => Seat::Common,
        slot => Seat::Slot(Slot(slot - 1)),
    };
    Some(Member { listener, seat })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back_as_it_was() {
        let worker = WorkerId(123_456_789_012);
        let member = |seat| Member { listener: ListenerId(u32::MAX), seat };
        for token in [
            Token::Signals,
            Token::ControlListener,
            Token::Lock,
            Token::Client(u32::MAX),
            Token::Channel(worker),
            Token::Process(worker),
            Token::Launch(worker),
            Token::Output(worker, Stream::Out),
            Token::Output(worker, Stream::Err),
            Token::Member(member(Seat::Common)),
            Token::Member(member(Seat::Slot(Slot(1023)))),
        ] {
            assert_eq!(Token::unpack(token.pack()), Some(token));
        }
    }
}
