//! What a donor may give, and where it goes.

use std::time::Duration;

use crate::dealer::{Dealer, DealerAction, DealerEvent, Load, NotTaken};
use crate::{Balance, ConnectionId, Generation, ListenerId, Slot, Time, WorkerId};

const LISTENER: ListenerId = ListenerId(1);

/// A dealer whose workers hand over and count; its actions about handovers read as lines of text.
struct Table {
    dealer: Dealer,
    now: Time,
    accepted: u64,
}

impl Table {
    /// Workers by number, each with its generation and its connections.
    fn with(workers: &[(u64, u64, u32)]) -> Self {
        let dealer = Dealer::new(Balance::LeastConnections, false);
        let mut table = Self { dealer, now: Time::default(), accepted: 0 };
        for (worker, generation, connections) in workers {
            table.joins(*worker, *generation);
            table.counts(*worker, *connections);
        }
        table
    }

    fn happens(&mut self, event: DealerEvent) -> String {
        let actions = self.dealer.handle(self.now, event);
        assert_eq!(self.dealer.handle(self.now, DealerEvent::Tick), []);
        assert!(self.dealer.deadline().is_none_or(|at| at > self.now));
        actions.iter().filter_map(line).collect::<Vec<_>>().join("\n")
    }

    fn after(&mut self, millis: u64) -> String {
        self.now = self.now + Duration::from_millis(millis);
        self.happens(DealerEvent::Tick)
    }

    fn joins(&mut self, worker: u64, generation: u64) {
        let worker = WorkerId(worker);
        let _ = self.happens(DealerEvent::Agent { worker, hands_over: true });
        let _ = self.serves(worker.0, generation, true);
    }

    fn serves(&mut self, worker: u64, generation: u64, on: bool) -> String {
        let (worker, slot) = (WorkerId(worker), Slot(0));
        let (generation, listener) = (Generation(generation), LISTENER);
        self.happens(DealerEvent::Eligible { worker, slot, generation, listener, on })
    }

    fn counts(&mut self, worker: u64, connections: u32) -> String {
        self.accepted += 1;
        let load = Load { connections, accepted: self.accepted, utilization: None };
        self.happens(DealerEvent::Load { worker: WorkerId(worker), load })
    }

    fn drains(&mut self, worker: u64) {
        let _ = self.serves(worker, 1, false);
    }

    fn offers(&mut self, worker: u64, count: u32) -> String {
        let worker = WorkerId(worker);
        self.happens(DealerEvent::Offered { worker, listener: LISTENER, count })
    }

    fn spent(&mut self, worker: u64) -> String {
        self.happens(DealerEvent::Spent { worker: WorkerId(worker), listener: LISTENER })
    }

    fn gives(&mut self, worker: u64, connection: u64) -> String {
        let (connection, worker) = (ConnectionId(connection), WorkerId(worker));
        self.happens(DealerEvent::HandedOver { connection, worker, listener: LISTENER })
    }

    fn placed(&mut self, connection: u64) -> String {
        self.happens(DealerEvent::Placed { connection: ConnectionId(connection) })
    }

    fn refused(&mut self, connection: u64) -> String {
        let connection = ConnectionId(connection);
        self.happens(DealerEvent::NotTaken { connection, why: NotTaken::Refused })
    }

    fn gone(&mut self, worker: u64) -> String {
        self.happens(DealerEvent::Gone { worker: WorkerId(worker) })
    }
}

fn line(action: &DealerAction) -> Option<String> {
    match action {
        DealerAction::Give { connection, worker, .. } => {
            Some(format!("give {connection} to {worker}"))
        }
        DealerAction::Release { connection, worker } => Some(format!("{worker} has {connection}")),
        DealerAction::Lose { connection } => Some(format!("lose {connection}")),
        DealerAction::Credit { worker, count, .. } => Some(format!("credit {worker} with {count}")),
        DealerAction::GiveBack { connection, worker } => {
            Some(format!("{connection} back to {worker}"))
        }
        DealerAction::Watch { .. }
        | DealerAction::Try { .. }
        | DealerAction::QueuesEmptied
        | DealerAction::Count { .. }
        | DealerAction::Steer { .. }
        | DealerAction::Look { .. }
        | DealerAction::Mend { .. }
        | DealerAction::Tell(_) => None,
    }
}

#[test]
fn a_draining_workers_connections_go_to_the_newest_with_the_fewest() {
    let mut t = Table::with(&[(1, 1, 9), (2, 1, 0), (3, 2, 5), (4, 2, 3)]);
    t.drains(1);
    assert_eq!(t.offers(1, 2), "credit 1 with 2");
    assert_eq!(t.gives(1, 10), "give 10 to 4");
    assert_eq!(t.gives(1, 11), "give 11 to 4");
    assert_eq!(t.placed(10), "4 has 10");
    assert_eq!(t.placed(11), "4 has 11");
    assert_eq!(t.dealer.held(), 0);
    assert_eq!(t.dealer.connections(WorkerId(4)), Some(5));
}

/// A worker that was there before another has had many connections by then that are gone again: they are no reason to
/// give all to the other. Whoever deals, agents are asked to count what is open.
#[test]
fn what_is_open_counts_under_every_balance() {
    use Balance::{Auto, Kernel, LeastConnections, RoundRobin, Shared};
    for balance in [Auto, Kernel, LeastConnections, RoundRobin, Shared] {
        let mut t =
            Table { dealer: Dealer::new(balance, false), now: Time::default(), accepted: 0 };
        for worker in [1, 2, 3].map(WorkerId) {
            let agent = DealerEvent::Agent { worker, hands_over: true };
            assert!(t.dealer.handle(t.now, agent).contains(&DealerAction::Count { worker }));
            let _ = t.counts(worker.0, 0);
        }
        let _ = t.serves(2, 2, true);
        assert_eq!(t.offers(1, 12), "credit 1 with 12", "{balance:?}");
        for connection in 0..10 {
            assert_eq!(t.gives(1, connection), format!("give {connection} to 2"), "{balance:?}");
            let _ = t.placed(connection);
        }
        let _ = t.counts(2, 0);
        let _ = t.serves(3, 2, true);
        assert_eq!(t.gives(1, 10), "give 10 to 2", "{balance:?}");
        assert_eq!(t.gives(1, 11), "give 11 to 3", "{balance:?}");
    }
}

/// A rollout that begins meanwhile brings workers that have yet to prove themselves.
#[test]
fn what_is_given_to_make_shares_even_stays_in_its_generation() {
    let mut t = Table::with(&[(1, 1, 9), (2, 1, 0)]);
    t.joins(3, 2);
    let _ = t.counts(3, 0);
    assert_eq!(t.gives(1, 10), "give 10 to 2");
    let _ = t.serves(2, 1, false);
    assert_eq!(t.gives(1, 11), "11 back to 1");
}

#[test]
fn what_comes_without_credit_is_closed() {
    let mut t = Table::with(&[(1, 1, 1), (2, 1, 0)]);
    assert_eq!(t.gives(1, 10), "lose 10", "it serves");
    t.drains(1);
    assert_eq!(t.gives(1, 11), "lose 11");
    assert_eq!(t.offers(1, 1), "credit 1 with 1");
    assert_eq!(t.gives(1, 12), "give 12 to 2");
    assert_eq!(t.gives(1, 13), "lose 13");
    assert_eq!(t.gives(1, 12), "", "told twice");
    assert_eq!(t.dealer.held(), 1);
}

#[test]
fn who_serves_has_nothing_to_offer() {
    let mut t = Table::with(&[(1, 1, 1), (2, 1, 1)]);
    assert_eq!(t.offers(1, 1), "");
    assert_eq!(t.serves(1, 1, false), "credit 1 with 1", "from then on it has");
}

#[test]
fn so_many_may_be_on_their_way() {
    let mut t = Table::with(&[(1, 1, 300), (2, 2, 0)]);
    t.drains(1);
    assert_eq!(t.offers(1, 300), "credit 1 with 128");
    assert_eq!(t.offers(1, 172), "");
    for connection in 1..=48 {
        assert_eq!(t.gives(1, connection), format!("give {connection} to 2"));
    }
    for connection in 49..=128 {
        assert_eq!(t.gives(1, connection), "", "its taker has enough to do");
    }
    for connection in 1..64 {
        let next = if connection <= 80 {
            format!("\ngive {} to 2", connection + 48)
        } else {
            String::new()
        };
        assert_eq!(t.placed(connection), format!("2 has {connection}{next}"));
    }
    assert_eq!(t.placed(64), "2 has 64\ngive 112 to 2\ncredit 1 with 64", "not one by one");
    // The last ones are credited at once.
    assert_eq!(t.offers(1, 0), "");
    assert_eq!(t.offers(1, 2), "");
    assert_eq!(t.placed(65), "2 has 65\ngive 113 to 2");
    assert_eq!(t.placed(66), "2 has 66\ngive 114 to 2\ncredit 1 with 2");
}

#[test]
fn everybody_is_asked_and_then_it_is_given_back() {
    let mut t = Table::with(&[(1, 1, 1), (2, 2, 5), (3, 2, 6), (4, 1, 0)]);
    t.drains(1);
    let _ = t.offers(1, 1);
    assert_eq!(t.gives(1, 10), "give 10 to 2");
    assert_eq!(t.refused(10), "give 10 to 3");
    assert_eq!(t.refused(10), "give 10 to 4", "when no newer one is left");
    assert_eq!(t.refused(10), "10 back to 1");
    assert_eq!(t.dealer.held(), 0);
    // All of them are left alone for a while, and then there is credit again.
    assert_eq!(t.offers(1, 1), "");
    assert_eq!(t.after(250), "credit 1 with 1");
}

#[test]
fn with_nobody_else_there_is_no_credit() {
    let mut t = Table::with(&[(1, 1, 1)]);
    t.drains(1);
    assert_eq!(t.offers(1, 1), "");
    let worker = WorkerId(2);
    let _ = t.happens(DealerEvent::Agent { worker, hands_over: false });
    assert_eq!(t.serves(2, 1, true), "", "it would take it for a new one");
    let _ = t.happens(DealerEvent::Agent { worker: WorkerId(3), hands_over: true });
    assert_eq!(t.serves(3, 1, true), "credit 1 with 1");
}

#[test]
fn a_dead_takers_arrivals_go_to_others_and_a_dead_donors_to_anybody() {
    let mut t = Table::with(&[(1, 1, 2), (2, 2, 0), (3, 2, 1)]);
    t.drains(1);
    let _ = t.offers(1, 2);
    assert_eq!(t.gives(1, 10), "give 10 to 2");
    assert_eq!(t.gone(2), "give 10 to 3");
    assert_eq!(t.gone(1), "");
    assert_eq!(t.refused(10), "", "it waits for somebody");
    assert_eq!(t.after(250), "give 10 to 3");
    assert_eq!(t.placed(10), "3 has 10");
}

#[test]
fn when_the_last_taker_dies_it_is_given_back() {
    let mut t = Table::with(&[(1, 1, 1), (2, 2, 0)]);
    t.drains(1);
    let _ = t.offers(1, 1);
    assert_eq!(t.gives(1, 10), "give 10 to 2");
    assert_eq!(t.gone(2), "10 back to 1");
}

#[test]
fn the_fullest_gives_to_the_emptiest_until_they_are_even() {
    let mut t = Table::with(&[(1, 1, 0)]);
    assert_eq!(t.counts(1, 20), "");
    let _ = t.happens(DealerEvent::Agent { worker: WorkerId(2), hands_over: true });
    assert_eq!(t.serves(2, 1, true), "", "its connections are not known yet");
    assert_eq!(t.counts(2, 0), "credit 1 with 10");
    assert_eq!(t.counts(2, 0), "", "one donor at a time");
    for connection in 1..=10 {
        assert_eq!(t.gives(1, connection), format!("give {connection} to 2"));
        assert_eq!(t.placed(connection), format!("2 has {connection}"));
    }
    assert_eq!(t.dealer.connections(WorkerId(1)), Some(10));
    assert_eq!(t.counts(1, 10), "");
    assert_eq!(t.after(1000), "");
    assert_eq!(t.dealer.deadline(), None, "there is nothing to wait for");
}

#[test]
fn who_has_too_many_does_not_get_them_back_as_somebody_elses() {
    let mut t = Table::with(&[(1, 1, 20)]);
    t.joins(2, 1);
    assert_eq!(t.counts(2, 0), "credit 1 with 10");
    assert_eq!(t.gives(1, 10), "give 10 to 2");
    assert_eq!(t.refused(10), "10 back to 1");
}

#[test]
fn small_differences_are_left_alone() {
    for (most, least, moves) in
        [(2, 0, false), (3, 0, true), (10, 8, false), (12, 9, true), (100, 80, false)]
    {
        let mut t = Table::with(&[(1, 1, most)]);
        t.joins(2, 1);
        let credited = t.counts(2, least);
        assert_eq!(!credited.is_empty(), moves, "{most} and {least}: {credited}");
    }
}

#[test]
fn who_has_nothing_to_give_is_asked_less_and_less_often() {
    let mut t = Table::with(&[(1, 1, 0)]);
    t.joins(2, 1);
    let _ = t.counts(2, 0);
    assert_eq!(t.counts(1, 8), "credit 1 with 4");
    assert_eq!(t.spent(1), "");
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(t.after(1000 * wait - 1), "", "{wait} s");
        assert_eq!(t.after(1), "credit 1 with 4", "{wait} s");
        assert_eq!(t.spent(1), "");
    }
}

#[test]
fn a_donor_that_does_not_answer_is_given_up() {
    let mut t = Table::with(&[(1, 1, 0)]);
    t.joins(2, 1);
    let _ = t.counts(2, 0);
    assert_eq!(t.counts(1, 8), "credit 1 with 4");
    assert_eq!(t.after(5000), "");
    assert_eq!(t.gives(1, 10), "lose 10", "too late");
}

#[test]
fn during_a_rollout_nothing_is_evened_out() {
    let mut t = Table::with(&[(1, 1, 0)]);
    t.joins(2, 2);
    let _ = t.counts(2, 0);
    assert_eq!(t.counts(1, 100), "");
}
