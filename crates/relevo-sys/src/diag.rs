//! Asking the kernel who listens on an address, ourselves or others: `sock_diag(7)`.
//!
//! A socket of the same user can join a reuseport group without a word to those in it
//! (`docs/node-channel.md`, section 9). This is how they find out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recvfrom, send, socket_with,
};

use crate::proc::{OpenAddress, OpenListener, tcp_listeners};
use crate::socket::TCP_LISTEN;

/// How many listeners of one address are told of.
pub const LISTENERS_LIMIT: usize = 4096;

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenerEntry {
    /// What [`socket_inode`](crate::socket::socket_inode) says of it and of all its duplicates.
    pub inode: u64,
    /// Whose it is.
    pub uid: u32,
}

/// The TCP sockets in this network namespace that listen on exactly this address and port,
/// [`LISTENERS_LIMIT`] of them at most, in the order of their inodes.
///
/// An unspecified address is an address like any other here: `[::]:80` finds those that are bound to
/// `[::]:80`, with or without IPv4, and none on `0.0.0.0:80` or `[::1]:80`. The scope of an IPv6
/// address does not count. What begins or ceases to listen meanwhile may be missing.
///
/// The kernel filters by port, so that other listeners and connections cost little; where netlink
/// is refused, `/proc/net` is read instead, and of that the first 4 MiB.
///
/// # Errors
///
/// Of netlink, when both are refused: `EAFNOSUPPORT`, `EPROTONOSUPPORT` or `EPERM` in sandboxes,
/// `ENOENT` without the kernel's module `tcp_diag`.
pub fn listeners_on(address: SocketAddr) -> Result<Vec<ListenerEntry>, Errno> {
    let found = by_netlink(address).or_else(|errno| by_proc(address).ok_or(errno))?;
    Ok(each_once(found))
}

/// The kernel walks its table in pieces, and what is behind a newcomer between two of them comes twice.
fn each_once(mut found: Vec<ListenerEntry>) -> Vec<ListenerEntry> {
    found.sort_unstable();
    found.dedup();
    found
}

fn by_proc(address: SocketAddr) -> Option<Vec<ListenerEntry>> {
    let name = if address.is_ipv6() { "tcp6" } else { "tcp" };
    let all = tcp_listeners(&Path::new("/proc/self/net").join(name))?;
    let there = all.into_iter().filter_map(|open| match open {
        OpenListener { address: OpenAddress::Tcp(theirs), inode, uid: Some(uid) } => {
            is_same(theirs, address).then_some(ListenerEntry { inode, uid })
        }
        _ => None,
    });
    Some(there.take(LISTENERS_LIMIT).collect())
}

fn by_netlink(address: SocketAddr) -> Result<Vec<ListenerEntry>, Errno> {
    let kind = SocketType::DGRAM;
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, kind, flags, Some(netlink::SOCK_DIAG))?;
    retry_on_intr(|| send(&socket, &request(address), SendFlags::DONTWAIT))?;
    let mut found = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    for _ in 0..DATAGRAM_LIMIT {
        let length = receive(&socket, &mut buffer)?;
        if read_messages(&buffer[..length], address, &mut found)?.is_break() {
            return Ok(found);
        }
    }
    Err(Errno::OVERFLOW)
}

/// One datagram of the kernel's. It has put the first there when the request is sent, and puts
/// the next there when one is taken, so that there is nothing to wait for.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    for _ in 0..DATAGRAM_LIMIT {
        let (_, length, from) = retry_on_intr(|| recvfrom(socket, &mut *buffer, flags))?;
        let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
        if from.is_none_or(|from| from.pid() != 0) {
            continue; // a process's, not the kernel's
        }
        return if length <= buffer.len() { Ok(length) } else { Err(Errno::MSGSIZE) };
    }
    Err(Errno::OVERFLOW)
}

/// The kernel makes its datagrams no larger (`netlink_dump` of its `net/netlink/af_netlink.c`).
const BUFFER_BYTES: usize = 32 << 10;

/// More datagrams than hold [`LISTENERS_LIMIT`] entries; a dump that goes on is given up.
const DATAGRAM_LIMIT: usize = 1024;

/// Of the kernel's `uapi/linux/netlink.h`, `sock_diag.h` and `inet_diag.h`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const HEADER_BYTES: usize = 16; // struct nlmsghdr
const ENTRY_BYTES: usize = 72; // struct inet_diag_msg
const REQUEST_BYTES: usize = HEADER_BYTES + 56; // struct inet_diag_req_v2

/// Asks for all sockets that listen on the port.
fn request(address: SocketAddr) -> [u8; REQUEST_BYTES] {
    let mut request = [0; REQUEST_BYTES];
    let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(REQUEST_BYTES as u32).to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    put(HEADER_BYTES, &[family(address), libc::IPPROTO_TCP as u8]);
    put(HEADER_BYTES + 4, &(1_u32 << TCP_LISTEN).to_ne_bytes());
    put(HEADER_BYTES + 8, &address.port().to_be_bytes());
    request
}

fn family(address: SocketAddr) -> u8 {
    (if address.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET }) as u8
}

/// Takes what listens on the address from one datagram; breaks when nothing is to follow.
fn read_messages(
    mut datagram: &[u8],
    address: SocketAddr,
    found: &mut Vec<ListenerEntry>,
) -> Result<ControlFlow<()>, Errno> {
    while !datagram.is_empty() {
        let length = u32::from_ne_bytes(field(datagram, 0)?) as usize;
        let kind = u16::from_ne_bytes(field(datagram, 4)?);
        let message = datagram.get(..length).ok_or(Errno::BADMSG)?;
        let body = message.get(HEADER_BYTES..).ok_or(Errno::BADMSG)?;
        match i32::from(kind) {
            libc::NLMSG_DONE | libc::NLMSG_ERROR => {
                return match i32::from_ne_bytes(field(body, 0)?) {
                    0 => Ok(ControlFlow::Break(())),
                    code => Err(errno(code.saturating_neg())),
                };
            }
            kind if kind == i32::from(SOCK_DIAG_BY_FAMILY) => {
                let (theirs, entry) = read_entry(body)?;
                if theirs.is_some_and(|theirs| is_same(theirs, address)) {
                    found.push(entry);
                }
                if found.len() == LISTENERS_LIMIT {
                    return Ok(ControlFlow::Break(()));
                }
            }
            _ => {}
        }
        // The next one begins at a multiple of four.
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(ControlFlow::Continue(()))
}

/// The address, if it listens and is of the Internet, and the rest of a `struct inet_diag_msg`.
fn read_entry(body: &[u8]) -> Result<(Option<SocketAddr>, ListenerEntry), Errno> {
    let body = body.get(..ENTRY_BYTES).ok_or(Errno::BADMSG)?;
    let [family, state] = field(body, 0)?;
    let ip = match i32::from(family) {
        libc::AF_INET => Some(IpAddr::from(Ipv4Addr::from(field::<4>(body, 8)?))),
        libc::AF_INET6 => Some(IpAddr::from(Ipv6Addr::from(field::<16>(body, 8)?))),
        _ => None,
    };
    let port = u16::from_be_bytes(field(body, 4)?);
    let entry = ListenerEntry {
        inode: u32::from_ne_bytes(field(body, 68)?).into(),
        uid: u32::from_ne_bytes(field(body, 64)?),
    };
    let listening = ip.filter(|_| state == TCP_LISTEN);
    Ok((listening.map(|ip| SocketAddr::new(ip, port)), entry))
}

fn field<const N: usize>(of: &[u8], at: usize) -> Result<[u8; N], Errno> {
    of.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(Errno::BADMSG)
}

fn errno(code: i32) -> Errno {
    Errno::from_io_error(&std::io::Error::from_raw_os_error(code)).unwrap_or(Errno::IO)
}

fn is_same(theirs: SocketAddr, address: SocketAddr) -> bool {
    theirs.ip() == address.ip() && theirs.port() == address.port()
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use rustix::net::{Shutdown, shutdown};

    use super::*;
    use crate::listen::{tcp_first, tcp_further};
    use crate::process::effective_uid;
    use crate::socket::{accept_queue, socket_inode};
    use crate::test_support::{address_of, eventually, loopback};

    fn entries(sockets: &[&OwnedFd]) -> Vec<ListenerEntry> {
        let uid = effective_uid();
        let entry = |socket: &&OwnedFd| ListenerEntry { inode: socket_inode(socket).unwrap(), uid };
        let mut entries: Vec<_> = sockets.iter().map(entry).collect();
        entries.sort_unstable();
        entries
    }

    /// By netlink, where a sandbox allows it, and by `/proc` alike.
    fn check(address: SocketAddr, expect: &[&OwnedFd]) {
        let expect = entries(expect);
        assert_eq!(listeners_on(address).as_ref(), Ok(&expect));
        for found in [by_netlink(address).ok(), by_proc(address)] {
            // Other tests begin to listen meanwhile.
            let found = found.map_or_else(|| expect.clone(), each_once);
            assert_eq!(found, expect);
        }
    }

    #[test]
    fn a_stranger_that_joined_a_group_is_seen() {
        let first = tcp_first(loopback(0), false, 5, true).unwrap();
        let address = address_of(&first);
        check(address, &[&first]);
        let further = tcp_further(address, false, 5).unwrap();
        let stranger = tcp_further(address, false, 5).unwrap();
        let _client = TcpStream::connect(address).unwrap();
        check(address, &[&first, &further, &stranger]);
        drop(further);
        // A process that another test is starting may have it a moment longer.
        eventually("one less", || (listeners_on(address).unwrap().len() == 2).then_some(()));
        check(address, &[&first, &stranger]);
    }

    #[test]
    fn a_worker_that_shuts_its_duplicate_down_is_seen() {
        let first = tcp_first(loopback(0), false, 5, true).unwrap();
        let address = address_of(&first);
        let second = tcp_further(address, false, 5).unwrap();
        shutdown(second.try_clone().unwrap(), Shutdown::Read).unwrap();
        assert_eq!(accept_queue(&second), Ok(None));
        assert_eq!(accept_queue(&first).unwrap().unwrap().limit, 5);
        check(address, &[&first]);
    }

    #[test]
    fn only_the_same_address_counts() {
        let one = tcp_first(loopback(0), false, 5, false).unwrap();
        let port = address_of(&one).port();
        let next = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), port));
        let other = tcp_first(next, false, 5, false).unwrap();
        check(loopback(port), &[&one]);
        check(next, &[&other]);
        check((Ipv4Addr::UNSPECIFIED, port).into(), &[]);
        check((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port).into(), &[]);
    }

    #[test]
    fn ipv6_is_found_for_itself() {
        for ip in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST] {
            let Ok(socket) = tcp_first((ip, 0).into(), false, 5, false) else {
                return; // no IPv6 on this machine
            };
            let port = address_of(&socket).port();
            check((ip, port).into(), &[&socket]);
            let other =
                if ip.is_unspecified() { Ipv6Addr::LOCALHOST } else { Ipv6Addr::UNSPECIFIED };
            check((other, port).into(), &[]);
        }
    }

    #[test]
    fn more_than_one_datagram_of_them_are_found() {
        crate::process::raise_nofile_limit().unwrap();
        let first = tcp_first(loopback(0), false, 5, true).unwrap();
        let address = address_of(&first);
        let further: Vec<_> = (0..700).map(|_| tcp_further(address, false, 5).unwrap()).collect();
        let all: Vec<_> = further.iter().chain([&first]).collect();
        check(address, &all);
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = (HEADER_BYTES + body.len()) as u32;
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], body].concat()
    }

    fn entry(inode: u32) -> Vec<u8> {
        let mut body = vec![0; ENTRY_BYTES];
        body[..2].copy_from_slice(&[libc::AF_INET as u8, TCP_LISTEN]);
        body[4..6].copy_from_slice(&80_u16.to_be_bytes());
        body[8..12].copy_from_slice(&[127, 0, 0, 1]);
        body[64..68].copy_from_slice(&1000_u32.to_ne_bytes());
        body[68..].copy_from_slice(&inode.to_ne_bytes());
        message(SOCK_DIAG_BY_FAMILY, &body)
    }

    fn read(datagram: &[u8]) -> (Result<ControlFlow<()>, Errno>, Vec<u64>) {
        let mut found = Vec::new();
        let outcome = read_messages(datagram, loopback(80), &mut found);
        (outcome, found.iter().map(|entry| entry.inode).collect())
    }

    #[test]
    fn datagrams_are_read_to_their_end() {
        let done = message(3, &0_i32.to_ne_bytes());
        let refused = message(2, &(-libc::EPERM).to_ne_bytes());
        let other = message(77, b"odd");
        assert_eq!(read(&[]), (Ok(ControlFlow::Continue(())), vec![]));
        assert_eq!(
            read(&[entry(1), entry(2)].concat()),
            (Ok(ControlFlow::Continue(())), vec![1, 2])
        );
        let mut padded = [entry(1), other].concat();
        padded.push(0);
        assert_eq!(read(&[padded, done, entry(3)].concat()), (Ok(ControlFlow::Break(())), vec![1]));
        assert_eq!(read(&refused), (Err(Errno::PERM), vec![]));
        let many = entry(5).repeat(LISTENERS_LIMIT + 1);
        assert_eq!(read(&many).0, Ok(ControlFlow::Break(())));
        assert_eq!(read(&many).1.len(), LISTENERS_LIMIT);
    }

    #[test]
    fn broken_datagrams_are_refused() {
        let whole = entry(1);
        for cut in 1..whole.len() {
            assert_eq!(read(&whole[..cut]).0, Err(Errno::BADMSG), "{cut}");
        }
        for length in (0..HEADER_BYTES as u32).chain([whole.len() as u32 + 1, u32::MAX]) {
            let mut wrong = whole.clone();
            wrong[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(read(&wrong).0, Err(Errno::BADMSG), "{length}");
        }
        assert_eq!(read(&message(SOCK_DIAG_BY_FAMILY, &[0; 8])).0, Err(Errno::BADMSG));
        assert_eq!(read(&message(2, &i32::MIN.to_ne_bytes())).0, Err(Errno::IO));
        assert_eq!(read(&message(3, &[])).0, Err(Errno::BADMSG));
    }
}
