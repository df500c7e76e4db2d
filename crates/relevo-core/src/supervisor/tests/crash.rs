//! A worker ends although nobody asked it to.

use std::time::Duration;

use super::harness::{Service, check, code, millis, notices, secs, spec};
use crate::{Action, Event, Failure, Notice, Slot, SlotWord, SpawnStage, WorkerId};

/// Crashes each replacement before it is ready, and gives the delays before the next ones.
fn delays(s: &mut Service, crashes: usize) -> Vec<Duration> {
    let mut delays = Vec::new();
    let mut worker = 1;
    for _ in 0..crashes {
        let mut actions = s.exits(worker, code(1));
        let mut waited = Duration::ZERO;
        while !actions.iter().any(|action| matches!(action, Action::Spawn { .. })) {
            let due = s.due_in().expect("a next try");
            waited += due;
            actions = s.after(due);
        }
        delays.push(waited);
        worker = newest(s);
    }
    delays
}

fn newest(s: &Service) -> u64 {
    let view = s.supervisor.view();
    view.slots().iter().flat_map(|slot| &slot.workers).map(|worker| worker.id.0).max().unwrap()
}

#[test]
fn it_is_replaced_at_once_and_its_queue_is_covered() {
    let mut s = Service::running(spec(2));
    let crashed = s.exits(1, code(1));
    check(
        &crashed,
        "eligible 1 for 1 off
         spawn 3 in slot 0 of generation 1
         accept 1/0",
    );
    let failure = Failure::Exited { exit: code(1), was_ready: true, asked_to_listen: true };
    let notice = Notice::WorkerFailed {
        worker: WorkerId(1),
        slot: Slot(0),
        failure,
        next_try: Some(Duration::ZERO),
    };
    assert_eq!(notices(&crashed), [&notice]);
    check(&s.ready(3), "inspect 3\naccept 1/0 off\neligible 3 for 1");
}

#[test]
fn the_delays_grow_up_to_half_a_minute() {
    let mut s = Service::running(spec(1));
    let delays = delays(&mut s, 14);
    assert_eq!(delays[0], Duration::ZERO);
    assert!(delays[1] >= millis(150) && delays[1] <= millis(250), "{delays:?}");
    assert!(delays[2..7].windows(2).all(|pair| pair[0] < pair[1]), "{delays:?}");
    assert!(delays[10..].iter().all(|delay| *delay >= secs(22) && *delay <= secs(30)));
    assert_eq!(s.supervisor.view().slots()[0].restarts, 14);
}

#[test]
fn a_slot_that_waits_says_so() {
    let mut s = Service::running(spec(1));
    let _spawn = s.exits(1, code(1));
    check(&s.exits(2, code(1)), "");
    let slot = &s.supervisor.view().slots()[0];
    assert_eq!(slot.word, SlotWord::BackingOff);
    assert_eq!(slot.next_try, s.due_in());
}

#[test]
fn a_worker_that_lived_long_enough_is_replaced_at_once_again() {
    let mut s = Service::running(spec(1));
    let _spawn = s.exits(1, code(1));
    let _ready = s.ready(2);
    check(&s.after(secs(10)), "");
    check(
        &s.exits(2, code(1)),
        "eligible 2 for 1 off\nspawn 3 in slot 0 of generation 1\naccept 1/0",
    );
}

#[test]
fn a_spawn_that_fails_is_tried_again() {
    let mut s = Service::running(spec(1));
    let _spawn = s.exits(1, code(1));
    let worker = WorkerId(2);
    check(&s.happens(Event::SpawnFailed { worker, stage: SpawnStage::Fork, errno: 11 }), "");
    let due = s.due_in().expect("a next try");
    check(&s.after(due), "spawn 3 in slot 0 of generation 1");
}

#[test]
fn an_end_of_the_channel_waits_a_moment_for_the_exit_that_tells_more() {
    let mut s = Service::running(spec(1));
    check(&s.channel_ends(1), "accept 1/0\neligible 1 for 1 off");
    let crashed = s.exits(1, code(3));
    check(&crashed, "spawn 2 in slot 0 of generation 1");
    let failure = Failure::Exited { exit: code(3), was_ready: true, asked_to_listen: true };
    assert!(
        matches!(notices(&crashed)[0], Notice::WorkerFailed { failure: told, .. } if *told == failure)
    );
}

#[test]
fn a_worker_without_a_channel_is_replaced_and_ended_without_a_disconnect() {
    let mut s = Service::running(spec(1));
    let _covering = s.channel_ends(1);
    assert_eq!(s.due_in(), Some(secs(1)));
    let lost = s.after(secs(1));
    check(&lost, "spawn 2 in slot 0 of generation 1");
    assert!(matches!(
        notices(&lost)[0],
        Notice::WorkerFailed { failure: Failure::ChannelLost, .. }
    ));
    check(&s.after(secs(1)), "signal 1");
    check(&s.after(secs(5)), "kill 1");
    check(&s.exits(1, code(1)), "");
}

#[test]
fn a_worker_that_misbehaves_is_killed_and_replaced() {
    let mut s = Service::running(spec(1));
    let reason = "sent a gigabyte without an end".to_owned();
    check(
        &s.happens(Event::Misbehaved { worker: WorkerId(1), reason }),
        "kill 1\nspawn 2 in slot 0 of generation 1\neligible 1 for 1 off",
    );
    check(&s.exits(1, code(1)), "accept 1/0");
}

#[test]
fn the_misbehaviour_of_one_that_was_leaving_is_no_crash() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    let reason = "spoke out of turn".to_owned();
    let killed = s.happens(Event::Misbehaved { worker: WorkerId(1), reason });
    check(&killed, "kill 1\nnotify Ready");
    assert_eq!(s.supervisor.view().slots()[0].restarts, 0);
}

#[test]
fn what_comes_late_from_the_dead_changes_nothing() {
    let mut s = Service::running(spec(1));
    let _spawn = s.exits(1, code(1));
    check(&s.spawned(1), "");
    check(&s.agent(1), "");
    check(&s.asks(1, super::harness::tcp(4000)), "");
    check(&s.listening(1, 1), "");
    check(&s.closes(1, 1), "");
    check(&s.channel_ends(1), "");
    check(&s.asks_to_leave(1), "");
    check(&s.drained(1), "");
    check(&s.exits(1, code(1)), "");
}

#[test]
fn a_slot_full_of_workers_that_do_not_die_waits_for_one_without_a_busy_loop() {
    let mut s = Service::running(spec(1));
    for worker in 1..=4 {
        let reason = "spoke out of turn".to_owned();
        let _killed = s.happens(Event::Misbehaved { worker: WorkerId(worker), reason });
        if worker < 4 {
            let due = s.due_in().filter(|_| newest(&s) == worker);
            let _spawn = due.map(|due| s.after(due));
        }
    }
    assert_eq!(newest(&s), 4);
    check(&s.after(secs(60)), "");
    assert_eq!(s.due_in(), None);
    check(&s.exits(2, code(1)), "spawn 5 in slot 0 of generation 1");
}
