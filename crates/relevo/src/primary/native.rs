//! What a worker listens on by itself, past the primary.

use std::fs;

use relevo_sys::Pid;
use relevo_sys::proc::{OpenAddress, listening_sockets};

/// The addresses that the process listens on with sockets that are not among `ours`.
///
/// Datagram sockets on ports that the kernel hands out are left out: clients have such sockets too.
/// So is the port of Node's inspector.
pub(crate) fn unprotected(pid: Pid, ours: &[u64], inspector: Option<u16>) -> Vec<String> {
    let mut found: Vec<String> = listening_sockets(pid)
        .into_iter()
        .filter(|open| !ours.contains(&open.inode))
        .filter_map(|open| match open.address {
            OpenAddress::Tcp(address) if Some(address.port()) == inspector => None,
            OpenAddress::Tcp(address) => Some(format!("port {} ({address})", address.port())),
            OpenAddress::Udp(address) if is_ephemeral(address.port()) => None,
            OpenAddress::Udp(address) => Some(format!("UDP port {} ({address})", address.port())),
            OpenAddress::UnixPath(path) => Some(path.display().to_string()),
            OpenAddress::Abstract(name) => Some(format!("@{}", String::from_utf8_lossy(&name))),
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Whether the kernel gives this port to who asks for any (`ip(7)`, `ip_local_port_range`).
fn is_ephemeral(port: u16) -> bool {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut bounds = text.split_whitespace().filter_map(|bound| bound.parse::<u16>().ok());
    match (bounds.next(), bounds.next()) {
        (Some(low), Some(high)) => (low..=high).contains(&port),
        (_, _) => port >= 32768,
    }
}
