//! Killing a worker, and knowing exactly which connections were its.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::Signal;

use crate::support::eventually;
use crate::support::proc::{is_stopped, sockets};
use crate::support::service::signal_process;

/// Kills the process and returns the ports of the clients whose connections to `port` it held.
///
/// It is stopped first, so that it accepts and answers nothing more between the look at its sockets and its end. A
/// connection that waits in a queue, or is on its way to the worker, is not among them: that must not be lost.
pub(crate) fn kill(pid: u32, port: u16) -> BTreeSet<u16> {
    signal_process(pid, Signal::STOP);
    eventually("the worker's standstill", || if is_stopped(pid) { Ok(()) } else { Err(pid) });
    let held = sockets(pid);
    let clients = clients_of(port)
        .into_iter()
        .filter_map(|(client, inode)| held.contains(&inode).then_some(client))
        .collect();
    signal_process(pid, Signal::KILL);
    clients
}

/// The connections to a port of this machine: the client's port, and the inode of the server's socket (`proc(5)`).
fn clients_of(port: u16) -> Vec<(u16, u64)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let lines: Vec<String> = tables
        .into_iter()
        .flatten()
        .flat_map(|table| table.lines().skip(1).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines
        .iter()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, remote) = (port_of(fields.get(1)?)?, port_of(fields.get(2)?)?);
            (local == port).then_some((remote, fields.get(9)?.parse().ok()?))
        })
        .collect()
}

/// The port of an address as the kernel prints it: `0100007F:1F90`.
fn port_of(address: &str) -> Option<u16> {
    u16::from_str_radix(address.rsplit(':').next()?, 16).ok()
}
