//! What the supervisor may and must do, by what it has been told and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use relevo_core::{
    Action, Balance, Cause, Event, Failure, Generation, ListenerId, Listeners, Member, Notice,
    Outcome, QueryId, ReadyWhen, RenewalStart, RequestId, Seat, Slot, SpawnStage, Spec, View,
    WorkerId, WorkerWord,
};

use crate::hooks::KnownHooks;
use crate::releases::Trials;
use crate::renewals::Renewing;

pub(crate) struct Rules {
    pub(crate) spec: Spec,
    pub(crate) workers: BTreeMap<WorkerId, Known>,
    queries: BTreeMap<QueryId, Asked>,
    pending: BTreeSet<RequestId>,
    open: BTreeSet<Member>,
    accepting: BTreeSet<Member>,
    /// What the last ready worker of each slot listened on.
    pub(crate) serves: BTreeMap<Slot, BTreeSet<ListenerId>>,
    pub(crate) failed_generations: BTreeSet<Generation>,
    pub(crate) completed: Generation,
    /// What the service listens on may change: with the next rollout, and with this one.
    may_change: bool,
    changing: Option<Generation>,
    newest: Option<WorkerId>,
    /// How many slots there are to be, and the most that there ever were.
    pub(crate) wanted: u32,
    most: u32,
    /// Slots that were added and have not had a ready worker since.
    joining: BTreeSet<Slot>,
    hooks: KnownHooks,
    /// Slots whose worker has ended for good: only a rollout or a scaling starts another.
    ended: BTreeSet<Slot>,
    /// When each slot left that is not wanted any more.
    left: BTreeMap<Slot, Duration>,
    pub(crate) now: Duration,
    /// Until when somebody accepted, since the service was first ready, and whether somebody did
    /// until this event.
    last_accepted: Option<Duration>,
    accepted: bool,
    down: bool,
    /// What was closed because nobody accepted.
    given_up: BTreeSet<ListenerId>,
    /// How many workers have become ready, or ready again.
    turns: u64,
    /// Why rollouts have been wanted since the last one began.
    causes: BTreeSet<Cause>,
    /// The number of slots has changed since the rollout in progress began.
    pub(crate) was_scaled: bool,
    /// Memory has been tight since then: whoever is parked may be let go.
    pub(crate) is_tight: bool,
    /// A rollout goes on.
    pub(crate) rolling: bool,
    /// Workers that have reached a limit, and since when one has had too much memory.
    pub(crate) due: BTreeSet<WorkerId>,
    pub(crate) over_memory: BTreeMap<WorkerId, Duration>,
    /// Where one of them is to be replaced now, and who comes.
    pub(crate) renewing: Renewing,
    /// Somebody holds the rollout in progress.
    pub(crate) paused: bool,
    /// Of whom it is watched whether they come back, with nothing in their way.
    pub(crate) must_return: Option<BTreeSet<WorkerId>>,
    /// How many were parked without being told to stop accepting.
    pub(crate) served_on: u64,
    pub(crate) trials: Trials,
    pub(crate) stopping: bool,
    /// Which slot has a share of its own.
    pub(crate) share: Option<Slot>,
    pub(crate) exited: Option<u8>,
}

/// What has been said of a worker.
pub(crate) struct Known {
    pub(crate) slot: Slot,
    pub(crate) generation: Generation,
    pub(crate) word: WorkerWord,
    pub(crate) gone: bool,
    pub(crate) was_ready: bool,
    /// It has loaded its code and waits until it is needed.
    pub(crate) loaded: bool,
    /// When it last became ready among all that did, and at what time.
    pub(crate) turn: u64,
    pub(crate) ready_at: Duration,
    /// When it was ready for the first time.
    pub(crate) served_since: Option<Duration>,
    /// When it was parked, and what it listened on then.
    pub(crate) parked_at: Duration,
    pub(crate) parked_on: BTreeSet<ListenerId>,
    /// It was parked without being told: it accepts, or never did.
    pub(crate) serves_on: bool,
    /// It has said, or answered, that it is ready.
    said: bool,
    /// It was parked, and is to serve again.
    pub(crate) returning: bool,
    /// It runs the old code, and is to replace a worker of a rollout that is undone.
    pub(crate) restored: bool,
    /// Until when it is not answered, because it has to prove itself.
    pub(crate) held_until: Option<Duration>,
    /// It drained and had no work left, at least for a moment.
    pub(crate) was_quiet: bool,
    /// It was replaced before the rollout began, because of a limit.
    pub(crate) renewed: bool,
    /// Its slot has left.
    pub(crate) surplus: bool,
    pub(crate) listening: BTreeSet<ListenerId>,
    pub(crate) owes: BTreeSet<ListenerId>,
    pub(crate) channel_ended: bool,
    pub(crate) stopped_accepting: bool,
    /// It did something after which it may be ended although nobody replaces it yet.
    pub(crate) forfeit: bool,
    /// It was found to have failed, whatever becomes of its process.
    pub(crate) failed: bool,
    pub(crate) drains: bool,
    pub(crate) disconnected: bool,
    pub(crate) killed: bool,
    pub(crate) allowed_to_leave: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Open(WorkerId),
    Answered,
}

impl Rules {
    pub(crate) fn new(spec: Spec) -> Self {
        Self {
            wanted: spec.slots,
            most: spec.slots,
            left: BTreeMap::new(),
            spec,
            workers: BTreeMap::new(),
            queries: BTreeMap::new(),
            pending: BTreeSet::new(),
            open: BTreeSet::new(),
            accepting: BTreeSet::new(),
            serves: BTreeMap::new(),
            failed_generations: BTreeSet::new(),
            completed: Generation(1),
            may_change: false,
            changing: None,
            now: Duration::ZERO,
            last_accepted: None,
            accepted: false,
            down: false,
            given_up: BTreeSet::new(),
            joining: BTreeSet::new(),
            hooks: KnownHooks::default(),
            ended: BTreeSet::new(),
            newest: None,
            turns: 0,
            causes: BTreeSet::new(),
            was_scaled: false,
            is_tight: false,
            rolling: false,
            due: BTreeSet::new(),
            over_memory: BTreeMap::new(),
            renewing: Renewing::Nobody,
            paused: false,
            must_return: None,
            served_on: 0,
            trials: Trials::default(),
            stopping: false,
            share: None,
            exited: None,
        }
    }

    /// Requests that are owed a reply.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn most_slots(&self) -> u32 {
        self.most
    }

    /// Whether the socket is one of a slot that is no longer wanted.
    pub(crate) fn has_left(&self, member: Member) -> bool {
        matches!(member.seat, Seat::Slot(slot) if slot.0 >= self.wanted)
    }

    pub(crate) fn covers_anything(&self) -> bool {
        self.accepting.iter().any(|member| matches!(member.seat, Seat::Slot(_)))
    }

    pub(crate) fn check(
        &mut self,
        now: Duration,
        event: &Event,
        actions: &[Action],
        view: View<'_>,
    ) {
        self.now = now;
        if self.accepted && self.last_accepted.is_some() {
            self.last_accepted = Some(now);
        }
        self.told(event);
        for action in actions {
            self.done(action);
        }
        self.seen(view);
        self.check_drains(actions);
        self.check_counts();
        self.check_covering();
        self.check_outage();
        self.check_refused(view);
    }

    fn told(&mut self, event: &Event) {
        self.hooks.told(event);
        match event {
            Event::ListenRequested { worker, query, .. } => {
                self.queries.entry(*query).or_insert(Asked::Open(*worker));
            }
            Event::Listening { worker, listener } => {
                let Some(known) = self.workers.get_mut(worker) else { return };
                known.listening.insert(*listener);
                if known.word == WorkerWord::Ready && !known.gone {
                    self.serves.entry(known.slot).or_default().insert(*listener);
                }
            }
            Event::ListenerClosed { worker, listener } => {
                let Some(known) = self.workers.get_mut(worker) else { return };
                known.listening.remove(listener);
                if known.word == WorkerWord::Ready && !known.gone {
                    self.serves.entry(known.slot).or_default().remove(listener);
                }
            }
            Event::Exited { worker, .. } | Event::SpawnFailed { worker, .. } => {
                let stage = SpawnStage::Release;
                self.trials.found_gone |=
                    matches!(event, Event::SpawnFailed { stage: failed, .. } if *failed == stage);
                self.known(*worker).gone = true;
            }
            Event::ChannelEnded { worker } => {
                self.known(*worker).channel_ended = true;
                self.known(*worker).forfeit = true;
            }
            Event::LeaveRequested { worker } | Event::Misbehaved { worker, .. } => {
                self.known(*worker).forfeit = true;
            }
            Event::StoppedAccepting { worker } => {
                let known = self.known(*worker);
                let told = [WorkerWord::Draining, WorkerWord::Lingering, WorkerWord::Parked];
                if told.contains(&known.word) {
                    known.stopped_accepting = !known.forfeit;
                }
            }
            Event::MemberOpened { member, .. } => {
                self.given_up.remove(&member.listener);
                self.open.insert(*member);
            }
            Event::ReloadRequested { cause, request, listeners } => {
                self.causes.insert(*cause);
                self.pending.extend(request);
                self.may_change |= *listeners == Listeners::Changed && !self.stopping;
            }
            Event::ReadySaid { worker, how } => {
                let said = *how == self.spec.ready;
                self.known(*worker).said |= said;
            }
            Event::Probed { worker, ready, .. } => self.known(*worker).said |= *ready,
            Event::RollbackRequested { request, .. } => {
                self.causes.insert(Cause::Command);
                self.pending.extend(request);
            }
            Event::ReleaseResolved { generation, release } => {
                self.resolved(*generation, *release);
            }
            Event::AbortRequested { request }
            | Event::PauseRequested { request }
            | Event::ResumeRequested { request } => {
                self.pending.insert(*request);
            }
            Event::ScaleRequested { request, .. } => self.pending.extend(request),
            Event::StopRequested { request } => {
                self.pending.extend(request);
                self.stopping = true;
            }
            Event::StopNowRequested => self.stopping = true,
            Event::RequestDropped { request } => {
                self.pending.remove(request);
            }
            Event::MemoryMeasured { worker, rss_bytes } => self.has_memory(*worker, *rss_bytes),
            Event::RequestsReached { worker } => {
                self.due.insert(*worker);
            }
            Event::Tick
            | Event::Configured { .. }
            | Event::Spawned { .. }
            | Event::StartExtended { .. }
            | Event::AgentArrived { .. }
            | Event::WorkLeft { .. }
            | Event::Tallied { .. }
            | Event::Answered { .. }
            | Event::ConnectionCame
            | Event::Examined { .. }
            | Event::Drained { .. }
            | Event::MemberFailed { .. }
            | Event::SocketsInspected { .. }
            | Event::MemorySeen { .. }
            | Event::HookEnded { .. }
            | Event::QueuesEmptied => {}
        }
    }

    fn done(&mut self, action: &Action) {
        assert_eq!(self.exited, None, "{action:?} comes after the end");
        self.hooks.done(action);
        match action {
            Action::Spawn { worker, slot, generation } => {
                self.spawned(*worker, *slot, *generation);
            }
            Action::SignalStop { worker } => self.may_end(*worker, action),
            Action::Kill { worker } => {
                self.may_end(*worker, action);
                self.known(*worker).killed = true;
            }
            Action::Tally { worker, .. } | Action::Ping { worker } => {
                self.may_be_told(*worker, action);
            }
            Action::Share { slot, percent } => self.shared(*slot, *percent),
            Action::Park { worker } => {
                self.may_end(*worker, action);
                self.may_be_told(*worker, action);
                self.is_parked(*worker);
            }
            Action::Unpark { worker } => {
                self.may_be_told(*worker, action);
                self.is_called_back(*worker);
            }
            Action::Drain { worker, .. } => {
                self.may_be_let_go(*worker, action);
                self.may_end(*worker, action);
                self.may_be_told(*worker, action);
                self.known(*worker).drains = true;
            }
            Action::Disconnect { worker } => {
                self.may_end(*worker, action);
                self.may_be_told(*worker, action);
                self.known(*worker).disconnected = true;
            }
            Action::AllowLeave { worker } => self.known(*worker).allowed_to_leave = true,
            Action::CloseMember { member } => self.closed(*member),
            Action::Answer { worker, query, member, .. } => {
                assert!(self.open.contains(member), "{action:?} names a closed socket");
                self.answered(*worker, *query);
                self.may_be_told(*worker, action);
                self.may_be_answered(*worker);
            }
            Action::Refuse { worker, query, .. } => {
                self.answered(*worker, *query);
                self.may_be_told(*worker, action);
            }
            Action::Accept { member, on: true } => {
                assert!(self.open.contains(member), "{action:?} names a closed socket");
                assert!(self.accepting.insert(*member), "{action:?} is told twice");
            }
            Action::Accept { member, on: false } => {
                assert!(self.accepting.remove(member), "{action:?} is told twice");
            }
            Action::Eligible { worker, listener, on: true, .. } => {
                let known = self.known(*worker);
                let listens = known.listening.contains(listener) && !known.channel_ended;
                let said = known.said || known.was_ready;
                assert!(listens && !known.gone, "{action:?}, but it does not listen");
                assert!(said || !self.must_say(), "{action:?}, but it is not ready");
            }
            Action::Reply { request, .. } => {
                assert!(self.pending.remove(request), "{action:?} answers nobody");
            }
            Action::Tell(notice) => self.noticed(notice),
            Action::Exit { code } => {
                self.exited = Some(*code);
                let orphan = self.workers.iter().find(|(_, known)| !known.gone && !known.killed);
                let orphan = orphan.map(|(worker, _)| worker);
                assert_eq!(orphan, None, "the service ends before its worker");
            }
            Action::OpenMember { .. }
            | Action::ChangeSlot { .. }
            | Action::LookAtMemory
            | Action::Probe { .. }
            | Action::InspectSockets { .. }
            | Action::Eligible { on: false, .. }
            | Action::MeasureMemory { .. }
            | Action::WatchSockets
            | Action::Examine { .. }
            | Action::LimitRequests { .. }
            | Action::LameDuck { .. }
            | Action::EmptyQueues
            | Action::RunHook { .. }
            | Action::EndHook { .. }
            | Action::Progress { .. }
            | Action::Notify(_) => {}
        }
    }

    fn spawned(&mut self, worker: WorkerId, slot: Slot, generation: Generation) {
        assert!(!self.stopping, "{worker} is started although the service stops");
        assert!(slot.0 < self.wanted, "{worker} is started in slot {slot}, which has left");
        assert!(self.newest < Some(worker), "{worker} is used twice");
        self.newest = Some(worker);
        let was_ready = |slot: Slot| {
            self.workers.values().any(|known| {
                known.slot == slot && known.was_ready && known.generation >= generation
            })
        };
        if generation > self.completed {
            assert!(
                !self.hooks.forbid(slot.0, generation),
                "{worker} is started before its hook has ended"
            );
            let has_loaded = |slot: Slot| {
                let mut all = self.workers.values();
                all.any(|it| it.slot == slot && it.generation == generation && it.loaded)
            };
            // Slots that join where the old release is gone have the new one at once, and no turn.
            let joins = |slot: &Slot| self.joining.contains(slot);
            let comes = |slot: &Slot| !was_ready(*slot) && !has_loaded(*slot) && !joins(slot);
            let coming = (0..slot.0).map(Slot).filter(comes).count();
            let most = self.spec.surge.workers(self.wanted) as usize;
            assert!(coming < most, "{worker} is started in slot {slot} before its turn");
        }
        // Where the old code has been found gone, there is nothing else to start.
        let has_failed = self.failed_generations.contains(&generation) && !self.trials.found_gone;
        let failed = has_failed && !was_ready(slot);
        assert!(!failed, "generation {generation} has failed, and yet comes to slot {slot}");
        self.replacement_starts(worker, slot);
        let changes = self.changing == Some(generation)
            && !self.workers.values().any(|known| {
                let is_of_it = known.generation == generation && known.was_ready;
                known.slot == slot && is_of_it && !known.surplus
            });
        // Spare workers are started in any slot; whether they are promoted there is told.
        let may_be_spare = self.spec.standby > 0;
        let ended = self.ended.contains(&slot) && generation <= self.completed && !may_be_spare;
        assert!(!ended, "{worker} is started in slot {slot}, which has ended");
        let taken_back = self.taken_back(slot, generation);
        let restored = taken_back.is_some();
        let owes = taken_back.map(|newer| newer.owes.clone());
        let usual = || if changes { BTreeSet::new() } else { self.owed_in(slot) };
        let owes = owes.unwrap_or_else(usual);
        let known = Known {
            slot,
            generation,
            word: WorkerWord::Starting,
            gone: false,
            was_ready: false,
            loaded: false,
            turn: 0,
            ready_at: Duration::ZERO,
            served_since: None,
            parked_at: Duration::ZERO,
            parked_on: BTreeSet::new(),
            serves_on: false,
            said: false,
            returning: false,
            restored,
            held_until: None,
            was_quiet: false,
            renewed: false,
            surplus: false,
            listening: BTreeSet::new(),
            owes,
            channel_ended: false,
            stopped_accepting: false,
            forfeit: false,
            failed: false,
            drains: false,
            disconnected: false,
            killed: false,
            allowed_to_leave: false,
        };
        self.workers.insert(worker, known);
    }

    /// What its predecessor listened on; in a new slot, what all others do.
    fn owed_in(&self, slot: Slot) -> BTreeSet<ListenerId> {
        if !self.joining.contains(&slot) {
            return self.serves.get(&slot).cloned().unwrap_or_default();
        }
        let mut others = self.serves.values().filter(|serves| !serves.is_empty());
        let first = others.next().cloned().unwrap_or_default();
        others.fold(first, |common, serves| &common & serves)
    }

    /// Slots have been added, or are to go.
    fn scaled(&mut self, from: u32, to: u32) {
        assert_eq!(from, self.wanted);
        self.was_scaled = true;
        self.ended.clear();
        assert!((1..=Spec::MAX_SLOTS).contains(&to), "{to} workers are wanted");
        self.wanted = to;
        self.most = self.most.max(to);
        for slot in (from..to).map(Slot) {
            self.left.remove(&slot);
            self.joining.insert(slot);
        }
        for slot in (to..from).map(Slot) {
            self.left.insert(slot, self.now);
            self.joining.remove(&slot);
            self.serves.remove(&slot);
        }
        for known in self.workers.values_mut() {
            known.surplus |= known.slot.0 >= to;
        }
    }

    /// Who was ready is not ended before another is ready in its place.
    fn may_end(&mut self, worker: WorkerId, action: &Action) {
        let known = self.known(worker);
        let turn = known.turn;
        let (slot, free) = (known.slot, !known.was_ready || known.forfeit || known.surplus);
        let replaced = self
            .workers
            .values()
            .any(|other| other.slot == slot && other.was_ready && other.turn > turn);
        assert!(free || replaced || self.stopping, "{action:?}, but nobody has replaced it");
    }

    /// `disconnect` is the last thing that a worker is told, once.
    fn may_be_told(&mut self, worker: WorkerId, action: &Action) {
        let known = self.known(worker);
        assert!(!known.disconnected, "{action:?} comes after its disconnect");
        assert!(!known.allowed_to_leave, "{action:?}, but it leaves by itself");
        assert!(!known.channel_ended && !known.gone, "{action:?}, but nobody hears that");
    }

    fn answered(&mut self, worker: WorkerId, query: QueryId) {
        let asked = self.queries.insert(query, Asked::Answered);
        assert!(asked == Some(Asked::Open(worker)), "question {query} of {worker} is not open");
    }

    fn closed(&mut self, member: Member) {
        assert!(self.open.remove(&member), "{member:?} is closed but was not open");
        self.accepting.remove(&member);
        if self.stopping {
            return;
        }
        let served = self.serves.values().any(|serves| serves.contains(&member.listener));
        assert!(self.down || self.has_left(member) || !served, "{member:?} is closed but served");
        if self.down {
            self.given_up.insert(member.listener);
        }
        let user = self.workers.iter().find(|(_, known)| {
            let serves = known.word == WorkerWord::Ready && !known.channel_ended && !known.gone;
            serves && known.listening.contains(&member.listener)
        });
        let user = user.map(|(worker, _)| worker);
        if user.is_some() && self.is_over_for(member) {
            return;
        }
        assert_eq!(user, None, "{member:?} is closed although a ready worker listens on it");
    }

    /// Whether the socket's slot left so long ago that no handshake can end there any more.
    fn is_over_for(&self, member: Member) -> bool {
        let Seat::Slot(slot) = member.seat else { return false };
        let Some(left) = self.left.get(&slot) else { return false };
        let repeats: u64 = (0..=self.spec.synack_retries).map(|n| 1 << n).sum();
        let accepts = self.workers.values().any(|known| {
            let accepts = known.listening.contains(&member.listener) && !known.stopped_accepting;
            known.slot == slot && !known.gone && accepts
        });
        self.now >= *left + Duration::from_secs(repeats) && !accepts
    }

    fn noticed(&mut self, notice: &Notice) {
        match notice {
            Notice::WorkerReady { worker, .. } | Notice::WorkerReturned { worker, .. } => {
                self.became_ready(*worker);
            }
            Notice::WorkerLoaded { worker, .. } => self.known(*worker).loaded = true,
            Notice::SparePromoted { worker, slot } => {
                assert!(!self.ended.contains(slot), "slot {slot} has ended, and {worker} comes");
                let owes = self.owed_in(*slot);
                let known = self.known(*worker);
                assert!(known.loaded && !known.was_ready, "{worker} is no spare worker");
                (known.slot, known.owes) = (*slot, owes);
            }
            Notice::RolloutStarted { generation, cause, back_to } => {
                // A reload that waits beside a rollback comes later.
                let changes = back_to.is_none() && std::mem::take(&mut self.may_change);
                self.changing = changes.then_some(*generation);
                (self.was_scaled, self.is_tight, self.rolling) = (false, false, true);
                assert!(self.causes.contains(cause), "nobody wanted a rollout for {cause:?}");
                if back_to.is_none() {
                    self.causes.clear();
                }
                self.rollout_begins(*generation, *back_to);
            }
            Notice::MemoryTight { .. } => self.is_tight = true,
            Notice::FellBack { slot, from, to } => self.fell_back(*slot, *from, *to),
            Notice::HeldBack { worker, within, .. } => {
                let until = self.now + *within;
                self.known(*worker).held_until = Some(until);
            }
            Notice::RolloutHeld { paused, .. } => self.paused = *paused,
            Notice::RolloutUndone { .. } => {
                self.paused = false;
                self.rollout_is_undone();
            }
            Notice::RolloutEnded(report) => {
                (self.paused, self.rolling, self.changing) = (false, false, None);
                self.rollout_is_over();
                if report.outcome == Outcome::Succeeded {
                    self.completed = report.generation;
                    self.rollout_completed();
                } else {
                    self.failed_generations.insert(report.generation);
                }
            }
            Notice::WorkerRenewed { old, .. } => self.known(*old).renewed = true,
            Notice::Scaling { from, to } => self.scaled(*from, *to),
            Notice::Down { .. } => self.goes_down(),
            Notice::Up { .. } => {
                assert!(self.down, "it was not down");
                self.down = false;
            }
            Notice::FirstStartFailed { .. } | Notice::Stopping => self.stopping = true,
            Notice::Bug { what } => panic!("{what}"),
            Notice::WorkerDue { worker, slot, start: RenewalStart::Now, .. } => {
                self.may_renew(*worker, *slot);
            }
            Notice::WorkerFailed { slot, failure: Failure::EndedForGood { exit }, .. } => {
                let relevo_core::ExitHow::Code(code) = exit.how else { panic!("{notice:?}") };
                assert!(self.spec.final_exit_codes.contains(code), "{notice:?}");
                self.ended.insert(*slot);
            }
            Notice::AllEnded { ends, .. } => {
                assert_eq!(ends.len(), self.wanted as usize);
                assert!(ends.iter().all(|(slot, _)| self.ended.contains(slot)), "{notice:?}");
            }
            Notice::WorkerFailed { worker, failure, .. } => {
                // Whether it did is checked where that is known: `hangs.rs`.
                let hung = matches!(failure, Failure::Hung { .. });
                let known = self.known(*worker);
                (known.failed, known.forfeit) = (true, known.forfeit || hung);
            }
            Notice::WorkerPaused { .. }
            | Notice::HookFailed { .. }
            | Notice::HookLeftOut { .. }
            | Notice::WorkerLeft { .. }
            | Notice::StartExtended { .. }
            | Notice::DrainCut { .. }
            | Notice::Killing { .. }
            | Notice::WorkerLeaving { .. }
            | Notice::WorkerDue { .. }
            | Notice::RenewalFailed { .. }
            | Notice::RequestsNotCounted { .. }
            | Notice::Unprotected { .. }
            | Notice::BindFailed { .. }
            | Notice::ListenerOpened { .. }
            | Notice::ListenerClosed { .. }
            | Notice::ServiceReady { .. }
            | Notice::CanaryPassed { .. }
            | Notice::RolloutWaits { .. }
            | Notice::RolloutWaitsForDrain { .. }
            | Notice::ParkedTooLong { .. }
            | Notice::ScaleEnded(_)
            | Notice::NotScaled(_)
            | Notice::LeftBehind { .. } => {}
        }
    }

    /// Ready is who listens on all that its predecessor did, as far as that is still open.
    fn became_ready(&mut self, worker: WorkerId) {
        self.check_all_first(worker);
        self.turns += 1;
        let (turn, now) = (self.turns, self.now);
        let known = self.known(worker);
        (known.was_ready, known.returning) = (true, false);
        (known.turn, known.ready_at) = (turn, now);
        known.served_since.get_or_insert(now);
        let (slot, listening, owes) = (known.slot, known.listening.clone(), known.owes.clone());
        let (said, by_listening) = (known.said, self.spec.ready == ReadyWhen::Listening);
        assert!(said || !self.must_say(), "{worker} is ready but has not said so");
        assert!(!by_listening || !listening.is_empty(), "{worker} is ready but listens on nothing");
        let open = |listener: &&ListenerId| {
            let served = self.serves.values().any(|serves| serves.contains(*listener));
            let given_up = served && self.given_up.contains(*listener);
            given_up || self.open.iter().any(|m| m.listener == **listener)
        };
        let missing = owes.difference(&listening).find(open);
        assert_eq!(missing, None, "{worker} is ready but does not listen on this one");
        self.serves.insert(slot, listening);
        self.joining.remove(&slot);
        self.ended.remove(&slot);
    }

    /// Whether it takes more than to listen, or to run.
    fn must_say(&self) -> bool {
        match self.spec.ready {
            ReadyWhen::Message | ReadyWhen::Notify | ReadyWhen::Probe => true,
            ReadyWhen::Listening | ReadyWhen::Spawned => false,
        }
    }

    /// Looks at what is shown of the workers.
    fn seen(&mut self, view: View<'_>) {
        let shown: BTreeMap<WorkerId, WorkerWord> =
            view.slots().iter().flat_map(|slot| &slot.workers).map(|w| (w.id, w.word)).collect();
        for (worker, known) in &mut self.workers {
            match shown.get(worker) {
                Some(word) => {
                    self.served_on += u64::from(known.is_seen(*word, self.now));
                    known.was_quiet |= *word == WorkerWord::Lingering;
                }
                None => assert!(known.gone || self.exited.is_some(), "{worker} is forgotten"),
            }
        }
    }

    /// The next slot's turn comes when the old worker of the last accepts nothing more, or has no work
    /// left if it could not be parked.
    fn check_drains(&self, actions: &[Action]) {
        for action in actions {
            let Action::Spawn { slot, generation, .. } = action else { continue };
            if *generation <= self.completed {
                continue; // it is of no rollout
            }
            self.check_turn(action, *slot, *generation);
            let first_of_it = !self.workers.values().any(|known| {
                known.slot == *slot && known.generation == *generation && known.was_ready
            });
            let busy = self.workers.iter().find(|(_, known)| {
                known.slot.0 + 1 == slot.0
                    && known.generation < *generation
                    && known.was_ready
                    && !known.gone
                    && !known.forfeit
                    && !known.surplus
                    && !known.renewed
                    && !known.was_quiet
                    && self.is_in_the_way(known)
            });
            let in_turn = self.spec.surge.workers(self.wanted) == 1 && !self.spec.all_first;
            let busy = busy.map(|(worker, _)| worker).filter(|_| first_of_it && in_turn);
            assert_eq!(
                busy, None,
                "{action:?} does not wait for the old worker of the slot before"
            );
        }
    }

    fn check_counts(&self) {
        let shown = self.workers.values().filter(|known| !known.gone);
        let wanted = |known: &&Known| {
            matches!(known.word, WorkerWord::Starting | WorkerWord::Standby | WorkerWord::Ready)
        };
        let (slots, all) = (self.wanted as usize, shown.clone().count());
        let returning = shown.clone().filter(|known| known.returning || known.restored).count();
        let wanted = shown.filter(wanted).count();
        // Slots may have left since as many came as their number allowed.
        let surge = self.spec.surge.workers(self.most) as usize;
        let coming = if self.spec.all_first { slots } else { surge };
        let spare = self.spec.standby as usize;
        let most = slots + returning.max(coming) + spare;
        assert!(wanted <= most, "{wanted} workers start or serve, {most} may");
        // Four on their way out in each slot before another is started, and one rollout's.
        assert!(all <= 6 * self.most as usize + coming + spare, "{all} workers");
    }

    fn accepts(known: &Known) -> bool {
        let listens = !known.listening.is_empty() && !known.stopped_accepting;
        !known.gone && !known.channel_ended && (listens || known.word == WorkerWord::Ready)
    }

    /// Nobody has accepted for long enough.
    fn goes_down(&mut self) {
        assert!(!self.down && !self.stopping);
        self.down = true;
        let since = self.last_accepted.expect("the service was ready once");
        let waited = self.now - since;
        assert!(waited >= self.spec.hold, "it goes down after {waited:?}");
    }

    /// While nobody accepts, the listeners are open for a certain time, and closed then.
    fn check_outage(&mut self) {
        let ready = |known: &Known| known.word == WorkerWord::Ready && Self::accepts(known);
        if self.last_accepted.is_some() || self.workers.values().any(ready) {
            let accepted = self.workers.values().any(Self::accepts);
            self.accepted = accepted;
            let last = if accepted { self.now } else { self.last_accepted.unwrap_or(self.now) };
            self.last_accepted = Some(last);
            if !self.stopping && self.now - last >= self.spec.hold && !accepted {
                assert!(self.down, "nobody has accepted since {last:?}");
            }
            if self.down && !accepted && !self.stopping {
                // Who starts may have one, and who was ended in that state has not let go yet.
                let needs = [WorkerWord::Starting, WorkerWord::Stopping];
                let needs = |known: &Known| !known.gone && needs.contains(&known.word);
                let needed = self.workers.values().any(needs);
                assert!(needed || self.open.is_empty(), "{:?} are open for nobody", self.open);
            }
        }
        // A service that stops is called neither.
        let up = self.workers.values().any(ready) && !self.stopping;
        assert!(!self.down || !up, "it is up, and called down");
    }

    /// The primary accepts where nobody else does, and nowhere else.
    fn check_covering(&self) {
        for member in &self.open {
            let accepting = self.accepting.contains(member);
            let Seat::Slot(slot) = member.seat else {
                let deals = match (member.seat, self.spec.balance) {
                    (Seat::Front, _) | (_, Balance::RoundRobin | Balance::LeastConnections) => true,
                    // A slot alone needs no dealing, if it was alone when the socket was made.
                    (_, Balance::Auto) => self.most > 1 && accepting,
                    (_, Balance::Kernel | Balance::Shared) => false,
                };
                assert_eq!(accepting, deals, "{member:?}");
                continue;
            };
            let listening: Vec<&Known> = self
                .workers
                .values()
                .filter(|known| known.slot == slot && !known.gone && !known.channel_ended)
                .filter(|known| known.listening.contains(&member.listener))
                .collect();
            if listening.iter().all(|known| known.stopped_accepting) {
                assert!(accepting, "nobody accepts from {member:?}");
            }
            if listening.iter().any(|known| known.word == WorkerWord::Ready) {
                assert!(!accepting, "the primary accepts from {member:?} beside its worker");
            }
        }
    }

    pub(crate) fn known(&mut self, worker: WorkerId) -> &mut Known {
        self.workers.get_mut(&worker).unwrap_or_else(|| panic!("{worker} was never started"))
    }
}
