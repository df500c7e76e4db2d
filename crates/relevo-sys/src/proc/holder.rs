//! Who has the address that we wanted.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use super::sockets::{OpenAddress, OpenListener, all_listeners, open_sockets};
use super::usage::{command_of, start_of};

/// How many processes are looked at.
const PROCESS_LIMIT: usize = 1 << 16;

/// Somebody who has a socket open. Without privilege, only a process of one's own user is found;
/// of another, the uid at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process; the oldest if several share the socket: it is the one that opened it, and the
    /// others are its children.
    pub pid: Option<Pid>,
    /// Its command line.
    pub command: Option<String>,
    /// Whose socket, or else whose process, it is.
    pub uid: Option<u32>,
}

/// Who listens where a TCP socket of this address would be in the way. The most exact match is
/// taken: the address itself before an unspecified one.
pub fn holder_of_tcp(address: SocketAddr) -> Option<Holder> {
    holder(|open| match open {
        OpenAddress::Tcp(theirs) => conflict(address, *theirs),
        OpenAddress::Udp(_) | OpenAddress::UnixPath(_) | OpenAddress::Abstract(_) => None,
    })
}

/// Who listens on the Unix socket at this path, if that was bound by the same absolute path.
pub fn holder_of_unix(path: &Path) -> Option<Holder> {
    holder(|open| match open {
        OpenAddress::UnixPath(theirs) => (theirs == path).then_some(0),
        OpenAddress::Tcp(_) | OpenAddress::Udp(_) | OpenAddress::Abstract(_) => None,
    })
}

/// Who listens under this abstract name, given without its leading NUL byte.
pub fn holder_of_abstract(name: &[u8]) -> Option<Holder> {
    // As the table shows it.
    let shown: Vec<u8> = name.iter().map(|&byte| if byte == 0 { b'@' } else { byte }).collect();
    holder(|open| match open {
        OpenAddress::Abstract(theirs) => (*theirs == shown).then_some(0),
        OpenAddress::Tcp(_) | OpenAddress::Udp(_) | OpenAddress::UnixPath(_) => None,
    })
}

/// The holder of the sockets that are least far from what is wanted (`None`: not in the way).
fn holder(distance: impl Fn(&OpenAddress) -> Option<u8>) -> Option<Holder> {
    let all = all_listeners(Path::new("/proc/self/net"));
    let nearest = all.iter().filter_map(|listener| distance(&listener.address)).min()?;
    let there: Vec<&OpenListener> =
        all.iter().filter(|listener| distance(&listener.address) == Some(nearest)).collect();
    let inodes = there.iter().map(|listener| listener.inode).collect();
    let pid = process_with(&inodes);
    Some(Holder {
        pid,
        command: pid.and_then(command_of),
        uid: there.first().and_then(|listener| listener.uid).or_else(|| uid_of(pid?)),
    })
}

/// How far a socket that listens on `theirs` is from `wanted`: 0 the same, 1 and 2 in the way by
/// being unspecified, `None` not in the way.
fn conflict(wanted: SocketAddr, theirs: SocketAddr) -> Option<u8> {
    if wanted.port() != theirs.port() {
        return None;
    }
    let (wanted, theirs) = (wanted.ip().to_canonical(), theirs.ip().to_canonical());
    if wanted == theirs {
        return Some(0);
    }
    match (wanted, theirs) {
        (IpAddr::V4(wanted), IpAddr::V4(theirs)) => {
            (wanted.is_unspecified() || theirs.is_unspecified()).then_some(1)
        }
        (IpAddr::V6(wanted), IpAddr::V6(theirs)) => {
            (wanted.is_unspecified() || theirs.is_unspecified()).then_some(1)
        }
        // `::` takes IPv4 as well, unless its socket says otherwise, which the table does not show.
        (IpAddr::V6(six), IpAddr::V4(_)) | (IpAddr::V4(_), IpAddr::V6(six)) => {
            six.is_unspecified().then_some(2)
        }
    }
}

fn process_with(inodes: &BTreeSet<u64>) -> Option<Pid> {
    std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| std::str::from_utf8(entry.file_name().as_bytes()).ok()?.parse().ok())
        .take(PROCESS_LIMIT)
        .filter_map(Pid::from_raw)
        .filter(|pid| {
            open_sockets(&PathBuf::from(format!("/proc/{pid}")))
                .any(|inode| inodes.contains(&inode))
        })
        .min_by_key(|pid| (start_of(*pid).unwrap_or(u64::MAX), pid.as_raw_pid()))
}

fn uid_of(pid: Pid) -> Option<u32> {
    let status = rustix::fs::stat(format!("/proc/{pid}")).ok()?;
    Some(status.st_uid)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::listen::{abstract_listener, unix_listener};
    use crate::process::{effective_uid, own_pid};
    use crate::test_support::Directory;

    #[test]
    fn who_is_in_the_way_of_whom() {
        let check = |wanted: &str, theirs: &str, expect| {
            let found = conflict(wanted.parse().unwrap(), theirs.parse().unwrap());
            assert_eq!(found, expect, "{wanted} {theirs}");
        };
        check("127.0.0.1:80", "127.0.0.1:80", Some(0));
        check("127.0.0.1:80", "127.0.0.1:81", None);
        check("127.0.0.1:80", "127.0.0.2:80", None);
        check("127.0.0.1:80", "0.0.0.0:80", Some(1));
        check("0.0.0.0:80", "127.0.0.1:80", Some(1));
        check("127.0.0.1:80", "[::]:80", Some(2));
        check("[::]:80", "127.0.0.1:80", Some(2));
        check("[::1]:80", "0.0.0.0:80", None);
        check("[::1]:80", "[::]:80", Some(1));
        check("[::ffff:127.0.0.1]:80", "127.0.0.1:80", Some(0));
    }

    fn is_us(holder: Option<Holder>) {
        let holder = holder.unwrap();
        assert_eq!(holder.pid, Some(own_pid()));
        assert_eq!(holder.uid, Some(effective_uid()));
        assert!(holder.command.unwrap().contains(&std::env::args().next().unwrap()));
    }

    #[test]
    fn we_are_found_as_the_holders_of_our_sockets() {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = tcp.local_addr().unwrap();
        is_us(holder_of_tcp(address));
        is_us(holder_of_tcp((Ipv4Addr::UNSPECIFIED, address.port()).into()));

        let directory = Directory::new();
        let path = directory.join("a.sock");
        let _unix = unix_listener(&path, 5, false, false).unwrap();
        is_us(holder_of_unix(&path));

        let name = format!("relevo-sys-holder\0{}", std::process::id()).into_bytes();
        let _named = abstract_listener(&name, 5).unwrap();
        is_us(holder_of_abstract(&name));
    }

    #[test]
    fn of_several_the_oldest_is_named() {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let shared =
            std::process::Stdio::from(std::os::fd::OwnedFd::from(tcp.try_clone().unwrap()));
        let mut child =
            std::process::Command::new("sleep").arg("60").stdin(shared).spawn().unwrap();
        let found = holder_of_tcp(tcp.local_addr().unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        is_us(found);
    }

    #[test]
    fn nobody_holds_what_nobody_opened() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        assert_eq!(holder_of_tcp(free), None);
        assert_eq!(holder_of_unix(Path::new("/nowhere.sock")), None);
        assert_eq!(holder_of_abstract(b"relevo-sys-nobody"), None);
    }
}
