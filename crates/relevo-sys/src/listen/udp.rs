//! UDP sockets. One is shared by all slots, so there is never a group.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

/// A UDP socket bound to `address`, as `uv_udp_bind` of libuv makes it: without `ipv6_only` an IPv6
/// socket keeps the system's default (`net.ipv6.bindv6only`), and `reuse_addr` is `SO_REUSEADDR`,
/// which lets several sockets have the port.
///
/// # Errors
///
/// `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL` and `EAFNOSUPPORT`, as for TCP.
pub fn udp(address: SocketAddr, ipv6_only: bool, reuse_addr: bool) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    if reuse_addr {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if ipv6_only && address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;
    use crate::socket::{SocketKind, SocketName, is_nonblocking, local_address, socket_type};

    fn bound_address(socket: &OwnedFd) -> SocketAddr {
        match local_address(socket).unwrap() {
            SocketName::Inet(address) => address,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bound_socket_receives() {
        let socket = udp((Ipv4Addr::LOCALHOST, 0).into(), false, false).unwrap();
        assert_eq!(socket_type(&socket), Ok(SocketKind::Datagram));
        assert_eq!(is_nonblocking(&socket), Ok(true));
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.send_to(b"hello", bound_address(&socket)).unwrap();
        let mut buf = [0; 16];
        let count = UdpSocket::from(socket).recv(&mut buf).unwrap();
        assert_eq!(&buf[..count], b"hello");
    }

    #[test]
    fn a_port_is_shared_only_on_request() {
        let one = udp((Ipv4Addr::LOCALHOST, 0).into(), false, true).unwrap();
        let address = bound_address(&one);
        assert_eq!(udp(address, false, false).unwrap_err(), Errno::ADDRINUSE);
        udp(address, false, true).unwrap();
    }
}
