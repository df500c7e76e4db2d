//! When a worker counts as ready: by what it asked for, or by what its predecessor had.

use super::harness::{Service, check, code, notices, seat, secs, spec, tcp};
use crate::{Event, Failure, ListenerId, Notice, SlotWord, WorkerId};

/// Whether the worker has become ready.
fn is_ready(s: &Service, worker: u64) -> bool {
    let view = s.supervisor.view();
    let mut workers = view.slots().into_iter().flat_map(|slot| slot.workers);
    workers.any(|view| view.id == WorkerId(worker) && view.word == crate::WorkerWord::Ready)
}

/// One slot, whose worker is ready on the ports 3000 and 4000.
fn with_two_ports() -> Service {
    let mut s = Service::running(spec(1));
    let _eligible = s.listens(1, tcp(4000));
    s
}

#[test]
fn at_first_it_waits_for_what_was_asked_for_when_the_first_listened() {
    let mut s = Service::started(spec(1));
    check(&s.asks(1, tcp(3000)), "open 1/0");
    check(&s.asks(1, tcp(4000)), "open 2/0");
    check(&s.opens(seat(1, 0)), "answer 1 with 1/0\naccept 1/0");
    check(&s.listening(1, 1), "accept 1/0 off\neligible 1 for 1");
    assert!(!is_ready(&s, 1));
    // Asked for too late to count.
    check(&s.asks(1, tcp(5000)), "open 3/0");
    check(&s.opens(seat(2, 0)), "answer 1 with 2/0\naccept 2/0");
    check(&s.listening(1, 2), "inspect 1\nnotify Ready\naccept 2/0 off\neligible 1 for 2");
    assert!(is_ready(&s, 1));
}

#[test]
fn what_was_refused_is_not_waited_for() {
    let mut s = Service::started(spec(1));
    let _open = s.asks(1, tcp(3000));
    let _open = s.asks(1, tcp(80));
    let _answer = s.opens(seat(1, 0));
    let _eligible = s.listening(1, 1);
    check(&s.open_fails(seat(2, 0), 13), "refuse 1, error 13\ninspect 1\nnotify Ready");
}

#[test]
fn what_it_closed_again_is_not_waited_for() {
    let mut s = Service::started(spec(1));
    let _open = s.asks(1, tcp(3000));
    let _open = s.asks(1, tcp(4000));
    let _answer = s.opens(seat(1, 0));
    let _answer = s.opens(seat(2, 0));
    let _eligible = s.listening(1, 1);
    check(&s.closes(1, 2), "inspect 1\nnotify Ready\nclose 2/0");
}

#[test]
fn a_replacement_must_listen_on_what_its_predecessor_did() {
    let mut s = with_two_ports();
    let _spawn = s.exits(1, code(1));
    check(&s.listens(2, tcp(4000)), "accept 2/0 off\neligible 2 for 2");
    assert!(!is_ready(&s, 2));
    check(&s.listens(2, tcp(3000)), "inspect 2\naccept 1/0 off\neligible 2 for 1");
    assert!(is_ready(&s, 2));
}

#[test]
fn what_is_missing_is_named() {
    let mut s = with_two_ports();
    let _spawn = s.exits(1, code(1));
    let _eligible = s.listens(2, tcp(3000));
    check(&s.after(secs(30)), "inspect 2");
    let worker = WorkerId(2);
    let late = s.happens(Event::SocketsInspected { worker, unprotected: vec![] });
    check(&late, "eligible 2 for 1 off");
    let told = notices(&late);
    let Notice::WorkerFailed { failure: Failure::NotReady { missing, waited, .. }, .. } = told[0]
    else {
        panic!("{told:?}");
    };
    assert_eq!(
        (missing.as_slice(), *waited),
        (["listener 2 of slot 0".to_owned()].as_slice(), secs(30))
    );
}

#[test]
fn what_the_predecessor_had_closed_is_not_owed() {
    let mut s = with_two_ports();
    check(&s.closes(1, 2), "close 2/0\neligible 1 for 2 off");
    let _spawn = s.exits(1, code(1));
    let _ready = s.listens(2, tcp(3000));
    assert!(is_ready(&s, 2));
}

#[test]
fn what_the_old_worker_closes_while_the_new_one_starts_is_no_longer_owed() {
    let mut s = with_two_ports();
    let _spawn = s.reload(None);
    check(&s.listens(2, tcp(3000)), "eligible 2 for 1");
    assert!(!is_ready(&s, 2));
    // Nobody has it any more: it closes, and nothing is missing now.
    let closed = s.closes(1, 2);
    check(
        &closed,
        "close 2/0
         inspect 2
         park 1
         eligible 1 for 1 off
         eligible 1 for 2 off",
    );
    assert!(is_ready(&s, 2));
}

#[test]
fn a_port_that_only_one_slot_opens_is_wanted_of_that_slot_only() {
    let mut s = Service::running(spec(2));
    let _eligible = s.listens(1, tcp(4000));
    let _spawn = s.exits(2, code(1));
    let _ready = s.listens(3, tcp(3000));
    assert!(is_ready(&s, 3));
    let _spawn = s.exits(1, code(1));
    let _eligible = s.listens(4, tcp(3000));
    assert!(!is_ready(&s, 4));
}

#[test]
fn who_is_not_ready_is_dealt_connections_all_the_same() {
    let mut s = with_two_ports();
    let _spawn = s.exits(1, code(1));
    check(&s.listens(2, tcp(3000)), "accept 1/0 off\neligible 2 for 1");
}

#[test]
fn who_has_no_channel_never_becomes_ready() {
    let mut s = Service::running(spec(1));
    let _spawn = s.exits(1, code(1));
    let _answer = s.asks(2, tcp(3000));
    check(&s.channel_ends(2), "");
    check(&s.listening(2, 1), "");
    assert!(!is_ready(&s, 2));
    assert_eq!(s.supervisor.view().slots()[0].word, SlotWord::Vacant);
}

#[test]
fn who_listens_while_it_is_looked_at_is_ready_after_all() {
    let mut s = Service::running(spec(1));
    let _spawn = s.exits(1, code(1));
    let _answer = s.asks(2, tcp(3000));
    check(&s.after(secs(30)), "inspect 2");
    s.now = s.now + secs(1);
    // The answer to the look and the tick come later than this.
    check(&s.listening(2, 1), "inspect 2\naccept 1/0 off\neligible 2 for 1");
    check(&s.happens(Event::SocketsInspected { worker: WorkerId(2), unprotected: vec![] }), "");
    assert!(is_ready(&s, 2));
}

#[test]
fn what_a_ready_worker_listens_on_by_itself_is_told() {
    let mut s = Service::running(spec(1));
    let (worker, addresses) = (WorkerId(1), vec![":::4000".to_owned()]);
    let told = s.happens(Event::SocketsInspected { worker, unprotected: addresses.clone() });
    assert_eq!(notices(&told), [&Notice::Unprotected { worker, addresses }]);
}

#[test]
fn a_ready_worker_that_closes_everything_stays_ready() {
    let mut s = Service::running(spec(1));
    check(&s.closes(1, 1), "close 1/0\neligible 1 for 1 off");
    assert!(is_ready(&s, 1));
    // A listener that comes back is another one.
    check(&s.listens(1, tcp(3000)), "accept 2/0 off\neligible 1 for 2");
    assert_eq!(s.supervisor.view().listeners()[0].id, ListenerId(2));
}
