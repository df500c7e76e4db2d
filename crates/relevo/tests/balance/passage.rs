//! `auto` under load: the kernel deals when many come and go, the primary when few do, and nothing is
//! lost on the way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::{Lost, get};
use crate::support::load::{Account, Load};
use crate::support::ports::port;
use crate::support::service::{Service, Setup, signal_process};
use crate::support::{eventually, fixture};
use crate::{QUIET, dealing};

/// Clients that open a connection for each request, as fast as they can.
const STORMY: usize = 12;
/// How long they go on.
const STORM: Duration = Duration::from_secs(6);
/// How soon the kernel deals once it should, and the primary once the storm is over.
const TO_KERNEL: Duration = Duration::from_millis(1500);
const TO_FRONT: Duration = Duration::from_secs(8);

fn brief(port: u16, options: &str) -> Service {
    Setup::new(22, fixture("brief.js")).options(options).env("PORT", port).start()
}

/// A storm, and when there had been how many connections.
struct Storm {
    load: Load,
    answered: Arc<AtomicU64>,
    began: Instant,
    rule: Rule,
}

/// What `docs/balance.md` says of when the kernel deals, kept by what the clients see.
#[derive(Default)]
struct Rule {
    /// The last few samples.
    recent: VecDeque<(Duration, u64)>,
    bucket: f64,
    /// Since when the rule has asked for the kernel.
    met: Option<Duration>,
}

impl Rule {
    fn sample(&mut self, at: Duration, answered: u64) {
        const LIMIT: f64 = 1000.0;
        let (then, before) = self.recent.back().copied().unwrap_or_default();
        let more = (answered - before) as f64 - (at - then).as_secs_f64() * LIMIT;
        self.bucket = (self.bucket + more).clamp(0.0, 4000.0);
        self.recent.push_back((at, answered));
        // Two and a half seconds, in samples: whatever four windows of the primary's are in them.
        while self.recent.len() > 1 && at - self.recent[1].0 >= Duration::from_millis(2500) {
            self.recent.pop_front();
        }
        let lasts = at - self.recent[0].0 >= Duration::from_millis(2500);
        let samples: Vec<_> = self.recent.iter().collect();
        let high = samples.windows(2).all(|pair| {
            (pair[1].1 - pair[0].1) as f64 > (pair[1].0 - pair[0].0).as_secs_f64() * LIMIT
        });
        if lasts && high && self.bucket >= 4000.0 && self.met.is_none() {
            self.met = Some(at);
        }
    }
}

impl Storm {
    fn begin(port: u16) -> Self {
        let answered = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&answered);
        let load = Load::new().add(STORMY, move |stop| {
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
            }
            account
        });
        Self { load, answered, began: Instant::now(), rule: Rule::default() }
    }

    /// Goes on until the kernel deals, which must come soon after it should.
    fn until_the_kernel_deals(&mut self, service: &Service) {
        let what = "the kernel's turn, in a storm";
        let after = eventually(what, || {
            let answered = self.answered.load(Ordering::Relaxed);
            self.rule.sample(self.began.elapsed(), answered);
            std::thread::sleep(Duration::from_millis(250));
            if dealing(service) == "kernel" {
                Ok(self.began.elapsed())
            } else {
                Err(format!("{answered} connections within {:?}", self.began.elapsed()))
            }
        });
        let answered = self.answered.load(Ordering::Relaxed);
        let met = self.rule.met;
        println!("{answered} connections: the kernel deals after {after:?}, due by {met:?}");
        assert!(after >= Duration::from_secs(2), "the kernel deals after only {after:?}");
        if let Some(met) = met {
            let late = after.saturating_sub(met);
            assert!(late <= TO_KERNEL, "the kernel deals {late:?} late\n{}", service.log());
        }
    }

    fn end(self) -> Account {
        self.load.stop()
    }
}

/// Waits until the primary deals, and says for how long.
fn wait_for_front(service: &Service) -> Duration {
    let began = Instant::now();
    eventually("the primary's turn", || match dealing(service) {
        word if word == "front" => Ok(()),
        word => Err(word),
    });
    began.elapsed()
}

#[test]
fn nothing_is_lost_in_either_direction() {
    let _quiet = QUIET.write();
    let port = port();
    let service = brief(port, "-w 2 --balance auto");
    let kept = Load::new().keep_alive_unhurried(20, port, "/");
    for round in 1..=2 {
        assert_eq!(dealing(&service), "front");
        let mut storm = Storm::begin(port);
        storm.until_the_kernel_deals(&service);
        std::thread::sleep(STORM.saturating_sub(storm.began.elapsed()));
        assert_eq!(dealing(&service), "kernel", "as long as the storm lasts");
        let account = storm.end();
        let back = wait_for_front(&service);
        println!("round {round}: {} answered; the primary deals after {back:?}", account.answered);
        account.assert_nothing_lost();
        assert!(back >= Duration::from_secs(4), "the primary deals after only {back:?}");
        assert!(back <= TO_FRONT, "the primary deals after {back:?}\n{}", service.log());
    }
    let account = kept.stop();
    account.assert_nothing_lost();
    assert_eq!((account.raced, account.closed_idle), (0, 0), "kept: {account:#?}");
    assert_eq!(service.count_lines("warning"), 0, "{}", service.log());
}

/// The weights of the slots that the kernel deals to are changed by each step of a rollout.
#[test]
fn a_reload_while_the_kernel_deals_loses_nothing() {
    let _quiet = QUIET.write();
    let port = port();
    let service = brief(port, "-w 2 --balance auto");
    let mut storm = Storm::begin(port);
    storm.until_the_kernel_deals(&service);
    let rollout = service.reload();
    assert_eq!(rollout["outcome"], "succeeded", "{rollout}");
    assert_eq!(dealing(&service), "kernel");
    service.reload();
    storm.end().assert_nothing_lost();
    assert_eq!(service.count_lines("warning"), 0, "{}", service.log());
}

/// Only what it had accepted, or what had been dealt to it and it may have read: at most one of each
/// client's.
#[test]
fn a_worker_killed_while_the_kernel_deals_takes_only_what_it_had_accepted() {
    let _quiet = QUIET.write();
    let port = port();
    let service = brief(port, "-w 2 --balance auto");
    let mut storm = Storm::begin(port);
    storm.until_the_kernel_deals(&service);
    for (deaths, slot) in [(1, 0), (2, 1)] {
        let status = service.wait_until_calm();
        let pid = status["slots"][slot]["workers"][0]["pid"].as_u64().expect("a pid");
        signal_process(pid as u32, Signal::KILL);
        service.wait_for_lines("was killed by SIGKILL", deaths);
    }
    service.wait_until_calm();
    let account = storm.end();
    println!("two deaths: {account:?}");
    let lost: u64 = account.lost.values().sum();
    let cut_only = account.lost.keys().all(|lost| matches!(lost, Lost::Closed | Lost::Reset));
    assert!(cut_only && lost <= 2 * STORMY as u64, "{account:#?}\n{}", service.log());
    assert!(account.answered > 0);
    assert_eq!(service.count_lines("warning"), 0, "{}", service.log());
}

/// A worker that stops while the kernel deals has a queue, and others get what is in it.
#[test]
fn a_worker_stopped_while_the_kernel_deals_is_passed_over() {
    let _quiet = QUIET.write();
    let port = port();
    let service = brief(port, "-w 2 --balance auto");
    let mut storm = Storm::begin(port);
    storm.until_the_kernel_deals(&service);
    let pid = service.worker_pids()[0];
    signal_process(pid, Signal::STOP);
    let hung = service.wait_for_status("a slot that is hung", |status| {
        status["slots"][0]["state"] == "hung"
            && status["listeners"][0]["covering"] == serde_json::json!([0])
    });
    assert_eq!(hung["listeners"][0]["weights"], serde_json::json!([0, 100]), "{hung}");
    signal_process(pid, Signal::CONT);
    service.wait_for_line(" accepts again after ");
    service.wait_for_status("two slots that are ready", |status| {
        status["slots"][0]["state"] == "ready" && status["listeners"][0]["weights"][0] != 0
    });
    storm.end().assert_nothing_lost();
    assert_eq!(service.count_lines("warning"), 0, "{}", service.log());
}
