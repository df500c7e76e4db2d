//! From what Node asks for to what the core calls a wish: the address in its normal form.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;

use relevo_core::{Kind, Wish};
use relevo_node::{DescriptorKind, ListenAddress, Query};
use relevo_sys::activation::InheritedSocket;
use relevo_sys::socket::{SocketKind, SocketName, local_address, socket_type};

/// A listening socket that Relevo itself was started with.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(super) number: RawFd,
    pub(super) socket: Arc<OwnedFd>,
    pub(super) name: SocketName,
    kind: SocketKind,
}

/// Why a wish cannot even be put into words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unwishable {
    /// The error that the worker gets.
    pub(super) errno: i32,
    /// The sentence for the log.
    pub(super) why: String,
}

const EBADF: i32 = 9;
const EINVAL: i32 = 22;

impl Inherited {
    /// Looks at a socket that was passed on; `None` for what is no socket.
    pub(crate) fn examine(passed: InheritedSocket) -> Option<Self> {
        let kind = socket_type(&passed.descriptor).ok()?;
        let name = local_address(&passed.descriptor).ok()?;
        Some(Self { number: passed.number, socket: Arc::new(passed.descriptor), name, kind })
    }

    /// Whether a stream that listens under this name was passed on.
    fn is_named(&self, name: &SocketName) -> bool {
        self.kind == SocketKind::Listener && self.name == *name
    }

    fn serves(&self, wanted: SocketKind, host: Option<IpAddr>, port: u16) -> bool {
        let SocketName::Inet(address) = &self.name else { return false };
        self.kind == wanted
            && address.port() == port
            && match host {
                Some(host) => address.ip() == host,
                None => address.ip().is_unspecified(),
            }
    }
}

/// What the query wishes for, and the passed socket that fulfils it, if there is one.
pub(super) fn wish(query: &Query, inherited: &[Inherited]) -> Result<Wish, Unwishable> {
    let plain = |address: String, kind| Ok(Wish { address, kind, index: None });
    match &query.address {
        ListenAddress::Tcp { host, port, ipv6_only } => {
            if find_inet(inherited, SocketKind::Listener, *host, *port).is_some() {
                return plain(inet(*host, *port, *ipv6_only), Kind::Inherited);
            }
            let index = (*port == 0).then_some(query.index);
            Ok(Wish { address: inet(*host, *port, *ipv6_only), kind: Kind::Tcp, index })
        }
        ListenAddress::Udp { host, port, ipv6_only, reuse_addr } => {
            if find_inet(inherited, SocketKind::Datagram, Some(*host), *port).is_some() {
                return plain(inet(Some(*host), *port, *ipv6_only), Kind::InheritedDatagram);
            }
            let several = *port == 0 || *reuse_addr;
            let index = several.then_some(query.index);
            Ok(Wish { address: inet(Some(*host), *port, *ipv6_only), kind: Kind::Udp, index })
        }
        ListenAddress::UnixPath { path, .. } => {
            plain(path.display().to_string(), unix_kind(query, inherited))
        }
        ListenAddress::Abstract { name } => {
            plain(format!("@{}", String::from_utf8_lossy(name)), unix_kind(query, inherited))
        }
        ListenAddress::Descriptor { fd, kind } => {
            let kind = match kind {
                DescriptorKind::Stream => Kind::Inherited,
                DescriptorKind::Datagram => Kind::InheritedDatagram,
            };
            if find_number(inherited, *fd).is_none() {
                return Err(no_such_descriptor(*fd, inherited));
            }
            plain(format!("fd {fd}"), kind)
        }
        ListenAddress::Unsupported { why } => Err(Unwishable { errno: EINVAL, why: why.clone() }),
    }
}

/// The passed socket that an address means.
pub(super) fn find<'a>(
    inherited: &'a [Inherited],
    address: &ListenAddress,
) -> Option<&'a Inherited> {
    match address {
        ListenAddress::Tcp { host, port, .. } => {
            find_inet(inherited, SocketKind::Listener, *host, *port)
        }
        ListenAddress::Udp { host, port, .. } => {
            find_inet(inherited, SocketKind::Datagram, Some(*host), *port)
        }
        ListenAddress::Descriptor { fd, .. } => find_number(inherited, *fd),
        ListenAddress::UnixPath { path, .. } => {
            let name = SocketName::UnixPath(path.clone());
            inherited.iter().find(|socket| socket.is_named(&name))
        }
        ListenAddress::Abstract { name } => {
            let name = SocketName::Abstract(name.clone());
            inherited.iter().find(|socket| socket.is_named(&name))
        }
        ListenAddress::Unsupported { .. } => None,
    }
}

fn unix_kind(query: &Query, inherited: &[Inherited]) -> Kind {
    match find(inherited, &query.address) {
        Some(_) => Kind::Inherited,
        None => Kind::Unix,
    }
}

fn find_inet(
    inherited: &[Inherited],
    kind: SocketKind,
    host: Option<IpAddr>,
    port: u16,
) -> Option<&Inherited> {
    inherited.iter().find(|socket| port != 0 && socket.serves(kind, host, port))
}

fn find_number(inherited: &[Inherited], number: RawFd) -> Option<&Inherited> {
    inherited.iter().find(|socket| socket.number == number)
}

fn inet(host: Option<IpAddr>, port: u16, ipv6_only: bool) -> String {
    let only = if ipv6_only { " (IPv6 only)" } else { "" };
    match host {
        Some(host) => format!("{}{only}", SocketAddr::new(host, port)),
        None => format!("*:{port}{only}"),
    }
}

fn no_such_descriptor(fd: RawFd, inherited: &[Inherited]) -> Unwishable {
    let has = if inherited.is_empty() {
        "was started without any (see systemd.socket(5))".to_owned()
    } else {
        let numbers: Vec<String> = inherited.iter().map(|s| s.number.to_string()).collect();
        format!("was started with {} only", numbers.join(", "))
    };
    let why = format!(
        "listen({{fd: {fd}}}) names a descriptor that Relevo itself must have been started with, and it {has}"
    );
    Unwishable { errno: EBADF, why }
}
