//! The primary's end of the hub: orders in, reports out.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use relevo_core::{
    Dealer, DealerNotice, Event, Generation, Given, ListenerId, Member, QueryId, Slot, Wish,
    WorkerId,
};
use relevo_node::ListenAddress;
use relevo_sys::proc;
use relevo_sys::wake::Bell;

use super::super::clock::Clock;
use super::order::{Ends, Order, Report, Sight};
use super::{DrainWords, Hub, Inherited};

/// How many orders and how many reports wait at most. The channels have room for all of them from the start.
const QUEUE: usize = 256;
/// How many reports are taken in one round of the primary's loop.
const AT_ONCE: usize = 64;

/// See the module's documentation.
pub(crate) struct HubHandle {
    /// `None` once the hub has been told to end.
    orders: Option<SyncSender<Order>>,
    /// Rings at the hub.
    bell: Arc<Bell>,
    reports: Receiver<Report>,
    /// Rings at the primary when there are reports.
    reported: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

/// What the hub is told at the start.
pub(crate) struct HubSettings {
    /// How many connections may wait in a socket's queue.
    pub(crate) backlog: u32,
    /// Whether sockets are made where nobody looks for them.
    pub(crate) aside: bool,
    /// Sockets that Relevo itself was started with.
    pub(crate) inherited: Vec<Inherited>,
    /// How workers are to drain.
    pub(crate) drain_words: DrainWords,
}

/// A report, as the primary's loop sees it.
pub(crate) enum Told {
    Event(Event),
    Notice(DealerNotice),
    Complaint(String),
    /// Of this worker nothing more is to come.
    Ended(WorkerId),
}

impl HubHandle {
    /// Starts the hub's thread.
    pub(crate) fn start(clock: Clock, dealer: Dealer, settings: HubSettings) -> io::Result<Self> {
        let (give, orders) = sync_channel(QUEUE);
        let (report, reports) = sync_channel(QUEUE);
        let (bell, reported) = (Arc::new(Bell::new()?), Arc::new(Bell::new()?));
        let ends = Ends {
            orders,
            bell: Arc::clone(&bell),
            reports: report,
            primary: Arc::clone(&reported),
        };
        let (started, start) = sync_channel(1);
        let thread = Builder::new().name("hub".to_owned()).spawn(move || {
            match Hub::new(clock, dealer, settings, ends) {
                Ok(hub) => {
                    let _ = started.send(Ok(()));
                    hub.run();
                }
                Err(errno) => {
                    let _ = started.send(Err(errno));
                }
            }
        })?;
        start.recv().map_err(io::Error::other)??;
        Ok(Self { orders: Some(give), bell, reports, reported, thread: Some(thread) })
    }

    /// What becomes readable when there are reports.
    pub(crate) fn reported(&self) -> BorrowedFd<'_> {
        self.reported.as_fd()
    }

    /// Reports that have come. Not more than a few at once: a worker that floods the hub must not keep
    /// the primary from its other duties.
    pub(crate) fn take_reports(&self) -> Vec<Told> {
        self.reported.hush();
        let reports: Vec<Told> = self.reports.try_iter().take(AT_ONCE).map(told).collect();
        if reports.len() == AT_ONCE {
            self.reported.ring();
        }
        reports
    }

    pub(crate) fn add_channel(&self, worker: WorkerId, socket: OwnedFd) {
        self.order(Order::AddChannel { worker, socket });
    }

    /// The worker's process has ended. `Told::Ended` comes when all that it still said has come.
    pub(crate) fn end_channel(&self, worker: WorkerId) {
        self.order(Order::EndChannel { worker });
    }

    pub(crate) fn open_member(&self, member: Member, wish: Wish) {
        self.order(Order::OpenMember { member, wish });
    }

    pub(crate) fn close_member(&self, member: Member) {
        self.order(Order::CloseMember { member });
    }

    pub(crate) fn answer(&self, worker: WorkerId, query: QueryId, member: Member, given: Given) {
        self.order(Order::Answer { worker, query, member, given });
    }

    pub(crate) fn refuse(&self, worker: WorkerId, query: QueryId, errno: i32) {
        self.order(Order::Refuse { worker, query, errno });
    }

    pub(crate) fn probe(&self, worker: WorkerId, listener: ListenerId, connection: OwnedFd) {
        self.order(Order::Probe { worker, listener, connection });
    }

    pub(crate) fn accept(&self, member: Member, on: bool) {
        self.order(Order::Accept { member, on });
    }

    pub(crate) fn eligible(
        &self,
        worker: WorkerId,
        slot: Slot,
        generation: Generation,
        listener: ListenerId,
        on: bool,
    ) {
        self.order(Order::Eligible { worker, slot, generation, listener, on });
    }

    pub(crate) fn empty_queues(&self) {
        self.order(Order::EmptyQueues);
    }

    pub(crate) fn tally(&self, worker: WorkerId, on: bool) {
        self.order(Order::Tally { worker, on });
    }

    pub(crate) fn share(&self, slot: Slot, percent: Option<u32>) {
        self.order(Order::Share { slot, percent });
    }

    pub(crate) fn park(&self, worker: WorkerId) {
        self.order(Order::Park { worker });
    }

    pub(crate) fn unpark(&self, worker: WorkerId) {
        self.order(Order::Unpark { worker });
    }

    pub(crate) fn change_slot(&self, worker: WorkerId, slot: Slot) {
        self.order(Order::ChangeSlot { worker, slot });
    }

    pub(crate) fn drain(&self, worker: WorkerId, within: Duration, hand_over: bool) {
        self.order(Order::Drain { worker, within, hand_over });
    }

    pub(crate) fn disconnect(&self, worker: WorkerId) {
        self.order(Order::Disconnect { worker });
    }

    pub(crate) fn limit_requests(&self, worker: WorkerId, requests: u64) {
        self.order(Order::LimitRequests { worker, requests });
    }

    pub(crate) fn ping(&self, worker: WorkerId) {
        self.order(Order::Ping { worker });
    }

    pub(crate) fn watch_sockets(&self) {
        self.order(Order::WatchSockets);
    }

    pub(crate) fn lame_duck(&self, worker: WorkerId) {
        self.order(Order::LameDuck { worker });
    }

    pub(crate) fn allow_leave(&self, worker: WorkerId) {
        self.order(Order::AllowLeave { worker });
    }

    /// How workers are to drain from now on.
    pub(crate) fn set_drain_words(&self, words: DrainWords) {
        self.order(Order::DrainWords(words));
    }

    /// How things are with the sockets now.
    pub(crate) fn look(&self) -> Sight {
        let (answer, sight) = sync_channel(1);
        self.order(Order::Look { answer });
        sight.recv().unwrap_or_default()
    }

    /// Carries out the orders given so far and ends the thread, leaving nothing behind.
    pub(crate) fn end(&mut self) {
        drop(self.orders.take());
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            // A panic there has ended the process.
            let _ = thread.join();
        }
    }

    /// Waits while the queue is full: the hub never waits for us.
    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // It fails only when the thread is gone, and then so are we.
            let _ = orders.send(order);
            self.bell.ring();
        }
    }
}

fn told(report: Report) -> Told {
    match report {
        Report::Event(event) => Told::Event(event),
        Report::Notice(notice) => Told::Notice(notice),
        Report::Complaint(what) => Told::Complaint(what),
        Report::Ended(worker) => Told::Ended(worker),
        Report::MemberFailed { member, errno, address } => {
            let holder = address.as_ref().and_then(holder);
            Told::Event(Event::MemberFailed { member, errno, holder })
        }
    }
}

/// Who holds an address, in words.
fn holder(address: &ListenAddress) -> Option<String> {
    let found = match address {
        ListenAddress::Tcp { host, port, .. } => {
            let host = host.unwrap_or(std::net::Ipv6Addr::UNSPECIFIED.into());
            proc::holder_of_tcp(std::net::SocketAddr::new(host, *port))
        }
        ListenAddress::UnixPath { path, .. } => proc::holder_of_unix(path),
        ListenAddress::Abstract { name } => proc::holder_of_abstract(name),
        ListenAddress::Udp { .. }
        | ListenAddress::Descriptor { .. }
        | ListenAddress::Unsupported { .. } => None,
    }?;
    Some(match (found.pid, found.command) {
        (Some(pid), Some(command)) => format!("pid {} ({command})", pid.as_raw_pid()),
        (Some(pid), None) => format!("pid {}", pid.as_raw_pid()),
        (None, _) => format!("a process of user {}", found.uid?),
    })
}
