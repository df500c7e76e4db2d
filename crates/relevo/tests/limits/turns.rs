//! `--max-age` and `--max-requests`.

use std::collections::BTreeSet;

use crate::load;
use crate::support::BALANCES;
use crate::support::fixture;
use crate::support::ports::port;
use crate::support::service::{Service, Setup};

fn kitchen(port: u16, options: &str) -> Setup {
    Setup::new(22, fixture("kitchen.js")).options(options).env("PORT", port)
}

/// Nobody's replacement starts before the one before is ready.
fn assert_one_at_a_time(service: &Service) {
    let mut starting = false;
    for line in service.lines() {
        if line.contains(": a replacement starts") && !line.contains("a replacement starts ") {
            assert!(!starting, "{}", service.log());
            starting = true;
        } else if line.contains("takes the place of worker") {
            starting = false;
        }
    }
}

#[test]
fn workers_grow_old_and_do_not_go_together() {
    let port = port();
    let service = kitchen(port, "-w 2 --max-age 2s").start();
    let before: BTreeSet<u32> = service.worker_pids().into_iter().collect();
    let load = load(port);
    service.wait_for_lines("has served for as long as it may (", 2);
    service.wait_for_lines("takes the place of worker", 2);
    load.stop().assert_unnoticed(&service.log());
    assert_one_at_a_time(&service);
    let after: BTreeSet<u32> = service.worker_pids().into_iter().collect();
    assert!(before.is_disjoint(&after), "{}", service.log());
}

#[test]
fn workers_that_were_asked_enough_are_replaced_under_every_balance() {
    for balance in BALANCES {
        println!("--balance {balance}");
        let port = port();
        let options = format!("-w 2 --max-requests 300 --balance {balance}");
        let service = kitchen(port, &options).start();
        let load = load(port);
        let line = service.wait_for_line("has been asked as many requests as it may be (");
        let limit = line.rsplit_once('(').and_then(|(_, rest)| rest.split(')').next());
        let limit: u32 = limit.expect("a number").parse().expect("a number");
        assert!((270..=300).contains(&limit), "{line}");
        service.wait_for_lines("takes the place of worker", 2);
        load.stop().assert_unnoticed(&service.log());
        assert_one_at_a_time(&service);
    }
}

/// A reload has the first word, and what is due waits for its end.
#[test]
fn a_reload_comes_first() {
    let port = port();
    let service = kitchen(port, "-w 2 --probation 3s --max-requests 300").start();
    let load = load(port);
    let rollout = service.reload();
    assert_eq!(rollout["outcome"], "succeeded", "{rollout}");
    service.wait_for_line("a replacement starts when the reload is over");
    service.wait_for_line("takes the place of worker");
    load.stop().assert_unnoticed(&service.log());
}
