//! A lock that says who holds it: an abstract Unix socket that listens.
//!
//! The kernel frees the name when its holder ends, however that happens, and tells who asks for the
//! holder's pid and user. Abstract names are per network namespace, not per user: so a name should
//! have the user in it, and a holder of another user is a squatter.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::connect;

use crate::listen::abstract_listener;
use crate::listen::{abstract_address, stream_socket};
use crate::peer::peer_credentials;
use crate::proc;
use crate::socket::accept;

/// Nobody accepts what waits; this many may ask who holds the lock before `/proc` has to tell.
const BACKLOG: u32 = 16;

/// The lock, held as long as this lives, or a duplicate of its socket in any process.
#[derive(Debug)]
pub struct LockGuard {
    socket: OwnedFd,
}

impl LockGuard {
    /// Readable when somebody asks who holds the lock.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes those who asked out of the queue: they have their answer, and the queue is short.
    pub fn answer(&self) {
        while let Ok(Some(_asked)) = accept(&self.socket) {}
    }

    /// The socket, to carry the lock over an `execve(2)`.
    pub fn into_descriptor(self) -> OwnedFd {
        self.socket
    }

    /// The lock again, from what [`LockGuard::into_descriptor`] gave.
    pub fn from_descriptor(socket: OwnedFd) -> Self {
        Self { socket }
    }
}

/// Who holds a lock, as far as that can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockHeld {
    /// The process that took it.
    pub pid: Option<i32>,
    /// That process's effective user.
    pub uid: Option<u32>,
}

/// Why a lock was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockError {
    /// Somebody has it.
    Held(LockHeld),
    /// The system refused: `ENAMETOOLONG`, `EMFILE`.
    Failed(Errno),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(LockHeld { pid: Some(pid), .. }) => write!(f, "held by process {pid}"),
            Self::Held(LockHeld { pid: None, .. }) => f.write_str("held by another process"),
            Self::Failed(_) => f.write_str("cannot be taken"),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Held(_) => None,
            Self::Failed(errno) => Some(errno),
        }
    }
}

/// Takes the lock of this name, at most 107 bytes long, or says who has it. Never waits.
pub fn take_lock(name: &[u8]) -> Result<LockGuard, LockError> {
    match abstract_listener(name, BACKLOG) {
        Ok(socket) => Ok(LockGuard { socket }),
        Err(Errno::ADDRINUSE) => Err(LockError::Held(holder(name))),
        Err(errno) => Err(LockError::Failed(errno)),
    }
}

fn holder(name: &[u8]) -> LockHeld {
    if let Ok(held) = ask(name) {
        return held;
    }
    let found = proc::holder_of_abstract(name).unwrap_or_default();
    LockHeld { pid: found.pid.map(|pid| pid.as_raw_pid()), uid: found.uid }
}

fn ask(name: &[u8]) -> Result<LockHeld, Errno> {
    let socket = stream_socket()?;
    connect(&socket, &abstract_address(name)?)?;
    let peer = peer_credentials(&socket)?;
    Ok(LockHeld { pid: peer.pid.map(|pid| pid.as_raw_pid()), uid: Some(peer.uid) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::eventually;

    fn name(of: &str) -> Vec<u8> {
        format!("relevo-sys-lock-{of}-{}", std::process::id()).into_bytes()
    }

    #[test]
    fn a_lock_is_held_once_and_its_holder_known_however_often_one_asks() {
        let name = name("once");
        let guard = take_lock(&name).unwrap();
        let us = LockHeld {
            pid: i32::try_from(std::process::id()).ok(),
            uid: Some(crate::process::effective_uid()),
        };
        for _ in 0..3 * BACKLOG {
            assert_eq!(take_lock(&name).unwrap_err(), LockError::Held(us));
        }
        drop(guard);
        eventually("the lock is free", || take_lock(&name).ok());
    }

    #[test]
    fn a_lock_survives_as_a_descriptor() {
        let name = name("carried");
        let carried = take_lock(&name).unwrap().into_descriptor();
        assert!(take_lock(&name).is_err());
        drop(LockGuard::from_descriptor(carried));
        eventually("the lock is free", || take_lock(&name).ok());
    }

    #[test]
    fn a_name_that_cannot_be() {
        let failed = take_lock(&[b'a'; 200]).unwrap_err();
        assert_eq!(failed, LockError::Failed(Errno::NAMETOOLONG));
        assert_eq!(failed.to_string(), "cannot be taken");
    }
}
