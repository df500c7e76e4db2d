//! Safe wrappers over the system calls Relevo needs.
//!
//! This is the only crate of the workspace with `unsafe` code. Whatever it hands out owns or
//! borrows its descriptors ([`std::os::fd::OwnedFd`], [`std::os::fd::BorrowedFd`]), so that nothing
//! above it can close a descriptor twice or use one that is gone. It decides nothing: policy is the
//! core's, and when to call what is the shell's.
//!
//! Linux only. Nothing here blocks unless its documentation says so.
//!
//! | to | see |
//! | --- | --- |
//! | make the sockets of a listener | [`listen`] |
//! | learn what a socket is, accept from it | [`socket`] |
//! | learn who listens on an address | [`diag`] |
//! | pass descriptors over a Unix socket | [`scm`] |
//! | wait for descriptors | [`poll`] |
//! | wake a thread that waits | [`wake`] |
//! | be told of signals | [`signals`] |
//! | start a worker's process | [`launch`] |
//! | watch, signal and reap processes | [`process`] |
//! | know users and become one | [`account`] |
//! | take over what systemd opened | [`activation`] |
//! | run once for each name | [`lock`] |
//! | learn who is at the other end | [`peer`] |
//! | hear what workers notify | [`notified`] |
//! | ask `/proc` | [`proc`] |
//! | make keys | [`random`] |
//! | tell a kill for want of memory | [`oom`] |

pub mod account;
pub mod activation;
pub mod diag;
pub mod launch;
pub mod listen;
pub mod lock;
pub mod memory;
pub mod notified;
pub mod oom;
pub mod peer;
pub mod poll;
pub mod proc;
pub mod process;
pub mod random;
pub mod scm;
pub mod signals;
pub mod socket;
#[doc(hidden)]
pub mod tun;
pub mod wake;

#[cfg(test)]
mod test_support;

pub use rustix::io::Errno;
pub use rustix::process::{Pid, Signal};

/// The `errno` of the C library call that has just failed.
fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
