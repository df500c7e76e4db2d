//! The decisions of Relevo, and nothing else: events in, actions out.
//!
//! There is no clock here, no file, no socket and no randomness of its own: time, ids and the
//! seed are arguments, so the same events always give the same actions.
//!
//! Two machines decide. The [`Supervisor`] keeps a service at its workers: tens of events a second. The
//! [`Dealer`] says which worker gets a connection that the primary has accepted: tens of thousands.

mod action;
mod backoff;
mod canary;
mod cause;
mod changes;
mod dealer;
mod event;
mod exit_codes;
mod hook;
mod ids;
mod limits;
mod listener;
mod moved;
mod random;
mod ready;
mod renewal;
mod rollout;
mod scaling;
mod slot;
mod spec;
mod supervisor;
mod time;
mod worker;

pub use action::{Action, Answer, Given, Notice, Notify, Progress, Refusal, Step};
pub use canary::{Canary, Inconclusive, Tally};
pub use cause::Cause;
pub use changes::{Changed, Changes};
pub use dealer::{
    Dealer, DealerAction, DealerEvent, DealerNotice, Disturbance, GroupView, Load, NotTaken, Seen,
    SeenMember,
};
pub use event::{Event, Exit, ExitHow, Left, Memory, Pause, SpawnStage, Standstill};
pub use exit_codes::ExitCodes;
pub use hook::{HookEnd, HookFacts, HookFailure, HookKind, HookSpec};
pub use ids::{
    ConnectionId, Generation, HookId, ListenerId, QueryId, ReleaseId, RequestId, Slot, WorkerId,
};
pub use limits::Limits;
pub use listener::{Kind, Member, Seat, Wish};
pub use moved::{Moved, NotMovable};
pub use ready::{Listeners, ReadyWhen, Unsaid};
pub use renewal::{RenewalReason, RenewalStart};
pub use rollout::{Outcome, RolloutReport};
pub use scaling::{Scale, ScaleOutcome, ScaleReport};
pub use spec::{Balance, Spec, Surge};
pub use supervisor::{
    Deadline, ListenerView, RenewalView, RolloutPhase, RolloutView, ServiceState, SlotView,
    SlotWord, Supervisor, Totals, View, Waits, WorkerView, WorkerWord,
};
pub use time::Time;
pub use worker::Failure;
