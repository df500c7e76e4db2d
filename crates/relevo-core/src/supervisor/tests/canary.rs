//! The first new worker proves itself by what it answers.

use super::harness::{Service, check, code, millis, notices, secs, spec};
use crate::{
    Action, Canary, Event, Failure, Inconclusive, Notice, Outcome, Scale, Spec, Tally, Waits,
    WorkerId,
};

const NOTHING: &[&Notice] = &[];

fn canary(inconclusive: Inconclusive) -> Spec {
    let canary = Canary { requests: 100, timeout: secs(60), inconclusive };
    Spec { canary: Some(canary), ..spec(2) }
}

fn tally(answered: u64, failed: u64) -> Tally {
    Tally { answered, failed, ..Tally::default() }
}

impl Service {
    fn tallies(&mut self, worker: u64, answered: u64, failed: u64) -> Vec<Action> {
        let tally = tally(answered, failed);
        self.happens(Event::Tallied { worker: WorkerId(worker), tally })
    }

    /// Of two slots, the first one's new worker, 3, is ready, its old one parked, and the old ones
    /// have said that they have answered so many requests with so many errors.
    fn watched(spec: Spec, answered: u64, failed: u64) -> Self {
        let mut s = Self::running(spec);
        let _spawn = s.reload(7);
        let _park = s.replaces(3, 1);
        check(&s.tallies(1, answered / 2, failed), "");
        check(&s.tallies(2, answered - answered / 2, 0), "");
        s
    }
}

/// Why the rollout is undone, if that begins.
fn undone(actions: &[Action]) -> Option<Failure> {
    notices(actions).into_iter().find_map(|notice| {
        let Notice::RolloutUndone { why: Outcome::Failed { failure, .. }, .. } = notice else {
            return None;
        };
        Some(failure.clone())
    })
}

#[test]
fn the_others_follow_when_it_has_answered_so_many() {
    let mut s = Service::running(canary(Inconclusive::Undo));
    let _spawn = s.reload(7);
    check(
        &s.ready(3),
        "inspect 3
         park 1
         tally 1
         tally 2
         progress to 7: slot 0 of 2, ready 3
         tally 3 on and on
         eligible 1 for 1 off
         eligible 3 for 1",
    );
    check(&s.stops_accepting(1), "");
    check(&s.tallies(3, 99, 0), "");
    let waits = Waits::Canary {
        worker: WorkerId(3),
        new: tally(99, 0),
        old: Tally::default(),
        wanted: 100,
    };
    assert_eq!(s.supervisor.view().rollout().unwrap().waits, Some(waits));
    let passes = s.tallies(3, 100, 0);
    check(
        &passes,
        "tally 3
         spawn 4 in slot 1 of generation 2
         progress to 7: slot 1 of 2, started 4",
    );
    assert!(matches!(notices(&passes)[..], [Notice::CanaryPassed { conclusive: true, .. }]));
    // Later counts, and the second worker's answers, are of no account.
    check(&s.tallies(3, 200, 100), "");
    let _park = s.ready(4);
    check(&s.tallies(4, 100, 100), "");
    check(&s.stops_accepting(2).split_off(4), "");
}

#[test]
fn it_lasts_as_long_as_the_probation_too() {
    let mut s =
        Service::watched(Spec { probation: secs(3), ..canary(Inconclusive::Undo) }, 2000, 0);
    check(&s.tallies(3, 100, 0), "tally 3");
    check(&s.after(millis(2999)), "");
    check(
        &s.after(millis(1)),
        "spawn 4 in slot 1 of generation 2
         progress to 7: slot 1 of 2, started 4",
    );
}

#[test]
fn an_error_where_there_was_none_undoes_it_at_once() {
    let mut s = Service::watched(canary(Inconclusive::GoOn), 2000, 0);
    let fails = s.tallies(3, 1, 1);
    check(&fails, "tally 3\nunpark 1");
    let (new, old) = (tally(1, 1), tally(2000, 0));
    let failure = Failure::Canary { new, old, conclusive: true, waited: None };
    assert_eq!(undone(&fails), Some(failure));
    let _back = s.returns(1);
    check(
        &s.exits(3, code(0)),
        "reply to 7: generation 2 failed by 3, 0 of 2, 1 serves
         notify Ready",
    );
}

#[test]
fn what_cannot_be_told_is_undone_or_goes_on() {
    let mut s = Service::watched(canary(Inconclusive::Undo), 29, 0);
    let fails = s.tallies(3, 1, 1);
    let (new, old) = (tally(1, 1), tally(29, 0));
    let failure = Failure::Canary { new, old, conclusive: false, waited: None };
    assert_eq!(undone(&fails), Some(failure));

    let mut s = Service::watched(canary(Inconclusive::GoOn), 29, 0);
    let goes_on = s.tallies(3, 1, 1);
    assert!(matches!(notices(&goes_on)[..], [Notice::CanaryPassed { conclusive: false, .. }]));
    check(
        &goes_on,
        "tally 3
         spawn 4 in slot 1 of generation 2
         progress to 7: slot 1 of 2, started 4",
    );
}

#[test]
fn it_is_judged_when_its_time_is_up() {
    let mut s = Service::watched(canary(Inconclusive::Undo), 2000, 0);
    check(&s.tallies(3, 50, 0), "");
    check(&s.after(millis(59_999)), "");
    let fails = s.after(millis(1));
    check(&fails, "tally 3\nunpark 1");
    let (new, old) = (tally(50, 0), tally(2000, 0));
    let failure = Failure::Canary { new, old, conclusive: false, waited: Some(secs(60)) };
    assert_eq!(undone(&fails), Some(failure));
}

#[test]
fn who_says_nothing_is_inconclusive() {
    let mut s = Service::watched(canary(Inconclusive::GoOn), 2000, 0);
    let goes_on = s.after(secs(60));
    assert!(matches!(notices(&goes_on)[..], [Notice::CanaryPassed { conclusive: false, .. }]));
}

#[test]
fn while_it_is_held_no_time_is_up() {
    let mut s = Service::watched(canary(Inconclusive::Undo), 2000, 0);
    let _held = s.pause(8);
    check(&s.after(secs(600)), "");
    check(&s.tallies(3, 100, 0), "tally 3");
    check(
        &s.resume(9),
        "reply to 9: generation 2 goes on at slot 0
         spawn 4 in slot 1 of generation 2
         progress to 7: slot 1 of 2, started 4",
    );
}

#[test]
fn an_error_undoes_also_what_is_held() {
    let mut s = Service::watched(canary(Inconclusive::Undo), 2000, 0);
    let _held = s.pause(8);
    check(&s.tallies(3, 1, 1), "tally 3\nunpark 1");
}

#[test]
fn errors_are_judged_when_the_old_workers_have_spoken_or_had_a_second() {
    let mut s = Service::running(canary(Inconclusive::Undo));
    let _spawn = s.reload(7);
    let _park = s.replaces(3, 1);
    check(&s.tallies(3, 1, 1), "");
    check(&s.tallies(1, 1000, 0), "");
    assert_eq!(s.due_in(), Some(secs(1)));
    let fails = s.after(secs(1));
    let (new, old) = (tally(1, 1), tally(1000, 0));
    let failure = Failure::Canary { new, old, conclusive: true, waited: None };
    assert_eq!(undone(&fails), Some(failure));
}

#[test]
fn what_an_old_worker_says_later_is_of_no_account() {
    let mut s = Service::watched(canary(Inconclusive::Undo), 2000, 0);
    check(&s.tallies(2, 9000, 9000), "");
    assert!(undone(&s.tallies(3, 1, 1)).is_some());
}

#[test]
fn a_late_or_doubled_report_takes_nothing_back() {
    let mut s = Service::watched(canary(Inconclusive::Undo), 2000, 20);
    check(&s.tallies(3, 60, 1), "");
    check(&s.tallies(3, 10, 0), "");
    let waits = s.supervisor.view().rollout().unwrap().waits;
    let expected = tally(60, 1);
    assert!(matches!(waits, Some(Waits::Canary { new, .. }) if new == expected), "{waits:?}");
}

#[test]
fn without_an_agent_its_time_passes() {
    let mut s = Service::running(canary(Inconclusive::Undo));
    let _spawn = s.reload(None);
    let _nothing = s.spawned(3);
    let _park = s.listens(3, super::harness::tcp(3000));
    let _parked = s.stops_accepting(1);
    assert!(undone(&s.after(secs(60))).is_some());
}

#[test]
fn its_own_failure_is_the_reason() {
    let mut s = Service::watched(canary(Inconclusive::Undo), 2000, 0);
    let fails = s.exits(3, code(1));
    assert!(matches!(undone(&fails), Some(Failure::Exited { .. })));
    assert_eq!(notices(&s.tallies(3, 1, 1)), NOTHING);
}

#[test]
fn a_share_lasts_until_it_has_proved_itself() {
    let share = Some(10);
    let mut s = Service::running(Spec { canary_share: share, ..canary(Inconclusive::Undo) });
    let _spawn = s.reload(None);
    assert!(s.ready(3).contains(&Action::Share { slot: crate::Slot(0), percent: share }));
    check(&s.stops_accepting(1), "");
    check(
        &s.tallies(3, 100, 0),
        "tally 3
         share for 0 off
         spawn 4 in slot 1 of generation 2",
    );
    let last = s.ready(4);
    assert!(!last.iter().any(|action| matches!(action, Action::Share { .. })), "{last:?}");
}

#[test]
fn a_share_needs_no_canary_and_ends_with_what_ends_the_rollout() {
    let with = || Spec { canary_share: Some(10), probation: secs(9), ..spec(2) };
    let begun = |s: &mut Service| {
        let _spawn = s.reload(None);
        let _park = s.replaces(3, 1);
    };
    let mut s = Service::running(with());
    begun(&mut s);
    let undo = s.abort(8);
    check(&undo, "unpark 1\nshare for 0 off");

    let mut s = Service::running(with());
    begun(&mut s);
    let stop = s.stop(None);
    assert!(stop.contains(&Action::Share { slot: crate::Slot(0), percent: None }), "{stop:?}");

    let mut s = Service::running(Spec { all_first: true, ..with() });
    let _spawn = s.reload(None);
    assert!(!s.scale(Scale::To(3), None).iter().any(|a| matches!(a, Action::Share { .. })));
}
