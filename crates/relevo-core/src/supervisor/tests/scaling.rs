//! Another number of workers.

use super::harness::{Service, check, code, notices, seat, secs, spec, tcp};
use crate::Scale::{By, To};
use crate::{Balance, Event, Failure, Left, Notice, Refusal, ServiceState, SlotWord, Spec};

fn words(s: &Service) -> Vec<SlotWord> {
    s.supervisor.view().slots().iter().map(|slot| slot.word).collect()
}

#[test]
fn new_slots_join_when_their_workers_are_ready() {
    let mut s = Service::running(spec(2));
    check(
        &s.scale(To(4), 7),
        "spawn 3 in slot 2 of generation 1
         progress to 7: slot 2 of 4, started 3
         spawn 4 in slot 3 of generation 1
         progress to 7: slot 3 of 4, started 4",
    );
    assert_eq!(s.supervisor.view().state(), ServiceState::Degraded);
    check(
        &s.ready(4),
        "inspect 4\nprogress to 7: slot 3 of 4, joined 4\naccept 1/3 off\neligible 4 for 1",
    );
    check(
        &s.ready(3),
        "inspect 3
         progress to 7: slot 2 of 4, joined 3
         reply to 7: scaling 2 to 4 done, 4 ready
         accept 1/2 off
         eligible 3 for 1",
    );
    let view = s.supervisor.view();
    assert_eq!((view.state(), view.wanted_slots()), (ServiceState::Running, 4));
}

#[test]
fn the_highest_slots_leave_as_replaced_workers_do() {
    let mut s = Service::running(spec(3));
    check(
        &s.scale(To(1), 7),
        "drain 2 within 60s
         drain 3 within 60s
         progress to 7: slot 1 of 1, leaving 2
         progress to 7: slot 2 of 1, leaving 3
         eligible 2 for 1 off
         eligible 3 for 1 off",
    );
    assert_eq!(words(&s), [SlotWord::Ready, SlotWord::Leaving, SlotWord::Leaving]);
    // Their sockets stay: the primary accepts from them, and the first worker is dealt what comes.
    check(&s.stops_accepting(2), "accept 1/1");
    check(
        &s.has_left(2, Left { idle: 2, ..Left::default() }),
        "progress to 7: slot 1 of 1, left 2",
    );
    check(&s.stops_accepting(3), "accept 1/2");
    check(
        &s.drained(3),
        "disconnect 3
         progress to 7: slot 2 of 1, left 3
         reply to 7: scaling 3 to 1 done, 1 ready",
    );
    let _gone = s.exits(2, code(0));
    let _gone = s.exits(3, code(0));
    assert_eq!(words(&s), [SlotWord::Ready]);
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
    assert_eq!(s.supervisor.view().listeners()[0].covering.len(), 2);
}

#[test]
fn the_sockets_of_a_slot_that_left_close_when_no_handshake_can_end_there_any_more() {
    let mut s = Service::running(spec(2));
    let _drain = s.scale(By(-1), None);
    let _covering = s.stops_accepting(2);
    let _gone = s.exits(2, code(0));
    assert_eq!(s.due_in(), Some(secs(63)));
    check(&s.after(secs(62)), "");
    check(&s.after(secs(1)), "close 1/1");
    assert_eq!(s.due_in(), None);
    check(&s.scale(To(2), None), "spawn 3 in slot 1 of generation 1");
    check(&s.asks(3, tcp(3000)), "open 1/1");
}

#[test]
fn the_kernel_s_setting_says_how_long_they_are_kept() {
    for (synack_retries, kept) in [(0, 1), (1, 3), (5, 63), (6, 127), (255, 127)] {
        let mut s = Service::running(Spec { synack_retries, ..spec(2) });
        let _drain = s.scale(To(1), None);
        let _covering = s.stops_accepting(2);
        let _gone = s.exits(2, code(0));
        assert_eq!(s.due_in(), Some(secs(kept)));
    }
}

#[test]
fn a_socket_stays_as_long_as_its_worker_has_it() {
    let mut s = Service::running(Spec { drain_timeout: secs(100), ..spec(2) });
    let _drain = s.scale(To(1), None);
    check(&s.after(secs(70)), "");
    check(&s.stops_accepting(2), "close 1/1");
    check(&s.exits(2, code(0)), "");
}

#[test]
fn a_slot_that_comes_back_finds_its_sockets() {
    let mut s = Service::running(spec(2));
    let _drain = s.scale(To(1), None);
    let _covering = s.stops_accepting(2);
    check(
        &s.scale(To(2), 7),
        "spawn 3 in slot 1 of generation 1\nprogress to 7: slot 1 of 2, started 3",
    );
    // The first worker there goes on draining beside it.
    check(&s.asks(3, tcp(3000)), "answer 3 with 1/1");
    check(
        &s.listening(3, 1),
        "inspect 3
         progress to 7: slot 1 of 2, joined 3
         reply to 7: scaling 1 to 2 done, 2 ready
         accept 1/1 off
         eligible 3 for 1",
    );
    check(&s.after(secs(60)), "disconnect 2");
    let _gone = s.exits(2, code(0));
    check(&s.after(secs(3600)), "");
}

#[test]
fn where_the_primary_deals_there_is_nothing_to_keep() {
    let mut s = Service::running(Spec { balance: Balance::RoundRobin, ..spec(2) });
    let _drain = s.scale(To(1), None);
    check(&s.stops_accepting(2), "");
    let _gone = s.exits(2, code(0));
    check(&s.after(secs(63)), "");
    assert_eq!(s.supervisor.view().slots().len(), 1);
}

#[test]
fn what_all_others_serve_is_wanted_of_a_new_slot() {
    let mut s = Service::running(spec(2));
    let _everywhere = (s.listens(1, tcp(4000)), s.listens(2, tcp(4000)));
    let _only_here = s.listens(1, tcp(5000));
    let _spawn = s.scale(To(3), 7);
    let _one = s.ready(3);
    assert_eq!(s.supervisor.view().ready_slots(), 2);
    let _all = s.listens(3, tcp(4000));
    assert_eq!(s.supervisor.view().ready_slots(), 3);
}

#[test]
fn the_same_of_every_try_until_it_was_ready() {
    let mut s = Service::running(spec(1));
    let _everywhere = s.listens(1, tcp(4000));
    let _spawn = s.scale(To(2), None);
    let _again = s.exits(2, code(1));
    let _one = s.ready(3);
    assert_eq!(s.supervisor.view().ready_slots(), 1);
    let _all = s.listens(3, tcp(4000));
    assert_eq!(s.supervisor.view().ready_slots(), 2);
}

#[test]
fn a_new_worker_that_fails_ends_the_waiting_but_not_the_wish() {
    let mut s = Service::running(spec(1));
    let _spawn = s.scale(To(2), 7);
    let failed = s.exits(2, code(3));
    check(
        &failed,
        "reply to 7: scaling 1 to 2 failed by 2, 1 ready
         spawn 3 in slot 1 of generation 1",
    );
    let failure = Failure::Exited { exit: code(3), was_ready: false, asked_to_listen: false };
    assert!(
        matches!(notices(&failed)[0], Notice::WorkerFailed { failure: told, .. } if *told == failure)
    );
    check(&s.exits(3, code(3)), "");
    assert_eq!(words(&s), [SlotWord::Ready, SlotWord::BackingOff]);
    // It is the number that is wanted already.
    check(&s.scale(To(2), 8), "reply to 8: scaling 2 to 2 done, 1 ready");
    let due = s.due_in().expect("a next try");
    check(&s.after(due), "spawn 4 in slot 1 of generation 1");
    let _joined = s.ready(4);
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
}

#[test]
fn a_crash_in_another_slot_is_not_the_scaling_s() {
    let mut s = Service::running(spec(1));
    let _spawn = s.scale(To(2), 7);
    let _crashed = s.exits(1, code(1));
    check(
        &s.ready(2),
        "inspect 2\nprogress to 7: slot 1 of 2, joined 2\naccept 1/1 off\neligible 2 for 1",
    );
    // So many are to be ready.
    check(
        &s.ready(3),
        "inspect 3
         reply to 7: scaling 1 to 2 done, 2 ready
         accept 1/0 off
         eligible 3 for 1",
    );
}

#[test]
fn to_the_present_number_it_is_done_at_once() {
    let mut s = Service::running(spec(2));
    check(&s.scale(To(2), 7), "reply to 7: scaling 2 to 2 done, 2 ready");
    check(&s.scale(By(0), 8), "reply to 8: scaling 2 to 2 done, 2 ready");
    check(&s.scale(To(2), None), "");
}

#[test]
fn who_does_not_wait_is_answered_when_it_has_begun() {
    let mut s = Service::running(spec(1));
    let mut scale = |scale, request| {
        let request = Some(crate::RequestId(request));
        s.happens(Event::ScaleRequested { scale, wait: false, request })
    };
    check(
        &scale(To(2), 7),
        "reply to 7: scaling 1 to 2 accepted, 1 ready\nspawn 2 in slot 1 of generation 1",
    );
    check(&scale(To(2), 8), "reply to 8: scaling 1 to 2 accepted, 1 ready");
    check(&scale(To(0), 9), "reply to 9: refused, TooFewWorkers { wanted: 2 }");
}

#[test]
fn there_is_a_least_and_a_most() {
    let mut s = Service::running(spec(2));
    check(&s.scale(To(0), 7), "reply to 7: refused, TooFewWorkers { wanted: 2 }");
    check(&s.scale(By(-2), 7), "reply to 7: refused, TooFewWorkers { wanted: 2 }");
    check(&s.scale(By(i32::MIN), 7), "reply to 7: refused, TooFewWorkers { wanted: 2 }");
    check(&s.scale(To(1025), 7), "reply to 7: refused, TooManyWorkers { wanted: 2 }");
    check(&s.scale(By(i32::MAX), 7), "reply to 7: refused, TooManyWorkers { wanted: 2 }");
    let _drain = s.scale(By(-1), None);
    let least = s.scale(By(-1), None);
    check(&least, "");
    assert_eq!(notices(&least), [&Notice::NotScaled(Refusal::TooFewWorkers { wanted: 1 })]);
    let _many = s.scale(To(1024), None);
    assert_eq!(s.supervisor.view().slots().len(), 1024);
}

#[test]
fn signals_add_up() {
    let mut s = Service::running(spec(1));
    let _spawn = s.scale(By(1), None);
    let _spawn = s.scale(By(1), None);
    assert_eq!(s.supervisor.view().wanted_slots(), 3);
    let _leave = s.scale(By(-1), None);
    assert_eq!(s.supervisor.view().wanted_slots(), 2);
}

#[test]
fn the_last_wish_wins() {
    let mut s = Service::running(spec(1));
    let _spawn = s.scale(To(3), 7);
    check(
        &s.scale(To(2), 8),
        "reply to 7: scaling 1 to 3 superseded by 2, 1 ready
         disconnect 3",
    );
    // Who wants the same waits along.
    check(&s.scale(To(2), 9), "");
    check(
        &s.ready(2),
        "inspect 2
         progress to 8: slot 1 of 2, joined 2
         progress to 9: slot 1 of 2, joined 2
         reply to 8: scaling 3 to 2 done, 2 ready
         reply to 9: scaling 3 to 2 done, 2 ready
         accept 1/1 off
         eligible 2 for 1",
    );
    check(&s.exits(3, code(0)), "");
}

#[test]
fn a_client_waits_once_and_may_go() {
    let mut s = Service::running(spec(1));
    let _spawn = s.scale(To(2), 7);
    check(&s.scale(To(3), 7), "");
    check(&s.happens(Event::RequestDropped { request: crate::RequestId(7) }), "");
    check(&s.ready(2), "inspect 2\naccept 1/1 off\neligible 2 for 1");
}

#[test]
fn there_is_a_limit_to_those_who_wait() {
    let mut s = Service::running(spec(1));
    let _spawn = s.scale(To(2), 1);
    for request in 2..65 {
        check(&s.scale(To(2), request), "");
    }
    check(&s.scale(To(2), 65), "reply to 65: refused, TooManyWaiting");
}

#[test]
fn a_stop_refuses_it_and_ends_the_waiting() {
    let mut s = Service::running(spec(2));
    let _leave = s.scale(To(1), 7);
    let _covering = s.stops_accepting(2);
    check(
        &s.stop(None),
        "notify Stopping\nreply to 7: scaling 2 to 1 aborted, 1 ready\nempty queues",
    );
    check(&s.scale(To(2), 8), "reply to 8: refused, Stopping");
    // The socket of the slot that has left is emptied and closed like the others.
    check(
        &s.happens(Event::QueuesEmptied),
        "close 1/0\nclose 1/1\ndrain 1 within 15s\neligible 1 for 1 off",
    );
}

#[test]
fn a_slot_that_joins_during_a_rollout_gets_its_turn() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(7);
    check(&s.scale(To(2), None), "spawn 3 in slot 1 of generation 1");
    let _joined = s.ready(3);
    let _park = s.ready(2);
    check(
        &s.stops_accepting(1),
        "spawn 4 in slot 1 of generation 2
         progress to 7: slot 1 of 2, started 4",
    );
    let _park = s.ready(4);
    check(
        &s.stops_accepting(3),
        "drain 1 within 60s
         progress to 7: slot 0 of 2, proved 2
         drain 3 within 60s
         progress to 7: slot 1 of 2, proved 4",
    );
    check(&s.exits(1, code(0)), "progress to 7: slot 0 of 2, replaced by 2");
    // One that joins at the very end has its turn as well.
    check(&s.scale(To(3), None), "spawn 5 in slot 2 of generation 1");
    check(
        &s.exits(3, code(0)),
        "progress to 7: slot 1 of 3, replaced by 4
         spawn 6 in slot 2 of generation 2
         progress to 7: slot 2 of 3, started 6",
    );
    check(
        &s.ready(6),
        "inspect 6
         disconnect 5
         progress to 7: slot 2 of 3, ready 6
         progress to 7: slot 2 of 3, replaced by 6
         reply to 7: generation 2 succeeded, 3 of 3
         notify Ready
         accept 1/2 off
         eligible 6 for 1",
    );
}

#[test]
fn a_slot_whose_worker_is_still_starting_joins_by_the_rollout_s() {
    let mut s = Service::running(spec(1));
    let _everywhere = s.listens(1, tcp(4000));
    let _spawn = s.reload(None);
    let _spawn = s.scale(To(2), 8);
    let _ready = (s.ready(2), s.listens(2, tcp(4000)));
    let _next = s.exits(1, code(0));
    // What is wanted of it is what is wanted of the one that it replaces.
    let _one = s.ready(4);
    assert_eq!(s.supervisor.view().ready_slots(), 1);
    check(
        &s.listens(4, tcp(4000)),
        "inspect 4
         disconnect 3
         progress to 8: slot 1 of 2, joined 4
         notify Ready
         reply to 8: scaling 1 to 2 done, 2 ready
         accept 2/1 off
         eligible 4 for 2",
    );
}

#[test]
fn a_rollout_goes_on_without_the_slot_that_leaves() {
    let mut s = Service::running(spec(2));
    let _spawn = s.reload(7);
    let _next = s.replaces(3, 1);
    // Worker 4 comes to slot 1, worker 2 is there.
    check(
        &s.scale(To(1), 8),
        "drain 2 within 60s
         disconnect 4
         progress to 8: slot 1 of 1, leaving 2
         drain 1 within 60s
         progress to 7: slot 0 of 1, proved 3
         eligible 2 for 1 off",
    );
    check(
        &s.exits(1, code(0)),
        "progress to 7: slot 0 of 1, replaced by 3\nreply to 7: generation 2 succeeded, 1 of 1\nnotify Ready",
    );
    check(&s.exits(4, code(0)), "");
    check(
        &s.exits(2, code(0)),
        "progress to 8: slot 1 of 1, left 2\nreply to 8: scaling 2 to 1 done, 1 ready\naccept 1/1",
    );
}

#[test]
fn a_rollout_whose_last_slot_leaves_has_replaced_all_that_are_left() {
    let mut s = Service::running(spec(2));
    let _spawn = s.reload(7);
    let _next = s.replaces(3, 1);
    let _gone = s.exits(1, code(0));
    let _park = s.ready(4);
    check(
        &s.scale(To(1), None),
        "drain 2 within 60s
         drain 4 within 60s
         reply to 7: generation 2 succeeded, 1 of 1
         notify Ready
         eligible 4 for 1 off",
    );
    assert_eq!(s.supervisor.view().generation().0, 2);
}

#[test]
fn a_rollout_ends_with_the_last_slot_that_is_left() {
    let mut s = Service::running(spec(2));
    let _spawn = s.reload(7);
    let _leave = s.scale(To(1), None);
    let _drain = s.replaces(3, 1);
    check(
        &s.exits(1, code(0)),
        "progress to 7: slot 0 of 1, replaced by 3
         reply to 7: generation 2 succeeded, 1 of 1
         notify Ready",
    );
}

#[test]
fn a_slot_that_backs_off_can_leave() {
    let mut s = Service::running(spec(2));
    let _spawn = s.exits(2, code(1));
    check(&s.exits(3, code(1)), "");
    check(&s.scale(To(1), 7), "reply to 7: scaling 2 to 1 done, 1 ready");
    check(&s.after(secs(60)), "");
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
}

#[test]
fn a_worker_that_waits_for_its_successor_is_let_go_with_its_slot() {
    let mut s = Service::running(spec(2));
    check(&s.asks_to_leave(2), "spawn 3 in slot 1 of generation 1\neligible 2 for 1 off");
    check(
        &s.scale(To(1), 7),
        "allow 2 to leave\ndisconnect 3\nreply to 7: scaling 2 to 1 done, 1 ready",
    );
}

#[test]
fn a_first_start_is_over_when_every_slot_that_is_left_was_tried() {
    let mut s = Service::started(spec(2));
    let _ready = s.ready(1);
    check(&s.scale(To(1), None), "disconnect 2\nnotify Ready");
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
}

#[test]
fn what_a_leaving_worker_s_drain_cut_is_no_rollout_s() {
    let mut s = Service::running(spec(2));
    let _leave = s.scale(To(1), 7);
    let left = Left { requests: 1, ..Left::default() };
    let _counted = s.has_left(2, left);
    let cut = s.after(secs(60));
    let report = notices(&cut).into_iter().find_map(|notice| {
        if let Notice::ScaleEnded(report) = notice { Some(report.clone()) } else { None }
    });
    assert_eq!(report.expect("its end").cut, left);
    assert!(s.supervisor.view().rollout().is_none());
}

#[test]
fn a_socket_that_opens_after_its_slot_has_left_is_kept_as_well() {
    let mut s = Service::running(spec(1));
    let _spawn = s.scale(To(2), None);
    check(&s.asks(2, tcp(3000)), "open 1/1");
    check(&s.scale(To(1), None), "disconnect 2");
    check(&s.opens(seat(1, 1)), "accept 1/1");
    let _gone = s.exits(2, code(0));
    check(&s.after(secs(63)), "close 1/1");
}
