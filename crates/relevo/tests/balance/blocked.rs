//! Workers that accept nothing for a while: an event loop that is blocked, a process that is stopped.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::{Connection, get};
use crate::support::ports::port;
use crate::support::service::{Service, signal_process};
use crate::{QUIET, ask_pid, connect, kitchen, slot_of};

/// For how long one accepts nothing.
const BLOCKED: Duration = Duration::from_secs(3);
/// How many connections come meanwhile, and over what time.
const COMING: u32 = 100;
const OVER: Duration = Duration::from_millis(500);
/// A connection that waits for longer is late.
const LATE: Duration = Duration::from_millis(500);
/// How soon a worker that lives again gets connections again.
const AGAIN: Duration = Duration::from_secs(1);

/// What keeps a worker from accepting.
#[derive(Clone, Copy, Debug)]
enum By {
    /// A loop without an end.
    Loop,
    /// SIGSTOP.
    Signal,
}

/// A worker that is blocked, and what is known of it.
struct Victim {
    pid: u32,
    by: By,
    since: Instant,
    connection: Connection,
}

impl Victim {
    /// Blocks whoever has the connection.
    fn block(mut connection: Connection, by: By) -> Self {
        let pid = ask_pid(&mut connection);
        match by {
            By::Loop => {
                let request = format!("/block?ms={}", BLOCKED.as_millis());
                connection.send_get(&request).expect("a request");
            }
            By::Signal => signal_process(pid, Signal::STOP),
        }
        Self { pid, by, since: Instant::now(), connection }
    }

    /// Waits until it lives again, and says when that was.
    fn revive(&mut self) -> Instant {
        match self.by {
            By::Loop => {
                let answer = self.connection.receive().expect("the answer after the loop").json();
                assert_eq!(answer["blocked"], BLOCKED.as_millis() as u64);
                Instant::now()
            }
            By::Signal => {
                std::thread::sleep(BLOCKED.saturating_sub(self.since.elapsed()));
                let at = Instant::now();
                signal_process(self.pid, Signal::CONT);
                at
            }
        }
    }
}

/// How long each of the connections waited that come while one worker accepts nothing.
fn come(port: u16) -> Vec<std::thread::JoinHandle<Duration>> {
    let visit = |nth| {
        std::thread::spawn(move || {
            std::thread::sleep(OVER * nth / COMING);
            let asked = Instant::now();
            let answer = get(port, "/").expect("an answer, however late");
            assert_eq!(answer.status, 200);
            asked.elapsed()
        })
    };
    (0..COMING).map(visit).collect()
}

/// How long it took until the worker with this pid answered on a new connection.
fn next_answer_by(pid: u32, port: u16, since: Instant) -> Duration {
    loop {
        let answer = get(port, "/").expect("an answer").json();
        let after = since.elapsed();
        assert!(after < AGAIN * 20, "nothing for pid {pid} within {after:?}");
        if answer["pid"] == pid {
            return after;
        }
    }
}

/// One worker of `workers` accepts nothing; `late` connections at most may wait for it.
fn is_passed_over(balance: &str, workers: usize, by: By, late: usize) -> (Service, usize) {
    let port = port();
    let what = format!("{balance}, 1 of {workers}, by {by:?}");
    let service = kitchen(22, port, &format!("-w {workers} --balance {balance}")).start();
    let mut victim = Victim::block(connect(port).1, by);
    let visits = come(port);
    let slot = slot_of(&service.status(), victim.pid);
    if balance == "kernel" {
        is_shown(&service, workers, slot);
    }
    let since = victim.revive();
    let again = next_answer_by(victim.pid, port, since);
    let waits: Vec<Duration> =
        visits.into_iter().map(|visit| visit.join().expect("no panic")).collect();
    let waited: Vec<&Duration> = waits.iter().filter(|wait| **wait > LATE).collect();
    println!("{what}: {} late, served again after {again:?}", waited.len());
    assert!(waited.len() <= late, "{what}: {waited:?} waited\n{}", service.log());
    assert!(again <= AGAIN, "{what}: it got nothing for {again:?}\n{}", service.log());
    (service, slot)
}

/// The slot is `hung`, and the others have its share.
fn is_shown(service: &Service, workers: usize, slot: usize) {
    let status = service
        .wait_for_status("a slot that is hung", |status| status["slots"][slot]["state"] == "hung");
    let listener = &status["listeners"][0];
    assert_eq!(listener["covering"], serde_json::json!([slot]), "{status}");
    let share =
        |at: usize| if at == slot { 0 } else { (100.0 / (workers - 1) as f64).round() as u64 };
    let weights: Vec<u64> = (0..workers).map(share).collect();
    assert_eq!(listener["weights"], serde_json::json!(weights), "{status}");
    let others = status["slots"].as_array().expect("slots").iter();
    let hung = others.filter(|slot| slot["state"] == "hung").count();
    assert_eq!(hung, 1, "{status}");
}

/// All is as before, and the log has a line for each turn.
fn is_over(service: &Service, slot: usize) {
    service.wait_for_status("a slot that is ready again", |status| {
        status["slots"][slot]["state"] == "ready"
            && status["listeners"][0]["covering"] == serde_json::json!([])
            && status["listeners"][0]["weights"][slot] != 0
    });
    service.wait_for_line(" accepts again after ");
    let of_slot = format!("slot {slot}: ");
    for words in [" accepts nothing; the others get its connections", " accepts again after "] {
        assert_eq!(service.count_lines(words), 1, "{words}: {}", service.log());
        assert!(service.wait_for_line(words).contains(&of_slot), "{}", service.log());
    }
}

fn are_passed_over_by_the_kernel(workers: usize) {
    let _quiet = QUIET.write();
    for by in [By::Loop, By::Signal] {
        let (service, slot) = is_passed_over("kernel", workers, by, 10);
        is_over(&service, slot);
    }
}

fn are_passed_over_by_the_primary(workers: usize) {
    let _quiet = QUIET.write();
    for balance in ["auto", "least-connections"] {
        for by in [By::Loop, By::Signal] {
            is_passed_over(balance, workers, by, 2);
        }
    }
}

#[test]
fn the_other_worker_gets_what_comes_under_kernel() {
    are_passed_over_by_the_kernel(2);
}

#[test]
fn the_other_three_get_what_comes_under_kernel() {
    are_passed_over_by_the_kernel(4);
}

#[test]
fn the_other_worker_is_dealt_what_comes() {
    are_passed_over_by_the_primary(2);
}

#[test]
fn the_other_three_are_dealt_what_comes() {
    are_passed_over_by_the_primary(4);
}

/// Where all are blocked nobody is to blame, and nothing is lost.
#[test]
fn where_all_are_blocked_what_comes_waits() {
    let _quiet = QUIET.write();
    for balance in ["auto", "kernel"] {
        let port = port();
        let service = kitchen(22, port, &format!("-w 2 --balance {balance}")).start();
        let pids = service.worker_pids();
        let _open: Vec<_> = (0..4).map(|_| connect(port)).collect();
        pids.iter().for_each(|pid| signal_process(*pid, Signal::STOP));
        let visits = come(port);
        std::thread::sleep(OVER * 2);
        let status = service.status();
        pids.iter().for_each(|pid| signal_process(*pid, Signal::CONT));
        for visit in visits {
            visit.join().expect("an answer");
        }
        assert_eq!(status["listeners"][0]["covering"], serde_json::json!([]), "{status}");
        assert_eq!(service.count_lines(" accepts nothing"), 0, "{}", service.log());
    }
}
