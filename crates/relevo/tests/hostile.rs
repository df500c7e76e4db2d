//! Workers that write on their channel what they should not, and apps that only look as if they did.

mod support;

use std::time::Duration;

use rustix::process::Signal;
use support::client::{Connection, get};
use support::ports::port;
use support::service::{Service, Setup, signal_process};
use support::{eventually, fixture, proc};

/// What becomes of the worker.
#[derive(Clone, Copy)]
enum Fate {
    /// It is ended, and the log says this.
    Ended(&'static str),
    /// It goes on, and nothing is said.
    Tolerated,
}

const MODES: [(&str, Fate); 18] = [
    ("giant-line", Fate::Ended("was ended: a message is longer than 64 MiB")),
    ("giant-string", Fate::Ended("was ended: an internal message (NODE_…) is longer than 1 MiB")),
    ("flood", Fate::Tolerated),
    ("deep-nesting", Fate::Ended("a message is nested more than 10000 levels deep")),
    // Too long to be looked at: such a line can only be the app's own.
    ("deep-objects", Fate::Tolerated),
    ("invalid-utf8", Fate::Ended("was ended: a message is not valid UTF-8")),
    ("not-json", Fate::Ended("was ended: a message is not JSON")),
    ("empty-lines", Fate::Ended("was ended: a message is not JSON")),
    // Neither has an end, until the agent says something next: that the connection has gone.
    ("nul-bytes", Fate::Ended("was ended: a message is not JSON")),
    ("half-line", Fate::Ended("was ended: a message is not JSON")),
    ("drip", Fate::Tolerated),
    ("wrong-types", Fate::Ended("was ended: a queryServer message is malformed")),
    ("unknown-act", Fate::Tolerated),
    ("stray-acks", Fate::Ended("acknowledged a descriptor that was not sent")),
    ("stray-reply", Fate::Ended("replied to message 4000000, which does not wait for a reply")),
    // Node's own assertion: it is told that there was none, and had not asked.
    ("handle-without-fd", Fate::Ended("exited with code 1")),
    ("many-listens", Fate::Ended("the worker does not read its channel")),
    ("closed-channel", Fate::Ended("closed its channel to Relevo and went on running")),
];

/// The most memory that the primary may ever have had, in KiB: a debug build has 8 MiB at rest.
const MOST_KIB: u64 = 24 * 1024;

fn start(mode: &str, when: &str, port: u16, options: &str) -> Service {
    Setup::new(22, fixture("hostile.js"))
        .options(options)
        .env("MODE", mode)
        .env("WHEN", when)
        // A flood is of small messages, which take a debug build its time.
        .env("BYTES", if mode == "flood" { 1 << 22 } else { 1 << 27 })
        .env("PORT", port)
        .spawn()
}

/// The most memory it has ever had.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a field");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn one_hostile_worker_of_two_harms_nobody_but_itself() {
    for (mode, fate) in MODES {
        let port = port();
        let service = start(mode, "request", port, "-w 2");
        service.wait_for_line("relevo: ready: 2 workers");
        service.wait_until_calm();
        let workers = service.worker_pids();
        let descriptors = proc::descriptors(service.pid());

        let hostile = provoke(port);
        let innocent: Vec<u32> = workers.into_iter().filter(|pid| *pid != hostile).collect();
        assert_eq!(innocent.len(), 1, "{mode}: {hostile} is a worker");
        match fate {
            Fate::Ended(reason) => {
                let line = service.wait_for_line(reason);
                assert!(line.contains(&format!("(pid {hostile})")), "{mode}: {line}");
                eventually("its end", || if proc::lives(hostile) { Err(hostile) } else { Ok(()) });
                let status = service.wait_until_calm();
                let restarts = |slot: usize| status["slots"][slot]["restarts"].as_u64().unwrap();
                assert_eq!(restarts(0) + restarts(1), 1, "{mode}: {status}");
            }
            Fate::Tolerated => {
                service.wait_for_line(&format!("hostile {hostile}: all written"));
                let status = service.wait_until_calm();
                assert_eq!(status["state"], "running", "{mode}");
                assert!(service.worker_pids().contains(&hostile), "{mode}\n{}", service.log());
            }
        }
        assert!(service.worker_pids().contains(&innocent[0]), "{mode}\n{}", service.log());
        assert_eq!(get(port, "/").expect("an answer").status, 200, "{mode}");
        let peak = peak_kib(service.pid());
        assert!(peak < MOST_KIB, "{mode}: {peak} KiB");
        eventually(&format!("{mode}: as few descriptors as before"), || {
            let now = proc::descriptors(service.pid());
            if now <= descriptors { Ok(()) } else { Err((descriptors, now)) }
        });
        assert_eq!(service.count_lines("bug in Relevo"), 0, "{mode}\n{}", service.log());
    }
}

/// Has one worker attack, and says which.
fn provoke(port: u16) -> u32 {
    let mut connection = Connection::open(port).expect("a connection");
    connection.send_get("/go").expect("it is sent");
    // The answer is written before the attack, but Node may not come to send it before it is over.
    if let Ok(answer) = connection.receive() {
        return answer.text().trim().parse().expect("a pid");
    }
    panic!("no answer came");
}

#[test]
fn workers_that_are_hostile_at_once_fail_the_start() {
    for (mode, words) in [
        ("not-json", "a message is not JSON"),
        ("stray-acks", "acknowledged a descriptor that was not sent"),
        ("giant-line", "a message is longer than 64 MiB"),
    ] {
        let mut service = start(mode, "boot", port(), "-w 2");
        assert_eq!(service.wait().code(), Some(1), "{mode}\n{}", service.log());
        let line = service.wait_for_line("relevo: start failed: worker");
        assert!(line.contains(words), "{mode}: {line}");
    }
}

/// Where it goes on and on, the pauses grow, and the other slot serves.
#[test]
fn a_slot_that_keeps_failing_backs_off() {
    let port = port();
    let service = start("not-json", "listening", port, "-w 1 --keep-trying");
    service.wait_for_lines("was ended: a message is not JSON", 4);
    service.wait_for_line("next try in");
    let status = service.wait_for_status("a pause", |status| {
        status["slots"][0]["state"] == "backing_off" && !status["slots"][0]["next_try_ms"].is_null()
    });
    assert!(status["slots"][0]["restarts"].as_u64().unwrap() >= 3, "{status}");
    assert!(peak_kib(service.pid()) < MOST_KIB);
    let (status, _) = service.stop();
    assert_eq!(status.code(), Some(0));
}

/// What an app sends that is not for us is its own affair.
#[test]
fn apps_may_talk_on_the_channel() {
    for major in [18, 22, 26] {
        let port = port();
        let service =
            Setup::new(major, fixture("talker.js")).options("-w 2").env("PORT", port).start();
        let before = proc::descriptors(service.pid());
        let said = get(port, "/talk").expect("an answer").json();
        assert_eq!(said["received"], serde_json::json!([]), "node {major}: nobody talks back");
        for word in ["ready", "a megabyte", "like an unknown internal one", "PM2 metric"] {
            let sent = said["sent"].as_array().expect("an array");
            assert!(sent.iter().any(|name| name == word), "node {major}: {word}: {said}");
        }
        assert_eq!(said["failed"], serde_json::json!([]), "node {major}");
        for _ in 0..5 {
            // A connection that is given away has no taker: it is closed.
            let mut given = Connection::open(port).expect("a connection");
            given.send_get("/give-socket").expect("it is sent");
            given.receive().expect_err("nobody answers");
        }
        for _ in 0..5 {
            assert_eq!(get(port, "/give-server").expect("an answer").status, 200);
        }
        eventually("what was given closed", || {
            let now = proc::descriptors(service.pid());
            if now <= before { Ok(()) } else { Err((before, now)) }
        });
        let status = service.wait_until_calm();
        for slot in [0, 1] {
            assert_eq!(status["slots"][slot]["restarts"], 0, "node {major}\n{}", service.log());
        }
        service.reload();
        let (status, lines) = service.stop();
        assert_eq!(status.code(), Some(0), "node {major}");
        assert!(!lines.iter().any(|line| line.contains("was ended")), "node {major}: {lines:#?}");
    }
}

#[test]
fn an_app_that_forks_for_itself_runs_in_its_worker_branch_and_is_told() {
    for major in [18, 20, 22, 24, 26] {
        let port = port();
        let app = fixture("self-cluster.js");
        let service = Setup::new(major, &app).options("-w 2").env("PORT", port).start();
        let word = format!(
            "relevo: {} forks workers of its own where it is the cluster's primary, which is Relevo here: only its worker branch runs",
            app.display()
        );
        service.wait_for_line(&word);
        service.reload();
        assert_eq!(get(port, "/").expect("an answer").status, 200, "node {major}");
        let (status, lines) = service.stop();
        assert_eq!(status.code(), Some(0), "node {major}");
        let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!(count("worker branch in"), 4, "node {major}: {lines:#?}");
        assert_eq!(count("primary branch in"), 0, "node {major}: {lines:#?}");
        assert_eq!(count(&word), 1, "node {major}: once for all workers: {lines:#?}");
    }
}

/// Most who ask whether they are the primary only want to know.
#[test]
fn an_app_that_only_asks_is_told_nothing() {
    let directory = support::TempDir::new("asks");
    let source = "const cluster = require('cluster'); const { fork } = require('child_process');\n\
                  const log = cluster.isPrimary || cluster.isMaster ? 'primary' : 'worker';\n\
                  require('http').createServer((q, r) => r.end(log + typeof fork)).listen(Number(process.env.PORT));";
    let port = port();
    let app = support::relevo::write(directory.join("app.js"), source);
    let service = Setup::new(22, app).options("-w 1").env("PORT", port).start();
    assert_eq!(get(port, "/").expect("an answer").text(), "workerfunction");
    let (_, lines) = service.stop();
    assert!(!lines.iter().any(|line| line.contains("forks workers")), "{lines:#?}");
}

/// A stopped process neither reads nor answers; the primary must not wait for it.
#[test]
fn a_worker_that_is_stopped_holds_up_nobody() {
    let port = port();
    let service = Setup::new(22, fixture("kitchen.js"))
        .options("-w 2 --balance round-robin --drain-timeout 300ms --stop-timeout 300ms")
        .env("PORT", port)
        .start();
    let stopped = service.worker_pids()[0];
    signal_process(stopped, Signal::STOP);
    let served = (0..40).filter(|_| {
        let connection = Connection::open(port).and_then(|mut connection| {
            connection.stream.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
            connection.get("/")
        });
        connection.is_ok()
    });
    assert!(served.count() >= 20, "the other one serves");
    service.reload();
    service.wait_for_line(&format!("(pid {stopped}) gone (was killed by SIGKILL)"));
    assert_eq!(get(port, "/").expect("an answer").status, 200);
}
