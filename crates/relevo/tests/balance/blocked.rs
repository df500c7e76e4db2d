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

/// Where the machine is busy, what was to come over half a second comes in heaps, and a heap is dealt
/// before anybody can know who is blocked. So what came sooner than this after another does not count,
const HEAP: Duration = Duration::from_millis(2);
/// as long as so many do.
const ENOUGH: usize = 50;

/// When a connection was opened, and how long it then waited.
type Visit = (Instant, Duration);

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

/// The connections that come while one worker accepts nothing.
fn come(port: u16) -> Vec<std::thread::JoinHandle<Visit>> {
    let visit = |nth| {
        std::thread::spawn(move || {
            std::thread::sleep(OVER * nth / COMING);
            let asked = Instant::now();
            let answer = get(port, "/").expect("an answer, however late");
            assert_eq!(answer.status, 200);
            (asked, asked.elapsed())
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
fn is_passed_over(balance: &str, workers: usize, by: By, late: usize) {
    let what = format!("{balance}, 1 of {workers}, by {by:?}");
    let port = port();
    let options = format!("-w {workers} --balance {balance} --weights even");
    let service = kitchen(22, port, &options).start();
    let mut victim = Victim::block(connect(port).1, by);
    let visits = come(port);
    let slot = slot_of(&service.status(), victim.pid);
    if balance == "kernel" {
        is_shown(&service, workers, slot);
    }
    let since = victim.revive();
    let again = next_answer_by(victim.pid, port, since);
    let visits = visits.into_iter().map(|visit| visit.join().expect("an answer")).collect();
    let counted = one_by_one(visits);
    assert!(counted.len() >= ENOUGH, "{what}: only {} came one by one", counted.len());
    let waited: Vec<Duration> = counted.into_iter().filter(|wait| *wait > LATE).collect();
    println!("{what}: {} late, served again after {again:?}", waited.len());
    assert!(waited.len() <= late, "{what}: {waited:?} waited\n{}", service.log());
    assert!(again <= AGAIN, "{what}: it got nothing for {again:?}\n{}", service.log());
    if balance == "kernel" {
        is_over(&service, slot);
    }
}

/// How long those waited that did not come in a heap.
fn one_by_one(mut visits: Vec<Visit>) -> Vec<Duration> {
    visits.sort();
    let mut last: Option<Instant> = None;
    let apart = |(at, wait): Visit| {
        let heaped = last.replace(at).is_some_and(|last| at.duration_since(last) < HEAP);
        (!heaped).then_some(wait)
    };
    visits.into_iter().filter_map(apart).collect()
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
        is_passed_over("kernel", workers, by, 10);
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

/// Where all are blocked nobody is to blame but, at most, the one whose queue stood still while no
/// connection had come to the other's yet; and nothing is lost.
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
        let covering = status["listeners"][0]["covering"].as_array().expect("slots").len();
        let at_most = usize::from(balance == "kernel");
        assert!(covering <= at_most, "{status}");
        assert!(service.count_lines(" accepts nothing") <= at_most, "{}", service.log());
    }
}
