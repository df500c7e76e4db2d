//! Somebody interferes with the sockets: it is noticed, told of once, and mended.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use relevo_sys::Pid;
use relevo_sys::diag::listeners_on;
use relevo_sys::listen::{steer, tcp_further};
use relevo_sys::socket::accept;
use rustix::net::{Shutdown, shutdown};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::support::client::{Lost, get};
use crate::support::fixture;
use crate::support::load::{Account, Load};
use crate::support::ports::port;
use crate::support::service::{Service, Setup};
use crate::{QUIET, connect, counted};

const BALANCES: [&str; 2] = ["auto", "kernel"];

/// How soon, while connections come, a disturbance is noticed; or after how many connections.
const NOTICED: Duration = Duration::from_secs(1);
const NOTICED_AFTER: u64 = 1000;
/// What a busy machine and the reading of the log may add.
const NOISE: Duration = Duration::from_millis(500);

fn brief(port: u16, balance: &str, workers: usize) -> Service {
    Setup::new(22, fixture("brief.js"))
        .options(&format!("-w {workers} --balance {balance}"))
        .env("PORT", port)
        .start()
}

/// The address of the only listener.
fn address(service: &Service) -> SocketAddr {
    let status = service.status();
    let address = status["listeners"][0]["address"].as_str().expect("a word");
    address.parse().expect("an address")
}

/// Connections that come at a steady rate: each asks once, and is counted when it is answered.
struct Stream {
    load: Load,
    answered: Arc<AtomicU64>,
}

impl Stream {
    /// Four clients, each with a connection after another and a pause between.
    fn begin(port: u16, pause: Duration) -> Self {
        let answered = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&answered);
        let client = move |stop: &AtomicBool| {
            let mut account = Account::default();
            while !stop.load(Ordering::Relaxed) {
                match get(port, "/") {
                    Ok(_) => {
                        account.answered += 1;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(lost) => {
                        *account.lost.entry(lost).or_default() += 1;
                        account.examples.push(format!("{lost:?}, the {}th", account.answered));
                    }
                }
                std::thread::sleep(pause);
            }
            account
        };
        Self { load: Load::new().add(CLIENTS, client), answered }
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Until so many more have been answered.
    fn goes_on_for(&self, more: u64) {
        let until = self.answered() + more;
        crate::support::eventually("more answers", || {
            let answered = self.answered();
            if answered >= until { Ok(()) } else { Err(answered) }
        });
    }

    fn end(self) -> Account {
        self.load.stop()
    }
}

const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(10);
/// For how long connections are not compared with the weights after these are new.
const SETTLE: Duration = Duration::from_secs(4);

/// Waits for a line about what was done at `since`, when `before` had been answered.
fn assert_noticed(service: &Service, words: &str, stream: &Stream, since: Instant, before: u64) {
    service.wait_for_line(words);
    let (after, more) = (since.elapsed(), stream.answered() - before);
    println!("`{words}` after {after:?}, {more} connections");
    let soon = after <= NOTICED + NOISE || more <= NOTICED_AFTER;
    assert!(soon, "`{words}` only after {after:?}, {more} connections\n{}", service.log());
}

/// A duplicate of the worker's own socket at the address, as only a debugger could have it; `None`
/// where that is not allowed.
fn socket_of(worker: u32, address: SocketAddr) -> Option<OwnedFd> {
    let inodes = listeners_on(address).expect("who listens").into_iter().map(|entry| entry.inode);
    let names: Vec<String> = inodes.map(|inode| format!("socket:[{inode}]")).collect();
    let descriptors = fs::read_dir(format!("/proc/{worker}/fd")).expect("a process").flatten();
    let number = descriptors
        .filter(|entry| {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            names.iter().any(|name| target.as_os_str() == name.as_str())
        })
        .find_map(|entry| entry.file_name().to_str()?.parse().ok());
    let number = number.unwrap_or_else(|| panic!("pid {worker} has no socket at {address}"));
    let pid = Pid::from_raw(worker as i32).expect("a pid is not 0");
    let process = pidfd_open(pid, PidfdFlags::empty()).expect("a process");
    match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
        Ok(socket) => Some(socket),
        Err(errno) => {
            println!("skipped, as descriptors of other processes cannot be had here: {errno}");
            None
        }
    }
}

#[test]
fn a_stranger_in_the_group_is_noticed_and_gets_nothing() {
    let _quiet = QUIET.write();
    for balance in BALANCES {
        let port = port();
        let service = brief(port, balance, 2);
        let words = "another process of the same user listens there too; it gets nothing";
        let stream = Stream::begin(port, PAUSE);
        stream.goes_on_for(100);
        let (since, before) = (Instant::now(), stream.answered());
        let stranger = tcp_further(address(&service), false, 511).expect("to join");
        assert_noticed(&service, words, &stream, since, before);
        // As many as came there until then; then weights change, and never in its favour.
        let mut got = 0;
        let mut drain = || {
            while let Some(connection) = accept(&stranger).expect("to accept") {
                drop(connection);
                got += 1;
            }
            got
        };
        let noticed = drain();
        stream.goes_on_for(200);
        service.reload();
        stream.goes_on_for(200);
        assert_eq!(drain(), noticed, "{balance}: it got more\n{}", service.log());
        assert_eq!(noticed, 0, "{balance}: it got something before it was noticed");
        drop(stranger);
        stream.goes_on_for(500);
        stream.end().assert_nothing_lost();
        assert_eq!(service.count_lines("warning"), 1, "{}", service.log());
        assert_eq!(service.count_lines(words), 1, "{}", service.log());
    }
}

#[test]
fn a_socket_that_a_worker_has_shut_down_listens_again() {
    let _quiet = QUIET.write();
    for balance in BALANCES {
        let port = port();
        let service = brief(port, balance, 2);
        let words = "a worker has shut a socket down; it listens again";
        let address = address(&service);
        for (slot, worker) in service.worker_pids().into_iter().enumerate() {
            let Some(socket) = socket_of(worker, address) else { return };
            let stream = Stream::begin(port, PAUSE);
            stream.goes_on_for(100);
            let listening = listeners_on(address).expect("who listens").len();
            let (since, before) = (Instant::now(), stream.answered());
            shutdown(&socket, Shutdown::Read).expect("a shutdown");
            if slot == 0 {
                assert_noticed(&service, words, &stream, since, before);
            }
            crate::support::eventually("as many sockets as before", || {
                let now = listeners_on(address).expect("who listens").len();
                if now == listening { Ok(()) } else { Err(now) }
            });
            stream.goes_on_for(300);
            let account = stream.end();
            let lost: u64 = account.lost.values().sum();
            // What waited in the socket's own queue at that moment is gone with it.
            let in_queue = if balance == "auto" { 0 } else { CLIENTS as u64 };
            let cut_only = account.lost.keys().all(|lost| *lost == Lost::Reset);
            assert!(cut_only && lost <= in_queue, "{balance}: {account:#?}\n{}", service.log());
        }
        let told = service.count_lines("warning");
        assert_eq!(service.count_lines(words), told, "{}", service.log());
        assert!((1..=2).contains(&told), "{}", service.log());
        assert_both_serve(&service, port, balance);
    }
}

/// Each of two workers gets its share of new connections.
fn assert_both_serve(service: &Service, port: u16, balance: &str) {
    // What was dealt since the last count still counts as open.
    service.wait_for_status("no connection", |status| {
        counted(status).values().all(|count| *count == Some(0))
    });
    let crowd: Vec<_> = (0..60).map(|_| connect(port)).collect();
    let first = crowd[0].0;
    let share = crowd.iter().filter(|(pid, _)| *pid == first).count();
    let fair = if balance == "kernel" { 10..=50 } else { 29..=31 };
    assert!(fair.contains(&share), "{balance}: {share} of 60\n{}", service.log());
}

#[test]
fn a_program_that_somebody_else_put_on_the_group_is_replaced() {
    let _quiet = QUIET.write();
    for (balance, weights) in [("auto", &[1, 1, 1][..]), ("kernel", &[1, 0]), ("kernel", &[0, 1])] {
        let port = port();
        let service = brief(port, balance, 2);
        let words = "new connections did not go where they were sent; the weights are set anew";
        let Some(socket) = socket_of(service.worker_pids()[0], address(&service)) else { return };
        let stream = Stream::begin(port, PAUSE);
        std::thread::sleep(SETTLE);
        let (since, before) = (Instant::now(), stream.answered());
        steer(&socket, weights).expect("a program");
        assert_noticed(&service, words, &stream, since, before);
        stream.goes_on_for(600);
        stream.end().assert_nothing_lost();
        assert_eq!(service.count_lines("warning"), 1, "{balance}: {}", service.log());
        assert_eq!(service.count_lines(words), 1, "{balance}: {}", service.log());
        assert_both_serve(&service, port, balance);
    }
}

/// What a worker does by itself is no disturbance.
#[test]
fn a_worker_that_closes_and_listens_again_is_covered_meanwhile() {
    let _quiet = QUIET.write();
    for balance in ["auto", "kernel", "least-connections"] {
        let port = port();
        let service = brief(port, balance, 2);
        let stream = Stream::begin(port, PAUSE);
        for round in 1..=3 {
            stream.goes_on_for(100);
            get(port, "/relisten?ms=700").expect("an answer");
            if balance != "least-connections" {
                service.wait_for_status("a slot that is covered", |status| {
                    let covering = &status["listeners"][0]["covering"];
                    *covering == serde_json::json!([0]) || *covering == serde_json::json!([1])
                });
            } else {
                std::thread::sleep(Duration::from_secs(1));
            }
            service.wait_for_status(&format!("nothing covered, round {round}"), |status| {
                status["listeners"][0]["covering"] == serde_json::json!([])
            });
        }
        stream.goes_on_for(100);
        stream.end().assert_nothing_lost();
        assert_eq!(service.count_lines("warning"), 0, "{balance}: {}", service.log());
        assert_both_serve(&service, port, balance);
    }
}
