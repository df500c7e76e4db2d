//! A primary with nothing to do does nothing.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::support::client::Connection;
use crate::support::ports::port;
use crate::support::service::Service;
use crate::{connect, counted, kitchen};

/// How long nothing may happen.
const QUIET: Duration = Duration::from_secs(10);

/// How often each thread of the process has gone to wait: with that, it had been awake.
fn waits(pid: u32) -> BTreeMap<String, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a process").flatten();
    let waits = tasks.map(|task| {
        let status = fs::read_to_string(task.path().join("status")).expect("a thread");
        let field = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
        };
        let count = field("voluntary_ctxt_switches:").parse().expect("a number");
        (format!("{} {}", field("Pid:"), field("Name:")), count)
    });
    waits.collect()
}

/// A service that has been asked something, and the connections that stay open.
fn served(options: &str, open: usize) -> (String, Service, Vec<Connection>) {
    let what = format!("{options}, {open} open");
    let port = port();
    let service = kitchen(22, port, options).start();
    let mut kept: Vec<Connection> = (0..20).map(|_| connect(port).1).collect();
    kept.truncate(open);
    service.wait_for_status("connections that are counted", |status| {
        let counts = counted(status);
        let sum: u64 = counts.values().flatten().sum();
        counts.values().all(Option::is_none) || sum == open as u64
    });
    (what, service, kept)
}

#[test]
fn with_nothing_to_do_the_primary_does_not_wake() {
    // While connections are open, workers are asked for a sign of life: that is left out.
    let services = [
        served("-w 2 --hang-timeout 3s --balance auto", 0),
        served("-w 2 --hang-timeout 0s --balance auto", 20),
        served("-w 2 --hang-timeout 3s --balance kernel", 0),
        served("-w 2 --hang-timeout 3s --balance least-connections", 0),
        served("-w 2 --hang-timeout 0s --balance least-connections", 20),
        served("-w 2 --hang-timeout 0s --balance round-robin", 20),
        served("-w 2 --hang-timeout 3s --watch=src", 0),
    ];
    // What was counted last is said within a moment, and looked at once more.
    std::thread::sleep(Duration::from_secs(2));
    let before: Vec<_> = services.iter().map(|(_, service, _)| waits(service.pid())).collect();
    std::thread::sleep(QUIET);
    for ((what, service, kept), before) in services.into_iter().zip(before) {
        assert_eq!(waits(service.pid()), before, "{what}: it woke\n{}", service.log());
        drop(kept);
    }
}

/// The primary's two threads are woken by the time, by orders to ask, and by each answer.
#[test]
fn with_open_connections_it_asks_for_signs_of_life_and_does_nothing_else() {
    let (what, service, _kept) = served("-w 2 --hang-timeout 6s --balance round-robin", 20);
    std::thread::sleep(Duration::from_secs(2));
    let sum = || waits(service.pid()).values().sum::<u64>();
    let before = sum();
    std::thread::sleep(QUIET);
    let (woke, rounds) = (sum() - before, QUIET.as_secs() / 2);
    println!("{what}: {woke} within {QUIET:?}");
    assert!((rounds..=10 * (rounds + 1)).contains(&woke), "{what}: {woke} within {QUIET:?}");
}

/// While the kernel deals and connections are open, queues are looked at, and that costs little.
#[test]
fn with_open_connections_under_kernel_it_wakes_ten_times_a_second_at_most() {
    let (what, service, _kept) = served("-w 2 --hang-timeout 0s --balance kernel", 20);
    std::thread::sleep(Duration::from_secs(2));
    let sum = || waits(service.pid()).values().sum::<u64>();
    let before = sum();
    std::thread::sleep(QUIET);
    let woke = sum() - before;
    println!("{what}: {woke} within {QUIET:?}");
    assert!(woke <= 10 * QUIET.as_secs() + 5, "{what}: {woke} within {QUIET:?}");
}
