//! Ports that no other test uses, in this process or another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;

use relevo_sys::diag::listeners_on;

/// Below the range from which the kernel hands out ports to clients.
const FIRST: u16 = 12_000;
const LAST: u16 = 32_000;

static TAKEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port for this test alone. It is claimed by an abstract socket for the life of this process, so
/// that tests of other processes do not take it, and was free a moment ago.
pub(crate) fn port() -> u16 {
    let mut taken = TAKEN.lock().expect("no test panics here");
    let start = (std::process::id() as u16).wrapping_mul(37) % (LAST - FIRST);
    for offset in 0..LAST - FIRST {
        let port = FIRST + (start + offset) % (LAST - FIRST);
        let name = SocketAddr::from_abstract_name(format!("relevo-test-port-{port}"));
        let Ok(claim) = UnixListener::bind_addr(&name.expect("a short name")) else { continue };
        taken.push(claim);
        if is_free(port) {
            return port;
        }
    }
    panic!("no free port");
}

/// Whether nobody listens there. Not by trying to: a child that another thread forks meanwhile has the socket, too, until
/// it executes its program, and who then listens in earnest is told that the address is in use.
fn is_free(port: u16) -> bool {
    let addresses: [IpAddr; 4] = [
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::UNSPECIFIED.into(),
        Ipv6Addr::LOCALHOST.into(),
    ];
    addresses.into_iter().all(|ip| listeners_on((ip, port).into()).expect("netlink").is_empty())
}
