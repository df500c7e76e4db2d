//! Handshakes that are under way when a slot leaves, or its worker is replaced or dies, end well.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::arrivals::{Arrivals, DELAY, HANDSHAKE, Visit};
use crate::slots;
use crate::support::far::{counters, far_away, half_open};
use crate::support::ports::port;
use crate::support::service::{Service, Setup, signal_process};
use crate::support::{eventually, fixture};

/// A service under a hundred new connections a second.
struct Scene {
    service: Service,
    arrivals: Arrivals,
    /// How many handshakes were under way at each change.
    under_way: Vec<usize>,
    kills: Vec<Instant>,
}

impl Scene {
    fn begin(balance: &str, boot_delay_ms: u32) -> Self {
        let port = port();
        let service = Setup::new(22, fixture("kitchen.js"))
            .options(&format!("-w 4 --balance {balance}"))
            .env("PORT", port)
            .env("BOOT_DELAY_MS", boot_delay_ms)
            .start();
        let arrivals = Arrivals::begin(port);
        std::thread::sleep(HANDSHAKE);
        Self { service, arrivals, under_way: Vec::new(), kills: Vec::new() }
    }

    fn change(&mut self, verb: &str, words: &[&str]) {
        self.under_way.push(half_open());
        let output = self.service.ask(verb, words);
        assert!(output.status.success(), "{output:?}\n{}", self.service.log());
    }

    fn scale(&mut self, to: &str) {
        self.change("scale", &[to, "--no-wait"]);
    }

    fn kill(&mut self, slot: usize) {
        let victim = self.service.worker_pids()[slot];
        self.under_way.push(half_open());
        signal_process(victim, Signal::KILL);
        self.kills.push(Instant::now());
        self.service.wait_for_line(&format!("(pid {victim}) was killed by SIGKILL"));
        self.service.wait_until_calm();
    }

    fn listener(&self, what: &str) -> Value {
        self.service.status()["listeners"][0][what].clone()
    }

    /// Lets the clients finish, and fails if one of them was not answered.
    fn end(self, what: &str) {
        let visits = self.arrivals.stop();
        // What a killed worker had accepted is lost with it, and nothing that it had not.
        let accepted = |visit: &Visit| {
            self.kills.iter().any(|kill| visit.began + HANDSHAKE <= *kill && *kill <= visit.ended)
        };
        let (cut, lost): (Vec<_>, Vec<_>) =
            visits.iter().filter(|visit| visit.lost.is_some()).partition(|visit| accepted(visit));
        let longest = visits.iter().map(|visit| visit.ended - visit.began).max();
        let counters = counters();
        let resets = counters["OutRsts"];
        println!(
            "{what}: {} connections, {} lost, {} cut by a kill, longest {longest:?}; \
             handshakes under way at the changes: {:?}; resets sent: {resets}",
            visits.len(),
            lost.len(),
            cut.len(),
            self.under_way,
        );
        let log = self.service.log();
        assert!(lost.is_empty(), "{lost:#?}\n{counters:?}\n{log}");
        // The kernel's own word, though it cannot tell what a killed worker had accepted.
        assert!(resets == 0 || !self.kills.is_empty(), "{counters:?}\n{log}");
        assert!(visits.len() > 300, "the clients did not come");
        let under_way: usize = self.under_way.iter().sum();
        assert!(under_way >= 10 * self.under_way.len(), "no packet took its time");
        assert!(!log.contains("bug in Relevo"), "{log}");
    }
}

fn while_scaling(balance: &str, dealing: &str) {
    let mut scene = Scene::begin(balance, 0);
    for to in ["2", "4"].into_iter().cycle().take(9) {
        scene.scale(to);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(scene.listener("dealing"), dealing);
    let service = &scene.service;
    service.wait_for_status("two slots", |status| slots(status) == [0, 1]);
    assert_eq!(service.count_lines("scale: from 4 to 2 workers"), 5, "{}", service.log());
    scene.end(&format!("scaling under {balance}"));
}

#[test]
fn scaling_loses_none_to_the_sockets_of_each_slot() {
    far_away("half_open::scaling_loses_none_to_the_sockets_of_each_slot", DELAY, || {
        while_scaling("kernel", "kernel");
    });
}

#[test]
fn scaling_loses_none_that_are_dealt() {
    far_away("half_open::scaling_loses_none_that_are_dealt", DELAY, || {
        while_scaling("auto", "front");
    });
}

/// Where a SYN-ACK is repeated once, the sockets of slots that have left close after 3 s.
#[test]
fn the_end_of_a_slots_sockets_loses_none() {
    far_away("half_open::the_end_of_a_slots_sockets_loses_none", DELAY, || {
        std::fs::write("/proc/sys/net/ipv4/tcp_synack_retries", "1").expect("a setting");
        let mut scene = Scene::begin("kernel", 0);
        for _ in 0..3 {
            scene.scale("2");
            eventually("the sockets' end", || match scene.listener("covering") {
                covering if covering == json!([]) => Ok(()),
                covering => Err(covering),
            });
            scene.under_way.push(half_open());
            scene.scale("4");
            scene.service.wait_until_calm();
        }
        scene.end("the end of sockets");
    });
}

/// The new workers take their time, so that there is some in which a slot has none.
fn while_workers_go(balance: &str) {
    let mut scene = Scene::begin(balance, 300);
    scene.change("reload", &[]);
    for slot in 0..4 {
        std::thread::sleep(Duration::from_secs(1));
        scene.kill(slot);
    }
    scene.end(&format!("reloads and kills under {balance}"));
}

#[test]
fn reloads_and_kills_lose_none_to_the_sockets_of_each_slot() {
    far_away("half_open::reloads_and_kills_lose_none_to_the_sockets_of_each_slot", DELAY, || {
        while_workers_go("kernel");
    });
}

#[test]
fn reloads_and_kills_lose_none_that_are_dealt() {
    far_away("half_open::reloads_and_kills_lose_none_that_are_dealt", DELAY, || {
        while_workers_go("auto");
    });
}
