//! Clients from far away: a network in which every packet takes its time.
//!
//! Not every kernel can delay packets by itself (`netem`), so a thread of the test does it, behind a
//! TUN device: it holds what is sent to [`FAR`], and sends it back with the two addresses exchanged.
//! A client here that connects to `FAR` thereby reaches the server here, which sees a client at `FAR`.
//! Both ends are the kernel's own TCP. The checksums stay right, as they are sums over both addresses.
//!
//! The device needs a network namespace of its own. The test program starts itself once more in one,
//! for the same test: so everything there, the service, its commands, the clients and the delay, is
//! plain test code that needs not enter anything. The one thing that takes `unsafe`, making the
//! device, is `relevo_sys::tun`, since this crate may have none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const NEAR: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// Where clients connect to.
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

/// Set in the process that is in the namespace.
const THERE: &str = "RELEVO_TEST_FAR";
const DONE: &str = "far away: done";
const SKIPPED: &str = "skipped: ";

/// Plays a scenario in a network of its own, in which a packet takes so long. `test` is the name of the
/// calling test.
pub(crate) fn far_away(test: &str, packet_takes: Duration, scenario: fn()) {
    if std::env::var_os(THERE).is_some() {
        match relevo_sys::tun::tun("far", NEAR, FAR) {
            Ok(device) => {
                delay(File::from(device), packet_takes);
                scenario();
                println!("{DONE}");
            }
            Err(errno) => println!("{SKIPPED}no TUN device can be had here: {errno}"),
        }
        return;
    }
    let alone = ["--map-root-user", "--net", "--"];
    if !Command::new("unshare").args(alone).arg("true").output().is_ok_and(|o| o.status.success()) {
        eprintln!("{SKIPPED}no network namespace can be had here");
        return;
    }
    let output = Command::new("unshare")
        .args(alone)
        .arg(std::env::current_exe().expect("our own path"))
        .args([test, "--exact", "--nocapture"])
        .env(THERE, "1")
        .output()
        .expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "in the network of its own:\n{said}\n{errors}");
    // With a wrong name nothing would be run, and nothing fail.
    assert!(said.contains(DONE) || said.contains(SKIPPED), "`{test}` was not run:\n{said}");
    print!("{said}");
}

/// Sends everything back to where it comes from, later.
fn delay(device: File, packet_takes: Duration) {
    let mut reading = device.try_clone().expect("a duplicate");
    let mut writing = device;
    let (send, receive) = channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok(length) = reading.read(&mut buffer) {
            let mut packet = buffer[..length].to_vec();
            // The kernel has things to say in IPv6 on every device. Nobody is there to hear it.
            if length < 20 || packet[0] >> 4 != 4 {
                continue;
            }
            let (from, to) = packet[12..20].split_at_mut(4);
            from.swap_with_slice(to);
            if send.send((Instant::now() + packet_takes, packet)).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        // They take equally long, and so stay in their order.
        for (due, packet) in receive {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            note(&packet);
            writing.write_all(&packet).expect("the device takes a packet");
        }
    });
}

/// The ports of clients whose SYN has arrived, and nothing else yet.
static HALF_OPEN: Mutex<BTreeSet<[u8; 2]>> = Mutex::new(BTreeSet::new());

/// Keeps account of handshakes by what is delivered.
fn note(packet: &[u8]) {
    const TCP: u8 = 6;
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    let Some(segment) = packet.get(usize::from(packet[0] & 15) * 4..) else { return };
    if packet[9] != TCP || segment.len() < 20 {
        return;
    }
    let (from, flags) = ([segment[0], segment[1]], segment[13] & (SYN | ACK));
    let mut half_open = HALF_OPEN.lock().expect("no panic");
    if flags == SYN {
        half_open.insert(from);
    } else if flags == ACK {
        half_open.remove(&from);
    }
}

/// How many handshakes are under way: the client's SYN has arrived, and its ACK has not.
pub(crate) fn half_open() -> usize {
    HALF_OPEN.lock().expect("no panic").len()
}

/// What the kernel has counted in this network, by name as in `/proc/net/snmp` and `netstat`.
pub(crate) fn counters() -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    for file in ["/proc/net/snmp", "/proc/net/netstat"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.chunks_exact(2) {
            let (names, values) = (pair[0].split_whitespace(), pair[1].split_whitespace());
            for (name, value) in names.zip(values).skip(1) {
                counters.insert(name.to_owned(), value.parse().unwrap_or(0));
            }
        }
    }
    counters
}
