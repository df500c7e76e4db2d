//! What a socket is, and taking connections from one that listens.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, getpeername, getsockname,
    sockopt,
};

/// The address a socket is bound to, as `getsockname(2)` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketName {
    /// An Internet address and port.
    Inet(SocketAddr),
    /// A Unix socket bound to a file; the path as it was given to `bind(2)`, perhaps relative.
    UnixPath(PathBuf),
    /// A Unix socket bound to an abstract name (without its leading NUL byte).
    Abstract(Vec<u8>),
    /// A Unix socket without a name.
    Unnamed,
}

/// What can be done with a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// A stream socket on which `listen(2)` was called: connections can be accepted from it.
    Listener,
    /// Any other stream socket, connected or not.
    Stream,
    /// A datagram socket.
    Datagram,
    /// Raw sockets, sequential packets and the like: nothing a worker could use.
    Neither,
}

/// The accept queue of a listening TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptQueue {
    /// Connections that wait to be accepted.
    pub waiting: u32,
    /// How many may wait: the backlog, capped by `net.core.somaxconn`.
    pub limit: u32,
}

/// Of the kernel's `net/tcp_states.h`.
pub(crate) const TCP_LISTEN: u8 = 10;

/// Takes one connection, non-blocking and close-on-exec; `None` when none waits. See `accept(2)`.
///
/// A connection that died in the queue is passed over.
///
/// # Errors
///
/// `EMFILE`, `ENFILE`, `ENOBUFS` and `ENOMEM` leave the connection in the queue: the caller must
/// pause, or it spins. `EINVAL` when the socket does not listen (any more).
pub fn accept(listener: impl AsFd) -> Result<Option<OwnedFd>, Errno> {
    loop {
        match accept_with(&listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(connection) => return Ok(Some(connection)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Sets `O_NONBLOCK`, which every duplicate of the descriptor shares, in other processes too.
pub fn set_nonblocking(descriptor: impl AsFd) -> Result<(), Errno> {
    let flags = fcntl_getfl(&descriptor)?;
    if flags.contains(OFlags::NONBLOCK) {
        return Ok(());
    }
    fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)
}

/// Whether `O_NONBLOCK` is set.
pub fn is_nonblocking(descriptor: impl AsFd) -> Result<bool, Errno> {
    Ok(fcntl_getfl(descriptor)?.contains(OFlags::NONBLOCK))
}

/// Whether the other end of a stream is known: `getpeername(2)`.
pub fn is_connected(socket: impl AsFd) -> bool {
    getpeername(socket).is_ok_and(|peer| peer.is_some())
}

/// The address the socket is bound to.
///
/// # Errors
///
/// `ENOTSOCK` for anything else than a socket, `EAFNOSUPPORT` for one that is neither of the
/// Internet nor of Unix.
pub fn local_address(socket: impl AsFd) -> Result<SocketName, Errno> {
    let name = getsockname(socket)?;
    match name.address_family() {
        AddressFamily::INET | AddressFamily::INET6 => {
            SocketAddr::try_from(name).map(SocketName::Inet).map_err(|_| Errno::AFNOSUPPORT)
        }
        AddressFamily::UNIX => {
            let name = SocketAddrUnix::try_from(name).map_err(|_| Errno::AFNOSUPPORT)?;
            Ok(unix_name(&name))
        }
        _ => Err(Errno::AFNOSUPPORT),
    }
}

/// The number that `/proc/<pid>/fd` and `/proc/net` know the socket by, the same for all its
/// duplicates.
///
/// # Errors
///
/// `ENOTSOCK` for anything else than a socket.
pub fn socket_inode(socket: impl AsFd) -> Result<u64, Errno> {
    let status = fstat(socket)?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::Socket => Ok(status.st_ino),
        _ => Err(Errno::NOTSOCK),
    }
}

/// What kind of socket this is.
///
/// # Errors
///
/// `ENOTSOCK` for anything else than a socket.
pub fn socket_type(socket: impl AsFd) -> Result<SocketKind, Errno> {
    match sockopt::socket_type(&socket)? {
        SocketType::STREAM if sockopt::socket_acceptconn(&socket)? => Ok(SocketKind::Listener),
        SocketType::STREAM => Ok(SocketKind::Stream),
        SocketType::DGRAM => Ok(SocketKind::Datagram),
        _ => Ok(SocketKind::Neither),
    }
}

/// The accept queue of a TCP socket; `None` when it does not listen (any more): anybody with a
/// duplicate can end that, by `shutdown(2)`.
///
/// # Errors
///
/// `EOPNOTSUPP` or `ENOPROTOOPT` when it is no TCP socket.
pub fn accept_queue(socket: impl AsFd) -> Result<Option<AcceptQueue>, Errno> {
    let info = tcp_info(socket)?;
    // For a listening socket these two fields do not count segments: `tcp_get_info` puts the
    // accept queue's length and limit there.
    Ok((info.tcpi_state == TCP_LISTEN)
        .then_some(AcceptQueue { waiting: info.tcpi_unacked, limit: info.tcpi_sacked }))
}

fn tcp_info(socket: impl AsFd) -> Result<libc::tcp_info, Errno> {
    // SAFETY: the structure holds integers only, for which zero is a value; an older kernel fills
    // fewer of them.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the pointer is to `info`, `length` says how large that is, and both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(info) } else { Err(crate::last_errno()) }
}

fn unix_name(name: &SocketAddrUnix) -> SocketName {
    match (name.path_bytes(), name.abstract_name()) {
        (Some(path), _) => SocketName::UnixPath(PathBuf::from(OsStr::from_bytes(path))),
        // Of an address as short as none, rustix makes an empty name.
        (None, Some(name)) if !name.is_empty() => SocketName::Abstract(name.to_vec()),
        (None, _) => SocketName::Unnamed,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

    use super::*;
    use crate::test_support::eventually;

    #[test]
    fn accepted_connections_are_non_blocking_and_close_on_exec() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert!(accept(&listener).unwrap().is_none());
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let connection = eventually("a connection", || accept(&listener).unwrap());
        assert_eq!(is_nonblocking(&connection), Ok(true));
        let flags = rustix::io::fcntl_getfd(&connection).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        assert!(accept(&listener).unwrap().is_none());
    }

    #[test]
    fn kinds_are_told_apart() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let datagram = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(socket_type(&listener), Ok(SocketKind::Listener));
        assert_eq!(socket_type(&stream), Ok(SocketKind::Stream));
        assert_eq!(socket_type(&datagram), Ok(SocketKind::Datagram));
        assert_eq!(socket_type(&file), Err(Errno::NOTSOCK));
        assert_eq!(socket_inode(&file), Err(Errno::NOTSOCK));
    }

    #[test]
    fn duplicates_share_an_inode() {
        let one = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(socket_inode(&one), socket_inode(one.try_clone().unwrap()));
        assert_ne!(socket_inode(&one), socket_inode(&other));
    }

    #[test]
    fn names() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        assert_eq!(local_address(&socket), Ok(SocketName::Inet(address)));
        let (unnamed, _other) = crate::scm::channel_pair().unwrap();
        assert_eq!(local_address(&unnamed), Ok(SocketName::Unnamed));
    }

    #[test]
    fn the_accept_queue_is_counted() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        eventually("three waiting", || {
            (accept_queue(&listener).unwrap()?.waiting == 3).then_some(())
        });
        assert_eq!(accept_queue(&clients[0]), Ok(None));
    }
}
