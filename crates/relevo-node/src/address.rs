//! Where an app wants to listen, out of the fields that Node sends (section 2.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::violation::short;

/// The longest address that is kept, in bytes; more than any socket can be bound to.
pub const MAX_ADDRESS: usize = 4096;

/// libuv's `UV_TCP_IPV6ONLY`, and `UV_UDP_IPV6ONLY` as well.
const IPV6_ONLY: u32 = 1;
/// libuv's `UV_UDP_REUSEADDR`.
const REUSE_ADDR: u32 = 4;

/// An address a worker wants to listen on, or reports that it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `server.listen(port, host)`.
    Tcp {
        /// `None`: `::` for both families, or `0.0.0.0` where there is no IPv6.
        host: Option<IpAddr>,
        /// 0: any free one.
        port: u16,
        /// Whether `::` leaves IPv4 alone.
        ipv6_only: bool,
    },
    /// `socket.bind(port, host)` of a datagram socket.
    Udp {
        /// Unspecified, but of the right family, if the app named none.
        host: IpAddr,
        /// 0: any free one.
        port: u16,
        /// Whether `::` leaves IPv4 alone.
        ipv6_only: bool,
        /// Whether `SO_REUSEADDR` is wished.
        reuse_addr: bool,
    },
    /// `server.listen(path)`. Permissions and unlinking are the primary's duty.
    UnixPath {
        /// Absolute: Node resolves it in the worker.
        path: PathBuf,
        /// Whether everybody may read.
        readable_all: bool,
        /// Whether everybody may write.
        writable_all: bool,
    },
    /// A name in Linux's abstract namespace.
    Abstract {
        /// Without the NUL it begins with.
        name: Vec<u8>,
    },
    /// `listen({fd})`: a descriptor of the *primary*.
    Descriptor {
        /// Its number, not negative.
        fd: i32,
        /// What the app expects it to be.
        kind: DescriptorKind,
    },
    /// Nothing that can be listened on; the app is to be refused.
    Unsupported {
        /// For the person who wrote the app.
        why: String,
    },
}

/// What a descriptor of the primary is expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptorKind {
    /// A listening stream socket.
    Stream,
    /// A datagram socket.
    Datagram,
}

impl ListenAddress {
    /// The port, where there is such a thing.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp { port, .. } | Self::Udp { port, .. } => Some(*port),
            Self::UnixPath { .. }
            | Self::Abstract { .. }
            | Self::Descriptor { .. }
            | Self::Unsupported { .. } => None,
        }
    }

    /// Whether its socket carries datagrams, which cannot be dealt.
    pub fn is_datagram(&self) -> bool {
        match self {
            Self::Udp { .. } | Self::Descriptor { kind: DescriptorKind::Datagram, .. } => true,
            Self::Tcp { .. }
            | Self::UnixPath { .. }
            | Self::Abstract { .. }
            | Self::Descriptor { kind: DescriptorKind::Stream, .. }
            | Self::Unsupported { .. } => false,
        }
    }

    /// Whether `self` and `other` are equal but for the port.
    pub(crate) fn is_other_only_by_port(&self, other: &Self) -> bool {
        let mut same = other.clone();
        if let (Self::Tcp { port, .. } | Self::Udp { port, .. }, Some(mine)) =
            (&mut same, self.port())
        {
            *port = mine;
        }
        *self == same
    }
}

/// The fields of a `queryServer` or `listening` that say where; each may be absent or `null`.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) address: Option<String>,
    pub(crate) port: Option<Port>,
    pub(crate) kind: Option<AddressType>,
    pub(crate) fd: Option<i32>,
    pub(crate) flags: u32,
    pub(crate) readable_all: bool,
    pub(crate) writable_all: bool,
}

/// What Node calls `addressType`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AddressType {
    /// 4 or 6, or -1 for a path.
    Number(i64),
    /// `udp4` or `udp6`.
    Name(String),
}

/// What Node calls `port`: for datagram sockets, whatever the app wrote.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Port {
    /// A number, and a string that is one.
    Number(f64),
    /// Anything else, in JSON.
    Other(String),
}

impl Fields {
    /// The address they mean. What means nothing is `Unsupported`, not an error: an app wrote it,
    /// and the app is to see its `listen()` fail.
    pub(crate) fn resolve(self) -> ListenAddress {
        self.try_resolve().unwrap_or_else(|why| ListenAddress::Unsupported { why })
    }

    fn try_resolve(self) -> Result<ListenAddress, String> {
        if self.address.as_ref().is_some_and(|address| address.len() > MAX_ADDRESS) {
            return Err(format!("the address is longer than {MAX_ADDRESS} bytes"));
        }
        if let Some(fd) = self.fd.filter(|fd| *fd >= 0) {
            let kind = match self.kind {
                Some(AddressType::Name(_)) => DescriptorKind::Datagram,
                Some(AddressType::Number(_)) | None => DescriptorKind::Stream,
            };
            return Ok(ListenAddress::Descriptor { fd, kind });
        }
        match &self.kind {
            Some(AddressType::Name(name)) => match name.as_str() {
                "udp4" => self.udp(Ipv4Addr::UNSPECIFIED.into()),
                "udp6" => self.udp(Ipv6Addr::UNSPECIFIED.into()),
                other => Err(format!("the address type {} is not known", short(other))),
            },
            Some(AddressType::Number(4 | 6)) => self.tcp(),
            Some(AddressType::Number(-1)) => self.path(),
            Some(AddressType::Number(other)) => {
                Err(format!("the address type {other} is not known"))
            }
            None => Err("there is neither an address nor a descriptor".to_owned()),
        }
    }

    fn tcp(self) -> Result<ListenAddress, String> {
        let host = self.address.as_deref().map(ip_address).transpose()?;
        let port = whole_port(self.port.as_ref())?;
        Ok(ListenAddress::Tcp { host, port, ipv6_only: self.flags & IPV6_ONLY != 0 })
    }

    fn udp(self, unspecified: IpAddr) -> Result<ListenAddress, String> {
        let host = match self.address.as_deref() {
            None | Some("") => unspecified,
            Some(text) => ip_address(text)?,
        };
        Ok(ListenAddress::Udp {
            host,
            port: whole_port(self.port.as_ref())?,
            ipv6_only: self.flags & IPV6_ONLY != 0,
            reuse_addr: self.flags & REUSE_ADDR != 0,
        })
    }

    /// An abstract name reaches us mangled: Node resolves `"\0name"` against the working
    /// directory, so what follows the NUL is the name.
    fn path(self) -> Result<ListenAddress, String> {
        let Some(path) = self.address.filter(|path| !path.is_empty()) else {
            // Node up to 18 asks so for `listen(handle)`, of which it passes nothing on.
            return Err("listen(handle) does not work in a worker of this Node version".to_owned());
        };
        match path.split_once('\0') {
            Some((_, name)) => Ok(ListenAddress::Abstract { name: name.as_bytes().to_vec() }),
            None => Ok(ListenAddress::UnixPath {
                path: path.into(),
                readable_all: self.readable_all,
                writable_all: self.writable_all,
            }),
        }
    }
}

fn ip_address(text: &str) -> Result<IpAddr, String> {
    if text.contains('%') {
        return Err(format!("{}: an IPv6 address with a zone is not supported", short(text)));
    }
    text.parse().map_err(|_| format!("{} is not an IP address", short(text)))
}

/// Absent is 0: `bind()` without a port asks for any.
fn whole_port(port: Option<&Port>) -> Result<u16, String> {
    match port {
        None => Ok(0),
        Some(Port::Number(number)) => {
            let whole = number.trunc();
            if (0.0..=65_535.0).contains(&whole) {
                // In range, so nothing is lost.
                Ok(whole as u16)
            } else {
                Err(format!("{number} is not a port"))
            }
        }
        Some(Port::Other(text)) => Err(format!("{} is not a port", short(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(kind: i64, address: Option<&str>, port: f64) -> Fields {
        Fields {
            address: address.map(str::to_owned),
            port: Some(Port::Number(port)),
            kind: Some(AddressType::Number(kind)),
            ..Fields::default()
        }
    }

    fn why(fields: Fields) -> String {
        fields.try_resolve().expect_err("this cannot be listened on")
    }

    #[test]
    fn what_means_nothing_is_unsupported_and_says_why() {
        assert!(why(number(4, Some("fe80::1%eth0"), 80.0)).contains("fe80::1%eth0"));
        assert!(why(number(4, Some("example.org"), 80.0)).contains("not an IP address"));
        assert!(why(number(4, None, 65_536.0)).contains("not a port"));
        assert!(why(number(4, None, -1.0)).contains("not a port"));
        assert!(why(number(9, None, 80.0)).contains("address type 9"));
        assert!(why(number(-1, None, -1.0)).contains("listen(handle)"));
        assert!(why(number(-1, Some(&"/x".repeat(4096)), -1.0)).contains("longer"));
        assert!(why(Fields::default()).contains("neither"));
    }

    #[test]
    fn a_descriptor_is_one_before_it_is_anything_else() {
        let mut fields = number(4, Some("::"), 80.0);
        fields.fd = Some(7);
        let kind = DescriptorKind::Stream;
        assert_eq!(fields.resolve(), ListenAddress::Descriptor { fd: 7, kind });
        let mut none = number(4, Some("::"), 80.0);
        none.fd = Some(-1);
        assert_eq!(none.resolve().port(), Some(80));
    }

    #[test]
    fn an_abstract_name_is_what_follows_the_nul() {
        assert_eq!(
            number(-1, Some("/srv/app/\0relevo"), -1.0).resolve(),
            ListenAddress::Abstract { name: b"relevo".to_vec() }
        );
    }
}
