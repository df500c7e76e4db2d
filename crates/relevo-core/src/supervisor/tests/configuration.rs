//! Wishes that change while the service runs.

use super::harness::{Service, check, code, secs, spec};
use crate::{Event, Spec};

fn configured(service: &mut Service, ready_timeout: u64, drain_timeout: u64) {
    let spec =
        Spec { ready_timeout: secs(ready_timeout), drain_timeout: secs(drain_timeout), ..spec(9) };
    check(&service.happens(Event::Configured { spec: Box::new(spec) }), "");
}

#[test]
fn they_come_with_the_next_rollout() {
    let mut s = Service::running(spec(1));
    configured(&mut s, 3, 7);
    assert!(s.supervisor.deadline().is_none(), "nothing counts before the rollout");
    check(&s.reload(None), "notify Reloading\nspawn 2 in slot 0 of generation 2");
    assert_eq!(s.supervisor.deadline().map(|deadline| deadline.at), Some(s.now + secs(3)));
    let _park = s.ready(2);
    check(&s.stops_accepting(1), "drain 1 within 7s");
    check(&s.exits(1, code(0)), "notify Ready");
    // And stay.
    let _spawn = s.reload(None);
    assert_eq!(s.supervisor.deadline().map(|deadline| deadline.at), Some(s.now + secs(3)));
}

#[test]
fn they_go_with_a_rollout_that_fails() {
    let mut s = Service::running(spec(1));
    configured(&mut s, 3, 7);
    let _spawn = s.reload(None);
    let _failed = s.exits(2, code(1));
    let _spawn = s.reload(None);
    assert_eq!(s.supervisor.deadline().map(|deadline| deadline.at), Some(s.now + secs(30)));
}

/// Those that are read during a rollout are for the one that follows.
#[test]
fn the_rollout_in_progress_keeps_its_own() {
    let mut s = Service::running(spec(1));
    let _spawn = s.reload(None);
    configured(&mut s, 3, 7);
    check(&s.reload(None), "");
    let _failed = s.exits(2, code(1));
    assert_eq!(s.supervisor.deadline().map(|deadline| deadline.at), Some(s.now + secs(3)));
}
