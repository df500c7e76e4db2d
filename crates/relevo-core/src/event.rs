//! What can happen: everything the [`Supervisor`](crate::Supervisor) is ever told.

use std::fmt;
use std::time::Duration;

use crate::{
    Cause, Generation, HookEnd, HookId, ListenerId, Listeners, Member, Moved, QueryId, ReadyWhen,
    ReleaseId, RequestId, Scale, Spec, Tally, Wish, WorkerId,
};

/// A fact from outside. Names are past participles; a lost, doubled or late one harms nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Time has passed; sent when [`Supervisor::deadline`](crate::Supervisor::deadline) is due.
    Tick,

    /// `Spawn` succeeded: the program has been exec'd.
    Spawned {
        /// Whose process it is.
        worker: WorkerId,
        /// The label the system gave it.
        pid: u32,
    },
    /// `Spawn` failed; there is no process.
    SpawnFailed {
        /// Who would have been started.
        worker: WorkerId,
        /// Which step failed.
        stage: SpawnStage,
        /// The system's error number for it.
        errno: i32,
    },
    /// The process has ended and been reaped.
    Exited {
        /// Whose process it was.
        worker: WorkerId,
        /// How it ended.
        exit: Exit,
    },

    /// The worker's agent runs: the worker can be drained without losing a request.
    AgentArrived {
        /// Who has it.
        worker: WorkerId,
    },
    /// The worker says that it is ready.
    ReadySaid {
        /// Who.
        worker: WorkerId,
        /// In which way.
        how: ReadyWhen,
    },
    /// The worker asks for more time until it must be ready.
    StartExtended {
        /// Who.
        worker: WorkerId,
        /// How much, from now on.
        by: Duration,
    },
    /// `Probe` is done.
    Probed {
        /// Who was asked.
        worker: WorkerId,
        /// Whether the answer was the right one.
        ready: bool,
        /// What came of it, for a person to read.
        answer: String,
    },
    /// The worker asks to listen; it is owed exactly one `Answer` or `Refuse`.
    ListenRequested {
        /// Who asks.
        worker: WorkerId,
        /// What the answer must name.
        query: QueryId,
        /// What it wants to listen on.
        wish: Wish,
    },
    /// The worker listens on what it was given.
    Listening {
        /// Who listens.
        worker: WorkerId,
        /// On what.
        listener: ListenerId,
    },
    /// The worker has closed its end of a listener.
    ListenerClosed {
        /// Who closed it.
        worker: WorkerId,
        /// Which.
        listener: ListenerId,
    },
    /// The worker wants to leave by itself (`worker.disconnect()`, `worker.kill()` called in it).
    LeaveRequested {
        /// Who wants to leave.
        worker: WorkerId,
    },
    /// The worker's end of the channel is closed.
    ChannelEnded {
        /// Whose.
        worker: WorkerId,
    },
    /// The worker broke the channel's rules; nothing it says is listened to any more.
    Misbehaved {
        /// Who.
        worker: WorkerId,
        /// What it did, for a person to read.
        reason: String,
    },

    /// The agent has closed every listening handle of its worker, which drains or is parked.
    StoppedAccepting {
        /// Whose agent says so.
        worker: WorkerId,
    },
    /// The agent counts what a draining worker still has to do.
    WorkLeft {
        /// Whose agent says so.
        worker: WorkerId,
        /// The count.
        left: Left,
        /// What has become of its connections so far.
        moved: Moved,
    },
    /// The agent tells what it has counted of its worker's answers.
    Tallied {
        /// Whose agent says so.
        worker: WorkerId,
        /// The count.
        tally: Tally,
    },
    /// The agent says that no connection is left.
    Drained {
        /// Whose agent says so.
        worker: WorkerId,
    },

    /// `MeasureMemory` is done.
    MemoryMeasured {
        /// Whose process was looked at.
        worker: WorkerId,
        /// Its resident memory, in bytes.
        rss_bytes: u64,
    },
    /// The agent has counted as many requests as `LimitRequests` said.
    RequestsReached {
        /// Whose agent says so.
        worker: WorkerId,
    },

    /// The agent gives a sign of life: the answer to `Ping`, and once more when a connection comes after
    /// it had answered that there is none.
    Answered {
        /// Whose agent says so.
        worker: WorkerId,
        /// How many connections the worker has.
        connections: u32,
    },
    /// A connection has come to one of the sockets, since `WatchSockets`.
    ConnectionCame,
    /// `Examine` is done.
    Examined {
        /// Who was looked at.
        worker: WorkerId,
        /// What was found.
        found: Standstill,
    },

    /// `OpenMember` succeeded: the socket is bound and listens.
    MemberOpened {
        /// Which socket.
        member: Member,
        /// The address it really has, for a person to read.
        address: String,
    },
    /// `OpenMember` failed; there is no socket.
    MemberFailed {
        /// Which socket.
        member: Member,
        /// The system's error number (`EADDRINUSE`, `EACCES`, …).
        errno: i32,
        /// Who holds the address, where that could be found out.
        holder: Option<String>,
    },
    /// `InspectSockets` is done.
    SocketsInspected {
        /// Whose sockets were looked at.
        worker: WorkerId,
        /// The addresses it listens on by itself, past the primary.
        unprotected: Vec<String>,
    },
    /// `LookAtMemory` is done.
    MemorySeen {
        /// What there is.
        memory: Memory,
    },
    /// `EmptyQueues` is done: what waited in the sockets' queues has been dealt.
    QueuesEmptied,

    /// `RunHook` is done, well or badly.
    HookEnded {
        /// Which run.
        hook: HookId,
        /// How it ended.
        end: HookEnd,
    },

    /// Other wishes were read. What a rollout can change of them counts from the next one on, and is
    /// taken back if that fails.
    Configured {
        /// All wishes; the times among them are taken.
        spec: Box<Spec>,
    },
    /// It is known where a generation's code is loaded from; told when the generation begins.
    ReleaseResolved {
        /// Whose code.
        generation: Generation,
        /// From where.
        release: ReleaseId,
    },
    /// Somebody wants every worker replaced by one of an earlier release.
    RollbackRequested {
        /// The generation that ran it: [`View::rollback_target`](crate::View::rollback_target).
        to: Generation,
        /// The wishes of that time; the times among them are taken.
        spec: Box<Spec>,
        /// Who is owed a reply, if anybody.
        request: Option<RequestId>,
    },
    /// Somebody wants every worker replaced.
    ReloadRequested {
        /// What it comes from.
        cause: Cause,
        /// Who is owed a reply, if anybody (a signal is owed none).
        request: Option<RequestId>,
        /// Whether the new workers must listen on what the old ones do.
        listeners: Listeners,
    },
    /// Somebody wants the rollout in progress undone.
    AbortRequested {
        /// Who is owed a reply.
        request: RequestId,
    },
    /// Somebody wants the rollout in progress held where it is.
    PauseRequested {
        /// Who is owed a reply.
        request: RequestId,
    },
    /// Somebody wants a rollout that is held to go on.
    ResumeRequested {
        /// Who is owed a reply.
        request: RequestId,
    },
    /// Somebody wants another number of workers.
    ScaleRequested {
        /// How many.
        scale: Scale,
        /// Whether the reply is to wait until there are so many.
        wait: bool,
        /// Who is owed a reply, if anybody.
        request: Option<RequestId>,
    },
    /// Somebody wants the service stopped, with its work finished.
    StopRequested {
        /// Who is owed a reply, if anybody.
        request: Option<RequestId>,
    },
    /// Somebody wants the service stopped at once.
    StopNowRequested,
    /// The client that made a request is gone; it is owed nothing any more.
    RequestDropped {
        /// Which request.
        request: RequestId,
    },
}

/// How much memory there is; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What can be used without swapping, in bytes.
    pub available: Option<u64>,
    /// What the largest worker uses, in bytes.
    pub largest_worker: Option<u64>,
    /// In which part of the time processes have waited for memory of late, per mille.
    pub stalled: Option<u32>,
}

/// A worker whose event loop stands still, as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standstill {
    /// Why that is nothing to end it for, if it is not.
    pub pause: Option<Pause>,
    /// What it does, for a person to read.
    pub doing: Option<String>,
    /// Where more about it is written.
    pub report: Option<String>,
}

/// Why a worker stands still although nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Somebody has stopped its process, as by SIGSTOP.
    Stopped,
    /// A debugger has its process, such as gdb or strace (ptrace(2)).
    Traced,
    /// A debugger is connected to its inspector.
    Inspected,
    /// Its event loop waits for events: it is the agent that hears nothing.
    Deaf,
}

/// The steps of starting a process, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnStage {
    /// Finding the code that it is to run.
    Release,
    /// Making the process and its pipes.
    Fork,
    /// Giving it a session of its own.
    Session,
    /// Setting its limits.
    Limits,
    /// Taking its user's rights.
    User,
    /// Entering its working directory.
    Directory,
    /// Putting its channel in place.
    Descriptors,
    /// Executing the program.
    Exec,
}

impl fmt::Display for SpawnStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Release => "finding its code",
            Self::Fork => "making the process",
            Self::Session => "giving it a session of its own",
            Self::Limits => "setting its limits",
            Self::User => "taking its user's rights",
            Self::Directory => "entering its working directory",
            Self::Descriptors => "putting its channel in place",
            Self::Exec => "executing the program",
        })
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// By itself or by a signal.
    pub how: ExitHow,
    /// Whether the kernel ended it because memory ran out.
    pub out_of_memory: bool,
}

/// The two ways a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitHow {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// What a draining worker still has to do, counted by its agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Requests whose response has not been sent.
    pub requests: u32,
    /// Requests whose body has not been read to its end.
    pub uploads: u32,
    /// Event streams that are open.
    pub event_streams: u32,
    /// Upgraded connections.
    pub websockets: u32,
    /// Connections of servers that do not speak HTTP.
    pub unknown: u32,
    /// Connections on which nothing is going on.
    pub idle: u32,
    /// The same over TLS, which cannot be handed over.
    pub idle_tls: u32,
    /// Idle connections that are being handed over, or are about to be.
    pub moving: u32,
}

impl Left {
    /// Everything but idle connections: what a rollout waits for.
    pub fn work(&self) -> u32 {
        [self.requests, self.uploads, self.event_streams, self.websockets, self.unknown]
            .iter()
            .fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Connections that wait for their client's next request, or for the end of their time.
    pub fn quiet(&self) -> u32 {
        self.idle.saturating_add(self.idle_tls).saturating_add(self.moving)
    }

    /// Adds another count to this one.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.uploads = self.uploads.saturating_add(other.uploads);
        self.event_streams = self.event_streams.saturating_add(other.event_streams);
        self.websockets = self.websockets.saturating_add(other.websockets);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.idle = self.idle.saturating_add(other.idle);
        self.idle_tls = self.idle_tls.saturating_add(other.idle_tls);
        self.moving = self.moving.saturating_add(other.moving);
    }
}
