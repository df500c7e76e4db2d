//! Ending the service with its work finished, or at once.

use super::harness::{Service, check, code, notices, secs, spec, tcp};
use crate::{Action, Event, Notice, ServiceState, Spec, WorkerId};

#[test]
fn what_waits_is_dealt_before_the_sockets_close_and_the_workers_drain() {
    let mut s = Service::running(spec(2));
    check(&s.stop(7), "notify Stopping\nempty queues");
    assert_eq!(s.supervisor.view().state(), ServiceState::Stopping);
    check(
        &s.happens(Event::QueuesEmptied),
        "close 1/0
         close 1/1
         drain 1 within 15s
         drain 2 within 15s
         eligible 1 for 1 off
         eligible 2 for 1 off",
    );
    check(&s.drained(1), "disconnect 1");
    check(&s.exits(1, code(0)), "");
    check(&s.drained(2), "disconnect 2");
    check(&s.exits(2, code(0)), "reply to 7: stopped\nexit 0");
    assert!(s.supervisor.is_over());
    assert_eq!(s.due_in(), None);
    check(&s.stop(8), "");
}

#[test]
fn a_lame_duck_serves_on_before_the_time_of_the_stop_begins() {
    let mut s = Service::running(Spec { lame_duck: secs(5), ..spec(2) });
    check(&s.stop(7), "notify Stopping\nlame duck 1\nlame duck 2");
    assert_eq!(s.supervisor.view().state(), ServiceState::Stopping);
    assert_eq!(s.due_in(), Some(secs(5)));
    check(&s.after(secs(5)), "empty queues");
    check(
        &s.happens(Event::QueuesEmptied),
        "close 1/0
         close 1/1
         drain 1 within 15s
         drain 2 within 15s
         eligible 1 for 1 off
         eligible 2 for 1 off",
    );
}

#[test]
fn a_lame_duck_ends_with_its_last_worker_and_by_a_second_signal() {
    let mut s = Service::running(Spec { lame_duck: secs(5), ..spec(1) });
    let _told = s.stop(7);
    assert!(s.exits(1, code(1)).contains(&Action::EmptyQueues));

    let mut s = Service::running(Spec { lame_duck: secs(5), ..spec(1) });
    let _told = s.stop(None);
    assert!(s.stop(None).contains(&Action::Kill { worker: WorkerId(1) }));
}

#[test]
fn emptying_the_queues_has_a_limit() {
    let mut s = Service::running(spec(1));
    let _empty = s.stop(None);
    assert_eq!(s.due_in(), Some(secs(2)));
    check(&s.after(secs(2)), "close 1/0\ndrain 1 within 13s\neligible 1 for 1 off");
    check(&s.happens(Event::QueuesEmptied), "");
}

#[test]
fn emptying_the_queues_takes_nothing_from_a_short_stop_s_signal() {
    let mut s = Service::running(Spec { shutdown_timeout: secs(1), ..spec(1) });
    let _empty = s.stop(None);
    check(
        &s.after(secs(1) / 2),
        "close 1/0
         drain 1 within 0ns
         disconnect 1
         signal 1
         eligible 1 for 1 off",
    );
    check(&s.after(secs(1) / 2), "kill 1");
}

#[test]
fn the_signal_and_the_kill_come_within_the_stops_time() {
    let mut s = Service::running(spec(1));
    let _empty = s.stop(None);
    let _drain = s.happens(Event::QueuesEmptied);
    assert_eq!(s.due_in(), Some(secs(15)));
    check(&s.after(secs(15)), "disconnect 1\nsignal 1");
    assert_eq!(s.due_in(), Some(secs(5)));
    check(&s.after(secs(5)), "kill 1");
    check(&s.exits(1, code(1)), "exit 0");
}

#[test]
fn a_leap_of_the_clock_past_everything_still_stops() {
    let mut s = Service::running(spec(1));
    let _empty = s.stop(None);
    check(
        &s.after(secs(3600)),
        "close 1/0
         drain 1 within 0ns
         disconnect 1
         signal 1
         kill 1
         eligible 1 for 1 off",
    );
    check(&s.exits(1, code(1)), "exit 0");
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut s = Service::running(spec(2));
    let _empty = s.stop(None);
    check(
        &s.stop(None),
        "close 1/0\nclose 1/1\nkill 1\nkill 2\neligible 1 for 1 off\neligible 2 for 1 off",
    );
    check(&s.exits(1, code(1)), "");
    check(&s.exits(2, code(1)), "exit 0");
}

#[test]
fn a_stop_at_once_needs_no_first_one() {
    let mut s = Service::running(spec(1));
    check(
        &s.happens(Event::StopNowRequested),
        "notify Stopping\nclose 1/0\nkill 1\neligible 1 for 1 off",
    );
    check(&s.exits(1, code(1)), "exit 0");
}

#[test]
fn a_client_that_also_wants_the_stop_waits_for_it() {
    let mut s = Service::running(spec(1));
    let _empty = s.stop(None);
    check(&s.stop(7), "");
    check(&s.stop(8), "");
    let _drain = s.happens(Event::QueuesEmptied);
    check(&s.exits(1, code(0)), "reply to 7: stopped\nreply to 8: stopped\nexit 0");
}

#[test]
fn a_rollout_is_aborted_and_those_that_wait_for_the_next_are_refused() {
    let mut s = Service::running(spec(2));
    let _spawn = s.reload(7);
    check(&s.reload(8), "");
    check(
        &s.stop(None),
        "notify Stopping
         reply to 7: generation 2 stopped, 0 of 2, 1 serves
         reply to 8: refused, Stopping
         empty queues",
    );
    check(&s.reload(9), "reply to 9: refused, Stopping");
    // Who has not begun to listen has nothing to drain.
    check(
        &s.happens(Event::QueuesEmptied),
        "close 1/0
         close 1/1
         drain 1 within 15s
         drain 2 within 15s
         disconnect 3
         eligible 1 for 1 off
         eligible 2 for 1 off",
    );
}

#[test]
fn a_rollout_that_is_stopped_counts_the_slot_whose_old_worker_is_parked() {
    let mut s = Service::running(spec(2));
    let _spawn = s.reload(7);
    let _park = s.ready(3);
    check(
        &s.stop(None),
        "notify Stopping
         reply to 7: generation 2 stopped, 1 of 2, 1 serves
         drain 1 within 15s
         empty queues",
    );
}

#[test]
fn nobody_is_started_any_more() {
    let mut s = Service::running(spec(1));
    let _empty = s.stop(None);
    check(&s.exits(1, code(1)), "eligible 1 for 1 off\naccept 1/0");
    check(&s.happens(Event::QueuesEmptied), "close 1/0\nexit 0");
}

#[test]
fn a_worker_that_was_leaving_already_is_hurried() {
    let mut s = Service::running(Spec { drain_timeout: secs(3600), ..spec(1) });
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    let _empty = s.stop(None);
    let _drain = s.happens(Event::QueuesEmptied);
    check(&s.after(secs(15)), "disconnect 1\ndisconnect 2\nsignal 1\nsignal 2");
    check(&s.after(secs(5)), "kill 1\nkill 2");
}

#[test]
fn processes_that_do_not_die_are_left_behind_and_named() {
    let mut s = Service::running(spec(1));
    let _empty = s.stop(7);
    let _drain = s.happens(Event::QueuesEmptied);
    let _signal = s.after(secs(15));
    let _kill = s.after(secs(5));
    assert_eq!(s.due_in(), Some(secs(5)));
    let over = s.after(secs(5));
    check(&over, "reply to 7: stopped\nexit 1");
    assert_eq!(notices(&over), [&Notice::LeftBehind { workers: vec![WorkerId(1)] }]);
}

#[test]
fn who_asks_to_listen_while_the_queues_are_emptied_is_served_until_they_are() {
    let mut s = Service::running(spec(1));
    let _empty = s.stop(None);
    check(&s.listens(1, tcp(4000)), "accept 2/0 off\neligible 1 for 2");
    check(
        &s.happens(Event::QueuesEmptied),
        "close 1/0
         close 2/0
         drain 1 within 15s
         eligible 1 for 1 off
         eligible 1 for 2 off",
    );
    check(&s.asks(1, tcp(5000)), "");
}
