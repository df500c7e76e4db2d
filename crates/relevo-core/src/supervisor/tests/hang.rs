//! Workers whose event loop stands still.

use std::time::Duration;

use super::harness::{Service, check, notices, secs, spec};
use crate::{Action, Event, Failure, Notice, Pause, Spec, Standstill, WorkerId};

/// Asked every 10 s, hung after 30 s.
fn watched(slots: u32) -> Spec {
    Spec { hang_timeout: Some(secs(30)), ..spec(slots) }
}

/// Of so many workers, which have answered that they have no connection.
fn idle(slots: u32) -> Service {
    let mut s = Service::running(watched(slots));
    for worker in 1..=slots {
        check(&answers(&mut s, worker.into(), 0), "");
    }
    assert_eq!(s.due_in(), None);
    s
}

/// The same, with a connection at the first.
fn busy(slots: u32) -> Service {
    let mut s = idle(slots);
    check(&answers(&mut s, 1, 1), "");
    s
}

fn answers(s: &mut Service, worker: u64, connections: u32) -> Vec<Action> {
    s.happens(Event::Answered { worker: WorkerId(worker), connections })
}

fn found(s: &mut Service, worker: u64, pause: Option<Pause>) -> Vec<Action> {
    let found = Standstill { pause, doing: Some("it computes".to_owned()), report: None };
    s.happens(Event::Examined { worker: WorkerId(worker), found })
}

/// For how long the worker that failed had answered nothing.
fn silent(actions: &[Action]) -> Option<Duration> {
    notices(actions).iter().find_map(|notice| {
        let Notice::WorkerFailed { failure: Failure::Hung { silent, .. }, .. } = notice else {
            return None;
        };
        Some(*silent)
    })
}

#[test]
fn a_worker_is_asked_when_it_is_ready_and_then_nobody_while_nothing_goes_on() {
    let mut s = Service::started(watched(1));
    let actions = s.ready(1);
    let asked = |action: &&Action| matches!(action, Action::Ping { .. } | Action::WatchSockets);
    let asked: Vec<&Action> = actions.iter().filter(asked).collect();
    assert_eq!(asked, [&Action::Ping { worker: WorkerId(1) }, &Action::WatchSockets]);
    assert_eq!(s.due_in(), Some(secs(10)));
    check(&answers(&mut s, 1, 0), "");
    assert_eq!(s.due_in(), None);
}

#[test]
fn one_that_was_never_told_to_be_watched_is_not_asked() {
    let s = Service::running(spec(2));
    assert_eq!(s.due_in(), None);
    let mut s = Service::started(watched(1));
    let _no_agent = s.spawned(1);
    let _ready = s.listens(1, super::harness::tcp(3000));
    assert_eq!(s.due_in(), None);
}

#[test]
fn while_there_is_a_connection_all_are_asked_three_times_in_the_timeout() {
    let mut s = busy(2);
    assert_eq!(s.due_in(), Some(secs(10)));
    check(&s.after(secs(10)), "ping 1\nping 2");
    check(&answers(&mut s, 1, 1), "");
    check(&answers(&mut s, 2, 0), "");
    check(&s.after(secs(10)), "ping 1\nping 2");
    check(&answers(&mut s, 2, 0), "");
    check(&answers(&mut s, 1, 0), "");
    assert_eq!(s.due_in(), None);
}

#[test]
fn who_answers_nothing_is_looked_at_and_killed() {
    let mut s = busy(2);
    check(&s.after(secs(10)), "ping 1\nping 2");
    check(&answers(&mut s, 2, 0), "");
    for _ in 0..2 {
        check(&s.after(secs(10)), "ping 2");
        check(&answers(&mut s, 2, 0), "");
    }
    check(&s.after(secs(10)), "examine 1\nping 2");
    check(&answers(&mut s, 2, 0), "");
    let actions = found(&mut s, 1, None);
    check(&actions, "kill 1\nspawn 3 in slot 0 of generation 1\neligible 1 for 1 off");
    assert_eq!(silent(&actions), Some(secs(30)));
    assert_eq!(s.due_in(), Some(secs(30)), "only the new one must be ready");
}

#[test]
fn who_answers_at_last_is_not_killed() {
    let mut s = busy(1);
    check(&s.after(secs(10)), "ping 1");
    for _ in 0..2 {
        check(&s.after(secs(10)), "");
    }
    check(&s.after(secs(10)), "examine 1");
    check(&answers(&mut s, 1, 1), "");
    check(&found(&mut s, 1, None), "");
}

#[test]
fn a_look_that_takes_too_long_saves_nobody() {
    let mut s = busy(1);
    let _asked = s.after(secs(10));
    for _ in 0..3 {
        let _silent = s.after(secs(10));
    }
    assert_eq!(s.due_in(), Some(secs(5)));
    assert_eq!(silent(&s.after(secs(5))), Some(secs(35)));
}

#[test]
fn what_a_debugger_has_stopped_is_left_alone_and_told_once() {
    let mut s = busy(1);
    let _asked = s.after(secs(10));
    let mut told = 0;
    for _ in 0..3 {
        for _ in 0..2 {
            check(&s.after(secs(10)), "");
        }
        check(&s.after(secs(10)), "examine 1");
        let actions = found(&mut s, 1, Some(Pause::Traced));
        check(&actions, "");
        told += notices(&actions).len();
    }
    assert_eq!(told, 1);
    check(&answers(&mut s, 1, 0), "");
    assert_eq!(s.due_in(), None);
}

#[test]
fn rounds_that_come_late_do_not_count() {
    let mut s = busy(1);
    check(&s.after(secs(10)), "ping 1");
    for _ in 0..5 {
        check(&s.after(secs(3600)), "");
    }
    for _ in 0..2 {
        check(&s.after(secs(10)), "");
    }
    check(&s.after(secs(10)), "examine 1");
}

#[test]
fn a_connection_that_comes_is_a_reason_to_ask_once_in_a_round() {
    let mut s = idle(2);
    let _long = s.after(secs(1000));
    check(&s.happens(Event::ConnectionCame), "watch sockets\nping 1\nping 2");
    check(&answers(&mut s, 1, 0), "");
    check(&answers(&mut s, 2, 0), "");
    assert_eq!(s.due_in(), None);
    check(&s.after(secs(2)), "");
    check(&s.happens(Event::ConnectionCame), "");
    assert_eq!(s.due_in(), Some(secs(8)));
    check(&s.after(secs(8)), "watch sockets\nping 1\nping 2");
}

#[test]
fn who_is_on_its_way_has_other_deadlines() {
    let mut s = busy(1);
    check(&s.after(secs(10)), "ping 1");
    let _spawned = s.reload(None);
    let actions = s.replaces(2, 1);
    assert!(actions.contains(&Action::Ping { worker: WorkerId(2) }), "{actions:?}");
    check(&answers(&mut s, 2, 0), "");
    for _ in 0..2 {
        let _drains = s.after(secs(10));
    }
    let actions = s.after(secs(9));
    assert!(!actions.iter().any(|action| matches!(action, Action::Examine { .. })), "{actions:?}");
}

#[test]
fn who_stops_asks_nobody() {
    let mut s = busy(1);
    check(&s.after(secs(10)), "ping 1");
    let _stops = s.stop(None);
    let asks = |action: &Action| matches!(action, Action::Ping { .. } | Action::Examine { .. });
    for _ in 0..4 {
        let actions = s.after(secs(5));
        assert!(!actions.iter().any(asks), "{actions:?}");
    }
}

#[test]
fn a_new_worker_that_hangs_fails_its_rollout() {
    let mut s = Service::running(Spec { probation: secs(3600), ..watched(1) });
    check(&answers(&mut s, 1, 0), "");
    let _spawned = s.reload(7);
    let _ready = s.ready(2);
    let _parked = s.stops_accepting(1);
    for _ in 0..2 {
        check(&s.after(secs(10)), "");
    }
    check(&s.after(secs(10)), "examine 2");
    let actions = found(&mut s, 2, None);
    assert!(actions.contains(&Action::Unpark { worker: WorkerId(1) }), "{actions:?}");
}
