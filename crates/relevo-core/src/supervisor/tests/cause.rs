//! What a rollout came from.

use super::harness::{Service, code, notices, spec};
use crate::{Action, Cause, Event, Notice};

fn wish(s: &mut Service, cause: Cause) -> Vec<Cause> {
    begun(&s.happens(Event::ReloadRequested {
        cause,
        request: None,
        listeners: crate::Listeners::Same,
    }))
}

fn begun(actions: &[Action]) -> Vec<Cause> {
    let mut causes = Vec::new();
    for notice in notices(actions) {
        if let Notice::RolloutStarted { cause, .. } = notice {
            causes.push(*cause);
        }
    }
    causes
}

#[test]
fn a_rollout_names_it_as_long_as_it_is_known() {
    let mut s = Service::running(spec(1));
    assert_eq!(wish(&mut s, Cause::Watch), [Cause::Watch]);
    let cause = |s: &Service| s.supervisor.view().rollout().map(|rollout| rollout.cause);
    assert_eq!(cause(&s), Some(Cause::Watch));
    let _failed = s.exits(2, code(1));
    assert_eq!(cause(&s), Some(Cause::Watch));
}

#[test]
fn joined_wishes_name_the_first_and_it_is_forgotten_with_them() {
    let mut s = Service::running(spec(1));
    assert_eq!(wish(&mut s, Cause::Signal), [Cause::Signal]);
    for cause in [Cause::Schedule, Cause::Watch, Cause::Terminal] {
        assert_eq!(wish(&mut s, cause), []);
    }
    assert_eq!(begun(&s.exits(2, code(1))), [Cause::Schedule]);
    assert_eq!(begun(&s.exits(3, code(1))), []);
    assert_eq!(wish(&mut s, Cause::Command), [Cause::Command]);
}
