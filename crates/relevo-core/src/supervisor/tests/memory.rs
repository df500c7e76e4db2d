//! Rollouts where memory is tight.

use super::harness::{Service, check, notices, secs, spec};
use crate::{Generation, Left, Memory, Notice, Spec, Surge, Waits};

const MEGABYTE: u64 = 1 << 20;

fn tight() -> Memory {
    let (available, largest_worker) = (Some(100 * MEGABYTE), Some(90 * MEGABYTE));
    Memory { available, largest_worker, stalled: Some(0) }
}

#[test]
fn another_worker_needs_room_with_a_quarter_to_spare_and_nobody_who_waits() {
    assert!(tight().is_tight());
    assert!(!Memory { largest_worker: Some(80 * MEGABYTE), ..tight() }.is_tight());
    assert!(!Memory { available: None, ..tight() }.is_tight());
    assert!(!Memory { largest_worker: None, ..tight() }.is_tight());
    assert!(Memory { stalled: Some(100), ..Memory::default() }.is_tight());
    assert!(!Memory { stalled: Some(99), ..Memory::default() }.is_tight());
    assert!(!Memory::default().is_tight());
}

#[test]
fn the_parked_worker_is_let_go_and_the_rollout_goes_on_when_it_is_done() {
    let mut s = Service::running(spec(3));
    s.memory = tight();
    check(&s.reload(None), "notify Reloading\nspawn 4 in slot 0 of generation 2");
    let _park = s.ready(4);
    let lets_go = s.stops_accepting(1);
    check(&lets_go, "drain 1 within 60s");
    let (generation, memory) = (Generation(2), s.memory);
    assert_eq!(notices(&lets_go), [&Notice::MemoryTight { generation, memory, parked: 1 }]);
    assert_eq!(s.supervisor.view().rollout().unwrap().waits, Some(Waits::Memory));
    // Looked at once a second while it waits.
    assert_eq!(s.due_in(), Some(secs(1)));
    check(&s.after(secs(1)), "");
    check(&s.has_left(1, Left::default()), "spawn 5 in slot 1 of generation 2");
}

#[test]
fn when_there_is_room_again_nobody_is_waited_for() {
    let mut s = Service::running(spec(2));
    s.memory = tight();
    let _spawn = s.reload(None);
    let _lets_go = s.replaces(3, 1);
    s.memory = Memory::default();
    check(&s.after(secs(1)), "spawn 4 in slot 1 of generation 2");
}

#[test]
fn a_surge_is_held_back() {
    let mut s = Service::running(Spec { surge: Surge::Workers(3), ..spec(4) });
    let _spawn = s.reload(None);
    s.memory = tight();
    let _lets_go = s.replaces(5, 1);
    check(&s.has_left(1, Left::default()), "spawn 6 in slot 1 of generation 2");
    check(&s.after(secs(1)), "");
    s.memory = Memory::default();
    check(
        &s.after(secs(1)),
        "spawn 7 in slot 2 of generation 2
         spawn 8 in slot 3 of generation 2",
    );
}
