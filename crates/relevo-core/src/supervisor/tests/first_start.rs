//! From nothing to ready, or to exit code 1.

use super::harness::{Service, check, code, millis, notices, seat, secs, spec, tcp};
use crate::{Event, Failure, Notice, ServiceState, SpawnStage, Spec, Supervisor, Time, WorkerId};

#[test]
fn the_first_event_starts_a_worker_in_every_slot() {
    let mut supervisor = Supervisor::new(spec(2), Time::default(), 1);
    assert_eq!(supervisor.deadline(), None);
    check(
        &supervisor.handle(Time::default(), Event::Tick),
        "spawn 1 in slot 0 of generation 1
         spawn 2 in slot 1 of generation 1",
    );
}

#[test]
fn a_service_is_ready_when_every_slot_is() {
    let mut s = Service::started(spec(2));
    check(&s.spawned(1), "");
    check(&s.agent(1), "");
    check(&s.asks(1, tcp(3000)), "open 1/0");
    check(&s.opens(seat(1, 0)), "answer 1 with 1/0\naccept 1/0");
    check(&s.listening(1, 1), "inspect 1\naccept 1/0 off\neligible 1 for 1");
    assert_eq!(s.supervisor.view().state(), ServiceState::Starting);
    let ready = s.ready(2);
    check(&ready, "inspect 2\nnotify Ready\naccept 1/1 off\neligible 2 for 1");
    assert!(notices(&ready).contains(&&Notice::ServiceReady { ready: 2, of: 2 }));
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
    assert_eq!(s.due_in(), None, "nothing happens: nobody is woken");
}

#[test]
fn a_slot_that_failed_once_does_not_hold_up_readiness() {
    let mut s = Service::started(spec(2));
    check(&s.exits(1, code(1)), "spawn 3 in slot 0 of generation 1");
    let ready = s.ready(2);
    check(&ready, "inspect 2\nnotify Ready\naccept 1/1 off\neligible 2 for 1");
    assert!(notices(&ready).contains(&&Notice::ServiceReady { ready: 1, of: 2 }));
    assert_eq!(s.supervisor.view().state(), ServiceState::Degraded);
    check(&s.ready(3), "inspect 3\naccept 1/0 off\neligible 3 for 1");
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
}

#[test]
fn it_fails_when_every_slot_has_failed_once_by_exiting() {
    let mut s = Service::started(spec(2));
    check(&s.exits(1, code(1)), "spawn 3 in slot 0 of generation 1");
    let failed = s.exits(2, code(1));
    check(&failed, "notify Stopping\nkill 3");
    let failure = Failure::Exited { exit: code(1), was_ready: false, asked_to_listen: false };
    assert!(notices(&failed).contains(&&Notice::FirstStartFailed { worker: WorkerId(2), failure }));
    check(&s.exits(3, code(1)), "exit 1");
    assert!(s.supervisor.is_over());
}

#[test]
fn it_fails_when_nothing_can_be_spawned() {
    let mut s = Service::started(spec(1));
    let worker = WorkerId(1);
    let failed = s.happens(Event::SpawnFailed { worker, stage: SpawnStage::Exec, errno: 2 });
    check(&failed, "notify Stopping\nexit 1");
    let failure = Failure::SpawnFailed { stage: SpawnStage::Exec, errno: 2 };
    assert!(notices(&failed).contains(&&Notice::FirstStartFailed { worker, failure }));
}

#[test]
fn it_fails_when_the_worker_asks_to_leave_before_it_is_ready() {
    let mut s = Service::started(spec(1));
    check(&s.spawned(1), "");
    let failed = s.asks_to_leave(1);
    check(&failed, "notify Stopping\nkill 1");
    let (worker, failure) = (WorkerId(1), Failure::AskedToLeave);
    assert!(notices(&failed).contains(&&Notice::FirstStartFailed { worker, failure }));
    check(&s.exits(1, code(0)), "exit 1");
}

#[test]
fn a_worker_that_never_listens_is_looked_at_before_it_has_failed() {
    let mut s = Service::started(spec(1));
    check(&s.spawned(1), "");
    assert_eq!(s.due_in(), Some(secs(30)));
    check(&s.after(secs(30)), "inspect 1");
    let unprotected = vec![":::3000".to_owned()];
    let (worker, waited) = (WorkerId(1), secs(30));
    let failed = s.happens(Event::SocketsInspected { worker, unprotected: unprotected.clone() });
    check(&failed, "notify Stopping\nkill 1");
    let failure = Failure::NotReady { waited, missing: vec![], unsaid: None, unprotected };
    assert!(notices(&failed).contains(&&Notice::FirstStartFailed { worker, failure }));
}

#[test]
fn the_look_at_its_sockets_is_not_waited_for_for_ever() {
    let mut s = Service::started(spec(1));
    check(&s.after(secs(31)), "inspect 1");
    assert_eq!(s.due_in(), Some(secs(1)));
    check(&s.after(secs(1)), "notify Stopping\nkill 1");
}

#[test]
fn with_keep_trying_it_goes_on_and_can_be_reloaded() {
    let mut s = Service::started(Spec { keep_trying: true, ..spec(1) });
    check(&s.exits(1, code(1)), "spawn 2 in slot 0 of generation 1");
    check(&s.exits(2, code(1)), "");
    assert!(s.due_in() <= Some(millis(250)), "{:?}", s.due_in());
    // It was never ready, so the service manager hears nothing of the rollout either.
    check(
        &s.reload(7),
        "spawn 3 in slot 0 of generation 2
         progress to 7: slot 0 of 1, started 3",
    );
    check(
        &s.exits(3, code(1)),
        "reply to 7: generation 2 failed by 3, 0 of 1, 1 serves
         spawn 4 in slot 0 of generation 1",
    );
    check(&s.ready(4), "inspect 4\nnotify Ready\naccept 1/0 off\neligible 4 for 1");
}

#[test]
fn a_reload_waits_until_the_service_has_started() {
    let mut s = Service::started(spec(1));
    check(&s.reload(7), "");
    check(
        &s.ready(1),
        "inspect 1
         notify Ready
         notify Reloading
         spawn 2 in slot 0 of generation 2
         progress to 7: slot 0 of 1, started 2
         accept 1/0 off
         eligible 1 for 1",
    );
}

#[test]
fn a_reload_is_refused_when_the_start_fails() {
    let mut s = Service::started(spec(1));
    check(&s.reload(7), "");
    check(&s.exits(1, code(1)), "notify Stopping\nreply to 7: refused, Stopping\nexit 1");
}
