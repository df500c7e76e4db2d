//! What clients of the control socket are owed: one reply each.

use super::harness::{Service, check, code, spec};
use crate::{Event, RequestId};

#[test]
fn a_request_told_twice_is_answered_once() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(7);
    check(&s.reload(7), "");
    check(&s.reload(8), "");
    check(&s.reload(8), "");
    let _drain = s.replaces(2, 1);
    check(
        &s.exits(1, code(0)),
        "progress to 7: slot 0 of 1, replaced by 2
         reply to 7: generation 2 succeeded, 1 of 1
         notify Ready
         notify Reloading
         spawn 3 in slot 0 of generation 3
         progress to 8: slot 0 of 1, started 3",
    );
}

#[test]
fn a_stop_asked_for_twice_by_one_client_is_answered_once() {
    let mut s = Service::running(spec(1));
    let _empty = s.stop(7);
    check(&s.stop(7), "");
    let _drain = s.happens(Event::QueuesEmptied);
    check(&s.exits(1, code(0)), "reply to 7: stopped\nexit 0");
}

#[test]
fn a_client_that_is_gone_is_owed_nothing() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(7);
    check(&s.reload(8), "");
    check(&s.happens(Event::RequestDropped { request: RequestId(7) }), "");
    check(&s.happens(Event::RequestDropped { request: RequestId(8) }), "");
    let _drain = s.replaces(2, 1);
    // The rollouts that they asked for go on.
    check(
        &s.exits(1, code(0)),
        "notify Ready\nnotify Reloading\nspawn 3 in slot 0 of generation 3",
    );
    let _empty = s.stop(9);
    check(&s.happens(Event::RequestDropped { request: RequestId(9) }), "");
    let _drain = s.happens(Event::QueuesEmptied);
    let _gone = s.exits(2, code(0));
    check(&s.exits(3, code(0)), "exit 0");
}

#[test]
fn there_is_a_limit_to_those_who_wait() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(1);
    for request in 2..66 {
        check(&s.reload(request), "");
    }
    check(&s.reload(66), "reply to 66: refused, TooManyWaiting");
    check(&s.reload(None), "");
}

#[test]
fn there_is_a_limit_to_those_who_wait_for_the_end() {
    let mut s = Service::running(spec(1));
    let _empty = s.stop(1);
    for request in 2..65 {
        check(&s.stop(request), "");
    }
    check(&s.stop(65), "reply to 65: refused, TooManyWaiting");
}
