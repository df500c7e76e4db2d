//! Making the sockets of a listener. All of them are non-blocking and close-on-exec.
//!
//! Non-blocking because the flag is shared with every duplicate, and a worker that was handed a
//! blocking socket stops altogether once it waits on it.
//!
//! ```text
//! tcp_first ──► the only socket, or the first member of a group
//! tcp_further ► one more member of that group
//! tcp_dual ───► tcp_first for a request that names no address
//! steer ──────► how much each member of that group gets
//! udp, unix_listener, abstract_listener ► one socket, which all slots share
//! ```

mod steering;
mod tcp;
mod udp;
mod unix;

use std::os::fd::AsFd;

use rustix::io::Errno;

pub use steering::steer;
pub use tcp::{tcp_dual, tcp_first, tcp_further};
pub use udp::udp;
pub use unix::{
    FileIdentity, PATH_LIMIT_BYTES, UnixListener, abstract_listener, remove_if_ours, unix_listener,
};
pub(crate) use unix::{abstract_address, stream_socket};

/// Sets the backlog of a socket that listens already, by `listen(2)` once more; its queue, and its
/// place in its group, stay.
///
/// A worker that is handed the socket calls `listen(2)` on it too, with a backlog of its own.
pub fn relisten(socket: impl AsFd, backlog: u32) -> Result<(), Errno> {
    rustix::net::listen(socket, backlog_argument(backlog))
}

/// The kernel caps the backlog at `net.core.somaxconn` itself.
fn backlog_argument(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}
