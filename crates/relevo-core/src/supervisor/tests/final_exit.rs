//! A worker ends with a code that is final.

use super::harness::{Service, check, code, notices, secs, spec};
use crate::{Action, Exit, ExitHow, Failure, Notice, Scale, ServiceState, Slot, SlotWord, Spec};

fn final_codes(slots: u32, codes: &[u8]) -> Spec {
    Spec { final_exit_codes: codes.iter().copied().collect(), ..spec(slots) }
}

fn words(s: &Service) -> Vec<SlotWord> {
    s.supervisor.view().slots().iter().map(|slot| slot.word).collect()
}

#[test]
fn it_is_not_replaced_and_its_socket_is_covered() {
    let mut s = Service::running(final_codes(2, &[0, 42]));
    let ended = s.exits(1, code(42));
    check(
        &ended,
        "eligible 1 for 1 off
         accept 1/0",
    );
    let failure = Failure::EndedForGood { exit: code(42) };
    let told =
        Notice::WorkerFailed { worker: crate::WorkerId(1), slot: Slot(0), failure, next_try: None };
    assert!(notices(&ended).contains(&&told), "{ended:?}");
    assert_eq!(words(&s), [SlotWord::Ended, SlotWord::Ready]);
    assert_eq!(s.supervisor.view().state(), ServiceState::Degraded);
    assert_eq!(s.due_in(), None);
    check(&s.after(secs(3600)), "");
}

#[test]
fn other_codes_and_signals_are_crashes() {
    for exit in [code(1), Exit { how: ExitHow::Signal(0), out_of_memory: false }] {
        let mut s = Service::running(final_codes(2, &[0]));
        let crashed = s.exits(1, exit);
        assert!(crashed.iter().any(|action| matches!(action, Action::Spawn { .. })), "{crashed:?}");
    }
}

#[test]
fn a_reload_brings_it_back_and_one_that_fails_does_not() {
    let mut s = Service::running(final_codes(2, &[0]));
    let _ended = s.exits(2, code(0));
    let _started = s.reload(1);
    let failed = s.exits(3, code(0));
    assert!(notices(&failed).iter().any(|notice| matches!(notice, Notice::RolloutEnded(_))));
    assert_eq!(
        words(&s),
        [SlotWord::Ready, SlotWord::Ended],
        "an incoming worker's end is a failure"
    );
    let _started = s.reload(2);
    let _next = s.replaces(4, 1);
    let _done = s.ready(5);
    assert_eq!(words(&s), [SlotWord::Ready, SlotWord::Ready]);
}

#[test]
fn a_scaling_brings_it_back_even_to_the_same_number() {
    let mut s = Service::running(final_codes(2, &[0]));
    let _ended = s.exits(1, code(0));
    check(&s.scale(Scale::To(2), 7), "spawn 3 in slot 0 of generation 1");
    let ready = s.ready(3);
    assert!(
        ready.iter().any(|action| matches!(action, Action::Reply { .. })),
        "who waits for the scaling is answered: {ready:?}"
    );
    // And if it ends again, nobody waits for ever.
    let _ended = s.exits(3, code(0));
    let _begun = s.scale(Scale::To(2), 8);
    let ended = s.exits(4, code(0));
    check(&ended, "reply to 8: scaling 2 to 2 failed by 4, 1 ready");
}

#[test]
fn when_all_have_ended_well_the_service_ends_well() {
    let mut s = Service::running(final_codes(2, &[0, 42]));
    let _first = s.exits(1, code(0));
    let last = s.exits(2, code(0));
    let told = notices(&last);
    assert!(
        told.iter().any(|notice| matches!(notice, Notice::AllEnded { code: 0, .. })),
        "{told:?}"
    );
    let over = s.happens(crate::Event::QueuesEmptied);
    assert!(over.contains(&Action::Exit { code: 0 }), "{over:?}");
}

#[test]
fn when_one_has_ended_badly_the_service_ends_badly() {
    let mut s = Service::started(final_codes(2, &[0, 42]));
    let _first = s.exits(1, code(0));
    let last = s.exits(2, code(42));
    let expected = vec![(Slot(0), code(0)), (Slot(1), code(42))];
    let told = Notice::AllEnded { ends: expected, code: 1 };
    assert!(notices(&last).contains(&&told), "{last:?}");
    let over = s.happens(crate::Event::QueuesEmptied);
    assert!(over.contains(&Action::Exit { code: 1 }), "{over:?}");
}

#[test]
fn a_first_start_that_ends_and_crashes_has_failed() {
    let mut s = Service::started(final_codes(2, &[0]));
    let _first = s.exits(1, code(1));
    let last = s.exits(2, code(0));
    let told = notices(&last);
    assert!(
        told.iter().any(|notice| matches!(notice, Notice::FirstStartFailed { .. })),
        "{told:?}"
    );
}
