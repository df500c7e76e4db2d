//! Several new workers at once, all of them loaded first, and spare ones.

use super::harness::{Service, check, code, millis, secs, spec, tcp};
use crate::{ServiceState, Slot, Spec, Surge, WorkerId, WorkerWord};

fn word(s: &Service, worker: u64) -> (Slot, WorkerWord) {
    let slots = s.supervisor.view().slots();
    let all = slots.iter().flat_map(|slot| slot.workers.iter().map(|worker| (slot.slot, worker)));
    let (slot, worker) =
        all.into_iter().find(|(_, other)| other.id == WorkerId(worker)).expect("it is there");
    (slot, worker.word)
}

/// The worker has loaded its code and asks to listen; nobody answers.
#[track_caller]
fn loads(s: &mut Service, worker: u64) -> Vec<crate::Action> {
    let _nothing = s.spawned(worker);
    let _nothing = s.agent(worker);
    s.asks(worker, tcp(3000))
}

#[test]
fn a_surge_is_a_number_or_a_part_of_all_and_one_at_least() {
    assert_eq!(Surge::Workers(3).workers(8), 3);
    assert_eq!(Surge::Workers(9).workers(4), 4);
    assert_eq!(Surge::Percent(25).workers(8), 2);
    assert_eq!(Surge::Percent(25).workers(9), 3);
    assert_eq!(Surge::Percent(1).workers(2), 1);
    assert_eq!(Surge::Percent(100).workers(1024), 1024);
}

#[test]
fn with_a_surge_the_first_is_alone_and_then_several_come_at_once() {
    let mut s = Service::running(Spec { surge: Surge::Workers(2), probation: secs(3), ..spec(5) });
    check(&s.reload(None), "notify Reloading\nspawn 6 in slot 0 of generation 2");
    let _park = s.replaces(6, 1);
    check(
        &s.after(secs(3)),
        "spawn 7 in slot 1 of generation 2
         spawn 8 in slot 2 of generation 2",
    );
    let _park = s.ready(8);
    // Its own old worker has to stop accepting, the other new one need not be ready.
    check(&s.stops_accepting(3), "spawn 9 in slot 3 of generation 2");
    let _park = s.ready(7);
    check(&s.stops_accepting(2), "spawn 10 in slot 4 of generation 2");
    let _park = s.replaces(10, 5);
    check(&s.after(secs(3)), "");
    check(
        &s.replaces(9, 4),
        "inspect 9
         park 4
         eligible 4 for 1 off
         eligible 9 for 1
         drain 1 within 60s
         drain 2 within 60s
         drain 3 within 60s
         drain 4 within 60s
         drain 5 within 60s",
    );
}

#[test]
fn one_of_a_surge_that_fails_takes_the_others_back() {
    let mut s = Service::running(Spec { surge: Surge::Workers(2), ..spec(3) });
    let _spawn = s.reload(None);
    let _two = s.replaces(4, 1);
    let _park = s.replaces(5, 2);
    check(&s.exits(6, code(1)), "unpark 1\nunpark 2");
}

#[test]
fn all_are_loaded_before_any_serves() {
    let mut s = Service::running(Spec { all_first: true, probation: secs(3), ..spec(2) });
    check(
        &s.reload(7),
        "notify Reloading\nspawn 3 in slot 0 of generation 2\nprogress to 7: slot 0 of 2, started 3",
    );
    check(
        &loads(&mut s, 3),
        "progress to 7: slot 0 of 2, loaded 3
         spawn 4 in slot 1 of generation 2
         progress to 7: slot 1 of 2, started 4",
    );
    assert_eq!(word(&s, 3), (Slot(0), WorkerWord::Standby));
    check(&s.after(secs(29)), "");
    // What both have asked for is answered when the last one asks.
    check(
        &loads(&mut s, 4),
        "progress to 7: slot 1 of 2, loaded 4
         answer 3 with 1/0
         answer 4 with 1/1",
    );
    check(
        &s.listening(3, 1),
        "inspect 3
         park 1
         progress to 7: slot 0 of 2, ready 3
         eligible 1 for 1 off
         eligible 3 for 1",
    );
    let _park = s.listening(4, 1);
    let _parked = (s.stops_accepting(1), s.stops_accepting(2));
    check(
        &s.after(secs(3)),
        "drain 1 within 60s
         progress to 7: slot 0 of 2, proved 3
         drain 2 within 60s
         progress to 7: slot 1 of 2, proved 4",
    );
}

#[test]
fn where_one_cannot_load_nobody_has_served() {
    let mut s = Service::running(Spec { all_first: true, ..spec(2) });
    let _spawn = s.reload(7);
    let _next = loads(&mut s, 3);
    check(
        &s.exits(4, code(1)),
        "disconnect 3
         reply to 7: generation 2 failed by 4, 0 of 2, 1 serves
         notify Ready",
    );
}

#[test]
fn a_loaded_worker_whose_slot_has_lost_the_old_one_serves_at_once() {
    let mut s = Service::running(Spec { all_first: true, ..spec(2) });
    let _spawn = s.reload(None);
    let _next = loads(&mut s, 3);
    check(&s.exits(1, code(1)), "eligible 1 for 1 off\nanswer 3 with 1/0\naccept 1/0");
}

#[test]
fn a_loaded_worker_is_not_ready_too_late_while_it_waits() {
    let mut s = Service::running(Spec { all_first: true, ..spec(2) });
    let _spawn = s.reload(None);
    let _next = loads(&mut s, 3);
    check(&s.after(secs(30)), "inspect 4");
}

/// Two slots and one spare worker, the third.
fn with_a_spare() -> Service {
    let mut s = Service::started(Spec { standby: 1, ..spec(2) });
    let _ready = s.ready(1);
    check(
        &s.ready(2),
        "inspect 2
         notify Ready
         spawn 3 in slot 0 of generation 1
         accept 1/1 off
         eligible 2 for 1",
    );
    check(&loads(&mut s, 3), "");
    assert_eq!(word(&s, 3), (Slot(0), WorkerWord::Standby));
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
    s
}

#[test]
fn a_spare_worker_takes_over_from_one_that_crashes_and_another_is_loaded() {
    let mut s = with_a_spare();
    assert_eq!(s.due_in(), None, "it costs nothing to have one");
    check(
        &s.exits(2, code(1)),
        "eligible 2 for 1 off
         3 now in slot 1
         answer 3 with 1/1
         accept 1/1",
    );
    check(
        &s.listening(3, 1),
        "inspect 3
         spawn 4 in slot 0 of generation 1
         accept 1/1 off
         eligible 3 for 1",
    );
    assert_eq!(word(&s, 3), (Slot(1), WorkerWord::Ready));
}

#[test]
fn in_its_own_slot_it_need_not_be_told() {
    let mut s = with_a_spare();
    check(&s.exits(1, code(1)), "eligible 1 for 1 off\nanswer 3 with 1/0\naccept 1/0");
}

#[test]
fn a_promoted_worker_is_ready_with_what_its_predecessor_listened_on() {
    let mut s = with_a_spare();
    let _second_port = (s.listens(1, tcp(3001)), s.listens(2, tcp(3001)));
    let _promoted = s.exits(2, code(1));
    check(&s.listening(3, 1), "accept 1/1 off\neligible 3 for 1");
    assert_eq!(word(&s, 3), (Slot(1), WorkerWord::Starting));
    check(
        &s.listens(3, tcp(3001)),
        "inspect 3\nspawn 4 in slot 0 of generation 1\naccept 2/1 off\neligible 3 for 2",
    );
    assert_eq!(word(&s, 3), (Slot(1), WorkerWord::Ready));
}

#[test]
fn a_spare_worker_that_fails_is_started_again_later_and_hurts_nobody() {
    let mut s = with_a_spare();
    check(&s.exits(3, code(1)), "spawn 4 in slot 0 of generation 1");
    check(&s.exits(4, code(1)), "");
    assert!(s.due_in().is_some_and(|due| due > millis(100) && due < millis(300)));
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
    check(&s.after(millis(300)), "spawn 5 in slot 0 of generation 1");
}

#[test]
fn after_a_rollout_the_spare_worker_has_the_new_code() {
    let mut s = with_a_spare();
    check(&s.reload(None), "notify Reloading\nspawn 4 in slot 0 of generation 2");
    let _first = s.replaces(4, 1);
    // In a slot that has the new code it is of no use.
    check(&s.exits(2, code(1)), "eligible 2 for 1 off\naccept 1/1");
    let _last = s.ready(5);
    check(
        &s.drained(1),
        "disconnect 1\nnotify Ready\ndisconnect 3\nspawn 6 in slot 0 of generation 2",
    );
}

#[test]
fn where_the_new_code_runs_a_spare_worker_with_the_old_one_does_not_take_over() {
    let mut s = with_a_spare();
    let _spawn = s.reload(None);
    let _first = s.replaces(4, 1);
    let _last = s.replaces(5, 2);
    // The old ones finish their work: there is no way back, and the spare one is still there.
    check(
        &s.exits(4, code(1)),
        "eligible 4 for 1 off
         spawn 6 in slot 0 of generation 2
         accept 1/0",
    );
}

#[test]
fn a_stop_ends_spare_workers_too() {
    let mut s = with_a_spare();
    let _emptying = s.stop(None);
    let stopped = s.happens(crate::Event::QueuesEmptied);
    assert!(stopped.contains(&crate::Action::Disconnect { worker: WorkerId(3) }), "{stopped:?}");
    for worker in 1..=3 {
        let _gone = s.exits(worker, code(0));
    }
    assert!(s.supervisor.is_over());
}
