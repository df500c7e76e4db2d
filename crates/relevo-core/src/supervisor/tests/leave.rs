//! A worker wants to leave by itself: `worker.disconnect()`, `worker.kill()` called in it.

use super::harness::{Service, check, code, secs, spec};

#[test]
fn it_is_let_go_when_its_successor_is_ready() {
    let mut s = Service::running(spec(1));
    check(&s.asks_to_leave(1), "spawn 2 in slot 0 of generation 1\neligible 1 for 1 off");
    check(&s.closes(1, 1), "accept 1/0");
    check(&s.ready(2), "inspect 2\nallow 1 to leave\naccept 1/0 off\neligible 2 for 1");
    check(&s.exits(1, code(0)), "");
}

#[test]
fn it_waits_five_seconds_at_most() {
    let mut s = Service::running(spec(1));
    let _spawn = s.asks_to_leave(1);
    check(&s.after(secs(5)), "allow 1 to leave");
    // It may finish its work as if it drained; then the system's means follow.
    check(&s.after(secs(59)), "inspect 2");
    check(&s.after(secs(1)), "signal 1\ndisconnect 2");
}

#[test]
fn asking_twice_changes_nothing() {
    let mut s = Service::running(spec(1));
    let _spawn = s.asks_to_leave(1);
    check(&s.asks_to_leave(1), "");
}

#[test]
fn a_draining_worker_that_asks_is_let_go_instead_of_disconnected() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    check(&s.asks_to_leave(1), "allow 1 to leave\nnotify Ready");
    // What it still does may take the drain's time, not more.
    assert_eq!(s.due_in(), Some(secs(60)));
    check(&s.drained(1), "");
    check(&s.after(secs(60)), "signal 1");
}

#[test]
fn one_that_has_been_told_to_disconnect_gets_its_answer() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(None);
    let _drain = s.replaces(2, 1);
    check(&s.drained(1), "disconnect 1\nnotify Ready");
    check(&s.asks_to_leave(1), "allow 1 to leave");
}

#[test]
fn nobody_who_wants_to_leave_waits_for_a_stop() {
    let mut s = Service::running(spec(1));
    let _spawn = s.asks_to_leave(1);
    check(&s.stop(None), "notify Stopping\nempty queues\nallow 1 to leave");
}

#[test]
fn one_that_asks_as_the_stop_begins_to_drain_is_let_go_not_disconnected() {
    let mut s = Service::running(spec(1));
    let _emptying = s.stop(None);
    s.now = s.now + secs(2);
    check(&s.asks_to_leave(1), "close 1/0\nallow 1 to leave\neligible 1 for 1 off");
}

#[test]
fn one_whose_channel_ends_while_it_waits_is_ended_without_a_word() {
    let mut s = Service::running(spec(1));
    let _spawn = s.asks_to_leave(1);
    check(&s.channel_ends(1), "accept 1/0");
    check(&s.after(secs(1)), "signal 1");
    // It did what it said: that is no failure.
    check(&s.exits(1, code(0)), "");
    assert_eq!(s.supervisor.view().slots()[0].restarts, 0);
}

#[test]
fn one_that_exits_while_it_waits_has_left() {
    let mut s = Service::running(spec(1));
    let _spawn = s.asks_to_leave(1);
    check(&s.exits(1, code(0)), "accept 1/0");
    check(&s.after(secs(5)), "");
}

#[test]
fn one_that_leaves_again_and_again_is_replaced_more_and_more_slowly() {
    let mut s = Service::running(spec(1));
    check(&s.asks_to_leave(1), "spawn 2 in slot 0 of generation 1\neligible 1 for 1 off");
    let _ready = s.ready(2);
    check(&s.asks_to_leave(2), "eligible 2 for 1 off");
    assert!(s.due_in() > Some(secs(0)));
}
