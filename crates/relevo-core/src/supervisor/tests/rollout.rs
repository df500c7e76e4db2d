//! Replacing one generation by the next.

use super::harness::{Service, check, code, notices, secs, spec, tcp};
use crate::{
    Event, Failure, Generation, Left, Notice, Outcome, ServiceState, Slot, Waits, WorkerId,
};

#[test]
fn it_replaces_slot_by_slot_each_when_the_new_worker_is_ready() {
    let mut s = Service::running(spec(2));
    check(
        &s.reload(7),
        "notify Reloading
         spawn 3 in slot 0 of generation 2
         progress to 7: slot 0 of 2, started 3",
    );
    assert_eq!(s.supervisor.view().state(), ServiceState::Reloading);
    check(
        &s.ready(3),
        "inspect 3
         park 1
         progress to 7: slot 0 of 2, ready 3
         eligible 1 for 1 off
         eligible 3 for 1",
    );
    check(
        &s.stops_accepting(1),
        "spawn 4 in slot 1 of generation 2
         progress to 7: slot 1 of 2, started 4",
    );
    let _park = s.ready(4);
    check(
        &s.stops_accepting(2),
        "drain 1 within 60s
         progress to 7: slot 0 of 2, proved 3
         drain 2 within 60s
         progress to 7: slot 1 of 2, proved 4",
    );
    let replaced = s.has_left(1, Left { idle: 5, ..Left::default() });
    check(&replaced, "progress to 7: slot 0 of 2, replaced by 3");
    check(
        &s.drained(2),
        "disconnect 2
         progress to 7: slot 1 of 2, replaced by 4
         reply to 7: generation 2 succeeded, 2 of 2
         notify Ready",
    );
    let view = s.supervisor.view();
    assert_eq!((view.state(), view.generation().0), (ServiceState::Running, 2));
}

#[test]
fn a_signal_is_owed_no_reply() {
    let mut s = Service::running(spec(1));
    check(&s.reload(None), "notify Reloading\nspawn 2 in slot 0 of generation 2");
    let _drain = s.replaces(2, 1);
    check(&s.exits(1, code(0)), "notify Ready");
}

#[test]
fn work_holds_it_up_for_as_long_as_a_drain_may_take() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    let left = Left { requests: 1, ..Left::default() };
    check(&s.has_left(1, left), "");
    let waits = s.after(secs(5));
    let (generation, workers) = (Generation(2), vec![(WorkerId(1), Some(left))]);
    let expected = Notice::RolloutWaitsForDrain { generation, workers: workers.clone() };
    assert_eq!(notices(&waits), [&expected]);
    assert_eq!(s.supervisor.view().rollout().unwrap().waits, Some(Waits::Drain(workers)));
    assert_eq!(notices(&s.after(secs(54))), [] as [&Notice; 0]);
    check(&s.after(secs(1)), "disconnect 1\nnotify Ready");
}

#[test]
fn a_worker_that_still_accepts_holds_it_up() {
    let mut s = Service::running(spec(2));
    let _spawn = s.reload(None);
    let _park = s.ready(3);
    check(&s.has_left(1, Left::default()), "");
    check(&s.stops_accepting(1), "spawn 4 in slot 1 of generation 2");
}

#[test]
fn a_worker_that_does_not_answer_holds_it_up_for_a_second() {
    let mut s = Service::running(spec(2));
    let _spawn = s.reload(None);
    let _park = s.ready(3);
    assert_eq!(s.due_in(), Some(secs(1)));
    check(&s.after(secs(1)), "spawn 4 in slot 1 of generation 2");
}

#[test]
fn one_more_follows_for_all_that_were_asked_for_meanwhile() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(7);
    check(&s.reload(8), "");
    check(&s.reload(None), "");
    check(&s.reload(9), "");
    let _drain = s.replaces(2, 1);
    check(
        &s.exits(1, code(0)),
        "progress to 7: slot 0 of 1, replaced by 2
         reply to 7: generation 2 succeeded, 1 of 1
         notify Ready
         notify Reloading
         spawn 3 in slot 0 of generation 3
         progress to 8: slot 0 of 1, started 3
         progress to 9: slot 0 of 1, started 3",
    );
    let _drain = s.replaces(3, 2);
    check(
        &s.exits(2, code(0)),
        "progress to 8: slot 0 of 1, replaced by 3
         progress to 9: slot 0 of 1, replaced by 3
         reply to 8: generation 3 succeeded, 1 of 1
         reply to 9: generation 3 succeeded, 1 of 1
         notify Ready",
    );
}

#[test]
fn it_stops_at_the_first_failure_and_the_old_workers_go_on() {
    let mut s = Service::running(spec(2));
    let _spawn = s.reload(7);
    let failed = s.exits(3, code(1));
    check(
        &failed,
        "reply to 7: generation 2 failed by 3, 0 of 2, 1 serves
         notify Ready",
    );
    assert!(
        notices(&failed).iter().any(|notice| matches!(
            notice,
            Notice::WorkerFailed { worker: WorkerId(3), next_try: None, .. }
        )),
        "{failed:?}"
    );
    check(&s.after(secs(3600)), "");
    let view = s.supervisor.view();
    assert_eq!((view.state(), view.ready_slots()), (ServiceState::Degraded, 2));
    assert_eq!(view.slots()[0].restarts, 0);
    // The next one that succeeds mends it.
    let _spawn = s.reload(None);
    for (old, new) in [(1, 4), (2, 5)] {
        let _next = (s.replaces(new, old), s.exits(old, code(0)));
    }
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
}

#[test]
fn a_new_worker_that_is_not_ready_in_time_fails_it() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(7);
    check(&s.after(secs(30)), "inspect 2");
    let late = s.after(secs(1));
    check(
        &late,
        "disconnect 2
         reply to 7: generation 2 failed by 2, 0 of 1, 1 serves
         notify Ready",
    );
    let report = s.supervisor.view().failed_rollout().cloned().unwrap();
    let failure = Failure::NotReady {
        unsaid: None,
        waited: secs(30),
        missing: vec!["listener 1 of slot 0".to_owned()],
        unprotected: vec![],
    };
    assert_eq!(report.outcome, Outcome::Failed { worker: WorkerId(2), failure });
}

#[test]
fn a_new_worker_that_asks_to_leave_fails_it() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(7);
    check(
        &s.asks_to_leave(2),
        "allow 2 to leave
         reply to 7: generation 2 failed by 2, 0 of 1, 1 serves
         notify Ready",
    );
    check(&s.exits(2, code(0)), "");
    assert_eq!(s.supervisor.view().ready_slots(), 1);
}

#[test]
fn a_new_worker_that_loses_its_channel_fails_it() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(7);
    check(&s.channel_ends(2), "");
    check(
        &s.after(secs(1)),
        "reply to 7: generation 2 failed by 2, 0 of 1, 1 serves
         notify Ready",
    );
}

#[test]
fn the_old_worker_may_crash_before_the_new_one_is_ready() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(7);
    check(&s.exits(1, code(1)), "eligible 1 for 1 off\naccept 1/0");
    check(
        &s.ready(2),
        "inspect 2
         progress to 7: slot 0 of 1, ready 2
         progress to 7: slot 0 of 1, replaced by 2
         reply to 7: generation 2 succeeded, 1 of 1
         notify Ready
         accept 1/0 off
         eligible 2 for 1",
    );
}

#[test]
fn when_both_fail_the_slot_starts_again() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(7);
    let _covering = s.exits(1, code(1));
    check(
        &s.exits(2, code(1)),
        "reply to 7: generation 2 failed by 2, 0 of 1, 1 serves
         notify Ready
         spawn 3 in slot 0 of generation 1",
    );
}

#[test]
fn a_slot_that_waits_for_its_next_try_gets_the_new_worker_at_once() {
    let mut s = Service::running(spec(1));
    let _spawn = s.exits(1, code(1));
    check(&s.exits(2, code(1)), "");
    check(&s.reload(None), "notify Reloading\nspawn 3 in slot 0 of generation 2");
    // And what failed before may have been mended.
    check(&s.exits(3, code(1)), "notify Ready\nspawn 4 in slot 0 of generation 1");
    check(&s.exits(4, code(1)), "spawn 5 in slot 0 of generation 1");
}

#[test]
fn it_waits_while_as_many_old_workers_drain_as_there_are_slots() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    check(&s.has_left(1, Left { idle: 1, ..Left::default() }), "notify Ready");
    let waits = s.reload(7);
    check(&waits, "notify Reloading");
    assert!(matches!(notices(&waits)[1], Notice::RolloutWaits { .. }));
    check(
        &s.exits(1, code(0)),
        "spawn 3 in slot 0 of generation 3
         progress to 7: slot 0 of 1, started 3",
    );
}

#[test]
fn what_a_drain_cut_is_counted_in_the_report() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(7);
    let _drain = s.replaces(2, 1);
    let left = Left { uploads: 2, ..Left::default() };
    let _counted = s.has_left(1, left);
    let cut = s.after(secs(60));
    let (worker, slot) = (WorkerId(1), Slot(0));
    assert!(notices(&cut).contains(&&Notice::DrainCut { worker, slot, left: Some(left) }));
    assert_eq!(s.supervisor.view().rollout().unwrap().cut, left);
}

#[test]
fn when_there_is_no_way_back_a_new_worker_crashes_as_any_other() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    let crashed = s.exits(2, code(1));
    check(&crashed, "eligible 2 for 1 off\nspawn 3 in slot 0 of generation 2\naccept 1/0");
}

#[test]
fn a_new_worker_must_not_serve_less_than_the_old_one() {
    let mut s = Service::running(spec(1));
    let _eligible = s.listens(1, tcp(4000));
    let _spawn = s.reload(None);
    check(&s.listens(2, tcp(3000)), "eligible 2 for 1");
    assert_eq!(s.supervisor.view().state(), ServiceState::Reloading);
    check(
        &s.listens(2, tcp(4000)),
        "inspect 2
         park 1
         eligible 1 for 1 off
         eligible 1 for 2 off
         eligible 2 for 2",
    );
}

#[test]
fn a_misbehaving_old_worker_does_not_hold_it_up() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    let reason = "spoke out of turn".to_owned();
    let killed = s.happens(Event::Misbehaved { worker: WorkerId(1), reason });
    check(&killed, "kill 1\nnotify Ready");
}
