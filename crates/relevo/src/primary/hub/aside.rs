//! Sockets for a worker that is only tried (`relevo check --boot`): it believes that it listens where it
//! asked to, and stands in nobody's way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use relevo_node::ListenAddress;
use relevo_sys::Errno;
use relevo_sys::listen::{abstract_listener, tcp_first, udp};
use relevo_sys::random::random_bytes;
use relevo_sys::socket::{SocketName, local_address};

use super::members::MemberSocket;

/// As many as come before the worker is ended.
const BACKLOG: u32 = 1;

/// A socket in place of one for this address. Its name is the one that was asked for.
pub(super) fn make(address: &ListenAddress) -> Result<MemberSocket, Errno> {
    let (socket, name) = match address {
        ListenAddress::Tcp { host, port, .. } => {
            let socket = tcp_first(
                any_port(host.is_some_and(|host| host.is_ipv4())),
                false,
                BACKLOG,
                false,
            )?;
            let host = host.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
            let name = match port {
                0 => local_address(&socket)?,
                port => SocketName::Inet(SocketAddr::new(host, *port)),
            };
            (socket, name)
        }
        ListenAddress::Udp { host, port, .. } => {
            let socket = udp(any_port(host.is_ipv4()), false, false)?;
            (socket, SocketName::Inet(SocketAddr::new(*host, *port)))
        }
        ListenAddress::UnixPath { .. } | ListenAddress::Abstract { .. } => {
            let mut secret = [0; 8];
            random_bytes(&mut secret)?;
            let name = format!("relevo/aside/{:016x}", u64::from_ne_bytes(secret));
            (abstract_listener(name.as_bytes(), BACKLOG)?, SocketName::Unnamed)
        }
        ListenAddress::Descriptor { .. } => return Err(Errno::BADF),
        ListenAddress::Unsupported { .. } => return Err(Errno::INVAL),
    };
    Ok(MemberSocket::aside(Arc::new(socket), name, !address.is_datagram()))
}

/// Where only this machine can reach it. A machine may have one of the two alone.
fn any_port(wants_v4: bool) -> SocketAddr {
    let v6 = || std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !wants_v4 && v6() {
        SocketAddr::from((Ipv6Addr::LOCALHOST, 0))
    } else {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }
}
