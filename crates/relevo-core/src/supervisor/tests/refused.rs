//! Refused code in the place of the good one.

use super::harness::{Service, check, code, notices, secs, spec, tcp};
use crate::{Notice, ServiceState, Slot, Spec, WorkerId};

/// Two slots of one place, in which a rollout has failed; a probation takes 3 s.
fn refused() -> Service {
    let mut s = Service::running(Spec { probation: secs(3), ..spec(2) });
    s.releases(&[1]);
    let _spawn = s.reload(None);
    s.release(2, 1);
    check(&s.exits(3, code(1)), "notify Ready");
    s
}

#[test]
fn nobody_is_replaced_without_need() {
    let mut s = refused();
    let view = s.supervisor.view();
    assert_eq!((view.state(), view.good_workers()), (ServiceState::Degraded, Some(2)));
    assert!(!view.may_replace_voluntarily());
    let _spawn = s.reload(None);
    s.release(3, 1);
    for (new, old) in [(4, 1), (5, 2)] {
        let _park = s.replaces(new, old);
        let _next = s.after(secs(3));
    }
    let _end = (s.exits(1, code(0)), s.exits(2, code(0)));
    let view = s.supervisor.view();
    assert_eq!((view.state(), view.good_workers()), (ServiceState::Running, None));
    assert!(view.may_replace_voluntarily());
}

#[test]
fn in_another_place_the_refused_code_is_nobodys_concern() {
    let mut s = Service::running(spec(2));
    s.releases(&[1]);
    let _spawn = s.reload(None);
    s.release(2, 2);
    let _end = s.exits(3, code(1));
    let view = s.supervisor.view();
    assert_eq!((view.state(), view.good_workers()), (ServiceState::Degraded, None));
    assert!(view.may_replace_voluntarily());
}

#[test]
fn a_crash_s_replacement_proves_itself_before_it_is_answered() {
    let mut s = refused();
    let _spawn = s.exits(1, code(1));
    assert_eq!(s.supervisor.view().good_workers(), Some(1));
    let _there = (s.spawned(4), s.agent(4));
    let asks = s.asks(4, tcp(3000));
    check(&asks, "");
    let held = Notice::HeldBack { worker: WorkerId(4), slot: Slot(0), within: secs(3) };
    assert_eq!(notices(&asks), [&held]);
    check(&s.after(secs(2)), "");
    check(&s.asks(4, tcp(4000)), "");
    assert_eq!(s.due_in(), Some(secs(1)));
    check(&s.after(secs(1)), "answer 4 with 1/0\nopen 2/0");
    check(&s.listening(4, 1), "inspect 4\naccept 1/0 off\neligible 4 for 1");
    // It serves, and yet is none of the good ones.
    assert_eq!(s.supervisor.view().good_workers(), Some(1));
}

#[test]
fn where_nobody_else_serves_it_need_not_wait() {
    let mut s = refused();
    let _spawn = s.exits(1, code(1));
    let _there = (s.spawned(4), s.agent(4), s.asks(4, tcp(3000)));
    check(
        &s.exits(2, code(1)),
        "eligible 2 for 1 off
         answer 4 with 1/0
         spawn 5 in slot 1 of generation 1
         accept 1/1",
    );
    let _there = (s.spawned(5), s.agent(5));
    check(&s.asks(5, tcp(3000)), "answer 5 with 1/1");
}

#[test]
fn one_that_dies_meanwhile_has_served_nobody() {
    let mut s = refused();
    let _spawn = s.exits(1, code(1));
    let _there = (s.spawned(4), s.agent(4), s.asks(4, tcp(3000)));
    check(&s.exits(4, code(1)), "");
    let due = s.due_in().expect("a next try");
    check(&s.after(due), "spawn 5 in slot 0 of generation 1");
}
