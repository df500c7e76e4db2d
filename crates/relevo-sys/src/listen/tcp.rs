//! TCP sockets that listen, alone or as members of an `SO_REUSEPORT` group; see `socket(7)`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use super::backlog_argument;

/// A socket that listens on `address`, by itself or (`group`) as the first member of a group.
///
/// The first member gets `SO_REUSEPORT` only once it listens. A socket that asked for the option
/// earlier would share the port, without any error, with whatever else of the same user has such a
/// socket there: an orphan of an earlier run, a second copy of the service. And between `bind` and
/// `listen` would be too early still, because a socket that is only bound conflicts with nothing.
///
/// `ipv6_only` says whether an IPv6 socket is kept from taking IPv4 connections too; the system's
/// default does not matter. Port 0 lets the kernel choose one.
///
/// # Errors
///
/// `EADDRINUSE`, from `bind` and from `listen` alike, when somebody else has the port; `EACCES` for
/// a port below `net.ipv4.ip_unprivileged_port_start`; `EADDRNOTAVAIL` for an address that is not
/// this machine's; `EAFNOSUPPORT` without IPv6.
pub fn tcp_first(
    address: SocketAddr,
    ipv6_only: bool,
    backlog: u32,
    group: bool,
) -> Result<OwnedFd, Errno> {
    let socket = bindable(address, ipv6_only)?;
    bind(&socket, &address)?;
    listen(&socket, backlog_argument(backlog))?;
    if group {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    Ok(socket)
}

/// One more member of the group on `address`, whose port is the real one (never 0). It listens, so
/// its index is the last of the group from now on, and its share of new connections waits in it.
///
/// # Errors
///
/// As [`tcp_first`]; `EINVAL` for port 0.
pub fn tcp_further(address: SocketAddr, ipv6_only: bool, backlog: u32) -> Result<OwnedFd, Errno> {
    if address.port() == 0 {
        return Err(Errno::INVAL);
    }
    let socket = bindable(address, ipv6_only)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, backlog_argument(backlog))?;
    Ok(socket)
}

/// [`tcp_first`] for a request that names no address: `::` for both families, or `0.0.0.0` on a
/// machine where that fails. A further member is made for the address that the first one got.
///
/// As with Node, a port in use is not a reason to try the other: Node's `net` falls back when
/// binding fails, and libuv's `uv_tcp_bind` reports `EADDRINUSE` only when it listens. A service that
/// quietly went without IPv6 because of a stranger on `[::1]` would be hard to find out about.
///
/// # Errors
///
/// As [`tcp_first`], from whichever address was tried last.
pub fn tcp_dual(port: u16, backlog: u32, group: bool) -> Result<OwnedFd, Errno> {
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    match tcp_first(both, false, backlog, group) {
        Ok(socket) => Ok(socket),
        Err(Errno::ADDRINUSE) => Err(Errno::ADDRINUSE),
        Err(_) => tcp_first((Ipv4Addr::UNSPECIFIED, port).into(), false, backlog, group),
    }
}

/// An unbound socket which connections of an earlier run in TIME_WAIT do not keep from the port.
fn bindable(address: SocketAddr, ipv6_only: bool) -> Result<OwnedFd, Errno> {
    let (family, is_ipv6) = match address {
        SocketAddr::V4(_) => (AddressFamily::INET, false),
        SocketAddr::V6(_) => (AddressFamily::INET6, true),
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(socket.as_fd(), true)?;
    if is_ipv6 {
        sockopt::set_ipv6_v6only(&socket, ipv6_only)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::listen::relisten;
    use crate::socket::{accept, accept_queue, is_nonblocking};
    use crate::test_support::{address_of, eventually, loopback};

    /// Somebody else's listener, with the option set before it binds.
    fn stranger(address: SocketAddr) -> OwnedFd {
        let socket = bindable(address, false).unwrap();
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        bind(&socket, &address).unwrap();
        listen(&socket, 5).unwrap();
        socket
    }

    fn accept_all(members: &[&OwnedFd], of: usize) -> Vec<usize> {
        let mut counts = vec![0; members.len()];
        eventually("all connections accepted", || {
            for (count, member) in counts.iter_mut().zip(members) {
                while accept(member).unwrap().is_some() {
                    *count += 1;
                }
            }
            (counts.iter().sum::<usize>() == of).then_some(())
        });
        counts
    }

    #[test]
    fn a_stranger_on_the_port_is_an_error() {
        let theirs = stranger(loopback(0));
        let address = address_of(&theirs);
        assert_eq!(tcp_first(address, false, 5, true).unwrap_err(), Errno::ADDRINUSE);
        assert_eq!(tcp_first(address, false, 5, false).unwrap_err(), Errno::ADDRINUSE);
    }

    #[test]
    fn a_stranger_that_listens_after_us_is_refused_unless_we_are_a_group() {
        let alone = tcp_first(loopback(0), false, 5, false).unwrap();
        let refused = tcp_further(address_of(&alone), false, 5);
        assert_eq!(refused.unwrap_err(), Errno::ADDRINUSE);
    }

    #[test]
    fn the_first_member_has_the_option_only_when_there_is_a_group() {
        let alone = tcp_first(loopback(0), false, 5, false).unwrap();
        let grouped = tcp_first(loopback(0), false, 5, true).unwrap();
        assert_eq!(sockopt::socket_reuseport(&alone), Ok(false));
        assert_eq!(sockopt::socket_reuseport(&grouped), Ok(true));
        assert_eq!(is_nonblocking(&grouped), Ok(true));
    }

    /// Both have bound the port, as neither listened then; had they had the option by now, both
    /// would go on to listen.
    #[test]
    fn of_two_first_members_at_the_same_moment_one_fails() {
        let [one, other] = [(); 2].map(|()| bindable(loopback(0), false).unwrap());
        bind(&one, &loopback(0)).unwrap();
        bind(&other, &address_of(&one)).unwrap();
        listen(&one, 5).unwrap();
        sockopt::set_socket_reuseport(&one, true).unwrap();
        assert_eq!(listen(&other, 5), Err(Errno::ADDRINUSE));
    }

    #[test]
    fn both_members_get_connections_and_the_rest_serves_when_one_closes() {
        let first = tcp_first(loopback(0), false, 511, true).unwrap();
        let address = address_of(&first);
        let second = tcp_further(address, false, 511).unwrap();
        let _clients: Vec<_> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
        let counts = accept_all(&[&first, &second], 64);
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");

        drop(first);
        let _clients: Vec<_> = (0..32).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert_eq!(accept_all(&[&second], 32), [32]);
        drop(tcp_further(address, false, 511).unwrap());
        drop(second);
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn listening_again_changes_the_backlog_and_keeps_the_queue() {
        let socket = tcp_first(loopback(0), false, 7, false).unwrap();
        assert_eq!(accept_queue(&socket).unwrap().unwrap().limit, 7);
        let _client = TcpStream::connect(address_of(&socket)).unwrap();
        relisten(&socket, 11).unwrap();
        let queue = eventually("one waiting", || {
            accept_queue(&socket).unwrap().filter(|queue| queue.waiting == 1)
        });
        assert_eq!(queue.limit, 11);
    }

    #[test]
    fn a_request_without_an_address_takes_both_families() {
        let socket = tcp_dual(0, 5, true).unwrap();
        let address = address_of(&socket);
        let _client = TcpStream::connect(loopback(address.port())).unwrap();
        eventually("the connection", || accept(&socket).unwrap());
        if address.is_ipv6() {
            let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
            let _further = tcp_further(both, false, 5).unwrap();
        }
        let taken = tcp_dual(address.port(), 5, true);
        assert_eq!(taken.unwrap_err(), Errno::ADDRINUSE);
    }

    #[test]
    fn ipv6_only_leaves_ipv4_to_others() {
        let Ok(socket) = tcp_first((Ipv6Addr::UNSPECIFIED, 0).into(), true, 5, false) else {
            return; // no IPv6 on this machine
        };
        let port = address_of(&socket).port();
        assert!(TcpStream::connect(loopback(port)).is_err());
    }

    #[test]
    fn a_further_member_needs_the_real_port() {
        assert_eq!(tcp_further(loopback(0), false, 5).unwrap_err(), Errno::INVAL);
    }
}
