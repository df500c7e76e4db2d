//! Weights: who gets which, and when they change.

use std::time::Duration;

use crate::dealer::{
    Dealer, DealerAction, DealerEvent, DealerNotice, Disturbance, Load, Seen, SeenMember,
};
use crate::{Balance, ConnectionId, Generation, ListenerId, Member, Seat, Slot, Time, WorkerId};

const LISTENER: ListenerId = ListenerId(1);

/// A group with slots 0 and 1 (and a front under `auto`), worker `n + 1` in slot `n`.
struct Table {
    dealer: Dealer,
    now: Time,
    next: u64,
    accepted: [u64; 2],
}

fn member(seat: Seat) -> Member {
    Member { listener: LISTENER, seat }
}

fn slot(number: u32) -> Seat {
    Seat::Slot(Slot(number))
}

impl Table {
    fn new(balance: Balance) -> Self {
        let dealer = Dealer::new(balance, true);
        Self { dealer, now: Time::default(), next: 1, accepted: [0; 2] }
    }

    fn settled(balance: Balance) -> Self {
        let mut table = Self::new(balance);
        let _ = table.happens(DealerEvent::Joined { member: member(slot(0)) });
        if balance == Balance::Auto {
            let _ = table.happens(DealerEvent::Joined { member: member(Seat::Front) });
            let _ = table.happens(DealerEvent::Accept { member: member(Seat::Front), on: true });
        }
        let _ = table.happens(DealerEvent::Joined { member: member(slot(1)) });
        for worker in [1, 2] {
            let _ =
                table.happens(DealerEvent::Agent { worker: WorkerId(worker), hands_over: false });
            let _ = table.serves(worker, worker as u32 - 1, true);
            let _ = table.load(worker, 0, 0, None);
        }
        table
    }

    fn happens(&mut self, event: DealerEvent) -> Vec<DealerAction> {
        let mut actions = self.dealer.handle(self.now, event);
        let steered = actions.iter().any(|action| matches!(action, DealerAction::Steer { .. }));
        if steered {
            let steered = DealerEvent::Steered { listener: LISTENER, refused: None };
            actions.extend(self.dealer.handle(self.now, steered));
        }
        actions
    }

    fn after(&mut self, millis: u64) -> Vec<DealerAction> {
        self.now = self.now + Duration::from_millis(millis);
        self.happens(DealerEvent::Tick)
    }

    fn serves(&mut self, worker: u64, slot: u32, on: bool) -> Vec<DealerAction> {
        let (worker, slot) = (WorkerId(worker), Slot(slot));
        let (listener, generation) = (LISTENER, Generation(1));
        self.happens(DealerEvent::Eligible { worker, slot, generation, listener, on })
    }

    /// The worker has so many connections, and accepted so many more by itself.
    fn load(
        &mut self,
        worker: u64,
        connections: u32,
        more: u64,
        utilization: Option<u16>,
    ) -> Vec<DealerAction> {
        let accepted = &mut self.accepted[worker as usize - 1];
        *accepted += more;
        let load = Load { connections, accepted: *accepted, utilization };
        self.happens(DealerEvent::Load { worker: WorkerId(worker), load })
    }

    /// A connection comes to the front, is taken, and counts as dealt.
    fn comes(&mut self) -> Option<u64> {
        let connection = ConnectionId(self.next);
        self.next += 1;
        let _ = self.happens(DealerEvent::Readable { member: member(Seat::Front) });
        let event = DealerEvent::Accepted { connection, member: member(Seat::Front) };
        let actions = self.happens(event);
        let given = given(&actions).first().copied();
        let nothing = DealerEvent::NothingThere { member: member(Seat::Front) };
        let _ = self.happens(nothing);
        if let Some(worker) = given {
            self.accepted[worker as usize - 1] += 1;
            let _ = self.happens(DealerEvent::Placed { connection });
        }
        given
    }

    /// So many a second come to the front for a while, and go at once; the steering on the way.
    fn stream(&mut self, per_second: u32, millis: u64) -> Vec<Vec<u32>> {
        let mut steered = Vec::new();
        let gap = Duration::from_secs(1) / per_second;
        let end = self.now + Duration::from_millis(millis);
        while self.now < end {
            self.now = self.now + gap;
            let due = self.dealer.deadline().is_some_and(|at| at <= self.now);
            let before = self.dealer.groups();
            if due {
                steered.extend(weights(&self.happens(DealerEvent::Tick)));
            }
            let _ = self.comes();
            if self.dealer.groups() != before {
                steered.push(Vec::new());
            }
        }
        steered
    }

    fn looked(&mut self, waiting: [u32; 2], heard: [u64; 2], strangers: u32) -> Vec<DealerAction> {
        let members = [0, 1].map(|number| SeenMember {
            member: member(slot(number)),
            listens: true,
            waiting: waiting[number as usize],
        });
        let at = |millis| Time::from_origin(Duration::from_millis(millis));
        let heard = vec![(WorkerId(1), at(heard[0])), (WorkerId(2), at(heard[1]))];
        let seen = Seen { members: members.to_vec(), strangers: Some(strangers), heard };
        self.happens(DealerEvent::Looked { listener: LISTENER, seen })
    }

    fn is_front(&self) -> bool {
        self.dealer.groups()[0].front
    }
}

fn weights(actions: &[DealerAction]) -> Vec<Vec<u32>> {
    let weights = |action: &DealerAction| {
        let DealerAction::Steer { weights, .. } = action else { return None };
        Some(weights.clone())
    };
    actions.iter().filter_map(weights).collect()
}

/// Who is given connections.
fn given(actions: &[DealerAction]) -> Vec<u64> {
    let worker = |action: &DealerAction| {
        let DealerAction::Give { worker, .. } = action else { return None };
        Some(worker.0)
    };
    actions.iter().filter_map(worker).collect()
}

fn notices(actions: &[DealerAction]) -> Vec<DealerNotice> {
    let notice = |action: &DealerAction| {
        let DealerAction::Tell(notice) = action else { return None };
        Some(notice.clone())
    };
    actions.iter().filter_map(notice).collect()
}

#[test]
fn under_auto_the_front_gets_all() {
    let mut table = Table::new(Balance::Auto);
    assert_eq!(weights(&table.happens(DealerEvent::Joined { member: member(slot(0)) })).len(), 0);
    let joined = table.happens(DealerEvent::Joined { member: member(Seat::Front) });
    assert_eq!(weights(&joined), [[0, 1]]);
    assert_eq!(weights(&table.serves(1, 0, true)).len(), 0, "nothing changes");
    let joined = table.happens(DealerEvent::Joined { member: member(slot(1)) });
    assert_eq!(weights(&joined), [[0, 1, 0]]);
    assert!(table.is_front());
}

#[test]
fn under_kernel_a_vacant_slot_gets_nothing() {
    let mut table = Table::settled(Balance::Kernel);
    assert_eq!(weights(&table.serves(2, 1, false)), [[1000, 0]]);
    let view = table.dealer.groups();
    assert_eq!(view[0].weights, Some([(Slot(0), 100), (Slot(1), 0)].into()));
    assert_eq!(weights(&table.serves(3, 1, true)), [[1000, 1000]]);
    // A reload: the new worker serves before the old one stops.
    assert_eq!(weights(&table.serves(4, 0, true)).len(), 0);
    assert_eq!(weights(&table.serves(1, 0, false)).len(), 0);
    // A crash.
    assert_eq!(weights(&table.happens(DealerEvent::Gone { worker: WorkerId(4) })), [[0, 1000]]);
}

#[test]
fn where_nobody_serves_some_socket_still_gets_it() {
    let mut table = Table::settled(Balance::Kernel);
    let _ = table.serves(1, 0, false);
    assert_eq!(weights(&table.serves(2, 1, false)), [[1, 1]]);
}

#[test]
fn a_closed_socket_gives_its_place_to_the_last() {
    let mut table = Table::settled(Balance::Auto);
    let closed = table.happens(DealerEvent::Closed { member: member(slot(0)) });
    assert_eq!(weights(&closed), [[0, 1]], "slot 1 is where slot 0 was");
}

#[test]
fn a_high_rate_is_left_to_the_kernel_and_comes_back() {
    let mut table = Table::settled(Balance::Auto);
    let _ = table.stream(8000, 1900);
    assert!(table.is_front(), "not yet");
    let _ = table.stream(8000, 1500);
    assert!(!table.is_front());
    // The front keeps one in a hundred: 8,000 a second are 80 there.
    let _ = table.stream(80, 20_000);
    assert!(!table.is_front());
    let began = table.now;
    let _ = table.stream(3, 10_000);
    assert!(table.is_front());
    assert!(table.now.since(began) >= Duration::from_secs(5));
    assert_eq!(table.dealer.deadline(), None, "nothing wakes us any more");
}

#[test]
fn silence_brings_it_back_too() {
    let mut table = Table::settled(Balance::Auto);
    let _ = table.stream(8000, 3500);
    assert!(!table.is_front());
    let mut wakes = 0;
    while let Some(at) = table.dealer.deadline() {
        table.now = at;
        let _ = table.happens(DealerEvent::Tick);
        wakes += 1;
        assert!(wakes < 20);
    }
    assert!(table.is_front());
}

#[test]
fn what_stays_open_is_dealt_however_fast_it_comes() {
    let mut table = Table::settled(Balance::Auto);
    let mut open = [0_u32; 2];
    for _ in 0..40 {
        for _ in 0..250 {
            table.now = table.now + Duration::from_micros(200);
            if let Some(worker) = table.comes() {
                open[worker as usize - 1] += 1;
            }
        }
        for worker in [1, 2] {
            let _ = table.load(worker, open[worker as usize - 1], 0, None);
        }
    }
    assert_eq!(open, [5000, 5000]);
    assert!(table.is_front());
}

#[test]
fn the_kernels_deal_has_a_sample_for_the_front() {
    let mut table = Table::settled(Balance::Auto);
    let mut set = Vec::new();
    for _ in 0..40_000 {
        table.now = table.now + Duration::from_micros(125);
        let id = ConnectionId(table.next);
        table.next += 1;
        let event = DealerEvent::Accepted { connection: id, member: member(Seat::Front) };
        set.extend(weights(&table.happens(event)));
        let _ = table.happens(DealerEvent::Placed { connection: id });
    }
    assert_eq!(set, [[1000, 20, 1000]]);
}

#[test]
fn fewest_connections_first_when_one_comes_after_the_other() {
    let mut table = Table::settled(Balance::Auto);
    let _ = table.load(1, 5, 0, None);
    let given: Vec<_> = (0..5).filter_map(|_| table.comes()).collect();
    assert_eq!(given, [2, 2, 2, 2, 2]);
}

#[test]
fn a_blocked_worker_gets_one_and_no_more() {
    let mut table = Table::settled(Balance::Auto);
    let mut behind = 0;
    for _ in 0..100 {
        table.now = table.now + Duration::from_millis(5);
        let connection = ConnectionId(table.next);
        table.next += 1;
        let event = DealerEvent::Accepted { connection, member: member(Seat::Front) };
        for action in table.happens(event) {
            let DealerAction::Give { connection, worker, .. } = action else { continue };
            if worker == WorkerId(1) {
                behind += 1;
            } else {
                let _ = table.dealer.handle(table.now, DealerEvent::Placed { connection });
            }
        }
    }
    assert!(behind <= 2, "{behind}");
}

#[test]
fn where_both_are_late_the_one_that_is_only_slow_gets_what_comes() {
    let mut table = Table::settled(Balance::LeastConnections);
    let mut given = Vec::new();
    for _ in 0..12 {
        table.now = table.now + Duration::from_millis(10);
        let connection = ConnectionId(table.next);
        table.next += 1;
        let common = Member { listener: LISTENER, seat: Seat::Common };
        for action in table.happens(DealerEvent::Accepted { connection, member: common }) {
            if let DealerAction::Give { worker, connection, .. } = action {
                given.push((table.now, worker, connection));
            }
        }
        // Worker 2 takes each after 30 ms, worker 1 none.
        let now = table.now;
        for (at, worker, connection) in given.clone() {
            if worker == WorkerId(2) && now.since(at) == Duration::from_millis(30) {
                let _ = table.happens(DealerEvent::Placed { connection });
            }
        }
    }
    let behind = given.iter().filter(|(_, worker, _)| *worker == WorkerId(1)).count();
    assert!(behind <= 3, "{behind} of {}", given.len());
}

#[test]
fn queues_are_looked_at_while_the_kernel_deals_and_something_goes_on() {
    let mut table = Table::settled(Balance::Kernel);
    let look = [DealerAction::Look { listener: LISTENER, strangers: false }];
    assert_eq!(table.after(100), look, "workers have begun to count");
    let _ = table.looked([0, 0], [0, 0], 0);
    assert_eq!(table.dealer.deadline(), None);
    table.now = table.now + Duration::from_millis(50);
    let _ = table.load(1, 1, 1, None);
    let at = table.dealer.deadline().unwrap();
    assert_eq!(at.since_origin(), Duration::from_millis(200));
    assert_eq!(table.after(50), look);
    let _ = table.looked([0, 0], [150, 0], 0);
    assert_eq!(table.after(100), look, "somebody has a connection");
    let _ = table.looked([0, 0], [150, 0], 0);
    let _ = table.load(1, 0, 0, None);
    assert_eq!(table.after(100), look, "somebody had one");
    let _ = table.looked([0, 0], [300, 0], 0);
    assert_eq!(table.dealer.deadline(), None);
}

/// Connections may all be so short that nobody has one whenever it is looked.
#[test]
fn a_worker_that_stands_still_is_found_by_what_waits_for_it() {
    let mut table = Table::settled(Balance::Kernel);
    let _ = table.load(2, 0, 10, None);
    assert_eq!(table.after(100).len(), 1, "a look");
    let _ = table.looked([3, 0], [0, 10], 0);
    assert_eq!(table.after(100).len(), 1, "another, as something waits");
    let found = notices(&table.looked([3, 0], [0, 10], 0));
    let blocked = DealerNotice::Blocked { worker: WorkerId(1), slot: Slot(0) };
    assert_eq!(found, [blocked]);
}

#[test]
fn a_worker_that_stands_still_is_rescued_until_it_lives() {
    let mut table = Table::settled(Balance::Kernel);
    let _ = table.load(2, 1, 1, None);
    let _ = table.after(100);
    let _ = table.looked([3, 0], [0, 90], 0);
    let _ = table.after(100);
    let actions = table.looked([3, 0], [0, 190], 0);
    let (worker, slot_0) = (WorkerId(1), Slot(0));
    let expected = [
        DealerAction::Tell(DealerNotice::Blocked { worker, slot: slot_0 }),
        DealerAction::Count { worker },
        DealerAction::Steer { listener: LISTENER, weights: vec![0, 1000] },
        DealerAction::Watch { member: member(slot(0)), on: true },
    ];
    assert_eq!(actions, expected);
    assert_eq!(table.dealer.groups()[0].blocked, [slot_0]);
    table.now = table.now + Duration::from_secs(3);
    let actions = table.load(1, 0, 0, None);
    let after = Duration::from_secs(3);
    let unblocked = DealerNotice::Unblocked { worker, slot: slot_0, after };
    assert_eq!(notices(&actions), [unblocked]);
    assert_eq!(weights(&actions), [[1000, 1000]]);
    assert!(actions.contains(&DealerAction::Watch { member: member(slot(0)), on: false }));
}

/// What waits in its queue is not dealt to itself.
#[test]
fn a_worker_that_stands_still_is_dealt_nothing() {
    let mut table = Table::settled(Balance::Kernel);
    let _ = table.load(2, 1, 1, None);
    let _ = table.after(100);
    let _ = table.looked([20, 0], [0, 90], 0);
    let _ = table.after(100);
    let _ = table.looked([20, 0], [0, 190], 0);
    for connection in (1..=6).map(ConnectionId) {
        let event = DealerEvent::Accepted { connection, member: member(slot(0)) };
        assert_eq!(given(&table.happens(event)), [2]);
    }
}

#[test]
fn strangers_get_nothing_and_are_told_of_once() {
    let mut table = Table::settled(Balance::Kernel);
    let actions = table.looked([0, 0], [0, 0], 1);
    let how = Disturbance::Strangers { count: 1 };
    assert_eq!(notices(&actions), [DealerNotice::Disturbed { listener: LISTENER, how }]);
    assert_eq!(weights(&actions), [[1000, 1000, 0]]);
    assert_eq!(notices(&table.looked([0, 0], [0, 0], 1)), []);
    // One of ours closes: the stranger takes its place.
    let closed = table.happens(DealerEvent::Joined { member: member(slot(2)) });
    assert_eq!(weights(&closed), [[1000, 1000, 0, 0]]);
    let closed = table.happens(DealerEvent::Closed { member: member(slot(2)) });
    assert_eq!(weights(&closed), [[1000, 1000, 0]]);
    assert_eq!(weights(&table.looked([0, 0], [0, 0], 0)), [[1000, 1000]]);
}

#[test]
fn a_socket_that_does_not_listen_is_mended_and_comes_last() {
    let mut table = Table::settled(Balance::Auto);
    let sight = |number, listens| SeenMember { member: member(slot(number)), listens, waiting: 0 };
    let seen = Seen { members: vec![sight(0, false), sight(1, true)], ..Seen::default() };
    let actions = table.happens(DealerEvent::Looked { listener: LISTENER, seen });
    assert!(actions.contains(&DealerAction::Mend { member: member(slot(0)) }));
    // Slot 1 was last and took the place, and slot 0 is last now: the front stays in the middle.
    assert_eq!(weights(&actions), [[0, 1, 0]]);
    assert_eq!(notices(&actions).len(), 1);
}

#[test]
fn a_socket_that_cannot_be_accepted_from_is_looked_at() {
    let mut table = Table::settled(Balance::Kernel);
    let _ = table.serves(1, 0, false);
    let _ = table.happens(DealerEvent::Accept { member: member(slot(0)), on: true });
    table.now = table.now + Duration::from_secs(1);
    let failed = DealerEvent::AcceptFailed { member: member(slot(0)) };
    let look = DealerAction::Look { listener: LISTENER, strangers: true };
    let actions = table.happens(failed.clone());
    assert!(actions.contains(&look), "{actions:?}");
    table.now = table.now + Duration::from_millis(100);
    let actions = table.happens(failed);
    assert!(!actions.contains(&look), "once a second: {actions:?}");
}

#[test]
fn a_stranger_beside_a_slot_alone_gets_nothing() {
    let mut table = Table::new(Balance::Kernel);
    let _ = table.happens(DealerEvent::Joined { member: member(slot(0)) });
    assert_eq!(weights(&table.serves(1, 0, true)).len(), 0, "one socket needs no weights");
    let sight = SeenMember { member: member(slot(0)), listens: true, waiting: 0 };
    let seen = Seen { members: vec![sight], strangers: Some(1), heard: Vec::new() };
    let actions = table.happens(DealerEvent::Looked { listener: LISTENER, seen });
    assert_eq!(weights(&actions), [[1000, 0]]);
}

#[test]
fn a_foreign_program_is_noticed_by_where_connections_go() {
    let mut table = Table::settled(Balance::Auto);
    table.now = table.now + Duration::from_secs(4);
    let look = table.load(1, 30, 30, None);
    let expected = DealerAction::Look { listener: LISTENER, strangers: true };
    assert!(look.contains(&expected), "{look:?}");
    let actions = table.looked([0, 0], [0, 0], 0);
    let how = Disturbance::Shares;
    assert_eq!(notices(&actions), [DealerNotice::Disturbed { listener: LISTENER, how }]);
    assert_eq!(weights(&actions), [[0, 1, 0]], "put in place anew");
}

#[test]
fn where_steering_is_refused_it_is_said_once_and_the_hash_deals() {
    let mut table = Table::new(Balance::Auto);
    let _ = table.dealer.handle(table.now, DealerEvent::Joined { member: member(slot(0)) });
    let joined = DealerEvent::Joined { member: member(Seat::Front) };
    assert_eq!(weights(&table.dealer.handle(table.now, joined)).len(), 1);
    let refused = DealerEvent::Steered { listener: LISTENER, refused: Some(1) };
    let told = table.dealer.handle(table.now, refused);
    assert_eq!(notices(&told), [DealerNotice::NotSteered { listener: LISTENER, errno: 1 }]);
    let joined = DealerEvent::Joined { member: member(slot(1)) };
    assert_eq!(table.dealer.handle(table.now, joined), []);
    assert_eq!(table.dealer.groups()[0].weights, None);
    assert!(!table.is_front());
}

/// Load moves the weights a little every second, and all connections go to the busier slot.
#[test]
fn a_foreign_program_is_noticed_while_weights_move() {
    let mut table = Table::settled(Balance::Kernel);
    let (mut told, mut changes) = (Vec::new(), 0);
    for tenth in 0_u16..100 {
        table.now = table.now + Duration::from_millis(100);
        // Now this, now that one is busy, so that they do not settle.
        let busy = if tenth / 20 % 2 == 0 { [950, 400] } else { [400, 950] };
        let mut actions = table.load(1, 10, 20, Some(busy[0]));
        actions.extend(table.load(2, 10, 0, Some(busy[1])));
        actions.extend(table.happens(DealerEvent::Tick));
        let look = DealerAction::Look { listener: LISTENER, strangers: true };
        if actions.contains(&look) {
            let heard = table.now.since_origin().as_millis() as u64;
            actions.extend(table.looked([0, 0], [heard, heard], 0));
        }
        changes += weights(&actions).len();
        told.extend(notices(&actions));
    }
    assert!(changes >= 5, "{changes}");
    let disturbed = DealerNotice::Disturbed { listener: LISTENER, how: Disturbance::Shares };
    assert_eq!(told, [disturbed]);
}

#[test]
fn the_busier_slot_gets_less_under_load() {
    let mut table = Table::settled(Balance::Kernel);
    for _ in 0..50 {
        table.now = table.now + Duration::from_millis(100);
        let _ = table.load(1, 10, 50, Some(950));
        let _ = table.load(2, 10, 50, Some(500));
        let _ = table.happens(DealerEvent::Tick);
    }
    let weights = table.dealer.groups()[0].weights.clone().unwrap();
    assert!(weights[&Slot(0)] < 45 && weights[&Slot(0)] > 10, "{weights:?}");
}
