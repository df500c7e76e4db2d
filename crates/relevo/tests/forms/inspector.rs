//! `--inspect`: every worker needs a port of its own, as under Node's primary.

use std::collections::BTreeSet;

use crate::support::fixture;
use crate::support::nodes::MAJORS;
use crate::support::ports::port;
use crate::support::service::Setup;

#[test]
fn each_worker_has_an_inspector_of_its_own() {
    for major in MAJORS {
        let base = free_row();
        let service = Setup::new(major, fixture("kitchen.js"))
            .options("-w 3")
            .flag(&format!("--inspect={base}"))
            .env("PORT", port())
            .start();
        let said = "Debugger listening on ws://127.0.0.1:";
        service.wait_for_lines(said, 3);
        let of_line = |line: &String| -> Option<u16> {
            line.split_once(said)?.1.split('/').next()?.parse().ok()
        };
        let ports: BTreeSet<u16> = service.lines().iter().filter_map(of_line).collect();
        assert_eq!(ports.len(), 3, "node {major}: {ports:?}\n{}", service.log());
        assert!(!ports.contains(&base), "node {major}: {ports:?}: the base is the primary's");
        // It is the developer's, not a server of the app's.
        assert_eq!(service.count_lines("by itself"), 0, "node {major}:\n{}", service.log());
        assert_eq!(service.count_lines("address already in use"), 0, "{}", service.log());
    }
}

/// A port after which the next three are free too.
fn free_row() -> u16 {
    loop {
        let first = port();
        if (1..=3).all(|next| port() == first + next) {
            return first;
        }
    }
}
