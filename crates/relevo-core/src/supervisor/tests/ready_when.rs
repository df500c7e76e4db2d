//! Workers that are ready by more, or less, than that they listen; and that ask for more time.

use super::harness::{Service, check, code, millis, notices, seat, secs, spec, tcp};
use crate::{Event, Failure, Notice, ReadyWhen, Spec, Unsaid, WorkerId, WorkerWord};

fn by(ready: ReadyWhen) -> Spec {
    Spec { ready, ..spec(1) }
}

fn says(s: &mut Service, worker: u64, how: ReadyWhen) -> Vec<crate::Action> {
    s.happens(Event::ReadySaid { worker: WorkerId(worker), how })
}

fn probed(s: &mut Service, worker: u64, ready: bool, answer: &str) -> Vec<crate::Action> {
    let answer = answer.to_owned();
    s.happens(Event::Probed { worker: WorkerId(worker), ready, answer })
}

fn extends(s: &mut Service, worker: u64, by: std::time::Duration) -> Vec<crate::Action> {
    s.happens(Event::StartExtended { worker: WorkerId(worker), by })
}

fn word(s: &Service, worker: u64) -> Option<WorkerWord> {
    let view = s.supervisor.view();
    let mut workers = view.slots().into_iter().flat_map(|slot| slot.workers);
    workers.find(|view| view.id == WorkerId(worker)).map(|view| view.word)
}

#[test]
fn who_listens_and_has_not_said_it_is_dealt_nothing() {
    let mut s = Service::started(by(ReadyWhen::Message));
    check(&s.listens(1, tcp(3000)), "accept 1/0 off");
    check(&says(&mut s, 1, ReadyWhen::Notify), "");
    check(&says(&mut s, 1, ReadyWhen::Message), "inspect 1\nnotify Ready\neligible 1 for 1");
    check(&says(&mut s, 1, ReadyWhen::Message), "");
}

#[test]
fn who_says_it_first_must_still_listen_on_what_it_asked_for() {
    let mut s = Service::started(by(ReadyWhen::Notify));
    check(&s.asks(1, tcp(3000)), "open 1/0");
    check(&says(&mut s, 1, ReadyWhen::Notify), "");
    check(&s.opens(seat(1, 0)), "answer 1 with 1/0\naccept 1/0");
    let ready = s.listening(1, 1);
    check(&ready, "inspect 1\nnotify Ready\naccept 1/0 off\neligible 1 for 1");
}

#[test]
fn saying_it_is_enough_where_nothing_listens_and_not_where_somebody_did() {
    let mut s = Service::started(by(ReadyWhen::Message));
    check(&says(&mut s, 1, ReadyWhen::Message), "inspect 1\nnotify Ready");
    let _eligible = s.listens(1, tcp(3000));
    let _spawn = s.exits(1, code(1));
    check(&says(&mut s, 2, ReadyWhen::Message), "");
    check(&s.listens(2, tcp(3000)), "inspect 2\naccept 1/0 off\neligible 2 for 1");
}

#[test]
fn what_was_not_said_is_named() {
    let mut s = Service::started(by(ReadyWhen::Message));
    let _eligible = s.listens(1, tcp(3000));
    let _inspect = s.after(secs(30));
    let (worker, unprotected) = (WorkerId(1), Vec::new());
    let late = s.happens(Event::SocketsInspected { worker, unprotected: unprotected.clone() });
    let told = notices(&late);
    let Notice::WorkerFailed { failure, .. } = told[0] else { panic!("{told:?}") };
    let (waited, missing, unsaid) = (secs(30), Vec::new(), Some(Unsaid::Message));
    assert_eq!(*failure, Failure::NotReady { waited, missing, unsaid, unprotected });
}

#[test]
fn it_is_asked_again_until_it_answers_as_it_should() {
    let mut s = Service::started(by(ReadyWhen::Probe));
    check(&s.listens(1, tcp(3000)), "probe 1 on 1\naccept 1/0 off");
    check(&probed(&mut s, 1, false, "answered 503"), "");
    assert_eq!(s.due_in(), Some(millis(250)));
    check(&s.after(millis(250)), "probe 1 on 1");
    // An answer that comes late is given up, and none counts that was not asked for.
    check(&s.after(secs(5)), "probe 1 on 1");
    check(&probed(&mut s, 1, false, "answered 500"), "");
    check(&probed(&mut s, 1, true, "answered 200"), "");
    check(&s.after(millis(250)), "probe 1 on 1");
    check(&probed(&mut s, 1, true, "answered 200"), "inspect 1\nnotify Ready\neligible 1 for 1");
    assert_eq!(s.due_in(), None);
}

#[test]
fn what_came_of_the_last_request_is_told() {
    let mut s = Service::started(by(ReadyWhen::Probe));
    let _probe = s.listens(1, tcp(3000));
    let _waits = probed(&mut s, 1, false, "answered 503");
    s.now = s.now + secs(30);
    let _inspect = s.happens(Event::Tick);
    let late = s.after(secs(1));
    let told = notices(&late);
    let Notice::WorkerFailed { failure: Failure::NotReady { unsaid, .. }, .. } = told[0] else {
        panic!("{told:?}");
    };
    assert_eq!(*unsaid, Some(Unsaid::Probe { answer: Some("answered 503".to_owned()) }));
}

#[test]
fn a_program_that_runs_is_enough() {
    let mut s = Service::started(by(ReadyWhen::Spawned));
    check(&s.spawned(1), "inspect 1\nnotify Ready");
    let _spawn = s.exits(1, code(1));
    check(&s.spawned(2), "inspect 2");
}

/// There is nothing that it would have to be told, so it works on, and is there if the new one fails.
#[test]
fn a_worker_without_a_port_is_parked_without_a_word() {
    let mut s = Service::started(Spec { probation: secs(1), ..by(ReadyWhen::Spawned) });
    let _ready = s.spawned(1);
    let _nothing = s.agent(1);
    check(&s.reload(None), "notify Reloading\nspawn 2 in slot 0 of generation 2");
    check(&s.spawned(2), "inspect 2");
    assert_eq!((word(&s, 1), word(&s, 2)), (Some(WorkerWord::Parked), Some(WorkerWord::Ready)));
    check(&s.exits(2, code(3)), "notify Ready");
    assert_eq!(word(&s, 1), Some(WorkerWord::Ready));

    check(&s.reload(None), "notify Reloading\nspawn 3 in slot 0 of generation 3");
    let _ready = s.spawned(3);
    check(&s.after(secs(1)), "drain 1 within 60s");
    check(&s.drained(1), "disconnect 1\nnotify Ready");
}

#[test]
fn who_asks_for_more_time_has_it_up_to_a_limit() {
    let mut s = Service::started(spec(1));
    let told = extends(&mut s, 1, secs(100));
    let (worker, slot) = (WorkerId(1), crate::Slot(0));
    let extended = |within, is_all| Notice::StartExtended { worker, slot, within, is_all };
    assert_eq!(notices(&told), [&extended(secs(100), false)]);
    assert_eq!(s.due_in(), Some(secs(100)));
    // It counts from when it is asked for, is told once, and never shortens the time.
    s.now = s.now + secs(60);
    assert_eq!(notices(&extends(&mut s, 1, secs(5))).len(), 0);
    assert_eq!(s.due_in(), Some(secs(40)));
    assert_eq!(notices(&extends(&mut s, 1, secs(100))).len(), 0);
    assert_eq!(s.due_in(), Some(secs(100)));
    let told = extends(&mut s, 1, secs(100_000));
    assert_eq!(notices(&told), [&extended(secs(300), true)]);
    assert_eq!(s.due_in(), Some(secs(240)));
    assert_eq!(notices(&extends(&mut s, 1, secs(100_000))).len(), 0);
    check(&s.after(secs(240)), "inspect 1");
    // It is too late.
    check(&extends(&mut s, 1, secs(100)), "");
    assert_eq!(s.due_in(), Some(secs(1)));
}

#[test]
fn who_has_much_time_may_have_no_less() {
    let mut s = Service::started(Spec { ready_timeout: secs(7200), ..spec(1) });
    let _told = extends(&mut s, 1, secs(100_000));
    assert_eq!(s.due_in(), Some(secs(7200)));
    let _ready = s.ready(1);
    check(&extends(&mut s, 1, secs(100)), "");
}
