//! An old worker ends: with an agent and without.

use super::harness::{Service, check, code, millis, notices, secs, spec};
use crate::{Left, Notice, Spec, WorkerWord};

/// One slot, in which worker 2 has just replaced worker 1.
fn replaced(spec: Spec) -> Service {
    let mut s = Service::running(spec);
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    s
}

fn without_agent() -> Spec {
    Spec { agent: false, ..spec(1) }
}

fn word(s: &Service) -> WorkerWord {
    s.supervisor.view().slots()[0].workers[0].word
}

#[test]
fn its_agent_drains_it_then_it_disconnects_then_come_the_systems_means() {
    let mut s = replaced(spec(1));
    assert_eq!(word(&s), WorkerWord::Draining);
    check(&s.has_left(1, Left { requests: 1, idle: 1, ..Left::default() }), "");
    assert_eq!(word(&s), WorkerWord::Draining);
    check(&s.has_left(1, Left { idle: 1, ..Left::default() }), "notify Ready");
    assert_eq!(word(&s), WorkerWord::Lingering);
    check(&s.drained(1), "disconnect 1");
    assert_eq!(word(&s), WorkerWord::Stopping);
    assert_eq!(s.due_in(), Some(secs(1)));
    check(&s.after(secs(1)), "signal 1");
    assert_eq!(s.due_in(), Some(secs(5)));
    check(&s.after(secs(5)), "kill 1");
    assert_eq!(s.due_in(), None);
    let left = s.exits(1, code(0));
    assert!(matches!(notices(&left)[..], [Notice::WorkerLeft { .. }]));
}

#[test]
fn without_an_agent_it_is_disconnected_when_connections_in_flight_have_arrived() {
    let mut s = replaced(without_agent());
    assert_eq!(s.due_in(), Some(millis(20)));
    check(&s.after(millis(20)), "disconnect 1");
    // Its work holds up the rollout until its channel ends.
    check(&s.after(secs(30)), "");
    check(&s.channel_ends(1), "notify Ready");
    check(&s.after(secs(1)), "signal 1");
}

#[test]
fn without_an_agent_it_is_disconnected_once_whatever_comes() {
    let mut s = replaced(without_agent());
    check(&s.after(millis(20)), "disconnect 1");
    check(&s.after(secs(60)), "notify Ready");
    check(&s.after(secs(1)), "signal 1");
}

#[test]
fn an_agent_that_arrives_during_the_drain_comes_too_late() {
    let mut s = Service::running(Spec { drain_timeout: secs(10), ..spec(1) });
    let _spawn = s.reload(None);
    let _nothing = s.spawned(2);
    // Worker 2 has not got its agent when worker 3 takes over.
    let _drain = s.listens(2, super::harness::tcp(3000));
    let _gone = s.exits(1, code(0));
    let _spawn = s.reload(None);
    check(&s.ready(3), "inspect 3\neligible 2 for 1 off\neligible 3 for 1");
    check(&s.after(millis(20)), "disconnect 2");
    check(&s.agent(2), "");
    check(&s.after(secs(10)), "notify Ready");
    check(&s.after(secs(1)), "signal 2");
}

#[test]
fn after_a_leap_of_the_clock_it_is_disconnected_once_too() {
    let mut s = replaced(without_agent());
    check(&s.after(secs(3600)), "disconnect 1\nnotify Ready");
    check(&s.after(secs(3600)), "signal 1");
    check(&s.after(secs(3600)), "kill 1");
}

#[test]
fn its_time_is_bounded() {
    let mut s = replaced(spec(1));
    check(&s.after(secs(5)), "");
    assert_eq!(s.due_in(), Some(secs(55)));
    let cut = s.after(secs(55));
    check(&cut, "disconnect 1\nnotify Ready");
    assert!(matches!(notices(&cut)[0], Notice::DrainCut { left: None, .. }));
}

#[test]
fn nothing_is_cut_where_nothing_was_left() {
    let mut s = replaced(spec(1));
    check(&s.has_left(1, Left::default()), "notify Ready");
    let over = s.after(secs(60));
    assert!(!notices(&over).iter().any(|notice| matches!(notice, Notice::DrainCut { .. })));
}

#[test]
fn a_channel_that_ends_meanwhile_needs_no_disconnect() {
    let mut s = replaced(spec(1));
    check(&s.channel_ends(1), "notify Ready");
    check(&s.after(secs(1)), "signal 1");
}

#[test]
fn what_its_agent_says_twice_or_too_late_changes_nothing() {
    let mut s = replaced(spec(1));
    check(&s.drained(1), "disconnect 1\nnotify Ready");
    check(&s.drained(1), "");
    check(&s.stops_accepting(1), "");
    check(&s.has_left(1, Left { requests: 9, ..Left::default() }), "");
    assert_eq!(word(&s), WorkerWord::Stopping);
}

#[test]
fn a_worker_that_serves_does_not_drain_because_its_agent_says_so() {
    let mut s = Service::running(spec(1));
    check(&s.stops_accepting(1), "");
    check(&s.drained(1), "");
    assert_eq!(s.supervisor.view().ready_slots(), 1);
}

#[test]
fn a_worker_that_listens_nowhere_drains_since_it_may_have_work() {
    let mut s = Service::running(spec(1));
    let _closed = s.closes(1, 1);
    let _spawn = s.reload(None);
    check(
        &s.ready(2),
        "inspect 2
         drain 1 within 60s
         accept 2/0 off
         eligible 2 for 2",
    );
    check(&s.drained(1), "disconnect 1\nnotify Ready");
}
