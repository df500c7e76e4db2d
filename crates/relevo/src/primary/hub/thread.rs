//! The hub's loop: wait, do what is ordered, read, deal, write, report.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::{TryRecvError, TrySendError};
use std::time::Duration;

use relevo_core::{Dealer, DealerEvent, ListenerId, Time};
use relevo_node::ToAgent;
use relevo_sys::Errno;
use relevo_sys::poll::{Interest, Poller, Ready};

use super::super::clock::Clock;
use super::members::MemberSocket;
use super::order::{Ends, Order, Report, Sight};
use super::stir::Stir;
use super::tickets::Tickets;
use super::token::Token;
use super::{Hub, HubSettings};

/// How many reports of one worker may wait before it is not heard for a while.
const MUTE_AT: usize = 64;
/// How often an agent tells what it has counted of a canary's answers, at most, in milliseconds.
const TALLY_EVERY_MS: u64 = 100;
/// How soon to try again to report when the queue of reports is full.
const REPORT_AGAIN: Duration = Duration::from_millis(2);
/// How long to let messages gather when every worker has enough to do for longer than that: one
/// wake-up for several messages, where each would cost one.
const REST: Duration = Duration::from_micros(100);

impl Hub {
    /// A hub without sockets and workers.
    pub(super) fn new(
        clock: Clock,
        dealer: Dealer,
        HubSettings { backlog, aside, inherited, drain_words }: HubSettings,
        ends: Ends,
    ) -> Result<Self, Errno> {
        let poller = Poller::new()?;
        poller.add(&ends.bell, Token::Orders.pack(), Interest::READ)?;
        let stir = Stir::new()?;
        Ok(Self {
            poller,
            now: clock.now(),
            clock,
            ends,
            unreported: VecDeque::new(),
            backlog,
            aside,
            dealer,
            wires: BTreeMap::new(),
            talked_to: BTreeSet::new(),
            members: BTreeMap::new(),
            stir,
            connections: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            probes: BTreeMap::new(),
            drain_words,
            inherited,
            queries: BTreeMap::new(),
            leaves: BTreeMap::new(),
            tickets: Tickets::default(),
            next_query: 1,
            next_connection: 1,
            told_of_primary_branch: false,
            told_of_dropped_broadcast: false,
            buffer: Vec::new(),
        })
    }

    /// Serves until the primary ends.
    pub(super) fn run(mut self) {
        let mut ready = Vec::new();
        let mut goes_on = true;
        while goes_on {
            let due = self.wait(&mut ready);
            for one in ready.drain(..) {
                goes_on &= self.on_ready(one);
            }
            if due.is_some_and(|at| at <= self.now) {
                self.deal(DealerEvent::Tick);
            }
            self.change_tickets();
            self.flush();
            self.deliver_reports();
        }
        for socket in self.members.values() {
            socket.clean_up();
        }
    }

    /// Until something is ready, or the dealer's deadline, which it returns.
    fn wait(&mut self, ready: &mut Vec<Ready>) -> Option<Time> {
        if self.dealer.has_time() {
            std::thread::sleep(REST);
        }
        let due = self.dealer.deadline();
        let awaited = [due, self.tickets.deadline()].into_iter().flatten().min();
        let dealing = awaited.map(|at| at.since(self.clock.now()));
        let reporting = (!self.unreported.is_empty()).then_some(REPORT_AGAIN);
        let timeout = [dealing, reporting].into_iter().flatten().min();
        if let Err(errno) = self.poller.wait(timeout, ready) {
            self.complain(format!("bug in Relevo, please report it: epoll_wait: {errno}"));
            // Nothing can be waited for; do not spin.
            std::thread::sleep(Duration::from_millis(100));
        }
        self.now = self.clock.now();
        due
    }

    /// `false`: the primary ends.
    fn on_ready(&mut self, ready: Ready) -> bool {
        match Token::unpack(ready.token) {
            Some(Token::Orders) => return self.follow_orders(),
            Some(Token::Channel(worker)) => {
                if ready.readable || ready.hangup {
                    self.read(worker);
                }
                if ready.writable {
                    self.talked_to.insert(worker);
                }
            }
            Some(Token::Member(member)) => self.deal(DealerEvent::Readable { member }),
            Some(Token::Stir) => self.has_stirred(),
            None => {}
        }
        true
    }

    fn follow_orders(&mut self) -> bool {
        self.ends.bell.hush();
        loop {
            match self.ends.orders.try_recv() {
                Ok(order) => self.follow(order),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::AddChannel { worker, socket } => self.add_channel(worker, socket),
            Order::EndChannel { worker } => {
                self.read_rest(worker);
                self.end_channel(worker);
                self.unreported.push_back(Report::Ended(worker));
            }
            Order::OpenMember { member, wish } => self.open_member(member, &wish),
            Order::CloseMember { member } => self.close_member(member),
            Order::Answer { worker, query, member, given } => {
                self.answer(worker, query, member, given);
            }
            Order::Probe { worker, listener, connection } => {
                self.probe(worker, listener, connection);
            }
            Order::Refuse { worker, query, errno } => self.refuse(worker, query, errno),
            Order::Accept { member, on } => self.deal(DealerEvent::Accept { member, on }),
            Order::Eligible { worker, slot, generation, listener, on } => {
                self.deal(DealerEvent::Eligible { worker, slot, generation, listener, on });
            }
            Order::EmptyQueues => {
                let members = self.stream_members();
                self.deal(DealerEvent::EmptyQueues { members });
            }
            Order::Drain { worker, within, hand_over } => self.drain(worker, within, hand_over),
            Order::Tally { worker, on } => {
                let every_ms = if on { TALLY_EVERY_MS } else { 0 };
                self.tell_agent(worker, ToAgent::Tally { every_ms });
            }
            Order::Share { slot, percent } => self.deal(DealerEvent::Share { slot, percent }),
            Order::Park { worker } => self.tell_agent(worker, ToAgent::Park {}),
            Order::Unpark { worker } => self.tell_agent(worker, ToAgent::Unpark {}),
            Order::ChangeSlot { worker, slot } => {
                self.tell_agent(worker, ToAgent::Slot { slot: slot.0 });
            }
            Order::Disconnect { worker } => self.disconnect(worker),
            Order::LimitRequests { worker, requests } => {
                self.tell_agent(worker, ToAgent::LimitRequests { n: requests });
            }
            Order::Ping { worker } => self.tell_agent(worker, ToAgent::Ping {}),
            Order::WatchSockets => self.watch_sockets(),
            Order::LameDuck { worker } => self.tell_agent(worker, ToAgent::LameDuck {}),
            Order::AllowLeave { worker } => self.allow_leave(worker),
            Order::DrainWords(words) => self.drain_words = words,
            Order::Look { answer } => {
                let _ = answer.send(self.sight());
            }
        }
    }

    /// Hands over what has happened. A worker whose reports pile up is not heard until they are
    /// delivered; the others are.
    fn deliver_reports(&mut self) {
        if self.unreported.is_empty() {
            return;
        }
        while let Some(report) = self.unreported.pop_front() {
            match self.ends.reports.try_send(report) {
                Ok(()) => {}
                Err(TrySendError::Full(report) | TrySendError::Disconnected(report)) => {
                    self.unreported.push_front(report);
                    break;
                }
            }
        }
        self.ends.primary.ring();
        if self.unreported.is_empty() {
            self.all_reported();
            return;
        }
        for wire in self.wires.values_mut().filter(|wire| wire.unreported > MUTE_AT) {
            wire.hear(false, &self.poller);
        }
    }

    fn all_reported(&mut self) {
        for wire in self.wires.values_mut().filter(|wire| wire.unreported > 0) {
            wire.unreported = 0;
            wire.hear(true, &self.poller);
        }
    }

    fn sight(&self) -> Sight {
        let mut queued: BTreeMap<ListenerId, u64> = BTreeMap::new();
        for (member, socket) in &self.members {
            if let Ok(Some(queue)) = relevo_sys::socket::accept_queue(&socket.socket) {
                *queued.entry(member.listener).or_default() += u64::from(queue.waiting);
            }
        }
        let inodes = self.members.values().filter_map(MemberSocket::inode).collect();
        let groups =
            self.dealer.groups().into_iter().map(|group| (group.listener, group)).collect();
        let connections = self
            .wires
            .keys()
            .filter_map(|worker| Some((*worker, self.dealer.connections(*worker)?)))
            .collect();
        Sight { inodes, queued, groups, connections }
    }
}
