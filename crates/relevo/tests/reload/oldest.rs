//! The oldest majors, on which no connection can be handed over: they drain all the same.

use std::thread::JoinHandle;

use crate::support::client::{Lost, Response};
use crate::support::ports::port;
use crate::support::service::Setup;
use crate::support::traffic::{Traffic, slow_response};
use crate::support::{BALANCES, fixture};

/// One after the other under every balance, since the two majors run beside each other as it is.
fn reloads_lose_nothing(major: u32) {
    for balance in BALANCES {
        let what = format!("node {major}, {balance}");
        let port = port();
        let service = Setup::new(major, fixture("kitchen.js"))
            .options(&format!("-w 2 --balance {balance}"))
            .env("PORT", port)
            .start();
        let traffic = Traffic::begin(port);
        let slow: Vec<_> = (1..=4).map(|n| slow_response(port, n * 500)).collect();
        for generation in [2, 3] {
            let rollout = service.reload();
            assert_eq!(rollout["generation"], generation, "{what}: {rollout}");
            let cut = &rollout["cut"];
            assert_eq!((&cut["request"], &cut["upload"]), (&0.into(), &0.into()), "{what}");
            assert_eq!(rollout["closed_idle"], 0, "{what}: {rollout}");
        }
        let lost: Vec<_> = slow.into_iter().filter_map(what_was_lost).collect();
        assert_eq!(lost.len(), 0, "{what}: slow responses were lost: {lost:?}");
        traffic.end(&what);
    }
}

fn what_was_lost(slow: JoinHandle<Result<Response, Lost>>) -> Option<Lost> {
    slow.join().expect("a client does not panic").err()
}

#[test]
fn node_14_loses_nothing() {
    reloads_lose_nothing(14);
}

#[test]
fn node_16_loses_nothing() {
    reloads_lose_nothing(16);
}
