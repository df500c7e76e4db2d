//! Making the sockets of listeners. How a group's first member is made, and why so, is written in
//! `docs/node-channel.md`, section 9.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use relevo_core::{DealerEvent, Event, Member, Seat};
use relevo_node::ListenAddress;
use relevo_sys::Errno;
use relevo_sys::listen::{
    FileIdentity, abstract_listener, remove_if_ours, tcp_dual, tcp_first, tcp_further, udp,
    unix_listener,
};
use relevo_sys::socket::{SocketName, local_address, socket_inode};

use super::order::Report;
use super::{Hub, aside, wishes};

/// A socket that the primary holds.
#[derive(Debug)]
pub(super) struct MemberSocket {
    pub(super) socket: Arc<OwnedFd>,
    pub(super) name: SocketName,
    pub(super) is_stream: bool,
    /// Whether the poller has been told of it.
    pub(super) is_known_to_poller: bool,
    ipv6_only: bool,
    /// The file of a Unix socket, which is ours to remove.
    file: Option<(PathBuf, FileIdentity)>,
}

impl MemberSocket {
    /// One that goes by another name than its own.
    pub(super) fn aside(socket: Arc<OwnedFd>, name: SocketName, is_stream: bool) -> Self {
        Self { socket, name, is_stream, is_known_to_poller: false, ipv6_only: false, file: None }
    }

    /// Removes what the socket left in the file system.
    pub(super) fn clean_up(&self) {
        if let Some((path, identity)) = &self.file {
            // It may be gone, or somebody else's by now: neither is ours to complain about.
            let _ = remove_if_ours(path, *identity);
        }
    }

    pub(super) fn inode(&self) -> Option<u64> {
        socket_inode(&self.socket).ok()
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match &self.name {
            SocketName::Inet(address) => Some(*address),
            SocketName::UnixPath(_) | SocketName::Abstract(_) | SocketName::Unnamed => None,
        }
    }
}

impl Hub {
    /// Makes a socket, or says why it cannot be had.
    pub(super) fn open_member(&mut self, member: Member, wish: &relevo_core::Wish) {
        let address = self.address_of(wish);
        self.look_before_joining(member);
        let made = match (self.sibling(member), &address) {
            (Some(sibling), _) => self.join(sibling),
            (None, Some(address)) => self.make(member, address),
            (None, None) => Err(Errno::INVAL),
        };
        let report = match made {
            Ok(socket) => {
                let address = match &socket.name {
                    SocketName::Inet(address) => address.to_string(),
                    SocketName::UnixPath(_) | SocketName::Abstract(_) | SocketName::Unnamed => {
                        wish.address.clone()
                    }
                };
                self.stir.add(&socket.socket);
                self.members.insert(member, socket);
                if member.seat != Seat::Common {
                    self.deal(DealerEvent::Joined { member });
                }
                Report::Event(Event::MemberOpened { member, address })
            }
            Err(errno) => Report::MemberFailed {
                member,
                errno: errno.raw_os_error(),
                address: address.filter(|_| errno == Errno::ADDRINUSE),
            },
        };
        self.unreported.push_back(report);
    }

    pub(super) fn close_member(&mut self, member: Member) {
        let mut others = self.members.keys().filter(|other| **other != member);
        self.deal(if others.any(|other| other.listener == member.listener) {
            DealerEvent::Retired { member }
        } else {
            DealerEvent::Closed { member }
        });
        if let Some(socket) = self.members.remove(&member) {
            self.stir.remove(&socket.socket);
            if socket.is_known_to_poller {
                // A duplicate may live on in a worker, so closing ours alone would not do.
                let _ = self.poller.remove(&socket.socket);
            }
            socket.clean_up();
        }
    }

    /// The sockets that can be accepted from.
    pub(super) fn stream_members(&self) -> Vec<Member> {
        self.members
            .iter()
            .filter(|(_, socket)| socket.is_stream)
            .map(|(member, _)| *member)
            .collect()
    }

    fn make(&self, member: Member, address: &ListenAddress) -> Result<MemberSocket, Errno> {
        let backlog = self.backlog;
        if self.aside {
            return aside::make(address);
        }
        if let Some(passed) = wishes::find(&self.inherited, address) {
            return Ok(MemberSocket {
                socket: Arc::clone(&passed.socket),
                name: passed.name.clone(),
                is_stream: !address.is_datagram(),
                is_known_to_poller: false,
                ipv6_only: false,
                file: None,
            });
        }
        let (mut file, mut v6only) = (None, false);
        let socket = match address {
            ListenAddress::Tcp { host, port, ipv6_only } => {
                v6only = *ipv6_only;
                let group = member.seat != Seat::Common;
                match host {
                    Some(host) => {
                        tcp_first(SocketAddr::new(*host, *port), *ipv6_only, backlog, group)
                    }
                    None if *ipv6_only => {
                        let any = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, *port));
                        tcp_first(any, true, backlog, group)
                    }
                    None => tcp_dual(*port, backlog, group),
                }
            }
            ListenAddress::Udp { host, port, ipv6_only, reuse_addr } => {
                udp(SocketAddr::new(*host, *port), *ipv6_only, *reuse_addr)
            }
            ListenAddress::UnixPath { path, readable_all, writable_all } => {
                unix_listener(path, backlog, *readable_all, *writable_all).map(|made| {
                    file = Some((path.clone(), made.file));
                    made.socket
                })
            }
            ListenAddress::Abstract { name } => abstract_listener(name, backlog),
            ListenAddress::Descriptor { .. } => Err(Errno::BADF),
            ListenAddress::Unsupported { .. } => Err(Errno::INVAL),
        }?;
        let name = local_address(&socket)?;
        let is_stream = !address.is_datagram();
        Ok(MemberSocket {
            socket: Arc::new(socket),
            name,
            is_stream,
            is_known_to_poller: false,
            ipv6_only: v6only,
            file,
        })
    }

    /// Strangers that came before are before it in the group's order.
    fn look_before_joining(&mut self, member: Member) {
        if self.sibling(member).is_some() {
            let seen = self.see(member.listener, true);
            self.deal(DealerEvent::Looked { listener: member.listener, seen });
        }
    }

    /// The address of another socket of the same group, which a further one joins.
    fn sibling(&self, member: Member) -> Option<(SocketAddr, bool)> {
        let in_group =
            |other: &Member| other.listener == member.listener && Seat::Common != other.seat;
        let (_, socket) = self.members.iter().find(|(other, _)| in_group(other))?;
        Some((socket.address()?, socket.ipv6_only))
    }

    fn join(&self, (address, ipv6_only): (SocketAddr, bool)) -> Result<MemberSocket, Errno> {
        let socket = tcp_further(address, ipv6_only, self.backlog)?;
        Ok(MemberSocket {
            name: local_address(&socket)?,
            socket: Arc::new(socket),
            is_stream: true,
            is_known_to_poller: false,
            ipv6_only,
            file: None,
        })
    }
}
