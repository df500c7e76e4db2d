//! The machine that keeps a service as it should be.
//!
//! [`Supervisor::handle`] writes down what happened (`record.rs`) and then compares what is with what
//! should be (`reconcile.rs`), so that a lost, doubled or late event cannot strand a service: the next
//! one sets it right. What is wanted follows from few facts: the [`Spec`], the number of workers,
//! whether a rollout is wanted, and whether to stop.

pub(crate) mod canary;
mod changed_listeners;
mod check;
mod configuration;
mod final_exit;
pub(crate) mod hang;
mod hooks;
mod lifecycle;
mod listeners;
pub(crate) mod memory;
mod outage;
mod readiness;
mod reconcile;
mod record;
mod refused;
mod releases;
mod renewal;
mod rollout_end;
mod rollouts;
mod scaling;
mod standby;
mod stop;
mod undo;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use listeners::Told;

use crate::listener::Listener;
use crate::random::Random;
use crate::renewal::Renewals;
use crate::rollout::Rollout;
use crate::scaling::Scaling;
use crate::slot::SlotState;
use crate::worker::Worker;
use crate::{
    Action, Cause, Event, Generation, ListenerId, Listeners, Member, Notice, RequestId,
    RolloutReport, Slot, Spec, Time, WorkerId,
};

pub use view::{
    ListenerView, RenewalView, RolloutPhase, RolloutView, ServiceState, SlotView, SlotWord, Totals,
    View, Waits, WorkerView, WorkerWord,
};

/// How long after Node's `disconnect` (or the end of the channel) the stop signal follows.
pub(crate) const DISCONNECT_GRACE: Duration = Duration::from_secs(1);
/// How long a worker whose channel ended may take to exit before it counts as failed.
pub(crate) const LOST_CHANNEL_GRACE: Duration = Duration::from_secs(1);
/// How long a rollout waits for the idle connections of a worker to be handed over.
pub(crate) const MOVE_LIMIT: Duration = Duration::from_secs(5);
/// How long a rollout waits for a worker's word that it accepts nothing any more. One that stands still
/// does not answer, and does not accept either.
pub(crate) const PARK_GRACE: Duration = Duration::from_secs(1);
/// How long a worker may be parked: for as long as somebody holds a rollout, but not for ever.
const PARK_LIMIT: Duration = Duration::from_secs(3600);
/// How long a parked worker may take to listen again.
const UNPARK_LIMIT: Duration = Duration::from_secs(5);
/// How long a new worker may have a listener closed that its predecessor had open: some apps close one
/// and open it again.
const HANG_UP_GRACE: Duration = Duration::from_secs(1);
/// After how long the log is told what a rollout waits for.
pub(crate) const STUCK_AFTER: Duration = Duration::from_secs(5);
/// How long connections on their way to a worker without an agent have to arrive before it is told
/// to disconnect. (Node 26 cuts those that have not sent anything yet: `docs/node-channel.md`, 5.)
const SETTLE: Duration = Duration::from_millis(20);
/// How long a worker that asked to leave waits for its successor at most.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// How long a stop may spend on emptying the sockets' queues.
const EMPTY_LIMIT: Duration = Duration::from_secs(2);
/// How long after the last kill a stop waits for processes that do not die.
const UNKILLABLE_LIMIT: Duration = Duration::from_secs(5);
/// How long the shell has to look at a worker's sockets before its failure is reported without.
const INSPECT_LIMIT: Duration = Duration::from_secs(1);
/// How many clients may wait for rollouts.
const MAX_WAITING: usize = 64;
/// How many listeners a service may have.
const MAX_LISTENERS: usize = 256;
/// How many workers that are on their way out one slot may have before the next is started.
const MAX_LEAVING_PER_SLOT: usize = 4;

/// Keeps a service at its workers. Pure: see the crate's documentation.
#[derive(Clone, Debug)]
pub struct Supervisor {
    spec: Spec,
    /// Wishes that count otherwise before and after a rollout.
    other_specs: configuration::OtherSpecs,
    now: Time,
    random: Random,
    /// How many slots there are to be.
    wanted: u32,
    /// Those, and behind them the ones that have left.
    slots: Vec<SlotState>,
    workers: BTreeMap<WorkerId, Worker>,
    listeners: BTreeMap<ListenerId, Listener>,
    /// The last completed generation.
    generation: Generation,
    /// Where the code of each generation is loaded from, and which may be gone back to.
    releases: releases::Releases,
    rollout: Option<Rollout>,
    hooks: hooks::Hooks,
    last_rollout: Option<RolloutReport>,
    /// What wants another rollout to follow, if anything does, and who waits for it.
    reload_wanted: Option<Cause>,
    reload_waiters: Vec<RequestId>,
    /// Whether somebody who wants it says that what the service listens on may change.
    reload_listeners: Listeners,
    /// What drains did, since the service began.
    totals: Totals,
    /// The last change of the number of slots, until it is complete.
    scaling: Option<Scaling>,
    spares: standby::Spares,
    /// Workers that are replaced because they have reached a limit.
    renewals: Renewals,
    /// When workers are asked for a sign of life.
    rounds: hang::Rounds,
    stop: Option<stop::Stop>,
    /// Whether any worker has ever been ready: from then on Relevo never gives up.
    ever_ready: bool,
    /// Since when nobody is there to accept, and what came of it.
    outage: Option<outage::Outage>,
    /// Whether the service has been ready once, as a whole.
    announced: bool,
    /// Addresses whose failure to bind has been told since the last success or rollout.
    bind_failures_told: BTreeSet<String>,
    next_worker: u64,
    next_listener: u32,
    next_generation: u64,
    /// What the shell has been told to accept from, and whom to deal to.
    told_accepting: BTreeSet<Member>,
    told_eligible: BTreeSet<Told>,
    /// Which slot has a share of its own, in percent.
    told_share: Option<(Slot, u32)>,
    actions: Vec<Action>,
}

/// When [`Supervisor::handle`] wants to see an [`Event::Tick`], and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// The moment.
    pub at: Time,
    /// The reason, for a person to read.
    pub why: &'static str,
}

impl Supervisor {
    /// A service that should be as `spec` says, of which nothing exists yet. The first event, a
    /// [`Event::Tick`], sets it in motion.
    pub fn new(spec: Spec, now: Time, seed: u64) -> Self {
        let first = Generation(1);
        let wanted = spec.slots;
        let slots = (0..wanted).map(|_| SlotState::new(first)).collect();
        Self {
            spec,
            other_specs: configuration::OtherSpecs::default(),
            now,
            random: Random::new(seed),
            wanted,
            slots,
            workers: BTreeMap::new(),
            listeners: BTreeMap::new(),
            generation: first,
            releases: releases::Releases::new(first),
            rollout: None,
            hooks: hooks::Hooks::default(),
            last_rollout: None,
            reload_wanted: None,
            reload_waiters: Vec::new(),
            reload_listeners: Listeners::Same,
            scaling: None,
            spares: standby::Spares::default(),
            renewals: Renewals::default(),
            rounds: hang::Rounds::default(),
            stop: None,
            ever_ready: false,
            outage: None,
            announced: false,
            bind_failures_told: BTreeSet::new(),
            next_worker: 1,
            next_listener: 1,
            next_generation: 2,
            told_accepting: BTreeSet::new(),
            totals: Totals::default(),
            told_eligible: BTreeSet::new(),
            told_share: None,
            actions: Vec::new(),
        }
    }

    /// What to do about `event`. Total: it cannot fail, block, log or read a clock.
    #[must_use]
    pub fn handle(&mut self, now: Time, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        if !self.is_over() {
            self.record(event);
            self.reconcile();
            self.check_invariants();
        }
        std::mem::take(&mut self.actions)
    }

    /// The next moment at which something must be done although nothing happens.
    pub fn deadline(&self) -> Option<Deadline> {
        if self.is_over() {
            return None;
        }
        let workers = self.workers.values().filter_map(Worker::deadline);
        let moves = self.workers.values().filter_map(|worker| worker.move_deadline(self.now));
        let retries = self.slot_numbers().filter(|_| self.stop.is_none()).filter_map(|number| {
            let slot = self.slot(number);
            let at = slot.retry_at.filter(|_| slot.is_vacant() && self.has_room(number))?;
            Some((at, "a crashed worker is started again"))
        });
        let stop = self.stop.as_ref().and_then(stop::Stop::deadline);
        let sockets = self.retirement_deadline().into_iter().chain(self.outage_deadline());
        let rollout = self.rollout.as_ref().and_then(|rollout| rollout.deadline(self.now));
        let all = workers.chain(moves).chain(retries).chain(sockets).chain(stop).chain(rollout);
        let all = all.chain(self.hang_up_deadline()).chain(self.spare_deadline());
        let all = all.chain(self.renewal_deadline());
        let all = all.chain(self.probe_deadline());
        let all = all.chain(self.hooks.deadline(self.now));
        let all = all.chain(self.held_back_deadline());
        let all = all.chain(self.canary_deadline()).chain(self.hang_deadline());
        all.min().map(|(at, why)| Deadline { at, why })
    }

    /// Whether the service has come to its end; no event changes anything any more.
    pub fn is_over(&self) -> bool {
        self.stop.as_ref().is_some_and(stop::Stop::is_over)
    }

    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn tell(&mut self, notice: Notice) {
        self.actions.push(Action::Tell(notice));
    }

    fn slot_mut(&mut self, slot: Slot) -> &mut SlotState {
        &mut self.slots[slot.0 as usize]
    }

    fn slot(&self, slot: Slot) -> &SlotState {
        &self.slots[slot.0 as usize]
    }

    /// The slots that there are to be.
    fn slot_numbers(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.wanted).map(Slot)
    }

    /// The slots that have left, of which a worker or a socket may still be there.
    fn left_slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (self.wanted..self.slots.len() as u32).map(Slot)
    }

    /// Workers that are on their way out.
    fn leaving(&self) -> usize {
        self.workers.values().filter(|worker| !worker.is_wanted()).count()
    }

    fn has_ready_worker(&self, slot: Slot) -> bool {
        self.slot(slot).current.and_then(|id| self.workers.get(&id)).is_some_and(Worker::is_ready)
    }

    fn ready_slots(&self) -> u32 {
        self.slot_numbers().filter(|slot| self.has_ready_worker(*slot)).count() as u32
    }

    fn every_slot_failed_once(&self) -> bool {
        self.slot_numbers().all(|slot| self.slot(slot).failed_once)
    }
}
