//! Probation, and the way back of a rollout.

use super::harness::{Service, check, code, notices, secs, spec, tcp};
use crate::{
    Event, Failure, Generation, Left, Notice, Outcome, ServiceState, Slot, Spec, Waits, WorkerId,
    WorkerWord,
};

/// Two slots, in which the workers 1 and 2 are to be replaced; a probation takes 3 s.
fn reloading() -> Service {
    let mut s = Service::running(Spec { probation: secs(3), ..spec(2) });
    let _spawn = s.reload(7);
    s
}

/// Worker 3 serves in slot 0, worker 1 is parked, and worker 4 starts in slot 1.
fn half_way() -> Service {
    let mut s = reloading();
    let _park = s.replaces(3, 1);
    let _next = s.after(secs(3));
    s
}

fn word(s: &Service, worker: u64) -> WorkerWord {
    let slots = s.supervisor.view().slots();
    let mut workers = slots.iter().flat_map(|slot| &slot.workers);
    workers.find(|other| other.id == WorkerId(worker)).expect("it is there").word
}

#[test]
fn the_first_and_the_last_new_worker_have_to_prove_themselves() {
    let mut s = Service::running(Spec { probation: secs(3), ..spec(3) });
    let _spawn = s.reload(None);
    check(&s.ready(4), "inspect 4\npark 1\neligible 1 for 1 off\neligible 4 for 1");
    assert_eq!(word(&s, 1), WorkerWord::Parked);
    check(&s.stops_accepting(1), "");
    assert_eq!(s.due_in(), Some(secs(3)));
    check(&s.after(secs(3)), "spawn 5 in slot 1 of generation 2");
    let _park = s.ready(5);
    check(&s.stops_accepting(2), "spawn 6 in slot 2 of generation 2");
    let _park = s.replaces(6, 3);
    check(&s.after(secs(2)), "");
    check(&s.after(secs(1)), "drain 1 within 60s\ndrain 2 within 60s\ndrain 3 within 60s");
}

#[test]
fn a_new_worker_that_dies_on_probation_gives_way_to_the_old_one() {
    let mut s = reloading();
    let _park = s.replaces(3, 1);
    check(&s.exits(3, code(1)), "eligible 3 for 1 off\nunpark 1\naccept 1/0");
    assert_eq!(word(&s, 1), WorkerWord::Starting);
    check(
        &s.returns(1),
        "progress to 7: slot 0 of 2, 1 returned
         reply to 7: generation 2 failed by 3, 0 of 2, 1 serves
         notify Ready
         accept 1/0 off
         eligible 1 for 1",
    );
    assert_eq!(word(&s, 1), WorkerWord::Ready);
    let view = s.supervisor.view();
    assert_eq!((view.state(), view.ready_slots()), (ServiceState::Degraded, 2));
    assert!(view.failed_rollout().unwrap().is_taken_back());
}

#[test]
fn one_that_hangs_up_serves_on_until_the_old_one_is_back() {
    let mut s = reloading();
    let _park = s.replaces(3, 1);
    check(&s.closes(3, 1), "accept 1/0\neligible 3 for 1 off");
    let undone = s.after(secs(1));
    check(&undone, "unpark 1");
    let addresses = vec!["listener 1 of slot 0".to_owned()];
    let why = Outcome::Failed { worker: WorkerId(3), failure: Failure::HungUp { addresses } };
    let expected = Notice::RolloutUndone { generation: Generation(2), why, parked: 1 };
    assert_eq!(notices(&undone), [&expected]);
    // Its requests are finished, and waited for.
    check(
        &s.returns(1),
        "drain 3 within 60s
         progress to 7: slot 0 of 2, 1 returned
         accept 1/0 off
         eligible 1 for 1",
    );
    check(
        &s.drained(3),
        "disconnect 3
         reply to 7: generation 2 failed by 3, 0 of 2, 1 serves
         notify Ready",
    );
}

#[test]
fn one_that_closes_and_opens_again_is_forgiven() {
    let mut s = reloading();
    let _park = s.replaces(3, 1);
    s.now = s.now + secs(2);
    check(&s.closes(3, 1), "accept 1/0\neligible 3 for 1 off");
    assert_eq!(s.due_in(), Some(secs(1)));
    check(&s.returns(3), "accept 1/0 off\neligible 3 for 1");
    check(
        &s.after(secs(1)),
        "spawn 4 in slot 1 of generation 2\nprogress to 7: slot 1 of 2, started 4",
    );
    // The rollout waits for what comes of it.
    let _park = s.replaces(4, 2);
    s.now = s.now + secs(2);
    check(&s.closes(3, 1), "accept 1/0\neligible 3 for 1 off");
    s.now = s.now + std::time::Duration::from_millis(500);
    check(&s.closes(4, 1), "accept 1/1\neligible 4 for 1 off");
    check(&s.returns(3), "accept 1/0 off\neligible 3 for 1");
    check(&s.after(secs(1)), "unpark 1\nunpark 2");
}

#[test]
fn a_failure_in_a_later_slot_undoes_the_earlier_ones() {
    let mut s = half_way();
    check(&s.exits(4, code(1)), "unpark 1");
    // The new one serves until the old one does.
    assert_eq!(s.supervisor.view().ready_slots(), 2);
    let _drain = s.returns(1);
    check(
        &s.drained(3),
        "disconnect 3
         reply to 7: generation 2 failed by 4, 0 of 2, 1 serves
         notify Ready",
    );
}

#[test]
fn a_new_worker_that_asks_to_leave_is_let_go_when_the_old_one_is_back() {
    let mut s = reloading();
    let _park = s.replaces(3, 1);
    check(&s.asks_to_leave(3), "unpark 1\neligible 3 for 1 off");
    check(&s.closes(3, 1), "accept 1/0");
    check(
        &s.returns(1),
        "progress to 7: slot 0 of 2, 1 returned
         reply to 7: generation 2 failed by 3, 0 of 2, 1 serves
         notify Ready
         allow 3 to leave
         accept 1/0 off
         eligible 1 for 1",
    );
}

#[test]
fn somebody_aborts_it() {
    let mut s = half_way();
    check(&s.abort(8), "disconnect 4\nunpark 1");
    check(&s.abort(9), "");
    let _drain = s.returns(1);
    check(
        &s.drained(3),
        "disconnect 3
         reply to 7: generation 2 aborted, 0 of 2, 1 serves
         reply to 8: generation 2 aborted, 0 of 2, 1 serves
         reply to 9: generation 2 aborted, 0 of 2, 1 serves
         notify Ready",
    );
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
    let _gone = s.exits(4, code(0));
    // The next one is another generation.
    check(&s.abort(10), "reply to 10: refused, NoRollout");
    check(&s.reload(None), "notify Reloading\nspawn 5 in slot 0 of generation 3");
}

#[test]
fn what_has_been_let_go_cannot_be_called_back() {
    let mut s = half_way();
    let _park = s.replaces(4, 2);
    let _drain = s.after(secs(3));
    let refused = "NoWayBack { generation: Generation(2) }";
    check(&s.abort(8), &format!("reply to 8: refused, {refused}"));
    check(&s.pause(9), &format!("reply to 9: refused, {refused}"));
}

#[test]
fn a_pause_holds_it_and_the_way_back_is_open_meanwhile() {
    let mut s = reloading();
    let _park = s.replaces(3, 1);
    check(&s.pause(8), "reply to 8: generation 2 held at slot 0");
    check(&s.pause(9), "reply to 9: generation 2 held at slot 0");
    assert_eq!(s.supervisor.view().rollout().unwrap().waits, Some(Waits::Paused));
    check(&s.after(secs(60)), "");
    check(
        &s.resume(10),
        "reply to 10: generation 2 goes on at slot 0
         spawn 4 in slot 1 of generation 2
         progress to 7: slot 1 of 2, started 4",
    );
    check(&s.resume(11), "reply to 11: refused, NotPaused");
    // Who starts may become ready meanwhile.
    let _held = s.pause(12);
    let _park = s.replaces(4, 2);
    check(&s.after(secs(60)), "");
    check(&s.abort(13), "unpark 1\nunpark 2");
    check(&s.resume(14), "reply to 14: refused, BeingUndone");
    let _back = (s.returns(1), s.returns(2), s.drained(3));
    check(
        &s.drained(4),
        "disconnect 4
         reply to 7: generation 2 aborted, 0 of 2, 1 serves
         reply to 13: generation 2 aborted, 0 of 2, 1 serves
         notify Ready",
    );
}

#[test]
fn without_a_rollout_there_is_nothing_to_hold() {
    let mut s = Service::running(spec(1));
    check(&s.pause(7), "reply to 7: refused, NoRollout");
    check(&s.resume(8), "reply to 8: refused, NoRollout");
}

#[test]
fn a_worker_without_an_agent_cannot_be_called_back() {
    let mut s = Service::running(Spec { agent: false, probation: secs(3), ..spec(2) });
    let _spawn = s.reload(7);
    let _drain = s.ready(3);
    let _gone = (s.after(secs(3)), s.exits(1, code(0)));
    let _spawn = s.exits(4, code(1));
    let report = s.supervisor.view().failed_rollout().cloned().expect("it has failed");
    assert_eq!((report.replaced, report.returned), (1, 0));
    let (first, second) = ((Generation(1), vec![Slot(1)]), (Generation(2), vec![Slot(0)]));
    assert_eq!(report.runs, [first, second].into());
}

#[test]
fn a_rollout_that_waits_for_one_without_an_agent_says_so() {
    let mut s = Service::running(Spec { agent: false, probation: secs(3), ..spec(2) });
    let _spawn = s.reload(7);
    let _drain = s.ready(3);
    let told = s.after(secs(5));
    let (generation, workers) = (Generation(2), vec![(WorkerId(1), None)]);
    let expected = Notice::RolloutWaitsForDrain { generation, workers: workers.clone() };
    assert_eq!(notices(&told), [&expected]);
    assert_eq!(s.supervisor.view().rollout().unwrap().waits, Some(Waits::Drain(workers)));
    let _gone = s.exits(1, code(0));
    assert_eq!(s.supervisor.view().rollout().unwrap().waits, None);
}

#[test]
fn a_parked_worker_that_dies_leaves_its_slot_to_the_new_one() {
    let mut s = half_way();
    check(&s.exits(1, code(1)), "");
    check(
        &s.abort(8),
        "disconnect 4
         reply to 7: generation 2 aborted, 1 of 2, 1 serves
         reply to 8: generation 2 aborted, 1 of 2, 1 serves
         notify Ready",
    );
    // Two generations side by side are nothing to be content with.
    assert_eq!(s.supervisor.view().state(), ServiceState::Degraded);
}

#[test]
fn a_worker_that_does_not_come_back_leaves_its_slot_to_the_new_one() {
    let mut s = half_way();
    check(&s.abort(8), "disconnect 4\nunpark 1");
    check(&s.after(secs(5)), "inspect 1\nsignal 4");
    check(
        &s.after(secs(1)),
        "drain 1 within 60s
         reply to 7: generation 2 aborted, 1 of 2, 1 serves
         reply to 8: generation 2 aborted, 1 of 2, 1 serves
         notify Ready",
    );
    assert_eq!(s.supervisor.view().ready_slots(), 2);
}

#[test]
fn nobody_is_parked_for_ever() {
    let mut s = reloading();
    let _park = s.replaces(3, 1);
    let _held = s.pause(8);
    let told = s.after(secs(3600));
    check(&told, "drain 1 within 60s\nprogress to 7: slot 0 of 2, proved 3");
    let expected = Notice::ParkedTooLong { worker: WorkerId(1), slot: Slot(0) };
    assert_eq!(notices(&told), [&expected]);
}

#[test]
fn what_a_parked_worker_asks_is_answered_if_it_comes_back() {
    let mut s = reloading();
    let _park = s.replaces(3, 1);
    check(&s.asks(1, tcp(4000)), "");
    check(&s.abort(8), "unpark 1\nopen 2/0");
    check(&s.opens(super::harness::seat(2, 0)), "answer 1 with 2/0\naccept 2/0");
}

#[test]
fn a_slot_that_leaves_takes_its_parked_worker_along() {
    let mut s = half_way();
    let _park = s.replaces(4, 2);
    check(
        &s.scale(crate::Scale::To(1), None),
        "drain 2 within 60s
         drain 4 within 60s
         drain 1 within 60s
         progress to 7: slot 0 of 1, proved 3
         eligible 4 for 1 off",
    );
}

#[test]
fn a_stop_lets_go_whoever_is_parked() {
    let mut s = half_way();
    check(
        &s.stop(None),
        "notify Stopping
         reply to 7: generation 2 stopped, 1 of 2, 1 serves
         drain 1 within 15s
         empty queues",
    );
}

#[test]
fn a_stop_while_one_comes_back() {
    let mut s = half_way();
    let _undone = s.abort(8);
    let _stopping = s.stop(None);
    let _ready = s.returns(1);
    let _drain = s.happens(Event::QueuesEmptied);
    for worker in [1, 2, 3] {
        let _gone = s.exits(worker, code(0));
    }
    check(&s.exits(4, code(0)), "exit 0");
}

#[test]
fn the_parked_worker_has_no_work_counted_until_it_drains() {
    let mut s = reloading();
    let _park = s.replaces(3, 1);
    check(&s.has_left(1, Left { requests: 1, ..Left::default() }), "");
    check(
        &s.after(secs(3)),
        "spawn 4 in slot 1 of generation 2\nprogress to 7: slot 1 of 2, started 4",
    );
}
