//! Workers that have reached a limit.

use super::harness::{Service, check, code, millis, notices, secs, spec};
use crate::{
    Action, Event, Left, Limits, Notice, RenewalReason, RenewalStart, ServiceState, Slot, Spec,
    WorkerId,
};

const MIB: u64 = 1 << 20;

fn limited(slots: u32, limits: Limits) -> Spec {
    Spec { limits, ..spec(slots) }
}

fn of_memory(slots: u32) -> Spec {
    limited(slots, Limits { memory: Some(800 * MIB), ..Limits::default() })
}

fn of_requests(slots: u32) -> Spec {
    limited(slots, Limits { requests: Some(100), ..Limits::default() })
}

fn of_age(slots: u32) -> Spec {
    limited(slots, Limits { age: Some(secs(1000)), ..Limits::default() })
}

fn measured(s: &mut Service, worker: u64, mib: u64) -> Vec<Action> {
    s.happens(Event::MemoryMeasured { worker: WorkerId(worker), rss_bytes: mib * MIB })
}

fn reached(s: &mut Service, worker: u64) -> Vec<Action> {
    s.happens(Event::RequestsReached { worker: WorkerId(worker) })
}

/// When whoever is due is told to be replaced.
fn starts(actions: &[Action]) -> Vec<(u64, RenewalStart)> {
    let start = |notice: &&Notice| {
        let Notice::WorkerDue { worker, start, .. } = notice else { return None };
        Some((worker.0, *start))
    };
    notices(actions).iter().filter_map(start).collect()
}

#[test]
fn without_limits_nothing_is_due() {
    let s = Service::running(spec(2));
    assert_eq!(s.supervisor.deadline(), None);
}

#[test]
fn too_much_memory_twice_in_a_row_is_too_much() {
    let mut s = Service::running(of_memory(2));
    check(&s.after(secs(2)), "measure 1\nmeasure 2");
    check(&measured(&mut s, 1, 900), "");
    check(&measured(&mut s, 1, 900), "");
    check(&measured(&mut s, 2, 100), "");
    check(&s.after(secs(2)), "measure 1\nmeasure 2");
    check(&measured(&mut s, 1, 800), "");
    let _measure = s.after(secs(2));
    check(&measured(&mut s, 1, 801), "");
    check(&s.after(secs(2)), "measure 1\nmeasure 2");
    let due = measured(&mut s, 1, 812);
    check(&due, "spawn 3 in slot 0 of generation 1");
    let reason = RenewalReason::Memory { rss_bytes: 812 * MIB, limit_bytes: 800 * MIB };
    let (worker, slot, start) = (WorkerId(1), Slot(0), RenewalStart::Now);
    assert_eq!(notices(&due), [&Notice::WorkerDue { worker, slot, reason, start }]);
    // Who is replaced already need not be measured.
    check(&s.after(secs(2)), "measure 2");
    check(
        &s.ready(3),
        "inspect 3
         drain 1 within 60s
         eligible 1 for 1 off
         eligible 3 for 1",
    );
    let view = s.supervisor.view();
    assert_eq!((view.state(), view.slots()[0].restarts), (ServiceState::Running, 0));
    assert!(view.slots()[0].renewal.is_none());
}

#[test]
fn one_slot_has_its_turn_at_a_time() {
    let mut s = Service::running(of_requests(2));
    check(&reached(&mut s, 2), "spawn 3 in slot 1 of generation 1");
    let second = reached(&mut s, 1);
    check(&second, "");
    assert_eq!(starts(&second), [(1, RenewalStart::InTurn)]);
    let _drain = s.ready(3);
    check(&s.stops_accepting(2), "");
    check(&s.has_left(2, Left { requests: 1, ..Left::default() }), "");
    let next = s.has_left(2, Left { idle: 4, ..Left::default() });
    check(&next, "spawn 4 in slot 0 of generation 1");
    assert_eq!(starts(&next), [(1, RenewalStart::Now)]);
}

#[test]
fn the_agent_is_told_once_how_many_requests_to_count() {
    let mut s = Service::started(of_requests(1));
    let told = s.agent(1);
    let [Action::LimitRequests { requests, .. }] = told[..] else { panic!("{told:?}") };
    assert!((90..=100).contains(&requests), "{requests}");
    check(&s.agent(1), "");
    // Nothing is due before the worker serves.
    check(&reached(&mut s, 1), "");
    let ready = s.ready(1);
    assert!(!notices(&ready).iter().any(|it| matches!(it, Notice::RequestsNotCounted { .. })));
}

#[test]
fn without_an_agent_it_is_told_once_that_nobody_counts() {
    let mut s = Service::started(Spec { agent: false, ..of_requests(2) });
    let told = |actions: &[Action]| {
        notices(actions).iter().filter(|it| matches!(it, Notice::RequestsNotCounted { .. })).count()
    };
    let (first, second) = (s.ready(1), s.ready(2));
    assert_eq!((told(&first), told(&second)), (1, 0));
}

#[test]
fn workers_of_one_age_do_not_go_together() {
    let mut s = Service::running(of_age(2));
    let first = s.due_in().unwrap();
    assert!((secs(900)..=secs(1000)).contains(&first), "{first:?}");
    let due = s.after(first);
    let [(old, RenewalStart::Now)] = starts(&due)[..] else { panic!("{due:?}") };
    let _drain = s.replaces(3, old);
    let second = s.due_in().unwrap();
    assert!(second > millis(0) && first + second <= secs(1000), "{first:?}, {second:?}");
}

#[test]
fn when_the_replacement_fails_the_old_one_serves_on() {
    let mut s = Service::running(of_requests(1));
    let _spawn = reached(&mut s, 1);
    let failed = s.exits(2, code(1));
    // As after a crash, the first try follows at once.
    check(&failed, "spawn 3 in slot 0 of generation 1");
    let (worker, slot, next_try) = (WorkerId(1), Slot(0), millis(0));
    let expected = Notice::RenewalFailed { worker, slot, next_try };
    assert!(notices(&failed).contains(&&expected), "{failed:?}");
    let again = s.exits(3, code(1));
    check(&again, "");
    let view = s.supervisor.view();
    assert_eq!((view.state(), view.ready_slots()), (ServiceState::Running, 1));
    let renewal = view.slots()[0].renewal.clone().unwrap();
    assert_eq!(renewal.failure.unwrap().0, WorkerId(3));
    let Some(RenewalStart::In(wait)) = renewal.start else { panic!("{:?}", renewal.start) };
    assert!((millis(150)..=millis(250)).contains(&wait), "{wait:?}");
    check(&s.after(wait), "spawn 4 in slot 0 of generation 1");
    let _drain = s.ready(4);
    assert!(s.supervisor.view().slots()[0].renewal.is_none());
}

#[test]
fn one_that_reaches_its_limit_at_once_is_not_replaced_ever_faster() {
    let mut s = Service::running(of_requests(1));
    let mut waits = Vec::new();
    for old in 1..12 {
        let due = reached(&mut s, old);
        if let [(_, RenewalStart::In(wait))] = starts(&due)[..] {
            waits.push(wait);
            let _spawn = s.after(wait);
        }
        let _drain = s.ready(old + 1);
        let _gone = s.exits(old, code(0));
    }
    assert!(waits.len() >= 8 && waits.windows(2).take(5).all(|w| w[0] < w[1]), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= secs(30)), "{waits:?}");
}

#[test]
fn a_rollout_comes_first() {
    let mut s = Service::running(of_requests(1));
    let _spawn = s.reload(7);
    let due = reached(&mut s, 1);
    check(&due, "");
    assert_eq!(starts(&due), [(1, RenewalStart::AfterRollout)]);
    // It fails, and whom it should have replaced is still due.
    check(
        &s.exits(2, code(1)),
        "reply to 7: generation 2 failed by 2, 0 of 1, 1 serves
         notify Ready
         spawn 3 in slot 0 of generation 1",
    );
}

#[test]
fn a_rollout_takes_the_place_of_a_replacement_that_starts() {
    let mut s = Service::running(of_requests(2));
    let _spawn = reached(&mut s, 1);
    check(
        &s.reload(7),
        "disconnect 3
         notify Reloading
         spawn 4 in slot 0 of generation 2
         progress to 7: slot 0 of 2, started 4",
    );
}

#[test]
fn while_a_slot_is_not_ready_nobody_is_replaced() {
    let mut s = Service::running(of_requests(2));
    let _spawn = s.exits(2, code(1));
    let due = reached(&mut s, 1);
    check(&due, "");
    assert_eq!(starts(&due), [(1, RenewalStart::WhenAllReady)]);
    let ready = s.ready(3);
    assert_eq!(starts(&ready), [(1, RenewalStart::Now)]);
}

#[test]
fn who_dies_before_its_replacement_is_ready_is_replaced_by_it() {
    let mut s = Service::running(of_requests(1));
    let _spawn = reached(&mut s, 1);
    check(&s.exits(1, code(1)), "eligible 1 for 1 off\naccept 1/0");
    check(&s.ready(2), "inspect 2\naccept 1/0 off\neligible 2 for 1");
    check(&s.after(secs(3600)), "");
    let _spawn = reached(&mut s, 2);
    let _crash = s.exits(2, code(1));
    check(&s.exits(3, code(1)), "spawn 4 in slot 0 of generation 1");
}

#[test]
fn what_it_drains_is_not_the_last_rollouts_account() {
    let mut s = Service::running(of_requests(1));
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    let _gone = s.exits(1, code(0));
    let _due = (reached(&mut s, 2), s.ready(3));
    let left = Left { uploads: 2, ..Left::default() };
    let _counted = s.has_left(2, left);
    let _cut = s.after(secs(60));
    let view = s.supervisor.view();
    assert_eq!(view.rollout().unwrap().cut, Left::default());
    assert_eq!(view.totals().cut, left);
}

#[test]
fn a_slot_that_leaves_takes_its_replacement_along() {
    let mut s = Service::running(of_requests(2));
    let _spawn = reached(&mut s, 2);
    let left = s.scale(crate::Scale::To(1), None);
    check(&left, "drain 2 within 60s\ndisconnect 3\neligible 2 for 1 off");
    check(&reached(&mut s, 1), "");
}

#[test]
fn a_stop_comes_first() {
    let mut s = Service::running(of_requests(1));
    let _spawn = reached(&mut s, 1);
    let _empty = s.stop(7);
    let _drain = s.happens(Event::QueuesEmptied);
    check(&s.exits(2, code(0)), "");
    check(&s.exits(1, code(0)), "reply to 7: stopped\nexit 0");
}
