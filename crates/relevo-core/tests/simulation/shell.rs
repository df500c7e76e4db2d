//! What Relevo's shell and the kernel do: events come in, actions are performed.

use std::time::Duration;

use relevo_core::{
    Action, ConnectionId, DealerAction, DealerEvent, Event, Exit, ExitHow, Generation, ListenerId,
    Listeners, Member, Memory, NotTaken, Notice, Outcome, RenewalStart, RequestId, Scale,
    ScaleOutcome, SpawnStage, Spec, WorkerId,
};

use crate::process::{Character, Deed, Message, Process};
use crate::random::cause_of;
use crate::world::{Happening, World};

/// How many connections the dealer may have in flight to one worker.
const WINDOW: usize = 8;
/// The same of those that workers gave away.
const ARRIVALS: usize = 48;

impl World {
    pub(crate) fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Told(event) => self.told(&event),
            Happening::Heard(worker, event) => {
                if self.is_heard(worker) {
                    self.told(&event);
                }
            }
            Happening::Dealt(event) => self.dealt(event),
            Happening::Answered(worker, event) => self.answered(worker, event),
            Happening::Does(worker, deed) => self.does(worker, deed),
            Happening::Thaws(worker) => self.thaws(worker),
            Happening::Opens(member) => self.opens(member),
            Happening::Closes(member) => self.closes(member),
            Happening::Meddles => self.meddles(),
            Happening::Floods(listener) => self.floods(listener),
            Happening::Tries(member) => self.tries(member),
            Happening::Arrives => self.arrives(),
            Happening::Orders => self.orders(),
            Happening::ClockLeaps => {
                if self.unkind {
                    self.clock_leaps();
                }
            }
        }
    }

    /// Whether what comes from the worker's channel is read.
    fn is_heard(&mut self, worker: WorkerId) -> bool {
        let Some(process) = self.processes.get_mut(&worker) else { return true };
        process.agent.heard = self.now;
        process.heard
    }

    /// Tells the supervisor: once, twice, or, if the design can do without, not at all.
    pub(crate) fn told(&mut self, event: &Event) {
        if self.unkind && may_be_lost(event) && self.random.percent(10) {
            self.tally.lost_events += 1;
            return;
        }
        let twice = self.unkind && self.random.percent(5);
        if let Event::Exited { worker, .. } = event {
            self.reaped(*worker);
        }
        if twice {
            self.tally.doubled_events += 1;
            self.tell(event);
        }
        self.tell(event);
    }

    fn dealt(&mut self, event: DealerEvent) {
        let twice = self.unkind && self.random.percent(5);
        if twice && may_be_doubled(&event) {
            self.deal(event.clone());
        }
        self.deal(event);
    }

    /// A worker's process is gone: what its channel still held is read, or not.
    fn reaped(&mut self, worker: WorkerId) {
        if self.random.percent(50)
            && let Some(process) = self.processes.get_mut(&worker)
        {
            process.heard = false;
        }
        self.gone(worker);
    }

    fn gone(&mut self, worker: WorkerId) {
        let Some(process) = self.processes.get_mut(&worker) else { return };
        if !std::mem::replace(&mut process.dealer_knows, true) {
            self.books.all_landed(worker);
            self.dealt(DealerEvent::Gone { worker });
        }
    }

    /// A worker's answer about a connection arrives, if its channel is still read.
    fn answered(&mut self, worker: WorkerId, event: DealerEvent) {
        if event == (DealerEvent::Gone { worker }) {
            return self.gone(worker);
        }
        if let DealerEvent::HandedOver { connection, .. } = &event {
            // What is not read any more is closed with the channel.
            let read = self.processes.get(&worker).is_some_and(|process| !process.dealer_knows);
            self.books.received(*connection, read);
        }
        if self.processes.get(&worker).is_none_or(|process| process.dealer_knows) {
            return;
        }
        self.process(worker).agent.heard = self.now;
        if let DealerEvent::Placed { connection } | DealerEvent::NotTaken { connection, .. } = event
        {
            self.books.landed(connection);
        }
        self.dealt(event);
    }

    pub(crate) fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn { worker, generation, .. } => {
                self.tally.restored += u64::from(self.rules.known(worker).restored);
                self.spawns(worker, generation);
            }
            Action::SignalStop { worker } => {
                self.soon(5, Happening::Does(worker, Deed::Signalled));
            }
            Action::Kill { worker } => self.soon(5, Happening::Does(worker, Deed::Dies(9))),
            Action::OpenMember { member, .. } => self.in_turn(20, Happening::Opens(member)),
            Action::CloseMember { member } => {
                self.tally.retired_closed += u64::from(self.rules.has_left(member));
                self.in_turn(0, Happening::Closes(member));
            }
            Action::Answer { worker, query, member, given } => {
                self.tally.answers += 1;
                self.send(worker, Message::Answered(query, member, given));
            }
            Action::Refuse { worker, query, .. } => {
                self.tally.refusals += 1;
                self.send(worker, Message::Refused(query));
            }
            Action::Probe { worker, .. } => self.probes(worker),
            Action::InspectSockets { worker } => {
                let inspected = Event::SocketsInspected { worker, unprotected: Vec::new() };
                self.soon(50, Happening::Told(inspected));
            }
            Action::Accept { member, on } => self.order(DealerEvent::Accept { member, on }),
            Action::Eligible { worker, slot, generation, listener, on } => {
                self.order(DealerEvent::Eligible { worker, slot, generation, listener, on });
            }
            Action::MeasureMemory { worker } => self.measures(worker),
            Action::Ping { worker } => self.send(worker, Message::Ping),
            Action::WatchSockets => self.watches_sockets(),
            Action::Examine { worker, .. } => self.is_examined(worker),
            Action::LimitRequests { worker, .. } => self.send(worker, Message::LimitRequests),
            // Its connections end one by one, which the simulation's clients do anyway.
            Action::LameDuck { .. } => {}
            Action::EmptyQueues => {
                let members = self.sockets.iter().copied().collect();
                self.order(DealerEvent::EmptyQueues { members });
            }
            Action::Tally { worker, on } => {
                self.tally.tallies_asked += 1;
                self.send(worker, Message::Tally(on));
            }
            Action::Share { slot, percent } => {
                self.tally.shares += u64::from(percent.is_some());
                self.order(DealerEvent::Share { slot, percent });
            }
            Action::Park { worker } => {
                self.tally.parked += 1;
                self.send(worker, Message::Park);
            }
            Action::Unpark { worker } => {
                self.tally.called_back += 1;
                self.send(worker, Message::Unpark);
            }
            Action::Drain { worker, .. } => {
                self.tally.drains += 1;
                self.send(worker, Message::Drain);
            }
            Action::Disconnect { worker } => self.send(worker, Message::Disconnect),
            Action::AllowLeave { worker } => self.send(worker, Message::AllowedToLeave),
            Action::RunHook { hook, kind, .. } => self.runs_hook(hook, kind),
            Action::EndHook { .. } => self.tally.hooks_ended += 1,
            Action::Reply { answer, .. } => {
                let refused = matches!(answer, relevo_core::Answer::Refused(_));
                self.tally.requests_refused += u64::from(refused);
            }
            Action::Tell(notice) => self.counts(&notice),
            Action::Exit { .. } => {
                for member in self.sockets.clone() {
                    self.in_turn(0, Happening::Closes(member));
                }
            }
            Action::LookAtMemory => self.looks_at_memory(),
            Action::ChangeSlot { .. } | Action::Progress { .. } | Action::Notify(_) => {}
        }
    }

    /// What comes of it at once is the dealer's next event.
    pub(crate) fn perform_dealing(&mut self, action: DealerAction) -> Option<DealerEvent> {
        match action {
            DealerAction::Watch { member, on: true } => {
                self.watched.insert(member);
                self.readable(member);
            }
            DealerAction::Watch { member, on: false } => {
                self.watched.remove(&member);
            }
            DealerAction::Try { member } => {
                let millis = if self.flooded { 0 } else { 2 };
                self.soon(millis, Happening::Tries(member));
            }
            DealerAction::Give { connection, worker, listener } => {
                self.gives(connection, worker, listener);
            }
            DealerAction::Release { connection, worker } => {
                assert!(!self.books.is_with_another(connection, worker), "{worker} has it not");
                if let Some(donor) = self.books.donor_of(connection) {
                    self.send(donor, Message::Taken(connection));
                }
                let lost = self.books.released(connection).is_some();
                self.tally.lost_with_their_worker += u64::from(lost);
            }
            DealerAction::Lose { connection } => {
                let listener = self.books.listener_of(connection);
                let open = self.sockets.iter().any(|member| member.listener == listener);
                let open = open && !self.books.is_of_closed(connection);
                let unasked = self.books.donor_of(connection).is_some();
                assert!(!open || unasked, "{connection} is lost although its listener is open");
                self.books.lost(connection);
                self.tally.lost_with_their_listener += 1;
            }
            DealerAction::QueuesEmptied => self.soon(5, Happening::Told(Event::QueuesEmptied)),
            DealerAction::Credit { worker, listener, count } => {
                self.tally.credits += 1;
                self.send(worker, Message::Credit(listener, count));
            }
            DealerAction::GiveBack { connection, worker } => {
                assert_eq!(self.books.donor_of(connection), Some(worker));
                self.books.given_back(connection);
                self.send(worker, Message::Back(connection));
            }
            DealerAction::Count { worker } => self.send(worker, Message::Count),
            DealerAction::Tell(notice) => self.tells(&notice),
            DealerAction::Mend { member } => {
                self.tally.mended += 1;
                self.kernel.listens(member);
            }
            DealerAction::Steer { listener, weights } => {
                return Some(self.steers(listener, weights));
            }
            DealerAction::Look { listener, strangers } => {
                return Some(self.looks(listener, strangers));
            }
        }
        None
    }

    /// An order to the dealer.
    fn order(&mut self, event: DealerEvent) {
        self.in_turn(0, Happening::Dealt(event));
    }

    /// An order to the thread that has the sockets and the dealer, which takes so many milliseconds
    /// at most: none overtakes another.
    fn in_turn(&mut self, millis: u64, happening: Happening) {
        let lag = self.lag() + millis;
        let at = (self.now + self.random.millis(lag)).max(self.last_order);
        self.last_order = at;
        self.at(at, happening);
    }

    fn looks_at_memory(&mut self) {
        let is_tight = self.unkind && self.random.percent(10);
        let stalled = if is_tight { Some(1000) } else { None };
        let memory = Memory { stalled, ..Memory::default() };
        self.soon(5, Happening::Told(Event::MemorySeen { memory }));
    }

    fn spawns(&mut self, worker: WorkerId, generation: Generation) {
        self.tally.spawns += 1;
        if self.is_deleted(generation) {
            self.tally.releases_gone += 1;
            let failed = Event::SpawnFailed { worker, stage: SpawnStage::Release, errno: 2 };
            return self.soon(5, Happening::Told(failed));
        }
        if self.unkind && self.random.percent(5) {
            let failed = Event::SpawnFailed { worker, stage: SpawnStage::Exec, errno: 2 };
            return self.soon(50, Happening::Told(failed));
        }
        let (agent, ports) = (self.spec.agent, self.ports.len());
        let character = if self.unkind {
            Character::any(agent, ports, &mut self.random)
        } else {
            Character::kind(agent, &mut self.random)
        };
        let boots = self.now + character.boots_after + Duration::from_millis(1);
        for (after, misdeed) in &character.misdeeds {
            let at = boots + *after;
            let number = self.number();
            self.agenda.insert((at, number), Happening::Does(worker, Deed::Misdeed(*misdeed)));
        }
        self.processes.insert(worker, Process::new(character));
        self.says(worker, Event::Spawned { worker, pid: 1000 + worker.0 as u32 });
        self.at(boots, Happening::Does(worker, Deed::Boots));
    }

    /// It is asked whether it is ready.
    fn probes(&mut self, worker: WorkerId) {
        self.tally.probes += 1;
        if self.processes.get(&worker).is_some_and(|process| process.hung) {
            return; // until it is given up
        }
        let ready = !self.unkind || self.random.percent(60);
        let answer = if ready { "answered 200" } else { "answered 503" }.to_owned();
        self.soon(30, Happening::Told(Event::Probed { worker, ready, answer }));
    }

    fn opens(&mut self, member: Member) {
        if self.rules.exited.is_some() {
            return;
        }
        let failed = self.unkind && self.random.percent(10);
        let event = if failed {
            self.tally.members_failed += 1;
            Event::MemberFailed { member, errno: 98, holder: None }
        } else {
            self.tally.members_opened += 1;
            self.joins(member);
            Event::MemberOpened { member, address: format!("{member}") }
        };
        self.soon(5, Happening::Told(event));
    }

    fn closes(&mut self, member: Member) {
        if self.sockets.remove(&member) {
            self.tally.members_closed += 1;
            self.tally.lost_with_their_listener += self.books.socket_closes(member) as u64;
            self.watched.remove(&member);
            let others = self.sockets.iter().any(|other| other.listener == member.listener);
            if !others {
                self.books.listener_closes(member.listener);
            }
            self.kernel.closes(member);
            self.dealt(if others {
                DealerEvent::Retired { member }
            } else {
                DealerEvent::Closed { member }
            });
        }
    }

    /// A client connects: the kernel chooses among the sockets of a listener.
    fn arrives(&mut self) {
        let burst = if self.random.percent(4) { 40 } else { 1 + self.random.below(3) };
        let listeners: Vec<ListenerId> = self.sockets.iter().map(|m| m.listener).collect();
        for _ in 0..burst {
            let Some(listener) = self.random.pick(&listeners) else { break };
            self.connects(listener);
        }
        let often = if self.brisk { 50 } else { 1500 };
        self.soon(often, Happening::Arrives);
    }

    pub(crate) fn connects(&mut self, listener: ListenerId) {
        let Some(member) = self.chooses(listener) else { return };
        let connection = self.connection();
        self.tally.connections += 1;
        self.books.arrives(connection, member);
        self.stirred();
        self.readable(member);
        for worker in self.acceptors(member) {
            self.soon(3, Happening::Does(worker, Deed::Accepts(member.listener)));
        }
    }

    /// Who accepts from this socket by itself.
    pub(crate) fn acceptors(&self, member: Member) -> Vec<WorkerId> {
        self.processes
            .iter()
            .filter(|(_, process)| process.accepts_on(member.listener))
            .filter(|(_, process)| {
                let door = process.listens[&member.listener];
                door.member == member && door.given == relevo_core::Given::Socket
            })
            .map(|(worker, _)| *worker)
            .collect()
    }

    pub(crate) fn readable(&mut self, member: Member) {
        let shut = self.kernel.is_shut(member);
        if self.watched.contains(&member) && (shut || self.books.waiting_in(member) > 0) {
            self.soon(1, Happening::Dealt(DealerEvent::Readable { member }));
        }
    }

    fn tries(&mut self, member: Member) {
        if self.kernel.is_tried(member) || self.unkind && self.random.percent(2) {
            self.tally.accepts_failed += 1;
            self.deal(DealerEvent::AcceptFailed { member });
            return self.readable(member);
        }
        let event = match self.books.primary_accepts(member) {
            Some(connection) => {
                self.tally.rescued += u64::from(self.is_blocked(member));
                DealerEvent::Accepted { connection, member }
            }
            None => DealerEvent::NothingThere { member },
        };
        self.deal(event);
        self.readable(member);
    }

    fn gives(&mut self, connection: ConnectionId, worker: WorkerId, listener: ListenerId) {
        self.tally.dealt += 1;
        let window = if self.books.donor_of(connection).is_some() { ARRIVALS } else { WINDOW };
        let again = self.books.given(connection, worker, window);
        self.tally.dealt_again += u64::from(again);
        let reachable = self.processes.get(&worker).is_some_and(|p| !p.dealer_knows);
        if reachable {
            self.send(worker, Message::Connection(connection, listener));
        } else {
            let unsent = DealerEvent::NotTaken { connection, why: NotTaken::Unsent };
            self.books.landed(connection);
            let at = self.now;
            self.at(at, Happening::Dealt(unsent));
        }
    }

    /// Times that somebody may write into a configuration; none longer than those that this world
    /// waits for.
    pub(crate) fn other_times(&mut self) -> Spec {
        let mut part = |time: Duration| time.mul_f64(self.random.below(100) as f64 / 100.0);
        Spec {
            // Enough for a worker that is well, as in every world.
            ready_timeout: part(self.spec.ready_timeout).max(Duration::from_secs(2)),
            drain_timeout: part(self.spec.drain_timeout),
            linger: part(self.spec.linger),
            stop_timeout: part(self.spec.stop_timeout),
            ..self.spec.clone()
        }
    }

    /// Somebody wants something of the service.
    fn orders(&mut self) {
        if !self.unkind {
            return;
        }
        let request = self.random.percent(70).then(|| self.request());
        match self.random.below(100) {
            0..2 => self.told(&Event::StopRequested { request }),
            2..3 => {
                self.tally.stopped_at_once += 1;
                self.told(&Event::StopNowRequested);
            }
            3..35 => {
                let scale = self.any_scale();
                let wait = self.random.percent(80);
                self.told(&Event::ScaleRequested { scale, wait, request });
            }
            35..43 => {
                let request = self.request();
                self.told(&Event::AbortRequested { request });
            }
            43..48 => {
                let request = self.request();
                self.told(&Event::PauseRequested { request });
            }
            48..56 => {
                let request = self.request();
                self.told(&Event::ResumeRequested { request });
            }
            56..59 => self.deletes(),
            59..70 => self.rolls_back(),
            70..76 => {
                let spec = Box::new(self.other_times());
                self.told(&Event::Configured { spec });
                self.told(&wanted(request, Listeners::Same));
            }
            76..83 => self.told(&wanted(request, Listeners::Changed)),
            _ => self.told(&wanted(request, Listeners::Same)),
        }
        if let Some(request) = request.filter(|_| self.random.percent(20)) {
            self.soon(3000, Happening::Told(Event::RequestDropped { request }));
        }
        let often = if self.random.percent(30) { 300 } else { 15_000 };
        self.soon(often, Happening::Orders);
    }

    /// Mostly a number that a service can have.
    fn any_scale(&mut self) -> Scale {
        match self.random.below(10) {
            0..5 => Scale::To(1 + self.random.below(5) as u32),
            5..9 => Scale::By(self.random.below(5) as i32 - 2),
            _ => Scale::To(self.random.below(2) as u32 * 2000),
        }
    }

    /// The machine slept, or stood still: everything that was to happen meanwhile is late.
    pub(crate) fn clock_leaps(&mut self) {
        self.tally.clock_leaps += 1;
        self.now += self.random.millis(40_000);
    }

    pub(crate) fn send(&mut self, worker: WorkerId, message: Message) {
        let lag = self.lag();
        if let Some(process) = self.processes.get_mut(&worker)
            && process.alive
        {
            process.inbox.push_back(message);
            self.soon(lag, Happening::Does(worker, Deed::Receives));
        }
    }

    fn counts(&mut self, notice: &Notice) {
        if let Notice::RolloutStarted { generation, back_to, .. } = notice {
            self.tally.rollbacks += u64::from(back_to.is_some());
            self.resolves(*generation, *back_to);
        }
        let tally = &mut self.tally;
        match notice {
            Notice::FellBack { .. } => tally.fell_back += 1,
            Notice::HeldBack { .. } => tally.held_back += 1,
            Notice::WorkerReady { .. } => tally.ready += 1,
            Notice::WorkerLoaded { .. } => tally.loaded += 1,
            Notice::SparePromoted { .. } => tally.promoted += 1,
            Notice::MemoryTight { .. } => tally.memory_tight += 1,
            Notice::StartExtended { .. } => tally.starts_extended += 1,
            Notice::FirstStartFailed { .. } => tally.first_starts_failed += 1,
            Notice::RolloutWaits { .. } => tally.rollouts_waited += 1,
            Notice::DrainCut { .. } => tally.drains_cut += 1,
            Notice::Killing { .. } => tally.killed_for_not_going += 1,
            Notice::WorkerLeaving { .. } => tally.asked_to_leave += 1,
            Notice::RolloutEnded(report) => match report.outcome {
                Outcome::Succeeded => tally.rollouts_succeeded += 1,
                Outcome::Failed { .. } => {
                    tally.rollouts_failed += 1;
                    tally.rollouts_taken_back += u64::from(report.is_taken_back());
                }
                Outcome::HookFailed { .. } => tally.rollouts_refused_by_hooks += 1,
                Outcome::Aborted => tally.rollouts_aborted += 1,
                Outcome::Stopped => tally.rollouts_stopped += 1,
            },
            Notice::RolloutUndone { why: Outcome::Failed { failure, .. }, .. } => {
                let hung_up = matches!(failure, relevo_core::Failure::HungUp { .. });
                tally.hung_up += u64::from(hung_up);
                if let relevo_core::Failure::Canary { conclusive, .. } = failure {
                    tally.canaries_failed += u64::from(*conclusive);
                    tally.canaries_inconclusive += u64::from(!conclusive);
                }
            }
            Notice::CanaryPassed { conclusive: true, .. } => tally.canaries_passed += 1,
            Notice::CanaryPassed { .. } => tally.canaries_passed_over += 1,
            Notice::RolloutHeld { paused: true, .. } => tally.paused += 1,
            Notice::RolloutHeld { paused: false, .. } => tally.resumed += 1,
            Notice::WorkerReturned { .. } => tally.returned += 1,
            Notice::Down { .. } => tally.went_down += 1,
            Notice::Up { .. } => tally.came_up += 1,
            Notice::Scaling { from, to } if from < to => tally.scaled_up += 1,
            Notice::Scaling { .. } => tally.scaled_down += 1,
            Notice::ScaleEnded(report) => match report.outcome {
                ScaleOutcome::Accepted => {}
                ScaleOutcome::Done => tally.scalings_done += 1,
                ScaleOutcome::Failed { .. } => tally.scalings_failed += 1,
                ScaleOutcome::Superseded { .. } => tally.scalings_superseded += 1,
                ScaleOutcome::Aborted => tally.scalings_aborted += 1,
            },
            Notice::WorkerFailed { worker, failure, .. } => match failure {
                relevo_core::Failure::Exited { .. } => tally.exits += 1,
                relevo_core::Failure::EndedForGood { .. } => tally.ended_for_good += 1,
                relevo_core::Failure::SpawnFailed { .. } => tally.spawns_failed += 1,
                relevo_core::Failure::NotReady { .. } => tally.not_ready_in_time += 1,
                relevo_core::Failure::AskedToLeave => tally.asked_to_leave_too_early += 1,
                relevo_core::Failure::ChannelLost => tally.channels_lost += 1,
                relevo_core::Failure::HungUp { .. } | relevo_core::Failure::Canary { .. } => {}
                relevo_core::Failure::HeldTooLong => tally.ended_as_holders += 1,
                relevo_core::Failure::Hung { silent, .. } => {
                    self.ended_for_hanging(*worker, *silent);
                }
                relevo_core::Failure::Misbehaved { .. } => tally.misbehaved += 1,
            },
            Notice::WorkerDue { start: RenewalStart::Now, .. } => tally.due_at_once += 1,
            Notice::WorkerDue { .. } => tally.due_later += 1,
            Notice::WorkerRenewed { .. } => tally.renewed += 1,
            Notice::RenewalFailed { .. } => tally.renewals_failed += 1,
            Notice::RequestsNotCounted { .. } => tally.not_counted += 1,
            Notice::HookFailed { .. } => tally.hooks_failed += 1,
            Notice::HookLeftOut { .. } => tally.hooks_left_out += 1,
            Notice::AllEnded { .. } => tally.all_ended += 1,
            Notice::WorkerPaused { .. } => tally.told_paused += 1,
            Notice::WorkerLeft { .. }
            | Notice::Unprotected { .. }
            | Notice::BindFailed { .. }
            | Notice::ListenerOpened { .. }
            | Notice::ListenerClosed { .. }
            | Notice::ServiceReady { .. }
            | Notice::RolloutStarted { .. }
            | Notice::RolloutWaitsForDrain { .. }
            | Notice::RolloutUndone { .. }
            | Notice::ParkedTooLong { .. }
            | Notice::NotScaled(_)
            | Notice::Stopping
            | Notice::LeftBehind { .. }
            | Notice::Bug { .. } => {}
        }
    }
}

/// A wish for a rollout.
pub(crate) fn wanted(request: Option<RequestId>, listeners: Listeners) -> Event {
    Event::ReloadRequested { cause: cause_of(request), request, listeners }
}

/// The events that the design can do without.
fn may_be_lost(event: &Event) -> bool {
    matches!(
        event,
        Event::AgentArrived { .. }
            | Event::ReleaseResolved { .. }
            | Event::WorkLeft { .. }
            | Event::StoppedAccepting { .. }
            | Event::Drained { .. }
            | Event::Tallied { .. }
            | Event::ConnectionCame
            | Event::Examined { .. }
            | Event::SocketsInspected { .. }
            | Event::MemorySeen { .. }
            | Event::MemoryMeasured { .. }
            | Event::RequestsReached { .. }
            | Event::Probed { .. }
            | Event::QueuesEmptied
            | Event::RequestDropped { .. }
    )
}

/// An answer about a connection does not say whose it is: the shell gives each once.
fn may_be_doubled(event: &DealerEvent) -> bool {
    !matches!(
        event,
        DealerEvent::Accepted { .. }
            | DealerEvent::NotTaken { .. }
            | DealerEvent::HandedOver { .. }
    )
}

pub(crate) fn exit(code: i32) -> Exit {
    let how = if code > 1 { ExitHow::Signal(code) } else { ExitHow::Code(code) };
    Exit { how, out_of_memory: code == 9 }
}
