//! The sockets that are open for others to reach: `/proc/<pid>/net` joined with `/proc/<pid>/fd`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use super::read_bounded;

/// How much of one table is read.
const TABLE_LIMIT_BYTES: u64 = 4 << 20;

/// How many descriptors of one process are looked at.
const DESCRIPTOR_LIMIT: usize = 1 << 20;

/// The address of a socket that others can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenAddress {
    /// A TCP socket that listens. An IPv6 address is without its scope.
    Tcp(SocketAddr),
    /// A UDP socket that is bound and not connected.
    Udp(SocketAddr),
    /// A Unix socket that listens at a path, as it was given to `bind(2)`.
    UnixPath(PathBuf),
    /// A Unix socket that listens under an abstract name; NUL bytes in it are shown as `@`.
    Abstract(Vec<u8>),
}

/// A socket that others can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenListener {
    /// The number that its duplicates share.
    pub inode: u64,
    /// Where it is reached.
    pub address: OpenAddress,
    /// Whose it is; Unix sockets do not tell.
    pub uid: Option<u32>,
}

/// The sockets that the process has open and others can reach. Empty when it may not be asked.
pub fn listening_sockets(pid: Pid) -> Vec<OpenListener> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let own: BTreeSet<u64> = open_sockets(&directory).collect();
    if own.is_empty() {
        return Vec::new();
    }
    let mut found = all_listeners(&directory.join("net"));
    found.retain(|listener| own.contains(&listener.inode));
    found
}

/// How much of a table of connections is read: some 100,000 lines.
const CONNECTIONS_LIMIT_BYTES: u64 = 16 << 20;

/// The ports at the other ends of the TCP connections that a process has open, those that it has not
/// accepted yet left out. Empty when it may not be asked.
pub fn connected_peer_ports(pid: Pid) -> Vec<u16> {
    let open = connections_of(pid).into_iter().filter(|it| it.state != TCP_LISTEN);
    open.filter_map(|it| it.remote).collect()
}

/// Whether a process has an open connection that it accepted on this port.
pub fn has_connection_on(pid: Pid, port: u16) -> bool {
    let here = |it: &Connection| it.state == TCP_ESTABLISHED && it.local == Some(port);
    connections_of(pid).iter().any(here)
}

/// A line of a TCP table.
struct Connection {
    local: Option<u16>,
    remote: Option<u16>,
    state: String,
}

/// What a process has open of the TCP tables.
fn connections_of(pid: Pid) -> Vec<Connection> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let own: BTreeSet<u64> = open_sockets(&directory).collect();
    let mut found = Vec::new();
    for name in ["tcp", "tcp6"] {
        let table = read_bounded(directory.join("net").join(name), CONNECTIONS_LIMIT_BYTES);
        found.extend(parse_connections(&table.unwrap_or_default(), &own));
    }
    found
}

/// The lines of a table whose sockets are among these.
fn parse_connections<'a>(
    table: &'a str,
    own: &'a BTreeSet<u64>,
) -> impl Iterator<Item = Connection> + 'a {
    table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
        let &[_, local, remote, state, _, _, _, _, _, inode] = fields.as_slice() else {
            return None;
        };
        let port = |address| parse_address(address).map(|it| it.port());
        own.contains(&inode.parse().ok()?).then(|| Connection {
            local: port(local),
            remote: port(remote),
            state: state.to_owned(),
        })
    })
}

/// Every such socket of a network namespace, given its `net` directory.
pub(super) fn all_listeners(net: &Path) -> Vec<OpenListener> {
    let table = |name: &str| read_bounded(net.join(name), TABLE_LIMIT_BYTES).unwrap_or_default();
    let mut found = Vec::new();
    for name in ["tcp", "tcp6"] {
        found.extend(tcp_listeners(&net.join(name)).unwrap_or_default());
    }
    for name in ["udp", "udp6"] {
        found.extend(parse_inet(&table(name), UDP_UNCONNECTED, OpenAddress::Udp));
    }
    found.extend(parse_unix(&table("unix")));
    found
}

/// The sockets that listen by a TCP table; `None` if it cannot be read.
pub(crate) fn tcp_listeners(table: &Path) -> Option<Vec<OpenListener>> {
    let head = head_of_tcp(table)?;
    Some(parse_inet(&head, TCP_LISTEN, OpenAddress::Tcp).collect())
}

/// The part of a TCP table that tells of sockets that listen. They come first in it (`tcp_seq_start`
/// of the kernel's `net/ipv4/tcp_ipv4.c`), and what follows can be tens of thousands of lines.
fn head_of_tcp(path: &Path) -> Option<String> {
    let mut reader = BufReader::new(File::open(path).ok()?.take(TABLE_LIMIT_BYTES));
    let mut head = String::new();
    let mut heading = true;
    loop {
        let before = head.len();
        let is_end = reader.read_line(&mut head).ok()? == 0;
        let state = head[before..].split_ascii_whitespace().nth(3);
        if is_end || (!heading && state != Some(TCP_LISTEN)) {
            head.truncate(before);
            return Some(head);
        }
        heading = false;
    }
}

/// The inodes of the sockets that a process has open, given its directory.
pub(super) fn open_sockets(process: &Path) -> impl Iterator<Item = u64> + use<> {
    let descriptors = std::fs::read_dir(process.join("fd")).ok().into_iter().flatten();
    descriptors.take(DESCRIPTOR_LIMIT).flatten().filter_map(|entry| {
        let link = std::fs::read_link(entry.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

/// States of the kernel's `net/tcp_states.h`, as these tables print them.
const TCP_ESTABLISHED: &str = "01";
const TCP_LISTEN: &str = "0A";
const UDP_UNCONNECTED: &str = "07";

/// `__SO_ACCEPTCON` of the kernel's `linux/net.h`: the flag of a Unix socket that listens.
const UNIX_LISTENS: u32 = 1 << 16;

/// The lines of `tcp`, `tcp6`, `udp` or `udp6` that are in one state:
/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`.
fn parse_inet<'a>(
    table: &'a str,
    state: &'a str,
    address: impl Fn(SocketAddr) -> OpenAddress + 'a,
) -> impl Iterator<Item = OpenListener> + 'a {
    table.lines().filter_map(move |line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
        let &[_, local, _, found, _, _, _, uid, _, inode] = fields.as_slice() else { return None };
        if found != state {
            return None;
        }
        Some(OpenListener {
            inode: inode.parse().ok()?,
            address: address(parse_address(local)?),
            uid: uid.parse().ok(),
        })
    })
}

/// `0100007F:1F90`: the address as 32-bit words in the machine's byte order, the port as a number.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |index: usize| {
        let digits = address.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut octets = [0; 16];
            octets.copy_from_slice(words.as_flattened());
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The lines of `unix` that listen: `Num RefCount Protocol Flags Type St Inode Path`.
fn parse_unix(table: &str) -> impl Iterator<Item = OpenListener> + '_ {
    table.lines().filter_map(|line| {
        // The path is what remains: it may have spaces in it.
        let mut rest = line;
        let mut field = || {
            let (field, after) = rest.trim_start().split_once(' ')?;
            rest = after;
            Some(field)
        };
        let (_num, _references, _protocol) = (field()?, field()?, field()?);
        let flags = u32::from_str_radix(field()?, 16).ok()?;
        let (_kind, _state) = (field()?, field()?);
        let inode = field()?.parse().ok()?;
        if flags & UNIX_LISTENS == 0 || rest.is_empty() {
            return None;
        }
        let address = match rest.strip_prefix('@') {
            Some(name) => OpenAddress::Abstract(name.as_bytes().to_vec()),
            None => OpenAddress::UnixPath(PathBuf::from(rest)),
        };
        Some(OpenListener { inode, address, uid: None })
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;
    use crate::listen::{abstract_listener, unix_listener};
    use crate::socket::socket_inode;
    use crate::test_support::Directory;

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses() {
        let check = |text, expect: Option<&str>| {
            assert_eq!(parse_address(text), expect.map(|address| address.parse().unwrap()));
        };
        check("0100007F:1F90", Some("127.0.0.1:8080"));
        check("00000000:0050", Some("0.0.0.0:80"));
        check("00000000000000000000000000000000:0050", Some("[::]:80"));
        check("00000000000000000000000001000000:0050", Some("[::1]:80"));
        check("B80D0120000000000000000001000000:0050", Some("[2001:db8::1]:80"));
        check("0100007F", None);
        check("0100007:0050", None);
        check("local_address:0050", None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn only_one_state_of_an_inet_table_is_taken() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 x
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 x
   2: broken
";
        let found: Vec<_> = parse_inet(table, TCP_LISTEN, OpenAddress::Tcp).collect();
        let address = OpenAddress::Tcp("127.0.0.1:8080".parse().unwrap());
        assert_eq!(found, [OpenListener { inode: 4711, address, uid: Some(1000) }]);
    }

    #[test]
    fn only_listeners_of_the_unix_table_are_taken() {
        let table = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01    21 /run/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 22 /run/a b.sock
0000000000000000: 00000002 00000000 00010000 0001 01 23 @name
0000000000000000: 00000003 00000000 00000000 0001 03 24
";
        let found: Vec<_> = parse_unix(table).map(|found| (found.inode, found.address)).collect();
        let path = OpenAddress::UnixPath("/run/a b.sock".into());
        assert_eq!(found, [(21, path), (23, OpenAddress::Abstract(b"name".to_vec()))]);
    }

    #[test]
    fn the_other_ends_of_our_connections_are_found() {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        let waiting = connected_peer_ports(crate::process::own_pid());
        assert!(!waiting.contains(&port), "it was not accepted yet");
        let accepted = tcp.accept().unwrap();
        let found = connected_peer_ports(crate::process::own_pid());
        assert!(found.contains(&port), "{found:?}");
        drop(accepted);
    }

    #[test]
    fn our_own_sockets_are_found() {
        let directory = Directory::new();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let tcp6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let path = directory.join("a.sock");
        let unix = unix_listener(&path, 5, false, false).unwrap();
        let name = format!("relevo-sys-proc-{}", std::process::id()).into_bytes();
        let named = abstract_listener(&name, 5).unwrap();

        let found = listening_sockets(crate::process::own_pid());
        let expect = |inode: u64, address: OpenAddress| {
            let one = found.iter().find(|listener| listener.inode == inode);
            assert_eq!(one.map(|listener| &listener.address), Some(&address), "{found:?}");
        };
        expect(socket_inode(&tcp).unwrap(), OpenAddress::Tcp(tcp.local_addr().unwrap()));
        expect(socket_inode(&udp).unwrap(), OpenAddress::Udp(udp.local_addr().unwrap()));
        if let Some(tcp6) = tcp6 {
            expect(socket_inode(&tcp6).unwrap(), OpenAddress::Tcp(tcp6.local_addr().unwrap()));
        }
        expect(socket_inode(&unix.socket).unwrap(), OpenAddress::UnixPath(path));
        expect(socket_inode(&named).unwrap(), OpenAddress::Abstract(name));
        let client = socket_inode(&client).unwrap();
        assert!(found.iter().all(|listener| listener.inode != client));
    }
}
