//! Nobody is there to accept: connections wait for as long as they may, then the listeners close.

use super::harness::{Service, check, code, common, millis, notices, seat, secs, spec, tcp};
use crate::{Balance, Event, Failure, Notice, ServiceState, Spec, WorkerId};

fn held(slots: u32) -> Spec {
    Spec { hold: secs(10), ..spec(slots) }
}

/// Whose only worker crashed a moment ago, and whose next one, worker 2, has not asked yet.
fn crashed() -> Service {
    let mut s = Service::running(held(1));
    let _covering = s.exits(1, code(1));
    s
}

#[test]
fn what_waits_within_the_hold_is_served_by_the_next_worker() {
    let mut s = crashed();
    check(&s.after(secs(9)), "");
    assert_ne!(s.supervisor.view().state(), ServiceState::Down);
    check(&s.ready(2), "inspect 2\naccept 1/0 off\neligible 2 for 1");
    check(&s.after(secs(60)), "");
}

#[test]
fn when_it_is_spent_the_listeners_close_until_a_worker_is_ready() {
    let mut s = crashed();
    assert_eq!(s.due_in(), Some(secs(10)));
    let spent = s.after(secs(10));
    check(&spent, "close 1/0");
    assert_eq!(notices(&spent), [&Notice::Down { held: secs(10) }]);
    let view = s.supervisor.view();
    assert_eq!(view.state(), ServiceState::Down);
    assert!(view.listeners().is_empty());
    // The worker that starts had not asked yet, and goes on: for it the address is bound anew.
    check(&s.after(secs(5)), "");
    check(&s.asks(2, tcp(3000)), "open 1/0");
    check(&s.opens(seat(1, 0)), "answer 2 with 1/0\naccept 1/0");
    assert_eq!(s.supervisor.view().state(), ServiceState::Down);
    let ready = s.listening(2, 1);
    check(&ready, "inspect 2\naccept 1/0 off\neligible 2 for 1");
    assert!(notices(&ready).contains(&&Notice::Up { after: secs(5) }), "{ready:?}");
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
    assert_eq!(s.supervisor.view().listeners().len(), 1);
}

#[test]
fn there_is_one_line_for_its_beginning_and_one_for_its_end() {
    let mut s = crashed();
    assert_eq!(notices(&s.after(secs(10))).len(), 1);
    let _asked = s.asks(2, tcp(3000));
    assert_eq!(notices(&s.opens(seat(1, 0))), [] as [&Notice; 0]);
}

#[test]
fn a_port_that_was_taken_meanwhile_is_refused_as_at_a_first_start() {
    let mut s = crashed();
    let _closed = s.after(secs(10));
    check(&s.asks(2, tcp(3000)), "open 1/0");
    let failed = s.open_fails(seat(1, 0), 98);
    check(&failed, "refuse 2, error 98");
    assert!(matches!(notices(&failed)[0], Notice::BindFailed { errno: 98, .. }));
    check(&s.exits(2, code(1)), "");
    assert_eq!(s.supervisor.view().state(), ServiceState::Down);
    let due = s.due_in().expect("a next try");
    check(&s.after(due), "spawn 3 in slot 0 of generation 1");
    let _up = s.ready(3);
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
}

#[test]
fn a_replacement_must_still_listen_on_what_was_served() {
    let mut s = Service::running(held(1));
    let _second = s.listens(1, tcp(4000));
    let _crashed = s.exits(1, code(1));
    check(&s.after(secs(10)), "close 1/0\nclose 2/0");
    let _one = s.ready(2);
    assert_eq!(s.supervisor.view().state(), ServiceState::Down);
    let _both = s.listens(2, tcp(4000));
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
}

#[test]
fn one_that_dies_before_it_is_ready_leaves_no_listener_behind() {
    let mut s = Service::running(held(1));
    let _second = s.listens(1, tcp(4000));
    let _crashed = s.exits(1, code(1));
    let _closed = s.after(secs(10));
    let _one = s.ready(2);
    check(&s.exits(2, code(1)), "eligible 2 for 1 off\nclose 1/0");
    assert_eq!(s.supervisor.view().state(), ServiceState::Down);
}

#[test]
fn one_that_is_not_ready_in_time_keeps_its_socket_until_it_has_let_go() {
    let mut s = crashed();
    let _closed = s.after(secs(10));
    check(&s.asks(2, tcp(3000)), "open 1/0");
    let _answered = s.opens(seat(1, 0));
    check(&s.after(secs(20)), "inspect 2");
    check(&s.after(secs(1)), "disconnect 2");
    check(&s.closes(2, 1), "close 1/0");
}

#[test]
fn each_outage_has_a_clock_of_its_own() {
    let mut s = crashed();
    let _closed = s.after(secs(10));
    let _up = s.ready(2);
    let _crashed = s.exits(2, code(1));
    assert_ne!(s.supervisor.view().state(), ServiceState::Down);
    let _spawn = s.after(secs(1));
    check(&s.after(secs(8)), "");
    check(&s.after(secs(1)), "close 1/0");
}

#[test]
fn the_clock_is_not_each_worker_s() {
    let mut s = crashed();
    let _later = s.after(secs(6));
    let _again = s.exits(2, code(1));
    let _spawn = s.after(secs(1));
    let _again = s.exits(3, code(1));
    check(&s.after(millis(2_999)), "spawn 4 in slot 0 of generation 1");
    check(&s.after(millis(1)), "close 1/0");
}

#[test]
fn who_listens_though_it_is_not_ready_ends_the_waiting() {
    let mut s = Service::running(held(1));
    let _second = s.listens(1, tcp(4000));
    let _crashed = s.exits(1, code(1));
    let _listens = s.ready(2);
    check(&s.after(secs(20)), "");
    assert_eq!(s.supervisor.view().listeners().len(), 2);
}

#[test]
fn one_worker_of_several_is_enough() {
    let mut s = Service::running(held(2));
    let _covering = s.exits(1, code(1));
    check(&s.after(secs(20)), "");
}

#[test]
fn a_draining_worker_that_still_accepts_is_enough() {
    let mut s = Service::running(held(1));
    let _covering = s.scale(crate::Scale::To(2), None);
    let _joined = s.ready(2);
    let _drain = s.scale(crate::Scale::To(1), None);
    let _crashed = s.exits(1, code(1));
    check(&s.after(secs(20)), "");
    check(&s.stops_accepting(2), "accept 1/1");
    check(&s.after(secs(9)), "");
    // It has no listening socket any more, and finishes its work.
    check(&s.after(secs(1)), "close 1/0\nclose 1/1\ninspect 3");
    assert_eq!(s.supervisor.view().slots().len(), 2);
}

#[test]
fn who_has_a_socket_and_does_not_accept_is_ended() {
    let mut s = crashed();
    check(&s.asks(2, tcp(3000)), "answer 2 with 1/0");
    let spent = s.after(secs(10));
    check(&spent, "kill 2\nclose 1/0");
    assert!(notices(&spent).iter().any(|notice| matches!(
        notice,
        Notice::WorkerFailed { worker: WorkerId(2), failure: Failure::HeldTooLong, .. }
    )));
    // What it says before it dies counts no more.
    check(&s.listening(2, 1), "");
}

#[test]
fn a_worker_without_a_channel_keeps_no_socket_either() {
    let mut s = Service::running(Spec { hold: secs(3), stop_timeout: secs(30), ..spec(1) });
    let _covering = s.channel_ends(1);
    check(&s.after(secs(1)), "spawn 2 in slot 0 of generation 1");
    check(&s.after(secs(1)), "signal 1");
    check(&s.after(secs(1)), "kill 1\nclose 1/0");
}

#[test]
fn who_has_only_asked_is_answered_with_a_new_socket() {
    let mut s = crashed();
    let _second = s.asks(2, tcp(4000));
    check(&s.after(secs(10)), "close 1/0");
    check(&s.opens(seat(2, 0)), "answer 2 with 2/0\naccept 2/0");
    check(&s.exits(2, code(1)), "close 2/0");
}

#[test]
fn before_anything_was_ready_nothing_is_closed() {
    let mut s = Service::started(Spec { keep_trying: true, ..held(1) });
    let _asked = s.asks(1, tcp(3000));
    let _opened = s.opens(seat(1, 0));
    check(&s.after(secs(20)), "");
}

#[test]
fn without_a_hold_they_close_with_the_last_worker() {
    let mut s = Service::running(Spec { hold: secs(0), ..spec(1) });
    check(
        &s.exits(1, code(1)),
        "eligible 1 for 1 off\nclose 1/0\nspawn 2 in slot 0 of generation 1",
    );
    let _up = s.ready(2);
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
}

#[test]
fn where_the_primary_deals_it_is_the_same() {
    let mut s = Service::running(Spec { balance: Balance::RoundRobin, ..held(2) });
    let _crashed = (s.exits(1, code(1)), s.exits(2, code(1)));
    check(&s.after(secs(10)), "close 1/all");
    check(&s.asks(3, tcp(3000)), "open 1/all");
    check(&s.opens(common(1)), "answer 3 with connections of 1/all\naccept 1/all");
    let _up = s.listening(3, 1);
    assert_eq!(s.supervisor.view().state(), ServiceState::Degraded);
}

#[test]
fn a_stop_while_it_is_down_is_a_stop() {
    let mut s = crashed();
    let _closed = s.after(secs(10));
    check(&s.stop(7), "notify Stopping\nempty queues");
    assert_eq!(s.supervisor.view().state(), ServiceState::Stopping);
    check(&s.happens(Event::QueuesEmptied), "disconnect 2");
    check(&s.exits(2, code(0)), "reply to 7: stopped\nexit 0");
}

#[test]
fn a_stop_has_no_other_clock() {
    let mut s = crashed();
    let _empty = s.stop(7);
    let _drain = s.happens(Event::QueuesEmptied);
    let ended = s.after(secs(10));
    check(&ended, "signal 2");
    assert_eq!(s.supervisor.view().state(), ServiceState::Stopping);
}

#[test]
fn a_socket_of_a_slot_that_left_is_kept_while_it_is_the_only_one() {
    let mut s = Service::running(Spec { hold: secs(1), ..spec(2) });
    let _crashed = (s.exits(1, code(1)), s.exits(2, code(1)));
    check(&s.after(secs(1)), "close 1/0\nclose 1/1");
    let _up = s.ready(4);
    // Slot 0 has not opened its socket again when slot 1, which has, leaves.
    let _leaves = s.scale(crate::Scale::To(1), None);
    check(&s.stops_accepting(4), "accept 1/1");
    check(&s.asks(3, tcp(3000)), "open 1/0");
    let _open = s.opens(seat(1, 0));
    let _ready = s.listening(3, 1);
    check(&s.after(secs(59)), "");
}
