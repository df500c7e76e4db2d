//! A slot without a worker: what its socket's queue gets is served all the same.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::target::{Client, Target};
use super::{QUIET, is_running};
use crate::support::load::{Account, Load};
use crate::support::nodes::MAJORS;
use crate::support::ports::port;
use crate::support::service::{Setup, signal_process};
use crate::support::{BALANCES, eventually, fixture};

/// How long a replacement takes to listen here.
const BOOT: Duration = Duration::from_millis(1200);

fn kill(pid: u32) {
    signal_process(pid, Signal::KILL);
    eventually("its end", || if is_running(pid) { Err(pid) } else { Ok(()) });
}

/// A connection for each request; one that takes longer than a second is as bad as a lost one.
fn impatient(port: u16, stop: &AtomicBool) -> Account {
    const LIMIT: Duration = Duration::from_secs(1);
    let mut account = Account::default();
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let answer = crate::support::client::get(port, "/");
        let waited = asked.elapsed();
        let lost = match answer {
            Ok(response) if response.status == 200 && waited <= LIMIT => {
                account.answered += 1;
                continue;
            }
            Ok(response) => format!("status {} after {waited:?}", response.status),
            Err(lost) => format!("{lost:?} after {waited:?}"),
        };
        *account.lost.entry(crate::support::client::Lost::TimedOut).or_default() += 1;
        account.examples.push(lost);
    }
    account
}

#[test]
fn while_a_worker_is_being_replaced_nobody_waits_in_its_queue() {
    let _quiet = QUIET.write();
    let all = MAJORS.map(|major| (major, "kernel"));
    for (major, balance) in all.into_iter().chain([(22, "auto")]) {
        let port = port();
        let service = Setup::new(major, fixture("kitchen.js"))
            .options(&format!("-w 2 --balance {balance}"))
            .env("PORT", port)
            .env("BOOT_DELAY_MS", BOOT.as_millis())
            .start();
        let victim = service.worker_pids()[0];
        kill(victim);
        let load = Load::new().add(4, move |stop| impatient(port, stop));
        // Until the replacement serves, and a little of that too.
        service.wait_for_lines(" listens on ", 3);
        service.wait_until_calm();
        let account = load.stop();
        assert!(account.answered > 100, "node {major}, {balance}: {account:?}");
        account.assert_nothing_lost();
    }
}

#[test]
fn what_comes_while_the_only_worker_is_dead_is_answered_by_the_next() {
    for major in MAJORS {
        for balance in BALANCES {
            let port = port();
            let service = Setup::new(major, fixture("kitchen.js"))
                .options(&format!("-w 1 --balance {balance}"))
                .env("PORT", port)
                .env("BOOT_DELAY_MS", 200)
                .start();
            let dead = service.worker_pids()[0];
            kill(dead);
            let response = crate::support::client::get(port, "/");
            let response = response.unwrap_or_else(|lost| {
                panic!("node {major}, {balance}: {lost:?}\n{}", service.log())
            });
            assert_eq!(response.status, 200);
            let next = service.worker_pids();
            assert_eq!(response.json()["pid"], next[0], "node {major}, {balance}");
            assert_ne!(next[0], dead);
        }
    }
}

/// The same for a socket that is shared anyway.
#[test]
fn a_unix_socket_waits_for_the_next_worker_too() {
    let directory = crate::support::TempDir::new("covering");
    let path = directory.join("app.sock");
    let service = Setup::new(22, fixture("forms.js"))
        .options("-w 1")
        .env("FORM", "unix")
        .env("SOCK", path.display())
        .start();
    kill(service.worker_pids()[0]);
    Client::new(Target::Unix(path)).ask().expect("an answer by the next worker");
}
