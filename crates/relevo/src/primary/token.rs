//! What an epoll event is about, packed into its 64 bits of user data.

use relevo_core::{HookId, WorkerId};

use super::output::Stream;

/// Everything that the primary waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Signals,
    ControlListener,
    /// Somebody asks who holds the service's name.
    Lock,
    Client(u32),
    /// Files that are watched may have changed.
    Watch,
    /// A key was pressed.
    Terminal,
    /// The hub has something to tell.
    Hub,
    /// The worker's process: its pidfd.
    Process(WorkerId),
    /// Whether its program was executed.
    Launch(WorkerId),
    Output(WorkerId, Stream),
    /// What it notifies.
    Notification(WorkerId),
    /// Its answer to the question whether it is ready.
    Probe(WorkerId),
    /// A hook's process: its pidfd.
    Hook(HookId),
    HookOutput(HookId, Stream),
    /// Workers that hang have been looked at.
    Examined,
}

const KIND_SHIFT: u32 = 56;
const PAYLOAD: u64 = (1 << KIND_SHIFT) - 1;

impl Token {
    pub(crate) fn pack(self) -> u64 {
        let (kind, payload) = match self {
            Self::Signals => (0, 0),
            Self::ControlListener => (1, 0),
            Self::Client(id) => (2, u64::from(id)),
            Self::Hub => (3, 0),
            Self::Process(worker) => (4, worker.0),
            Self::Launch(worker) => (5, worker.0),
            Self::Output(worker, Stream::Out) => (6, worker.0),
            Self::Output(worker, Stream::Err) => (7, worker.0),
            Self::Lock => (8, 0),
            Self::Watch => (9, 0),
            Self::Terminal => (10, 0),
            Self::Notification(worker) => (11, worker.0),
            Self::Probe(worker) => (12, worker.0),
            Self::Hook(hook) => (13, hook.0),
            Self::HookOutput(hook, Stream::Out) => (14, hook.0),
            Self::HookOutput(hook, Stream::Err) => (15, hook.0),
            Self::Examined => (16, 0),
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
            3 => Self::Hub,
            4 => Self::Process(worker),
            5 => Self::Launch(worker),
            6 => Self::Output(worker, Stream::Out),
            7 => Self::Output(worker, Stream::Err),
            8 => Self::Lock,
            9 => Self::Watch,
            10 => Self::Terminal,
            11 => Self::Notification(worker),
            12 => Self::Probe(worker),
            13 => Self::Hook(HookId(payload)),
            14 => Self::HookOutput(HookId(payload), Stream::Out),
            15 => Self::HookOutput(HookId(payload), Stream::Err),
            16 => Self::Examined,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back_as_it_was() {
        let worker = WorkerId(123_456_789_012);
        for token in [
            Token::Signals,
            Token::ControlListener,
            Token::Lock,
            Token::Client(u32::MAX),
            Token::Hub,
            Token::Watch,
            Token::Terminal,
            Token::Examined,
            Token::Process(worker),
            Token::Launch(worker),
            Token::Output(worker, Stream::Out),
            Token::Output(worker, Stream::Err),
            Token::Notification(worker),
            Token::Probe(worker),
            Token::Hook(HookId(worker.0)),
            Token::HookOutput(HookId(7), Stream::Out),
            Token::HookOutput(HookId(7), Stream::Err),
        ] {
            assert_eq!(Token::unpack(token.pack()), Some(token));
        }
    }
}
