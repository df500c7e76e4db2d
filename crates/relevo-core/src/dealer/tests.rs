//! Every transition of a connection, and the bounds. `tests/simulation` throws them together.

use super::*;
use crate::{Seat, Slot};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A dealer whose answers are given by a test, and whose actions read as lines of text.
struct Table {
    dealer: Dealer,
    now: Time,
}

fn front(listener: u32) -> Member {
    Member { listener: ListenerId(listener), seat: Seat::Common }
}

fn seat(slot: u32) -> Member {
    Member { listener: ListenerId(1), seat: Seat::Slot(Slot(slot)) }
}

impl Table {
    /// The primary accepts from listener 1, and these workers may be dealt its connections.
    fn with(workers: impl IntoIterator<Item = u64>) -> Self {
        let mut table =
            Self { dealer: Dealer::new(Balance::RoundRobin, false), now: Time::default() };
        let _nothing = table.happens(DealerEvent::Accept { member: front(1), on: true });
        for worker in workers {
            let _watch = table.eligible(worker, 1, true);
        }
        table
    }

    /// Tells the dealer; afterwards nothing may be left over for an event that may not come.
    fn happens(&mut self, event: DealerEvent) -> Vec<DealerAction> {
        let actions = self.dealer.handle(self.now, event);
        assert_eq!(self.dealer.handle(self.now, DealerEvent::Tick), []);
        assert!(self.dealer.deadline().is_none_or(|at| at > self.now));
        actions
    }

    fn after(&mut self, duration: Duration) -> Vec<DealerAction> {
        self.now = self.now + duration;
        self.happens(DealerEvent::Tick)
    }

    fn eligible(&mut self, worker: u64, listener: u32, on: bool) -> Vec<DealerAction> {
        let (worker, listener) = (WorkerId(worker), ListenerId(listener));
        let (slot, generation) = (Slot(0), Generation(1));
        self.happens(DealerEvent::Eligible { worker, slot, generation, listener, on })
    }

    fn readable(&mut self) -> Vec<DealerAction> {
        self.happens(DealerEvent::Readable { member: front(1) })
    }

    fn accepted(&mut self, connection: u64) -> Vec<DealerAction> {
        self.accepted_from(connection, front(1))
    }

    fn accepted_from(&mut self, connection: u64, member: Member) -> Vec<DealerAction> {
        self.happens(DealerEvent::Accepted { connection: ConnectionId(connection), member })
    }

    fn nothing_there(&mut self, member: Member) -> Vec<DealerAction> {
        self.happens(DealerEvent::NothingThere { member })
    }

    fn placed(&mut self, connection: u64) -> Vec<DealerAction> {
        self.happens(DealerEvent::Placed { connection: ConnectionId(connection) })
    }

    fn not_taken(&mut self, connection: u64, why: NotTaken) -> Vec<DealerAction> {
        self.happens(DealerEvent::NotTaken { connection: ConnectionId(connection), why })
    }

    fn gone(&mut self, worker: u64) -> Vec<DealerAction> {
        self.happens(DealerEvent::Gone { worker: WorkerId(worker) })
    }

    fn closed(&mut self, member: Member) -> Vec<DealerAction> {
        self.happens(DealerEvent::Closed { member })
    }

    fn empty(&mut self, members: &[Member]) -> Vec<DealerAction> {
        self.happens(DealerEvent::EmptyQueues { members: members.to_vec() })
    }

    /// Accepts these connections, of which each is dealt at once, and says to whom.
    fn deal(&mut self, connections: std::ops::RangeInclusive<u64>) -> Vec<u64> {
        let _try = self.readable();
        let actions = connections.flat_map(|connection| self.accepted(connection));
        actions
            .filter_map(|action| {
                if let DealerAction::Give { worker, .. } = action { Some(worker.0) } else { None }
            })
            .collect()
    }
}

#[track_caller]
fn check(actions: &[DealerAction], expected: &str) {
    let expected: Vec<&str> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(actions.iter().map(line).collect::<Vec<_>>(), expected);
}

fn line(action: &DealerAction) -> String {
    let socket = |member: Member| match member.seat {
        Seat::Slot(slot) => format!("{}/{slot}", member.listener),
        Seat::Front => format!("{}/front", member.listener),
        Seat::Common => format!("{}/all", member.listener),
    };
    match action.clone() {
        DealerAction::Watch { member, on: true } => format!("watch {}", socket(member)),
        DealerAction::Watch { member, on: false } => format!("watch {} off", socket(member)),
        DealerAction::Try { member } => format!("try {}", socket(member)),
        DealerAction::Give { connection, worker, listener } => {
            format!("give {connection} to {worker} for {listener}")
        }
        DealerAction::Release { connection, .. } => format!("release {connection}"),
        DealerAction::Credit { worker, listener, count } => {
            format!("credit {worker} with {count} of {listener}")
        }
        DealerAction::GiveBack { connection, worker } => {
            format!("give {connection} back to {worker}")
        }
        DealerAction::Lose { connection } => format!("lose {connection}"),
        DealerAction::QueuesEmptied => "queues emptied".to_owned(),
        other @ (DealerAction::Count { .. }
        | DealerAction::Steer { .. }
        | DealerAction::Look { .. }
        | DealerAction::Mend { .. }
        | DealerAction::Tell(_)) => format!("{other:?}"),
    }
}

#[test]
fn a_connection_goes_from_the_queue_to_a_worker() {
    let mut t = Table::with([]);
    check(&t.eligible(1, 1, true), "watch 1/all");
    check(&t.readable(), "try 1/all");
    check(&t.accepted(10), "give 10 to 1 for 1\ntry 1/all");
    check(&t.nothing_there(front(1)), "");
    assert_eq!(t.dealer.held(), 1);
    check(&t.placed(10), "release 10");
    assert_eq!((t.dealer.held(), t.dealer.deadline()), (0, None));
}

#[test]
fn nothing_is_looked_for_where_nobody_could_have_it() {
    let mut t = Table::with([1]);
    check(&t.eligible(1, 1, false), "watch 1/all off");
    check(&t.readable(), "");
    // Of another listener.
    check(&t.eligible(2, 2, true), "");
    check(&t.eligible(1, 1, true), "watch 1/all");
}

#[test]
fn they_are_dealt_in_turn() {
    let mut t = Table::with([1, 2, 3]);
    let mut turns = Vec::new();
    for connection in 1..=7 {
        turns.extend(t.deal(connection..=connection));
        let _release = t.placed(connection);
    }
    assert_eq!(turns, [1, 2, 3, 1, 2, 3, 1]);
}

#[test]
fn a_second_in_flight_only_when_every_other_has_one() {
    let mut t = Table::with([1, 2]);
    assert_eq!(t.deal(1..=2), [1, 2]);
    let _release = t.placed(2);
    assert_eq!(t.deal(3..=4), [2, 1]);
}

#[test]
fn at_most_eight_are_in_flight_to_each_and_the_rest_waits_in_the_kernel() {
    let mut t = Table::with([1, 2]);
    assert_eq!(t.deal(1..=15).len(), 15);
    check(&t.accepted(16), "give 16 to 2 for 1\nwatch 1/all off");
    check(&t.readable(), "");
    assert_eq!(t.dealer.deadline(), None, "only an answer can change that");
    // There was more than room for: what waits is taken at once, and watched again when it is gone.
    check(&t.placed(1), "release 1\ntry 1/all");
    check(&t.accepted(17), "give 17 to 1 for 1");
    check(&t.placed(2), "release 2\ntry 1/all");
    check(&t.happens(DealerEvent::NothingThere { member: front(1) }), "watch 1/all");
}

#[test]
fn what_is_not_taken_is_dealt_to_another_and_its_worker_left_alone() {
    for (why, alone) in
        [(NotTaken::Refused, MS(250)), (NotTaken::Unsent, MS(250)), (NotTaken::Exhausted, MS(1000))]
    {
        let mut t = Table::with([1, 2]);
        assert_eq!(t.deal(1..=1), [1]);
        check(&t.not_taken(1, why), "give 1 to 2 for 1");
        let _release = t.placed(1);
        assert_eq!(t.deal(2..=3), [2, 2]);
        let _nothing = t.after(alone);
        assert_eq!(t.deal(4..=4), [1]);
    }
}

#[test]
fn what_nobody_takes_is_tried_again_later_before_what_came_later() {
    let mut t = Table::with([1]);
    assert_eq!(t.deal(1..=2), [1, 1]);
    check(&t.not_taken(1, NotTaken::Refused), "watch 1/all off");
    check(&t.not_taken(2, NotTaken::Exhausted), "");
    assert_eq!(t.dealer.deadline(), Some(Time::default() + MS(1000)));
    check(&t.after(MS(999)), "");
    check(&t.after(MS(1)), "give 2 to 1 for 1\ngive 1 to 1 for 1\nwatch 1/all");
}

#[test]
fn what_a_dead_worker_had_in_flight_is_dealt_to_others_in_order() {
    let mut t = Table::with([1, 2]);
    assert_eq!(t.deal(1..=4), [1, 2, 1, 2]);
    let _release = t.placed(2);
    check(&t.gone(1), "give 1 to 2 for 1\ngive 3 to 2 for 1");
}

#[test]
fn when_the_last_worker_dies_its_connections_wait_for_the_next() {
    let mut t = Table::with([1]);
    assert_eq!(t.deal(1..=2), [1, 1]);
    check(&t.gone(1), "watch 1/all off");
    assert_eq!((t.dealer.held(), t.dealer.deadline()), (2, None));
    check(&t.eligible(2, 1, true), "give 1 to 2 for 1\ngive 2 to 2 for 1\nwatch 1/all");
}

#[test]
fn an_eligibility_that_comes_after_the_workers_end_is_taken_back() {
    let mut t = Table::with([1]);
    check(&t.gone(1), "watch 1/all off");
    check(&t.eligible(1, 1, true), "watch 1/all");
    check(&t.eligible(1, 1, false), "watch 1/all off");
    assert!(t.dealer.workers.is_empty());
}

#[test]
fn who_is_no_longer_eligible_keeps_what_is_on_its_way() {
    let mut t = Table::with([1, 2]);
    assert_eq!(t.deal(1..=1), [1]);
    check(&t.eligible(1, 1, false), "");
    check(&t.placed(1), "release 1");
    assert_eq!(t.deal(2..=3), [2, 2]);
}

#[test]
fn a_connection_of_one_listener_is_not_dealt_to_a_worker_of_another() {
    let mut t = Table::with([1]);
    let _watch = t.eligible(2, 2, true);
    assert_eq!(t.deal(1..=1), [1]);
    check(&t.not_taken(1, NotTaken::Refused), "watch 1/all off");
    check(&t.after(MS(250)), "give 1 to 1 for 1\nwatch 1/all");
}

#[test]
fn an_answer_told_twice_changes_nothing() {
    let mut t = Table::with([1]);
    assert_eq!(t.deal(1..=1), [1]);
    // Looking into the queue once more is no harm.
    check(&t.accepted(1), "try 1/all");
    check(&t.placed(1), "release 1");
    check(&t.placed(1), "");
    check(&t.not_taken(1, NotTaken::Refused), "");
    check(&t.gone(1), "watch 1/all off");
    check(&t.gone(1), "");
}

#[test]
fn what_was_accepted_as_the_covering_ended_is_dealt_all_the_same() {
    let mut t = Table::with([1]);
    check(&t.readable(), "try 1/all");
    check(&t.happens(DealerEvent::Accept { member: front(1), on: false }), "watch 1/all off");
    check(&t.accepted(1), "give 1 to 1 for 1");
}

#[test]
fn what_waits_for_a_closed_listener_is_lost_when_no_worker_is_left() {
    let mut t = Table::with([1]);
    assert_eq!(t.deal(1..=3), [1, 1, 1]);
    let _watch_off = t.not_taken(1, NotTaken::Refused);
    check(&t.closed(front(1)), "");
    // The worker may still take it, until it is said that it does not listen any more.
    check(&t.eligible(1, 1, false), "lose 1");
    // So is what comes back later.
    check(&t.not_taken(2, NotTaken::Refused), "lose 2");
    check(&t.gone(1), "lose 3");
    assert_eq!(t.dealer.held(), 0);
    check(&t.nothing_there(front(1)), "");
    assert!(t.dealer.closed.is_empty());
}

#[test]
fn what_a_late_accept_brings_from_a_closed_listener_is_lost() {
    let mut t = Table::with([1]);
    check(&t.readable(), "try 1/all");
    check(&t.closed(front(1)), "");
    check(&t.gone(1), "");
    check(&t.accepted(1), "lose 1");
    assert!(t.dealer.closed.is_empty());
}

#[test]
fn what_waits_is_not_lost_with_one_socket_of_several() {
    let mut t = Table::with([1]);
    assert_eq!(t.deal(1..=1), [1]);
    check(&t.happens(DealerEvent::Retired { member: front(1) }), "");
    check(&t.eligible(1, 1, false), "");
    check(&t.gone(1), "");
    check(&t.eligible(2, 1, true), "give 1 to 2 for 1");
}

#[test]
fn a_listener_that_was_opened_again_is_open() {
    let mut t = Table::with([1]);
    check(&t.closed(front(1)), "");
    check(&t.happens(DealerEvent::Accept { member: front(1), on: true }), "watch 1/all");
    assert_eq!(t.deal(1..=1), [1]);
    check(&t.happens(DealerEvent::Accept { member: front(1), on: false }), "watch 1/all off");
    check(&t.gone(1), "");
    check(&t.eligible(2, 1, true), "give 1 to 2 for 1");
}

#[test]
fn what_waits_for_an_open_listener_is_never_lost() {
    let mut t = Table::with([1]);
    assert_eq!(t.deal(1..=1), [1]);
    check(&t.happens(DealerEvent::Accept { member: front(1), on: false }), "watch 1/all off");
    check(&t.gone(1), "");
    check(&t.eligible(2, 1, true), "give 1 to 2 for 1");
}

#[test]
fn the_queues_are_emptied_of_all_sockets_also_of_those_not_watched() {
    let mut t = Table::with([1]);
    check(&t.empty(&[front(1), seat(0)]), "try 1/0\ntry 1/all");
    check(&t.accepted_from(1, seat(0)), "give 1 to 1 for 1\ntry 1/0");
    check(&t.nothing_there(front(1)), "");
    check(&t.nothing_there(seat(0)), "");
    check(&t.placed(1), "release 1\nqueues emptied");
    check(&t.after(MS(1)), "");
}

#[test]
fn emptying_waits_for_who_is_left_alone() {
    let mut t = Table::with([1]);
    assert_eq!(t.deal(1..=1), [1]);
    let _watch_off = t.not_taken(1, NotTaken::Refused);
    let _nothing = t.nothing_there(front(1));
    check(&t.empty(&[front(1)]), "");
    check(&t.after(MS(250)), "give 1 to 1 for 1\nwatch 1/all\ntry 1/all");
    check(&t.nothing_there(front(1)), "");
    check(&t.placed(1), "release 1\nqueues emptied");
}

#[test]
fn there_is_nothing_to_empty_where_nobody_is_left_to_have_it() {
    let mut t = Table::with([]);
    check(&t.empty(&[front(1)]), "queues emptied");
    let mut t = Table::with([1]);
    check(&t.empty(&[front(1)]), "try 1/all");
    check(&t.gone(1), "watch 1/all off\nqueues emptied");
}

#[test]
fn when_the_system_cannot_accept_nothing_is_looked_for_for_a_moment() {
    let mut t = Table::with([1]);
    check(&t.readable(), "try 1/all");
    check(&t.happens(DealerEvent::AcceptFailed { member: front(1) }), "watch 1/all off");
    check(&t.readable(), "");
    assert_eq!(t.dealer.deadline(), Some(Time::default() + MS(100)));
    check(&t.after(MS(100)), "watch 1/all");
    assert_eq!(t.dealer.deadline(), None);
}

#[test]
fn a_pause_ends_at_every_listener_whatever_happens_then() {
    let mut t = Table::with([1]);
    check(&t.happens(DealerEvent::Accept { member: front(2), on: true }), "");
    check(&t.eligible(1, 2, true), "watch 2/all");
    let failed = DealerEvent::AcceptFailed { member: front(2) };
    check(&t.happens(failed), "watch 1/all off\nwatch 2/all off");
    t.now = t.now + MS(150);
    check(&t.readable(), "watch 1/all\nwatch 2/all");
}

#[test]
fn what_is_held_is_dealt_while_nothing_is_accepted() {
    let mut t = Table::with([1, 2]);
    assert_eq!(t.deal(1..=1), [1]);
    let _pause = t.happens(DealerEvent::AcceptFailed { member: front(1) });
    check(&t.not_taken(1, NotTaken::Refused), "give 1 to 2 for 1");
}

#[test]
fn emptying_goes_on_when_the_system_can_accept_again() {
    let mut t = Table::with([1]);
    check(&t.empty(&[seat(0)]), "try 1/0");
    check(&t.happens(DealerEvent::AcceptFailed { member: seat(0) }), "watch 1/all off");
    check(&t.after(MS(100)), "watch 1/all\ntry 1/0");
    check(&t.nothing_there(seat(0)), "queues emptied");
}

#[test]
fn there_is_time_only_while_every_worker_has_more_than_half_its_window() {
    let mut table = Table::with([1, 2]);
    assert!(!table.dealer.has_time());
    let given = table.deal(1..=8);
    assert_eq!(given.len(), 8);
    assert!(!table.dealer.has_time(), "half a window each");
    let _more = table.deal(9..=10);
    assert!(table.dealer.has_time());
    let _placed = table.placed(1);
    assert!(!table.dealer.has_time());
}

#[test]
fn without_workers_there_is_nothing_to_wait_for() {
    assert!(!Table::with([]).dealer.has_time());
}
