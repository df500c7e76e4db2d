//! What is to be done: everything the [`Supervisor`](crate::Supervisor) ever asks for.

use std::time::Duration;

use crate::{
    Cause, Exit, Failure, Generation, HookFacts, HookFailure, HookId, HookKind, Left, ListenerId,
    Member, Memory, Outcome, Pause, QueryId, RenewalReason, RenewalStart, RequestId, RolloutReport,
    ScaleReport, Slot, Tally, Wish, WorkerId,
};

/// An order to the shell. Whatever can fail is answered by an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a process; answered by `Spawned` or `SpawnFailed`.
    Spawn {
        /// Its name from now on.
        worker: WorkerId,
        /// Where it works.
        slot: Slot,
        /// Which load of the code it is.
        generation: Generation,
    },
    /// Look how much memory there is; answered by `MemorySeen`.
    LookAtMemory,
    /// The worker works in another slot from now on than the one that it was started for.
    ChangeSlot {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
    },
    /// Send the service's stop signal to the worker's process.
    SignalStop {
        /// To whom.
        worker: WorkerId,
    },
    /// Kill every process of the worker's group.
    Kill {
        /// Whose group.
        worker: WorkerId,
    },

    /// Make a listening socket; answered by `MemberOpened` or `MemberFailed`.
    OpenMember {
        /// Which.
        member: Member,
        /// What it listens on.
        wish: Wish,
    },
    /// Close a listening socket.
    CloseMember {
        /// Which.
        member: Member,
    },
    /// Answer a worker's request to listen.
    Answer {
        /// Who asked.
        worker: WorkerId,
        /// What it asked.
        query: QueryId,
        /// The socket it works on from now on.
        member: Member,
        /// Whether it is given the socket, or connections that the primary accepted.
        given: Given,
    },
    /// Refuse a worker's request to listen, with the error that it will see.
    Refuse {
        /// Who asked.
        worker: WorkerId,
        /// What it asked.
        query: QueryId,
        /// The system's error number.
        errno: i32,
    },
    /// Ask the worker, through a connection of its own to what it has of this listener, whether it is
    /// ready; answered by `Probed`. An earlier request that has no answer yet is given up.
    Probe {
        /// Whom.
        worker: WorkerId,
        /// Where.
        listener: ListenerId,
    },
    /// Look at what the worker's process listens on; answered by `SocketsInspected`.
    InspectSockets {
        /// Whose sockets.
        worker: WorkerId,
    },

    /// Look at how much memory the worker's process has; answered by `MemoryMeasured`, or not at all if
    /// it has just ended.
    MeasureMemory {
        /// Whose.
        worker: WorkerId,
    },
    /// Ask the worker's agent for a sign of life; answered by `Answered`, or not at all if its event loop
    /// stands still.
    Ping {
        /// Whose.
        worker: WorkerId,
    },
    /// Tell by `ConnectionCame`, once, when a connection comes to any of the sockets.
    WatchSockets,
    /// Look at what the worker does, whose event loop seems to stand still; answered by `Examined`.
    Examine {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
    },
    /// Tell the worker's agent to say when it has been asked so many requests; answered by
    /// `RequestsReached`.
    LimitRequests {
        /// Whose.
        worker: WorkerId,
        /// How many.
        requests: u64,
    },

    /// The primary accepts (or stops accepting) from this socket, to deal what it accepts.
    Accept {
        /// From which socket.
        member: Member,
        /// Whether from now on it does.
        on: bool,
    },
    /// The worker may (or may no longer) be dealt connections of the listener.
    Eligible {
        /// Who.
        worker: WorkerId,
        /// Where it works.
        slot: Slot,
        /// Which load of the code it is.
        generation: Generation,
        /// For what.
        listener: ListenerId,
        /// Whether from now on it may.
        on: bool,
    },
    /// Tell the worker's agent that each response is to be the last on its connection.
    LameDuck {
        /// Whose.
        worker: WorkerId,
    },
    /// Accept what waits in every socket's queue and deal it; answered by `QueuesEmptied`.
    EmptyQueues,

    /// Have the worker's agent tell what it has counted of its answers; answered by `Tallied`.
    Tally {
        /// Whose.
        worker: WorkerId,
        /// Whether to tell it again whenever it changes, or only now.
        on: bool,
    },
    /// A slot gets this part of new connections from now on.
    Share {
        /// Which.
        slot: Slot,
        /// How many of a hundred; `None`: as any other slot.
        percent: Option<u32>,
    },

    /// Tell the worker's agent to stop accepting, so that it can begin again.
    Park {
        /// Whose.
        worker: WorkerId,
    },
    /// Tell the agent of a parked worker to listen again on all that it had listened on.
    Unpark {
        /// Whose.
        worker: WorkerId,
    },
    /// Tell the worker's agent to drain.
    Drain {
        /// Whose.
        worker: WorkerId,
        /// How long it may take.
        within: Duration,
        /// Whether others are there to take its idle connections.
        hand_over: bool,
    },
    /// Send Node's own `disconnect`, as the last thing the worker is ever told.
    Disconnect {
        /// To whom.
        worker: WorkerId,
    },
    /// Let a worker go that asked to leave.
    AllowLeave {
        /// Whom.
        worker: WorkerId,
    },

    /// Run a hook's command; answered by `HookEnded`.
    RunHook {
        /// The name of this run.
        hook: HookId,
        /// Which hook.
        kind: HookKind,
        /// What it is told.
        facts: Box<HookFacts>,
    },
    /// Kill every process of a hook; what becomes of it is of no interest any more.
    EndHook {
        /// Which run.
        hook: HookId,
    },

    /// Tell a waiting client how its rollout, or its scaling, goes on.
    Progress {
        /// Whom.
        request: RequestId,
        /// What happened.
        progress: Progress,
    },
    /// Answer a request, once.
    Reply {
        /// Which.
        request: RequestId,
        /// With what.
        answer: Answer,
    },
    /// Tell the service manager.
    Notify(Notify),
    /// Tell the people who read the log.
    Tell(Notice),
    /// The work is done: leave nothing behind and exit with this code.
    Exit {
        /// `0` after a stop that was asked for, `1` after a first start that failed.
        code: u8,
    },
}

/// What a worker that asked to listen is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// A duplicate of the socket: it accepts for itself.
    Socket,
    /// Connections, one by one.
    Connections,
}

/// A step of a rollout or of a scaling, for who waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The slot that it happened in.
    pub slot: Slot,
    /// How many slots there are to be.
    pub of: u32,
    /// What happened there.
    pub step: Step,
}

/// What happened in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new worker was started.
    Started(WorkerId),
    /// In a rollout that loads all first: the new worker has loaded its code, and waits for the others.
    Loaded(WorkerId),
    /// In a rollout: the new worker is ready, and the old one is parked.
    Ready(WorkerId),
    /// In a rollout: all new workers have proved themselves, and whom this one replaced drains.
    Proved(WorkerId),
    /// In a rollout: the old worker accepts nothing more and has no request left.
    Replaced(WorkerId),
    /// In a rollout that is undone: this worker, which was replaced, serves again.
    Returned(WorkerId),
    /// In a scaling: the new slot's worker is ready.
    Joined(WorkerId),
    /// In a scaling: the worker of a slot that leaves drains.
    Leaving(WorkerId),
    /// In a scaling: that worker accepts nothing more and has no request left.
    Left(WorkerId),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The rollout that was asked for is over, well or badly.
    RolledOut(RolloutReport),
    /// The rollout is held, or goes on again.
    Held {
        /// Whether it is held now.
        paused: bool,
        /// What it brings.
        generation: Generation,
        /// Where it is.
        slot: Slot,
        /// How many slots there are.
        of: u32,
    },
    /// The scaling that was asked for is over, well or badly.
    Scaled(ScaleReport),
    /// The service has been told to stop and every worker is gone.
    Stopped,
    /// It cannot be done now.
    Refused(Refusal),
}

/// Why a request cannot be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The service is stopping.
    Stopping,
    /// More clients wait already than are remembered.
    TooManyWaiting,
    /// There is no rollout to abort, to pause or to resume.
    NoRollout,
    /// All slots run the new generation, and the old workers finish: there is no way back.
    NoWayBack {
        /// The new generation.
        generation: Generation,
    },
    /// The rollout is being undone.
    BeingUndone,
    /// The rollout is not paused.
    NotPaused,
    /// A rollout goes on that can be undone.
    RolloutGoesOn {
        /// What it brings.
        generation: Generation,
    },
    /// A reload waits to begin.
    ReloadWaits,
    /// No release but the present one is remembered.
    NoPreviousRelease,
    /// A service has at least one worker.
    TooFewWorkers {
        /// How many there are to be now.
        wanted: u32,
    },
    /// A service has at most [`Spec::MAX_SLOTS`](crate::Spec::MAX_SLOTS) workers.
    TooManyWorkers {
        /// How many there are to be now.
        wanted: u32,
    },
}

/// What a service manager is told (`sd_notify(3)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// Every slot has a ready worker, or has failed once while another is ready.
    Ready,
    /// A rollout has begun.
    Reloading,
    /// The service stops.
    Stopping,
}

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A worker has become ready.
    WorkerReady {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// How long after its start.
        after: Duration,
    },
    /// A worker has loaded its code, and waits until it is needed.
    WorkerLoaded {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// How long after its start.
        after: Duration,
    },
    /// A spare worker takes the place of one that is gone.
    SparePromoted {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
    },
    /// A starting worker has asked for more time.
    StartExtended {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// How long it may take now, from its start.
        within: Duration,
        /// Whether that is as much as any may.
        is_all: bool,
    },
    /// A worker ended, or had to be ended, although nobody had asked for it.
    WorkerFailed {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// What happened.
        failure: Failure,
        /// When the next one is started; `None` where that depends on something else.
        next_try: Option<Duration>,
    },
    /// A worker that was to go has gone.
    WorkerLeft {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// How.
        exit: Exit,
    },
    /// A worker did not finish its work in time.
    DrainCut {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// What it still had to do, where its agent said so.
        left: Option<Left>,
    },
    /// A worker did not end by the stop signal and is killed.
    Killing {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
    },
    /// A worker that wanted to leave by itself is being replaced.
    WorkerLeaving {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
    },
    /// A worker gives no sign of life because somebody has stopped it; told once of each.
    WorkerPaused {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// By what.
        pause: Pause,
    },
    /// A worker has reached a limit, and is replaced now, or is to be.
    WorkerDue {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// Which limit.
        reason: RenewalReason,
        /// When its replacement starts.
        start: RenewalStart,
    },
    /// A worker that had reached a limit drains, since its replacement is ready.
    WorkerRenewed {
        /// Who replaces it.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// Whom.
        old: WorkerId,
    },
    /// A replacement has failed; whom it was to replace serves on.
    RenewalFailed {
        /// Who serves on.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// In how long the next replacement may start.
        next_try: Duration,
    },
    /// A worker's requests are limited, and it has no agent that counts them. Told once.
    RequestsNotCounted {
        /// Who.
        worker: WorkerId,
    },
    /// A worker listens by itself, past the primary.
    Unprotected {
        /// Who.
        worker: WorkerId,
        /// On which addresses.
        addresses: Vec<String>,
    },
    /// A listening socket could not be made.
    BindFailed {
        /// What it should have listened on.
        address: String,
        /// The system's error number.
        errno: i32,
        /// Who holds the address, where that could be found out.
        holder: Option<String>,
    },
    /// The service listens on an address.
    ListenerOpened {
        /// The address.
        address: String,
    },
    /// The service no longer listens on an address.
    ListenerClosed {
        /// The address.
        address: String,
    },
    /// Every slot is ready.
    ServiceReady {
        /// How many of how many slots are ready.
        ready: u32,
        /// All of them.
        of: u32,
    },
    /// The first start has failed; nothing is tried any more.
    FirstStartFailed {
        /// Whose failure it was, last.
        worker: WorkerId,
        /// What happened to it.
        failure: Failure,
    },
    /// A rollout has begun.
    RolloutStarted {
        /// The generation it brings.
        generation: Generation,
        /// What it came from.
        cause: Cause,
        /// The generation whose release and wishes it brings back, if that is what it is for.
        back_to: Option<Generation>,
    },
    /// A worker of a release that is still on trial has failed: its slot goes on with the last good one.
    FellBack {
        /// Where.
        slot: Slot,
        /// What it ran.
        from: Generation,
        /// What it runs from now on.
        to: Generation,
    },
    /// Code was refused and lies where the good code was: a worker that must be started all the same
    /// waits until it has proved itself.
    HeldBack {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// For how long.
        within: Duration,
    },
    /// A rollout waits because too many workers of earlier ones still drain.
    RolloutWaits {
        /// The generation it brings.
        generation: Generation,
        /// Who they are.
        workers: Vec<WorkerId>,
    },
    /// A rollout that has replaced every slot waits for old workers to finish.
    RolloutWaitsForDrain {
        /// The generation it brings.
        generation: Generation,
        /// Who they are, and what they still have to do, where their agents said so.
        workers: Vec<(WorkerId, Option<Left>)>,
    },
    /// Memory is tight: a rollout goes on with one new worker at a time, and parks nobody.
    MemoryTight {
        /// The generation it brings.
        generation: Generation,
        /// What was seen.
        memory: Memory,
        /// How many parked workers are let go for that.
        parked: u32,
    },
    /// The first new worker of a rollout has answered no worse than the old ones, or it could not be
    /// told and the rollout goes on all the same.
    CanaryPassed {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
        /// What it counted.
        new: Tally,
        /// What the old ones had counted.
        old: Tally,
        /// Whether it could be told.
        conclusive: bool,
    },
    /// Somebody holds a rollout where it is, or lets it go on.
    RolloutHeld {
        /// The generation it brings.
        generation: Generation,
        /// Whether it is held now.
        paused: bool,
    },
    /// A rollout is being undone.
    RolloutUndone {
        /// The generation it was to bring.
        generation: Generation,
        /// Why: a failure, or because somebody wants it.
        why: Outcome,
        /// In how many slots an old worker is called back.
        parked: u32,
    },
    /// A worker that was parked serves again.
    WorkerReturned {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
    },
    /// A worker was parked for as long as one may be, and is let go: its slot has no way back.
    ParkedTooLong {
        /// Who.
        worker: WorkerId,
        /// Where.
        slot: Slot,
    },
    /// A hook has failed.
    HookFailed {
        /// Which run of it.
        hook: HookId,
        /// Which hook.
        kind: HookKind,
        /// How.
        failure: HookFailure,
    },
    /// A hook was not run, because one more of its kind waits already.
    HookLeftOut {
        /// Which hook.
        kind: HookKind,
    },
    /// A rollout is over.
    RolloutEnded(RolloutReport),
    /// No worker has been there for as long as connections may wait: the listeners close.
    Down {
        /// How long that was.
        held: Duration,
    },
    /// A worker is ready again.
    Up {
        /// How long the listeners were closed.
        after: Duration,
    },
    /// The number of workers changes.
    Scaling {
        /// How many there were to be.
        from: u32,
        /// How many there are to be.
        to: u32,
    },
    /// A scaling is over.
    ScaleEnded(ScaleReport),
    /// A scaling that nobody waits for was refused.
    NotScaled(Refusal),
    /// Every worker has ended for good, and so does the service.
    AllEnded {
        /// How, by slot.
        ends: Vec<(Slot, Exit)>,
        /// What the service exits with.
        code: u8,
    },
    /// The service stops.
    Stopping,
    /// Processes that even `SIGKILL` did not end: stuck in the kernel.
    LeftBehind {
        /// Whose.
        workers: Vec<WorkerId>,
    },
    /// Relevo contradicts itself: a bug, which it survives.
    Bug {
        /// Which invariant does not hold, and how.
        what: String,
    },
}
