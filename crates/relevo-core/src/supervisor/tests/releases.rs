//! Which release a worker is started from, and the way back to an earlier one.

use super::harness::{Service, check, code, notices, secs, spec, tcp};
use crate::{Event, Generation, Notice, Refusal, ServiceState, Slot, SpawnStage, Spec, WorkerId};

/// One slot, whose first release was replaced by another; worker 2 serves.
fn reloaded() -> Service {
    let mut s = Service::running(spec(1));
    s.releases(&[1]);
    let _spawn = s.reload(None);
    s.release(2, 2);
    let _drain = s.replaces(2, 1);
    check(&s.exits(1, code(0)), "notify Ready");
    s
}

/// One more rollout, of this release.
fn reload(s: &mut Service, generation: u64, release: u64, new: u64, old: u64) {
    let _spawn = s.reload(None);
    s.release(generation, release);
    let _drain = s.replaces(new, old);
    let _end = s.exits(old, code(0));
    assert_eq!(s.supervisor.view().generation(), Generation(generation));
}

#[track_caller]
fn replaced_by(s: &mut Service, crashed: u64, next: u64, generation: u64) {
    check(
        &s.exits(crashed, code(1)),
        &format!(
            "eligible {crashed} for 1 off
             spawn {next} in slot 0 of generation {generation}
             accept 1/0"
        ),
    );
}

#[test]
fn a_crash_within_the_confirmation_time_brings_back_the_last_good_release() {
    let mut s = reloaded();
    s.now = s.now + secs(59);
    let crashed = s.exits(2, code(1));
    check(&crashed, "eligible 2 for 1 off\nspawn 3 in slot 0 of generation 1\naccept 1/0");
    let (from, to) = (Generation(2), Generation(1));
    assert!(notices(&crashed).contains(&&Notice::FellBack { slot: Slot(0), from, to }));
    let _ready = s.ready(3);
    let view = s.supervisor.view();
    assert_eq!((view.state(), view.generation()), (ServiceState::Degraded, from));
    assert_eq!(view.gone_back(), [(to, vec![Slot(0)])].into());
    // And stays, until the next rollout.
    let _later = s.after(secs(300));
    replaced_by(&mut s, 3, 4, 1);
    let _ready = s.ready(4);
    reload(&mut s, 3, 3, 5, 4);
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
    // The second one had failed its trial, so it is not what is good before the third.
    replaced_by(&mut s, 5, 6, 1);
}

#[test]
fn later_it_brings_up_the_same_release() {
    let mut s = reloaded();
    let _later = s.after(secs(60));
    replaced_by(&mut s, 2, 3, 2);
}

#[test]
fn so_it_does_where_the_place_is_the_same() {
    let mut s = Service::running(spec(1));
    s.releases(&[1]);
    reload(&mut s, 2, 1, 2, 1);
    replaced_by(&mut s, 2, 3, 2);
}

#[test]
fn where_the_good_release_is_gone_the_new_one_is_tried_again() {
    let mut s = reloaded();
    replaced_by(&mut s, 2, 3, 1);
    let failed = Event::SpawnFailed { worker: WorkerId(3), stage: SpawnStage::Release, errno: 2 };
    check(&s.happens(failed), "");
    let due = s.due_in().expect("a next try");
    check(&s.after(due), "spawn 4 in slot 0 of generation 2");
    // Somebody puts it back.
    s.release(1, 1);
    check(&s.exits(4, code(1)), "");
    let due = s.due_in().expect("a next try");
    check(&s.after(due), "spawn 5 in slot 0 of generation 1");
}

#[test]
fn a_slot_that_joins_runs_the_new_release_until_it_fails_there() {
    let mut s = reloaded();
    check(&s.scale(crate::Scale::To(2), None), "spawn 3 in slot 1 of generation 2");
    check(&s.exits(3, code(1)), "spawn 4 in slot 1 of generation 1");
}

#[test]
fn what_the_good_release_did_not_listen_on_is_not_asked_of_it() {
    let mut s = Service::running(spec(1));
    s.releases(&[1]);
    let _spawn = s.reload(None);
    s.release(2, 2);
    let _spawned = s.spawned(2);
    let _agent = s.agent(2);
    let _more = s.listens(2, tcp(4000));
    let _drain = s.replaces(2, 1);
    let _end = s.exits(1, code(0));
    check(
        &s.exits(2, code(1)),
        "eligible 2 for 1 off
         eligible 2 for 2 off
         spawn 3 in slot 0 of generation 1
         close 2/0
         accept 1/0",
    );
    check(&s.ready(3), "inspect 3\naccept 1/0 off\neligible 3 for 1");
}

/// Of two slots, both run the new release, and the parked worker of the first has died.
fn half_lost() -> Service {
    let mut s = Service::running(Spec { probation: secs(3), ..spec(2) });
    s.releases(&[1]);
    let _spawn = s.reload(7);
    s.release(2, 2);
    let _park = s.replaces(3, 1);
    let _next = s.after(secs(3));
    check(&s.exits(1, code(1)), "");
    let _park = s.replaces(4, 2);
    s
}

#[test]
fn an_undone_rollout_loads_the_old_release_anew_where_nobody_is_parked() {
    let mut s = half_lost();
    check(
        &s.abort(8),
        "unpark 2
         spawn 5 in slot 0 of generation 1
         progress to 7: slot 0 of 2, started 5",
    );
    check(
        &s.ready(5),
        "inspect 5
         drain 3 within 60s
         progress to 7: slot 0 of 2, 5 returned
         eligible 3 for 1 off
         eligible 5 for 1",
    );
    let _back = s.returns(2);
    let _drained = s.drained(3);
    check(
        &s.drained(4),
        "disconnect 4
         reply to 7: generation 2 aborted, 0 of 2, 1 serves
         reply to 8: generation 2 aborted, 0 of 2, 1 serves
         notify Ready",
    );
    assert_eq!(s.supervisor.view().state(), ServiceState::Running);
}

#[test]
fn if_that_fails_the_new_worker_stays() {
    let mut s = half_lost();
    let _unpark = s.abort(8);
    let _back = s.returns(2);
    let _drained = s.drained(4);
    check(
        &s.exits(5, code(1)),
        "reply to 7: generation 2 aborted, 1 of 2, 1 serves
         reply to 8: generation 2 aborted, 1 of 2, 1 serves
         notify Ready",
    );
    assert_eq!(s.supervisor.view().state(), ServiceState::Degraded);
    // Its crash is one more chance.
    check(
        &s.exits(3, code(1)),
        "eligible 3 for 1 off\nspawn 6 in slot 0 of generation 1\naccept 1/0",
    );
}

#[test]
fn in_the_same_place_there_is_no_old_release_to_load() {
    let mut s = Service::running(Spec { agent: false, ..spec(2) });
    s.releases(&[1]);
    let _spawn = s.reload(7);
    s.release(2, 1);
    let _drain = s.replaces(3, 1);
    let _end = s.exits(1, code(0));
    check(
        &s.exits(4, code(1)),
        "reply to 7: generation 2 failed by 4, 1 of 2, 1 serves\nnotify Ready",
    );
}

#[test]
fn a_rollback_brings_the_previous_release_and_a_second_one_the_other_again() {
    let mut s = reloaded();
    assert_eq!(s.supervisor.view().rollback_target(), Ok(Generation(1)));
    check(
        &s.roll_back(1, 9),
        "notify Reloading\nspawn 3 in slot 0 of generation 3\nprogress to 9: slot 0 of 1, started 3",
    );
    s.release(3, 1);
    let _drain = s.replaces(3, 2);
    check(
        &s.exits(2, code(0)),
        "progress to 9: slot 0 of 1, replaced by 3
         reply to 9: generation 3 succeeded, 1 of 1
         notify Ready",
    );
    // It has been good before: nothing goes back from it.
    replaced_by(&mut s, 3, 4, 3);
    assert_eq!(s.supervisor.view().rollback_target(), Ok(Generation(2)));
}

#[test]
fn what_went_in_place_is_passed_over() {
    let mut s = reloaded();
    reload(&mut s, 3, 2, 3, 2);
    assert_eq!(s.supervisor.view().rollback_target(), Ok(Generation(1)));
}

#[test]
fn a_rollback_is_refused_where_there_is_nothing_to_go_back_to_or_something_else_goes_on() {
    let mut s = Service::running(spec(1));
    check(&s.roll_back(1, 9), "reply to 9: refused, NoPreviousRelease");
    s.releases(&[1]);
    reload(&mut s, 2, 1, 2, 1);
    check(&s.roll_back(1, 9), "reply to 9: refused, NoPreviousRelease");
    reload(&mut s, 3, 2, 3, 2);
    let _spawn = s.reload(None);
    let refusal = Refusal::RolloutGoesOn { generation: Generation(4) };
    assert_eq!(s.supervisor.view().rollback_target(), Err(refusal));
    s.release(4, 3);
    let _drain = s.replaces(4, 3);
    // Behind one that drains it waits for its turn, before a reload that comes later.
    assert_eq!(s.supervisor.view().rollback_target(), Ok(Generation(3)));
    check(&s.roll_back(3, 9), "");
    check(&s.reload(10), "");
    let next = s.exits(3, code(0));
    let (generation, back_to) = (Generation(5), Some(Generation(3)));
    assert!(notices(&next).contains(&&Notice::RolloutStarted {
        generation,
        cause: crate::Cause::Command,
        back_to
    }));
    let _drain = s.replaces(5, 4);
    let next = s.exits(4, code(0));
    let (generation, back_to) = (Generation(6), None);
    assert!(notices(&next).contains(&&Notice::RolloutStarted {
        generation,
        cause: crate::Cause::Command,
        back_to
    }));
}

#[test]
fn a_reload_that_waits_goes_first() {
    let mut s = reloaded();
    let _spawn = s.reload(None);
    s.release(3, 3);
    let _drain = s.replaces(3, 2);
    check(&s.reload(9), "");
    check(&s.roll_back(2, 10), "reply to 10: refused, ReloadWaits");
    let stopped = s.stop(None);
    assert!(stopped.iter().any(|action| format!("{action:?}").contains("Stopping")));
    check(&s.roll_back(2, 11), "reply to 11: refused, Stopping");
}
