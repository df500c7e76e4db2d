//! Rollouts that may change what the service listens on.

use super::harness::{Service, check, code, secs, spec, tcp};
use crate::{Listeners, Spec, WorkerId, WorkerWord};

fn word(s: &Service, worker: u64) -> Option<WorkerWord> {
    let view = s.supervisor.view();
    let mut workers = view.slots().into_iter().flat_map(|slot| slot.workers);
    workers.find(|view| view.id == WorkerId(worker)).map(|view| view.word)
}

/// Two slots on the ports 3000 and 4000; the first is replaced by a worker that only has 3000.
fn half_way() -> Service {
    let mut s = Service::running(Spec { probation: secs(1), ..spec(2) });
    for worker in [1, 2] {
        let _eligible = s.listens(worker, tcp(4000));
    }
    let _spawn = s.reload_to(None, Listeners::Changed);
    let _parked = s.ready(3);
    let _nothing = s.stops_accepting(1);
    s
}

#[test]
fn the_new_worker_need_not_listen_on_what_the_old_one_did() {
    let s = half_way();
    assert_eq!(word(&s, 3), Some(WorkerWord::Ready));
    assert_eq!(word(&s, 1), Some(WorkerWord::Parked));
}

/// The last old worker that has the address is not told to stop accepting.
#[test]
fn somebody_serves_the_dropped_address_until_there_is_no_way_back() {
    let mut s = half_way();
    check(&s.after(secs(1)), "spawn 4 in slot 1 of generation 2");
    let ready = s.ready(4);
    check(&ready, "inspect 4\neligible 4 for 1");
    assert_eq!((word(&s, 2), word(&s, 4)), (Some(WorkerWord::Parked), Some(WorkerWord::Ready)));
    let over = s.after(secs(1));
    check(
        &over,
        "drain 1 within 60s
         drain 2 within 60s
         eligible 2 for 1 off
         eligible 2 for 2 off",
    );
    let _covers = s.stops_accepting(2);
    check(&s.closes(1, 2), "");
    check(&s.closes(2, 2), "close 2/0\nclose 2/1");
}

#[test]
fn it_serves_on_if_the_rollout_is_undone() {
    let mut s = half_way();
    let _spawn = s.after(secs(1));
    let _ready = s.ready(4);
    let undone = s.exits(4, code(1));
    check(&undone, "eligible 4 for 1 off\nunpark 1");
    assert_eq!(word(&s, 2), Some(WorkerWord::Ready));
}

#[test]
fn it_counts_for_one_rollout_and_for_all_who_joined_it() {
    let mut s = Service::running(spec(1));
    let _eligible = s.listens(1, tcp(4000));
    let _spawn = s.reload(1);
    let _joined = s.reload(2);
    let _joined = s.reload_to(3, Listeners::Changed);
    let _refused = s.exits(2, code(1));
    // The next one, which all but the first wait for.
    let _ready = s.ready(3);
    assert_eq!(word(&s, 3), Some(WorkerWord::Ready));
    let _drained = s.drained(1);
    let _gone = s.exits(1, code(0));
    // A worker that replaces one of it has that one to go by, and so has the next rollout.
    let _spawn = s.exits(3, code(1));
    let _eligible = s.listens(4, tcp(5000));
    assert_eq!(word(&s, 4), Some(WorkerWord::Starting));
}

/// The new worker has the address, and closes it: whoever is called back must listen on it again.
#[test]
fn what_a_parked_worker_may_need_again_stays_open() {
    let mut s = Service::running(Spec { probation: secs(1), ..spec(1) });
    let _eligible = s.listens(1, tcp(4000));
    let _spawn = s.reload_to(None, Listeners::Changed);
    let _asks = (s.spawned(2), s.agent(2), s.asks(2, tcp(3000)), s.asks(2, tcp(4000)));
    let _parks = (s.listening(2, 1), s.listening(2, 2));
    let _closed = (s.closes(1, 1), s.closes(1, 2), s.stops_accepting(1));
    check(&s.closes(2, 2), "accept 2/0\neligible 2 for 2 off");
    let undone = s.exits(2, code(1));
    check(&undone, "eligible 2 for 1 off\nunpark 1\naccept 1/0");
    let _listens = s.listens(1, tcp(3000));
    check(&s.listens(1, tcp(4000)), "notify Ready\naccept 2/0 off\neligible 1 for 2");
}
