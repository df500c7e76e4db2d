//! Sockets: when they open and close, who accepts from them, and who is dealt connections.

use super::harness::{Service, check, code, common, notices, opened_by, seat, secs, spec, tcp};
use crate::{
    Balance, Event, Kind, ListenerId, Member, Notice, QueryId, Scale, Seat, Slot, Spec, Wish,
    WorkerId,
};

fn round_robin(slots: u32) -> Spec {
    Spec { balance: Balance::RoundRobin, ..spec(slots) }
}

fn covered(s: &Service) -> Vec<Slot> {
    s.supervisor.view().listeners().into_iter().flat_map(|listener| listener.covering).collect()
}

#[test]
fn a_socket_is_covered_from_its_opening_until_its_worker_listens() {
    let mut s = Service::started(spec(1));
    let _open = s.asks(1, tcp(3000));
    assert_eq!(covered(&s), []);
    check(&s.opens(seat(1, 0)), "answer 1 with 1/0\naccept 1/0");
    assert_eq!(covered(&s), [Slot(0)]);
    let _ready = s.listening(1, 1);
    assert_eq!(covered(&s), []);
}

#[test]
fn a_slot_whose_worker_closes_its_listener_is_covered_by_the_others() {
    let mut s = Service::running(spec(2));
    check(&s.closes(1, 1), "accept 1/0\neligible 1 for 1 off");
    assert_eq!(covered(&s), [Slot(0)]);
    check(&s.listens(1, tcp(3000)), "accept 1/0 off\neligible 1 for 1");
}

#[test]
fn a_slot_is_not_covered_while_an_old_worker_still_accepts() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(None);
    check(&s.ready(2), "inspect 2\npark 1\neligible 1 for 1 off\neligible 2 for 1");
    // A worker that does not even say that it has stopped may still accept.
    check(&s.after(secs(1)), "drain 1 within 60s");
    check(&s.exits(2, code(1)), "eligible 2 for 1 off\nspawn 3 in slot 0 of generation 2");
    check(&s.closes(1, 1), "accept 1/0");
}

#[test]
fn a_slot_is_covered_when_the_old_worker_has_stopped_accepting() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    check(
        &s.exits(2, code(1)),
        "eligible 2 for 1 off\nspawn 3 in slot 0 of generation 2\naccept 1/0",
    );
}

#[test]
fn when_dealing_the_primary_accepts_from_one_socket_all_the_time() {
    let mut s = Service::started(round_robin(2));
    check(&s.asks(1, tcp(3000)), "open 1/all");
    check(&s.asks(2, tcp(3000)), "");
    check(
        &s.opens(common(1)),
        "answer 1 with connections of 1/all
         answer 2 with connections of 1/all
         accept 1/all",
    );
    check(&s.listening(1, 1), "inspect 1\neligible 1 for 1");
    check(&s.listening(2, 1), "inspect 2\nnotify Ready\neligible 2 for 1");
    check(&s.exits(1, code(1)), "eligible 1 for 1 off\nspawn 3 in slot 0 of generation 1");
}

#[test]
fn a_shared_socket_is_left_to_the_workers() {
    for (kind, balance) in [(Kind::Tcp, Balance::Shared), (Kind::Unix, Balance::Kernel)] {
        let mut s = Service::started(Spec { balance, ..spec(1) });
        let wish = Wish { kind, ..tcp(3000) };
        check(&s.asks(1, wish), "open 1/all");
        check(&s.opens(common(1)), "answer 1 with 1/all");
        check(&s.listening(1, 1), "inspect 1\nnotify Ready\neligible 1 for 1");
    }
}

#[test]
fn nobody_is_dealt_datagrams() {
    for balance in [Balance::Kernel, Balance::RoundRobin, Balance::Shared] {
        let mut s = Service::started(Spec { balance, ..spec(1) });
        check(&s.asks(1, Wish { kind: Kind::Udp, ..tcp(53) }), "open 1/all");
        check(&s.opens(common(1)), "answer 1 with 1/all");
        check(&s.listening(1, 1), "inspect 1\nnotify Ready");
    }
}

#[test]
fn one_worker_cannot_listen_twice_on_the_same() {
    let mut s = Service::started(spec(1));
    check(&s.asks(1, tcp(3000)), "open 1/0");
    check(&s.asks(1, tcp(3000)), "refuse 1, error 98");
    check(&s.opens(seat(1, 0)), "answer 1 with 1/0\naccept 1/0");
    check(&s.asks(1, tcp(3000)), "refuse 1, error 98");
}

#[test]
fn a_question_told_twice_is_answered_once() {
    let mut s = Service::running(spec(1));
    let asked = Event::ListenRequested { worker: WorkerId(1), query: QueryId(50), wish: tcp(80) };
    check(&s.happens(asked.clone()), "open 2/0");
    check(&s.happens(asked.clone()), "");
    check(&s.open_fails(seat(2, 0), 13), "refuse 1, error 13");
    check(&s.happens(asked), "");
}

#[test]
fn a_socket_that_cannot_be_opened_is_refused_to_all_who_wait_and_told_once() {
    let mut s = Service::started(round_robin(2));
    let _open = s.asks(1, tcp(80));
    let _wait = s.asks(2, tcp(80));
    let failed = s.open_fails(common(1), 13);
    check(&failed, "refuse 1, error 13\nrefuse 2, error 13");
    let address = ":::80".to_owned();
    assert_eq!(notices(&failed), [&Notice::BindFailed { address, errno: 13, holder: None }]);
    check(&s.asks(1, tcp(80)), "open 2/all");
    let failed = s.open_fails(common(2), 13);
    check(&failed, "refuse 1, error 13");
    assert_eq!(notices(&failed), [] as [&Notice; 0]);
}

#[test]
fn an_outcome_told_twice_harms_no_open_socket() {
    let mut s = Service::running(spec(1));
    check(&s.opens(seat(1, 0)), "");
    check(&s.open_fails(seat(1, 0), 98), "");
    check(
        &s.exits(1, code(1)),
        "eligible 1 for 1 off\nspawn 2 in slot 0 of generation 1\naccept 1/0",
    );
}

#[test]
fn a_worker_on_its_way_out_is_neither_answered_nor_refused() {
    let mut s = Service::running(spec(1));
    let _open = s.asks(1, tcp(4000));
    let _open = s.asks(1, tcp(80));
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    check(&s.opens(seat(2, 0)), "accept 2/0");
    check(&s.open_fails(seat(3, 0), 13), "");
    check(&s.asks(1, tcp(5000)), "");
}

#[test]
fn sockets_close_when_nobody_has_them_any_more() {
    let mut s = Service::running(spec(2));
    check(&s.closes(1, 1), "accept 1/0\neligible 1 for 1 off");
    let closed = s.closes(2, 1);
    check(&closed, "close 1/0\nclose 1/1\neligible 2 for 1 off");
    assert!(matches!(notices(&closed)[..], [Notice::ListenerClosed { .. }]));
}

#[test]
fn sockets_outlive_every_worker_that_serves_them() {
    let mut s = Service::running(spec(1));
    let _spawn = s.exits(1, code(1));
    let _waits = s.exits(2, code(1));
    check(&s.after(secs(3600)), "spawn 3 in slot 0 of generation 1");
    check(&s.exits(3, code(1)), "");
    assert_eq!(covered(&s), [Slot(0)]);
}

#[test]
fn a_listener_that_only_a_failed_new_worker_opened_closes_with_it() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(None);
    let _eligible = s.listens(2, tcp(4000));
    check(&s.exits(2, code(1)), "eligible 2 for 2 off\nnotify Ready\nclose 2/0");
}

#[test]
fn a_socket_that_opens_when_nobody_wants_it_any_more_is_closed() {
    let mut s = Service::running(spec(1));
    let _open = s.asks(1, tcp(4000));
    let _spawn = s.exits(1, code(1));
    check(&s.opens(seat(2, 0)), "close 2/0");
}

#[test]
fn a_socket_that_opens_although_it_was_told_to_have_failed_is_closed() {
    let mut s = Service::running(spec(2));
    let _open = s.asks(1, tcp(4000));
    let _open = s.asks(2, tcp(4000));
    let _answer = s.opens(seat(2, 1));
    check(&s.open_fails(seat(2, 0), 98), "refuse 1, error 98");
    check(&s.opens(seat(2, 0)), "close 2/0");
}

#[test]
fn there_is_a_limit_to_the_listeners() {
    let mut s = Service::running(spec(1));
    for port in 4000..4255 {
        let _open = s.asks(1, tcp(port));
    }
    check(&s.asks(1, tcp(5000)), "refuse 1, error 24");
    check(&s.asks(1, tcp(3000)), "refuse 1, error 98");
}

#[test]
fn a_worker_without_a_channel_is_neither_answered_nor_refused() {
    let mut s = Service::running(spec(1));
    let _open = s.asks(1, tcp(4000));
    let _open = s.asks(1, tcp(80));
    let _covering = s.channel_ends(1);
    check(&s.opens(seat(2, 0)), "close 2/0");
    check(&s.open_fails(seat(3, 0), 13), "");
}

fn auto(slots: u32) -> Spec {
    Spec { balance: Balance::Auto, ..spec(slots) }
}

fn front() -> Member {
    Member { listener: ListenerId(1), seat: Seat::Front }
}

#[test]
fn under_auto_a_group_has_a_front_from_its_first_socket_on() {
    let mut s = Service::started(auto(2));
    let _open = s.asks(1, tcp(3000));
    let actions = s.opens(seat(1, 0));
    assert!(actions.iter().any(|action| opened_by(action) == Some(front())), "{actions:?}");
    check(&s.opens(front()), "accept 1/front");
}

#[test]
fn a_slot_alone_needs_no_front_until_there_are_two() {
    let mut s = Service::running(auto(1));
    assert_eq!(s.supervisor.view().listeners()[0].seats, [seat(1, 0).seat]);
    let actions = s.scale(Scale::To(2), None);
    assert!(actions.iter().any(|action| opened_by(action) == Some(front())), "{actions:?}");
}

#[test]
fn a_front_that_cannot_be_had_is_not_tried_again_and_again() {
    let mut s = Service::started(auto(2));
    let _open = s.asks(1, tcp(3000));
    let _front = s.opens(seat(1, 0));
    let actions = s.open_fails(front(), 24);
    assert!(!actions.iter().any(|action| opened_by(action).is_some()), "{actions:?}");
}
