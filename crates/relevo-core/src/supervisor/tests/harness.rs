//! A service whose workers do what a test says, and whose actions read as lines of text.

use std::time::Duration;

use crate::{
    Action, Answer, Balance, Cause, Event, Exit, ExitCodes, ExitHow, Generation, Given, HookSpec,
    Kind, Left, Limits, ListenerId, Listeners, Member, Memory, Moved, Notice, Outcome, QueryId,
    ReadyWhen, ReleaseId, RequestId, Scale, ScaleOutcome, Seat, Spec, Step, Supervisor, Surge,
    Time, Wish, WorkerId,
};

/// A supervisor and the world's side of it. Workers are named by their number.
pub(super) struct Service {
    pub(super) supervisor: Supervisor,
    pub(super) now: Time,
    queries: u64,
    /// What is seen whenever memory is looked at.
    pub(super) memory: Memory,
}

pub(super) fn spec(slots: u32) -> Spec {
    Spec {
        slots,
        balance: Balance::Kernel,
        agent: true,
        ready: ReadyWhen::Listening,
        ready_timeout: secs(30),
        probation: secs(0),
        canary: None,
        canary_share: None,
        surge: Surge::Workers(1),
        all_first: false,
        standby: 0,
        drain_timeout: secs(60),
        linger: secs(90),
        shutdown_timeout: secs(20),
        lame_duck: Duration::ZERO,
        stop_timeout: secs(5),
        keep_trying: false,
        final_exit_codes: ExitCodes::default(),
        hooks: HookSpec::default(),
        hold: secs(3600 * 24),
        limits: Limits::default(),
        hang_timeout: None,
        synack_retries: 5,
    }
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) fn tcp(port: u16) -> Wish {
    Wish { address: format!(":::{port}"), kind: Kind::Tcp, index: None }
}

pub(super) fn code(code: i32) -> Exit {
    Exit { how: ExitHow::Code(code), out_of_memory: false }
}

/// The first listener's socket for a slot.
pub(super) fn seat(listener: u32, slot: u32) -> Member {
    Member { listener: ListenerId(listener), seat: Seat::Slot(crate::Slot(slot)) }
}

pub(super) fn common(listener: u32) -> Member {
    Member { listener: ListenerId(listener), seat: Seat::Common }
}

impl Service {
    /// Whose workers have just been started.
    pub(super) fn started(spec: Spec) -> Self {
        let now = Time::from_origin(secs(1000));
        let mut service = Self {
            supervisor: Supervisor::new(spec, now, 1),
            now,
            queries: 0,
            memory: Memory::default(),
        };
        let _spawns = service.happens(Event::Tick);
        service
    }

    /// Whose workers 1..=N are ready on port 3000, in the slots 0..N.
    pub(super) fn running(spec: Spec) -> Self {
        let slots = u64::from(spec.slots);
        let mut service = Self::started(spec);
        for worker in 1..=slots {
            let _ready = service.ready(worker);
        }
        service
    }

    /// Tells the supervisor; afterwards nothing may be left over for an event that may not come.
    pub(super) fn happens(&mut self, event: Event) -> Vec<Action> {
        let mut actions = self.supervisor.handle(self.now, event);
        while let Some(at) = actions.iter().position(|it| *it == Action::LookAtMemory) {
            let _looked = actions.remove(at);
            let seen = Event::MemorySeen { memory: self.memory };
            actions.extend(self.supervisor.handle(self.now, seen));
        }
        let more = self.supervisor.handle(self.now, Event::Tick);
        assert_eq!(more, [], "done only by the next event, after {}", lines(&actions).join(", "));
        if let Some(deadline) = self.supervisor.deadline() {
            assert!(deadline.at > self.now, "{deadline:?} is not after {}", self.now);
        }
        actions
    }

    /// Lets time pass.
    pub(super) fn after(&mut self, duration: Duration) -> Vec<Action> {
        self.now = self.now + duration;
        self.happens(Event::Tick)
    }

    /// In how long the supervisor wants to be woken.
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.supervisor.deadline().map(|deadline| deadline.at.since(self.now))
    }

    pub(super) fn spawned(&mut self, worker: u64) -> Vec<Action> {
        self.happens(Event::Spawned { worker: WorkerId(worker), pid: 100 + worker as u32 })
    }

    pub(super) fn agent(&mut self, worker: u64) -> Vec<Action> {
        self.happens(Event::AgentArrived { worker: WorkerId(worker) })
    }

    /// The worker asks to listen.
    pub(super) fn asks(&mut self, worker: u64, wish: Wish) -> Vec<Action> {
        self.queries += 1;
        let query = QueryId(self.queries);
        self.happens(Event::ListenRequested { worker: WorkerId(worker), query, wish })
    }

    pub(super) fn opens(&mut self, member: Member) -> Vec<Action> {
        let address = format!("{member}");
        self.happens(Event::MemberOpened { member, address })
    }

    pub(super) fn open_fails(&mut self, member: Member, errno: i32) -> Vec<Action> {
        self.happens(Event::MemberFailed { member, errno, holder: None })
    }

    pub(super) fn listening(&mut self, worker: u64, listener: u32) -> Vec<Action> {
        let listener = ListenerId(listener);
        self.happens(Event::Listening { worker: WorkerId(worker), listener })
    }

    pub(super) fn closes(&mut self, worker: u64, listener: u32) -> Vec<Action> {
        let listener = ListenerId(listener);
        self.happens(Event::ListenerClosed { worker: WorkerId(worker), listener })
    }

    /// The worker asks to listen, its socket is opened if there is none, and it listens.
    pub(super) fn listens(&mut self, worker: u64, wish: Wish) -> Vec<Action> {
        let mut actions = self.asks(worker, wish);
        if let Some(member) = actions.iter().find_map(opened_by) {
            actions = self.opens(member);
        }
        let answered = actions.iter().find_map(|action| {
            if let Action::Answer { member, .. } = action { Some(member.listener.0) } else { None }
        });
        self.listening(worker, answered.expect("the request is answered"))
    }

    /// The worker is there, has an agent, and listens on port 3000.
    pub(super) fn ready(&mut self, worker: u64) -> Vec<Action> {
        let _nothing = self.spawned(worker);
        let _nothing = self.agent(worker);
        self.listens(worker, tcp(3000))
    }

    /// The new worker is ready, and the old one, which is parked, accepts nothing more: in the last
    /// slot, without a probation, it is let go then.
    pub(super) fn replaces(&mut self, new: u64, old: u64) -> Vec<Action> {
        let mut actions = self.ready(new);
        actions.extend(self.stops_accepting(old));
        actions
    }

    pub(super) fn exits(&mut self, worker: u64, exit: Exit) -> Vec<Action> {
        self.happens(Event::Exited { worker: WorkerId(worker), exit })
    }

    pub(super) fn channel_ends(&mut self, worker: u64) -> Vec<Action> {
        self.happens(Event::ChannelEnded { worker: WorkerId(worker) })
    }

    pub(super) fn asks_to_leave(&mut self, worker: u64) -> Vec<Action> {
        self.happens(Event::LeaveRequested { worker: WorkerId(worker) })
    }

    pub(super) fn stops_accepting(&mut self, worker: u64) -> Vec<Action> {
        self.happens(Event::StoppedAccepting { worker: WorkerId(worker) })
    }

    pub(super) fn has_left(&mut self, worker: u64, left: Left) -> Vec<Action> {
        let moved = Moved::default();
        self.happens(Event::WorkLeft { worker: WorkerId(worker), left, moved })
    }

    pub(super) fn drained(&mut self, worker: u64) -> Vec<Action> {
        self.happens(Event::Drained { worker: WorkerId(worker) })
    }

    pub(super) fn reload(&mut self, request: impl Into<Option<u64>>) -> Vec<Action> {
        self.reload_to(request, Listeners::Same)
    }

    /// The same, where what the service listens on may change.
    pub(super) fn reload_to(
        &mut self,
        request: impl Into<Option<u64>>,
        listeners: Listeners,
    ) -> Vec<Action> {
        let request = request.into().map(RequestId);
        self.happens(Event::ReloadRequested { cause: Cause::Command, request, listeners })
    }

    /// What these generations were loaded from: the first from the first, and so on.
    pub(super) fn releases(&mut self, releases: &[u64]) {
        for (number, release) in (1..).zip(releases) {
            self.release(number, *release);
        }
    }

    pub(super) fn release(&mut self, generation: u64, release: u64) {
        let (generation, release) = (Generation(generation), ReleaseId(release));
        check(&self.happens(Event::ReleaseResolved { generation, release }), "");
    }

    pub(super) fn roll_back(&mut self, to: u64, request: u64) -> Vec<Action> {
        let (to, request) = (Generation(to), Some(RequestId(request)));
        self.happens(Event::RollbackRequested { to, spec: Box::new(spec(1)), request })
    }

    pub(super) fn abort(&mut self, request: u64) -> Vec<Action> {
        self.happens(Event::AbortRequested { request: RequestId(request) })
    }

    pub(super) fn pause(&mut self, request: u64) -> Vec<Action> {
        self.happens(Event::PauseRequested { request: RequestId(request) })
    }

    pub(super) fn resume(&mut self, request: u64) -> Vec<Action> {
        self.happens(Event::ResumeRequested { request: RequestId(request) })
    }

    /// A parked worker that has been called back listens again.
    pub(super) fn returns(&mut self, worker: u64) -> Vec<Action> {
        self.listens(worker, tcp(3000))
    }

    pub(super) fn scale(&mut self, scale: Scale, request: impl Into<Option<u64>>) -> Vec<Action> {
        let request = request.into().map(RequestId);
        self.happens(Event::ScaleRequested { scale, wait: true, request })
    }

    pub(super) fn stop(&mut self, request: impl Into<Option<u64>>) -> Vec<Action> {
        self.happens(Event::StopRequested { request: request.into().map(RequestId) })
    }
}

/// The socket that an action opens.
pub(super) fn opened_by(action: &Action) -> Option<Member> {
    if let Action::OpenMember { member, .. } = action { Some(*member) } else { None }
}

/// Compares what is done (what is only told is left out) with one line for each action.
#[track_caller]
pub(super) fn check(actions: &[Action], expected: &str) {
    let expected: Vec<&str> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines(actions), expected, "all: {actions:?}");
}

/// What is told.
pub(super) fn notices(actions: &[Action]) -> Vec<&Notice> {
    actions
        .iter()
        .filter_map(|action| if let Action::Tell(notice) = action { Some(notice) } else { None })
        .collect()
}

fn lines(actions: &[Action]) -> Vec<String> {
    actions.iter().filter_map(line).collect()
}

fn line(action: &Action) -> Option<String> {
    let off = |on: &bool| if *on { "" } else { " off" };
    Some(match action {
        Action::Spawn { worker, slot, generation } => {
            format!("spawn {worker} in slot {slot} of generation {generation}")
        }
        Action::LookAtMemory => "look at memory".to_owned(),
        Action::ChangeSlot { worker, slot } => format!("{worker} now in slot {slot}"),
        Action::SignalStop { worker } => format!("signal {worker}"),
        Action::Kill { worker } => format!("kill {worker}"),
        Action::OpenMember { member, .. } => format!("open {}", socket(*member)),
        Action::CloseMember { member } => format!("close {}", socket(*member)),
        Action::Answer { worker, member, given: Given::Socket, .. } => {
            format!("answer {worker} with {}", socket(*member))
        }
        Action::Answer { worker, member, given: Given::Connections, .. } => {
            format!("answer {worker} with connections of {}", socket(*member))
        }
        Action::Refuse { worker, errno, .. } => format!("refuse {worker}, error {errno}"),
        Action::Probe { worker, listener } => format!("probe {worker} on {listener}"),
        Action::InspectSockets { worker } => format!("inspect {worker}"),
        Action::Accept { member, on } => format!("accept {}{}", socket(*member), off(on)),
        Action::Eligible { worker, listener, on, .. } => {
            format!("eligible {worker} for {listener}{}", off(on))
        }
        Action::MeasureMemory { worker } => format!("measure {worker}"),
        Action::Ping { worker } => format!("ping {worker}"),
        Action::WatchSockets => "watch sockets".to_owned(),
        Action::Examine { worker, .. } => format!("examine {worker}"),
        Action::LimitRequests { worker, requests } => format!("limit {worker} to {requests}"),
        Action::LameDuck { worker } => format!("lame duck {worker}"),
        Action::EmptyQueues => "empty queues".to_owned(),
        Action::Drain { worker, within, .. } => format!("drain {worker} within {within:?}"),
        Action::Tally { worker, on: true } => format!("tally {worker} on and on"),
        Action::Tally { worker, on: false } => format!("tally {worker}"),
        Action::Share { slot, percent: Some(percent) } => format!("share {percent} % for {slot}"),
        Action::Share { slot, percent: None } => format!("share for {slot} off"),
        Action::Park { worker } => format!("park {worker}"),
        Action::Unpark { worker } => format!("unpark {worker}"),
        Action::Disconnect { worker } => format!("disconnect {worker}"),
        Action::AllowLeave { worker } => format!("allow {worker} to leave"),
        Action::Progress { request, progress } => {
            let step = match progress.step {
                Step::Started(worker) => format!("started {worker}"),
                Step::Loaded(worker) => format!("loaded {worker}"),
                Step::Ready(worker) => format!("ready {worker}"),
                Step::Replaced(worker) => format!("replaced by {worker}"),
                Step::Proved(worker) => format!("proved {worker}"),
                Step::Returned(worker) => format!("{worker} returned"),
                Step::Joined(worker) => format!("joined {worker}"),
                Step::Leaving(worker) => format!("leaving {worker}"),
                Step::Left(worker) => format!("left {worker}"),
            };
            format!("progress to {request}: slot {} of {}, {step}", progress.slot, progress.of)
        }
        Action::Reply { request, answer } => format!("reply to {request}: {}", answered(answer)),
        Action::Notify(notify) => format!("notify {notify:?}"),
        Action::RunHook { hook, kind, .. } => format!("run {kind} as {hook}"),
        Action::EndHook { hook } => format!("end hook {hook}"),
        Action::Tell(_) => return None,
        Action::Exit { code } => format!("exit {code}"),
    })
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::RolledOut(report) => {
            let (new, replaced, of) = (report.generation, report.replaced, report.of);
            let serves = report.serving;
            match &report.outcome {
                Outcome::Succeeded => format!("generation {new} succeeded, {replaced} of {of}"),
                Outcome::Failed { worker, .. } => format!(
                    "generation {new} failed by {worker}, {replaced} of {of}, {serves} serves"
                ),
                Outcome::HookFailed { kind, .. } => format!(
                    "generation {new} failed by {kind}, {replaced} of {of}, {serves} serves"
                ),
                Outcome::Aborted => {
                    format!("generation {new} aborted, {replaced} of {of}, {serves} serves")
                }
                Outcome::Stopped => {
                    format!("generation {new} stopped, {replaced} of {of}, {serves} serves")
                }
            }
        }
        Answer::Held { paused, generation, slot, .. } => {
            let held = if *paused { "held" } else { "goes on" };
            format!("generation {generation} {held} at slot {slot}")
        }
        Answer::Scaled(report) => {
            let (from, to, ready) = (report.from, report.to, report.ready);
            let how = match &report.outcome {
                ScaleOutcome::Accepted => "accepted".to_owned(),
                ScaleOutcome::Done => "done".to_owned(),
                ScaleOutcome::Failed { worker, .. } => format!("failed by {worker}"),
                ScaleOutcome::Superseded { by } => format!("superseded by {by}"),
                ScaleOutcome::Aborted => "aborted".to_owned(),
            };
            format!("scaling {from} to {to} {how}, {ready} ready")
        }
        Answer::Stopped => "stopped".to_owned(),
        Answer::Refused(refusal) => format!("refused, {refusal:?}"),
    }
}

/// `1/0`: the first listener's socket for slot 0; `1/all`: for all slots.
fn socket(member: Member) -> String {
    match member.seat {
        Seat::Slot(slot) => format!("{}/{slot}", member.listener),
        Seat::Front => format!("{}/front", member.listener),
        Seat::Common => format!("{}/all", member.listener),
    }
}
