//! The decisions of Relevo, and nothing else: events in, actions out.
//!
//! There is no clock here, no file, no socket and no randomness of its own: time, ids and the
//! seed are arguments, so the same events always give the same actions.
//!
//! Two machines decide. The [`Supervisor`] keeps a service at its workers: tens of events a second. The
//! [`Dealer`] says which worker gets a connection that the primary has accepted: tens of thousands.

mod action;
mod backoff;
mod dealer;
mod event;
mod ids;
mod listener;
mod moved;
mod random;
mod rollout;
mod scaling;
mod slot;
mod spec;
mod supervisor;
mod time;
mod worker;

pub use action::{Action, Answer, Given, Notice, Notify, Progress, Refusal, Step};
pub use dealer::{
    Dealer, DealerAction, DealerEvent, DealerNotice, Disturbance, GroupView, Load, NotTaken, Seen,
    SeenMember,
};
pub use event::{Event, Exit, ExitHow, Left, SpawnStage};
pub use ids::{
    ConnectionId, Generation, ListenerId, QueryId, ReleaseId, RequestId, Slot, WorkerId,
};
pub use listener::{Kind, Member, Seat, Wish};
pub use moved::{Moved, NotMovable};
pub use rollout::{Outcome, RolloutReport};
pub use scaling::{Scale, ScaleOutcome, ScaleReport};
pub use spec::{Balance, Spec, Surge};
pub use supervisor::{
    Deadline, ListenerView, RolloutPhase, RolloutView, ServiceState, SlotView, SlotWord,
    Supervisor, Totals, View, Waits, WorkerView, WorkerWord,
};
pub use time::Time;
pub use worker::Failure;
