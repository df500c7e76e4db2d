//! Commands of the user's at the turns of a service's life.

use super::harness::{Service, check, code, notices, secs, spec};
use crate::{
    Action, Event, HookEnd, HookFailure, HookId, HookKind, HookSpec, Notice, RolloutPhase,
    ServiceState, Spec, Waits,
};

fn with(slots: u32, there: &[HookKind]) -> Spec {
    Spec { hooks: HookSpec { there: there.to_vec(), timeout: secs(30) }, ..spec(slots) }
}

impl Service {
    fn hook_exits(&mut self, hook: u64, exit: i32) -> Vec<Action> {
        let end = HookEnd::Exited(code(exit));
        self.happens(Event::HookEnded { hook: HookId(hook), end })
    }

    fn waits(&self) -> Option<Waits> {
        self.supervisor.view().rollout().and_then(|rollout| rollout.waits)
    }
}

fn runs(actions: &[Action]) -> Vec<HookKind> {
    let run = |action: &Action| {
        if let Action::RunHook { kind, .. } = action { Some(*kind) } else { None }
    };
    actions.iter().filter_map(run).collect()
}

#[test]
fn nothing_is_started_before_the_first_hook_has_ended_well() {
    let mut s = Service::running(with(2, &[HookKind::Before]));
    check(&s.reload(1), "notify Reloading\nrun hook-before as 1");
    assert_eq!(s.waits(), Some(Waits::Hook(HookKind::Before)));
    check(&s.after(secs(29)), "");
    check(
        &s.hook_exits(1, 0),
        "spawn 3 in slot 0 of generation 2
         progress to 1: slot 0 of 2, started 3",
    );
    assert_eq!(s.waits(), None);
    check(&s.hook_exits(1, 1), "");
}

#[test]
fn the_first_hook_can_refuse_a_rollout_and_the_service_is_as_well_as_before() {
    let mut s = Service::running(with(2, &[HookKind::Before, HookKind::Failure]));
    let _asked = s.reload(1);
    let refused = s.hook_exits(1, 3);
    check(
        &refused,
        "reply to 1: generation 2 failed by hook-before, 0 of 2, 1 serves
         notify Ready
         run hook-failure as 2",
    );
    let failure = HookFailure::Exited(code(3));
    let told = Notice::HookFailed { hook: HookId(1), kind: HookKind::Before, failure };
    assert!(notices(&refused).contains(&&told), "{refused:?}");
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
}

#[test]
fn the_second_hook_is_asked_when_the_first_new_worker_is_ready() {
    let mut s = Service::running(with(2, &[HookKind::Ready, HookKind::Success]));
    let _started = s.reload(1);
    let ready = s.replaces(3, 1);
    assert_eq!(runs(&ready), [HookKind::Ready]);
    let view = s.supervisor.view();
    assert_eq!(view.rollout().and_then(|it| it.phase), Some(RolloutPhase::Probation));
    assert_eq!(s.waits(), Some(Waits::Hook(HookKind::Ready)));
    check(
        &s.hook_exits(1, 0),
        "spawn 4 in slot 1 of generation 2
         progress to 1: slot 1 of 2, started 4",
    );
    let second = s.replaces(4, 2);
    assert_eq!(runs(&second), [], "once in a rollout");
    let mut last = s.drained(1);
    last.extend(s.drained(2));
    assert_eq!(runs(&last), [HookKind::Success]);
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
}

#[test]
fn the_second_hook_undoes_the_rollout() {
    let mut s = Service::running(with(2, &[HookKind::Ready]));
    let _started = s.reload(1);
    let _ready = s.replaces(3, 1);
    let undone = s.hook_exits(1, 1);
    check(&undone, "unpark 1");
    let _returned = s.returns(1);
    let _gone = s.drained(3);
    assert_eq!(s.supervisor.view().state(), ServiceState::Degraded);
}

#[test]
fn one_that_takes_too_long_is_ended_and_has_failed() {
    let mut s = Service::running(with(1, &[HookKind::Before]));
    let _asked = s.reload(1);
    assert_eq!(s.due_in(), Some(secs(30)));
    let late = s.after(secs(30));
    check(
        &late,
        "end hook 1
         reply to 1: generation 2 failed by hook-before, 0 of 1, 1 serves
         notify Ready",
    );
    check(&s.hook_exits(1, 0), "");
}

#[test]
fn an_abort_and_a_stop_end_it() {
    let mut s = Service::running(with(1, &[HookKind::Before]));
    let _asked = s.reload(1);
    check(
        &s.abort(2),
        "end hook 1
         reply to 1: generation 2 aborted, 0 of 1, 1 serves
         reply to 2: generation 2 aborted, 0 of 1, 1 serves
         notify Ready",
    );
    let _asked = s.reload(3);
    let stopped = s.stop(None);
    assert!(stopped.contains(&Action::EndHook { hook: HookId(2) }), "{stopped:?}");
    check(&s.hook_exits(2, 0), "");
}

#[test]
fn crashes_are_told_one_at_a_time_and_not_in_a_storm() {
    let mut s = Service::running(with(3, &[HookKind::Crash]));
    assert_eq!(runs(&s.exits(1, code(1))), [HookKind::Crash]);
    assert_eq!(runs(&s.exits(2, code(1))), [], "one waits");
    let third = s.exits(3, code(1));
    let left_out = Notice::HookLeftOut { kind: HookKind::Crash };
    assert!(runs(&third).is_empty() && notices(&third).contains(&&left_out), "{third:?}");
    assert_eq!(runs(&s.hook_exits(1, 9)), [], "ten seconds lie between two");
    assert_eq!(runs(&s.after(secs(10))), [HookKind::Crash]);
}

#[test]
fn one_that_cannot_be_started_has_failed() {
    let mut s = Service::running(with(1, &[HookKind::Before]));
    let _asked = s.reload(1);
    let end = HookEnd::NotStarted { errno: 2 };
    let failed = s.happens(Event::HookEnded { hook: HookId(1), end });
    let failure = HookFailure::NotStarted { errno: 2 };
    let told = Notice::HookFailed { hook: HookId(1), kind: HookKind::Before, failure };
    assert!(notices(&failed).contains(&&told), "{failed:?}");
}
