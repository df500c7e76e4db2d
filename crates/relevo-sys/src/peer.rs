//! Who is at the other end of a Unix socket: `SO_PEERCRED` of `unix(7)`.

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;
use rustix::process::Pid;

/// Who connected, as the kernel noted it then. For one's own connection to a listener: who called
/// `listen(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// The process; `None` when it is not visible from our pid namespace.
    pub pid: Option<Pid>,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// Who is at the other end of a connected Unix stream socket.
///
/// # Errors
///
/// `ENOTSOCK`; `EOPNOTSUPP` or `ENOTCONN` for a socket that has no such peer.
pub fn peer_credentials(socket: impl AsFd) -> Result<PeerCredentials, Errno> {
    // Not by rustix: its type has no room for the pid 0, by which the kernel says that the peer is
    // in another namespace.
    let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of_val(&found) as libc::socklen_t;
    // SAFETY: the pointer is to `found`, `length` says how large that is, and both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(crate::last_errno());
    }
    if found.uid == u32::MAX {
        return Err(Errno::NOTCONN); // the kernel's answer for a socket without a peer
    }
    Ok(PeerCredentials { pid: Pid::from_raw(found.pid), uid: found.uid, gid: found.gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_ourselves_at_both_ends() {
        let (ours, _theirs) = crate::scm::channel_pair().unwrap();
        let peer = peer_credentials(&ours).unwrap();
        assert_eq!(peer.pid, Some(crate::process::own_pid()));
        assert_eq!(peer.uid, crate::process::effective_uid());
        assert_eq!(peer.gid, rustix::process::getegid().as_raw());
    }

    #[test]
    fn what_has_no_peer() {
        let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
        assert_eq!(peer_credentials(&socket), Err(Errno::NOTCONN));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(peer_credentials(&file), Err(Errno::NOTSOCK));
    }
}
