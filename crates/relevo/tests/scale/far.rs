//! Clients from far away: a network in which every packet takes 300 ms, so that a handshake is under
//! way for almost a second.
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
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::client::{Lost, get_within};

/// How long a packet takes.
pub(crate) const DELAY: Duration = Duration::from_millis(300);

/// SYN, SYN-ACK, ACK: no worker has a connection sooner after its client began.
pub(crate) const HANDSHAKE: Duration = DELAY.saturating_mul(3);

const NEAR: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

/// Set in the process that is in the namespace.
const THERE: &str = "RELEVO_TEST_FAR";
const DONE: &str = "far away: done";
const SKIPPED: &str = "skipped: ";

/// Plays a scenario in a network of its own with the delay. `test` is the name of the calling test.
pub(crate) fn far_away(test: &str, scenario: fn()) {
    if std::env::var_os(THERE).is_some() {
        match relevo_sys::tun::tun("far", NEAR, FAR) {
            Ok(device) => {
                delay(File::from(device));
                scenario();
                println!("{DONE}");
            }
            Err(errno) => println!("{SKIPPED}no TUN device can be had here: {errno}"),
        }
        return;
    }
    let alone = ["--map-root-user", "--net", "--"];
    if !Command::new("unshare").args(alone).arg("true").output().is_ok_and(|o| o.status.success()) {
        println!("{SKIPPED}no network namespace can be had here");
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
fn delay(device: File) {
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
            if send.send((Instant::now() + DELAY, packet)).is_err() {
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

/// Clients that come one after the other, whatever becomes of those before, each with one request.
pub(crate) struct Arrivals {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Visit>>,
}

/// One client's.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) lost: Option<Lost>,
}

impl Arrivals {
    /// A hundred a second.
    pub(crate) fn begin(port: u16) -> Self {
        const PACE: Duration = Duration::from_millis(10);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut clients, mut next) = (Vec::new(), Instant::now());
            while !stopped.load(Ordering::Relaxed) {
                clients.push(std::thread::spawn(move || visit(port)));
                next += PACE;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            clients.into_iter().map(|client| client.join().expect("no panic")).collect()
        });
        Self { stop, thread }
    }

    /// Waits for the last of them.
    pub(crate) fn stop(self) -> Vec<Visit> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}

fn visit(port: u16) -> Visit {
    let began = Instant::now();
    let answer = get_within(Duration::from_secs(10), SocketAddr::from((FAR, port)), "/");
    let lost = match answer {
        Ok(response) if response.status == 200 => None,
        Ok(_) => Some(Lost::Wrong),
        Err(lost) => Some(lost),
    };
    Visit { began, ended: Instant::now(), lost }
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
