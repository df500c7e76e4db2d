use relevo_wire::status::{Dealing, ListenerKind, Phase, SCHEMA};

use super::*;

fn worker(id: u64, generation: u64, state: WorkerState) -> Worker {
    Worker {
        id,
        pid: Some(4_300 + u32::try_from(id).unwrap()),
        generation,
        release: None,
        state,
        uptime_ms: Some(125_000),
        rss_bytes: Some(51_380_224),
        cpu_percent: Some(2.14),
        connections: None,
        requests: None,
        active_requests: None,
        loop_lag_ms: None,
        status: None,
    }
}

fn slot(slot: u32, state: SlotState, workers: Vec<Worker>) -> Slot {
    Slot { slot, state, restarts: 0, next_try_ms: None, last_exit: None, workers, renewal: None }
}

fn rollout_to(generation: u64, outcome: Option<Outcome>) -> Rollout {
    Rollout {
        generation,
        cause: None,
        outcome,
        phase: None,
        slot: None,
        of: Some(2),
        reason: None,
        paused: None,
        waits_for: None,
        runs: None,
        duration_ms: Some(812),
        handed_over: None,
        closed_idle: None,
        not_zero: None,
        not_movable: None,
        cut: Cut::default(),
    }
}

fn unknown() -> Status {
    Status {
        schema: SCHEMA,
        name: "web".to_owned(),
        pid: 4_242,
        version: "0.1.0".to_owned(),
        state: ServiceState::Starting,
        reason: None,
        generation: None,
        release: None,
        slots: Vec::new(),
        listeners: Vec::new(),
        rollout: None,
        next_reload_at: None,
        totals: None,
    }
}

#[track_caller]
fn check(status: &Status, expected: &str) {
    assert_eq!(super::status(status, false), expected);
}

#[test]
fn a_service_that_runs() {
    let mut status = unknown();
    status.state = ServiceState::Running;
    status.generation = Some(3);
    status.release = Some("/srv/web/releases/42".to_owned());
    status.slots = vec![
        slot(0, SlotState::Ready, vec![worker(7, 3, WorkerState::Ready)]),
        slot(1, SlotState::Ready, vec![worker(10, 3, WorkerState::Ready)]),
    ];
    status.listeners = vec![Listener {
        address: "0.0.0.0:3000".to_owned(),
        kind: ListenerKind::Tcp,
        balance: "kernel".to_owned(),
        dealing: Some(Dealing::Kernel),
        weights: Some(vec![50, 50]),
        queued: None,
        covering: Vec::new(),
    }];
    status.rollout = Some(rollout_to(3, Some(Outcome::Succeeded)));
    check(
        &status,
        "\
web  running  pid 4242  relevo 0.1.0  generation 3  release /srv/web/releases/42

SLOT  STATE  WORKER  PID   GENERATION  STATE  UPTIME  MEMORY    CPU   RESTARTS  LAST EXIT
0     ready  7       4307  3           ready  2m 5s   49.0 MiB  2.1%  0         -
1     ready  10      4310  3           ready  2m 5s   49.0 MiB  2.1%  0         -

ADDRESS       KIND  BALANCE  DEALING  WEIGHTS  COVERING
0.0.0.0:3000  tcp   kernel   kernel   even     no slot

rollout to generation 3 succeeded on 2 slots in 812 ms
",
    );
}

#[test]
fn workers_that_have_reached_a_limit() {
    let renewal = |waits_for: Option<&str>, next_try_ms, failure: Option<&str>| Renewal {
        worker: 7,
        reason: "is over its memory limit (812 MiB of 800 MiB)".to_owned(),
        waits_for: waits_for.map(str::to_owned),
        next_try_ms,
        failure: failure.map(str::to_owned),
    };
    let check = |renewal: Renewal, expected: &str| {
        let mut status = unknown();
        status.slots = vec![slot(1, SlotState::Ready, Vec::new())];
        status.slots[0].renewal = Some(renewal);
        let page = super::status(&status, false);
        let line =
            format!("slot 1: worker 7 is over its memory limit (812 MiB of 800 MiB); {expected}");
        assert!(page.lines().any(|shown| shown == line), "{page}");
    };
    check(renewal(None, None, None), "its replacement starts");
    check(renewal(Some("its turn"), None, None), "its replacement waits for its turn");
    check(
        renewal(Some("the next try"), Some(400), Some("worker 9 exited")),
        "the next replacement starts in 400 ms; the last one failed: worker 9 exited",
    );
}

#[test]
fn a_service_in_the_middle_of_much() {
    let mut status = unknown();
    status.state = ServiceState::Degraded;
    status.reason = Some("slot 1 is not ready".to_owned());
    status.generation = Some(3);
    let mut fresh = worker(12, 4, WorkerState::Starting);
    (fresh.pid, fresh.uptime_ms, fresh.rss_bytes, fresh.cpu_percent) = (None, None, None, None);
    let mut failing = slot(1, SlotState::BackingOff, Vec::new());
    failing.restarts = 17;
    failing.next_try_ms = Some(2_400);
    failing.last_exit =
        Some(LastExit { code: None, signal: Some("SIGKILL".to_owned()), oom: true, ago_ms: 9_000 });
    status.slots =
        vec![slot(0, SlotState::Ready, vec![worker(7, 3, WorkerState::Draining), fresh]), failing];
    status.listeners = vec![
        Listener {
            address: "@web".to_owned(),
            kind: ListenerKind::Unix,
            balance: "round-robin".to_owned(),
            dealing: None,
            weights: None,
            queued: None,
            covering: vec![0, 1],
        },
        Listener {
            address: "[::]:3000".to_owned(),
            kind: ListenerKind::Tcp,
            balance: "round-robin".to_owned(),
            dealing: Some(Dealing::Primary),
            weights: Some(vec![100, 0]),
            queued: None,
            covering: vec![1],
        },
    ];
    let mut rollout = rollout_to(4, None);
    rollout.phase = Some(Phase::Draining);
    rollout.slot = Some(0);
    rollout.duration_ms = Some(3_250);
    rollout.cut.request = Some(1);
    rollout.cut.websocket = Some(2);
    rollout.cut.upload = Some(0);
    status.rollout = Some(rollout);
    check(
        &status,
        "\
web  degraded (slot 1 is not ready)  pid 4242  relevo 0.1.0  generation 3  release -

SLOT  STATE        WORKER  PID   GENERATION  STATE     UPTIME  MEMORY    CPU   RESTARTS  LAST EXIT
0     ready        7       4307  3           draining  2m 5s   49.0 MiB  2.1%  0         -
                   12      -     4           starting  -       -         -
1     backing_off  -       -     -           -         -       -         -     17        \
SIGKILL, out of memory, 9s ago; next try in 2.4 s

ADDRESS    KIND  BALANCE      DEALING  WEIGHTS  COVERING
@web       unix  round-robin  -        -        slots 0, 1
[::]:3000  tcp   round-robin  primary  100 0    slot 1

rollout to generation 4 in progress, slot 0 (1 of 2), draining, 3.2 s so far; cut: 1 request, \
2 WebSockets
",
    );
}

#[test]
fn a_service_of_which_nothing_is_known_yet() {
    check(
        &unknown(),
        "\
web  starting  pid 4242  relevo 0.1.0  generation -  release -

SLOT  STATE  WORKER  PID  GENERATION  STATE  UPTIME  MEMORY  CPU  RESTARTS  LAST EXIT

no listener
",
    );
}

#[test]
fn what_a_rollout_waits_for_and_who_runs_what() {
    let waits = Rollout {
        phase: Some(Phase::Probation),
        slot: Some(1),
        paused: Some(true),
        waits_for: Some("somebody to resume or abort it".to_owned()),
        ..rollout_to(5, None)
    };
    assert_eq!(
        rollout(&waits, false),
        "rollout to generation 5 in progress, slot 1 (2 of 2), probation, paused, 812 ms so far; \
         waits for somebody to resume or abort it\n",
    );
    let runs = |generation, slot| Runs { generation, slots: vec![slot] };
    let mixed = Rollout {
        runs: Some(vec![runs(4, 1), runs(5, 0)]),
        ..rollout_to(5, Some(Outcome::Aborted))
    };
    assert_eq!(
        rollout(&mixed, false),
        "rollout to generation 5 aborted in 812 ms; generation 4 in slot 1, generation 5 in slot 0\n",
    );
}

#[test]
fn how_rollouts_end() {
    #[track_caller]
    fn check(given: &Rollout, expected: &str) {
        assert_eq!(rollout(given, false), format!("{expected}\n"));
    }
    let failed = Rollout {
        slot: Some(1),
        reason: Some("worker 9 exited with code 1".to_owned()),
        ..rollout_to(5, Some(Outcome::Failed))
    };
    check(
        &failed,
        "rollout to generation 5 failed at slot 1 (2 of 2) in 812 ms: worker 9 exited with code 1",
    );
    let of = None;
    check(
        &Rollout { of, ..failed.clone() },
        &rollout(&failed, false).trim_end().replace(" (2 of 2)", ""),
    );
    let bare = Rollout { of, duration_ms: None, ..rollout_to(5, Some(Outcome::RolledBack)) };
    check(&bare, "rollout to generation 5 rolled back");
    let moved = Rollout { handed_over: Some(64), ..rollout_to(5, Some(Outcome::Succeeded)) };
    check(
        &moved,
        "rollout to generation 5 succeeded on 2 slots in 812 ms; 64 connections handed over",
    );
}

#[test]
fn how_processes_end() {
    let exit = |code, signal: Option<&str>| LastExit {
        code,
        signal: signal.map(str::to_owned),
        oom: false,
        ago_ms: 61_000,
    };
    assert_eq!(last_exit(&exit(Some(1), None)), "code 1, 1m 1s ago");
    assert_eq!(last_exit(&exit(None, Some("SIGSEGV"))), "SIGSEGV, 1m 1s ago");
    assert_eq!(last_exit(&exit(None, None)), "cause unknown, 1m 1s ago");
}

#[test]
fn only_states_have_colours() {
    let mut status = unknown();
    status.state = ServiceState::Down;
    status.slots = vec![slot(0, SlotState::Ready, vec![worker(1, 1, WorkerState::Stopping)])];
    let page = super::status(&status, true);
    let coloured: Vec<&str> =
        page.split("\x1b[").skip(1).filter(|part| !part.starts_with("0m")).collect();
    let words: Vec<&str> =
        coloured.iter().map(|part| part.split('m').nth(1).unwrap_or("")).collect();
    assert!(coloured[0].starts_with("31mdown"), "{coloured:?}");
    assert!(coloured[1].starts_with("32mready"), "{coloured:?}");
    assert!(coloured[2].starts_with("33mstopping"), "{coloured:?}");
    assert_eq!(words.len(), 3, "{words:?}");
}

#[test]
fn texts_from_elsewhere_cannot_command_the_terminal() {
    let mut status = unknown();
    status.release = Some("/srv/\x1b[2J".to_owned());
    status.reason = Some("a\nb".to_owned());
    status.rollout =
        Some(Rollout { reason: Some("\x07".to_owned()), ..rollout_to(1, Some(Outcome::Failed)) });
    let page = super::status(&status, false);
    assert!(!page.contains(['\x1b', '\x07']) && !page.contains("a\nb"), "{page}");
}
