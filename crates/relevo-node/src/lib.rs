//! Node's cluster channel as a primary sees it, without any input or output of its own.
//!
//! A worker and its primary talk over a stream of JSON lines, some of which carry a descriptor.
//! Three parts know all about it:
//!
//! - [`Decoder`]: bytes and descriptors in, typed [messages](FromWorker) out. What a worker may
//!   not send is a [`Violation`], whose text says why the worker is ended.
//! - [`Channel`]: what may be written to one worker, and in which order. A worker crashes, hangs,
//!   or serves on as an orphan when the order is wrong, so nobody else composes frames.
//! - the messages themselves, with the differences of Node's major versions smoothed out.
//!
//! The facts are in `docs/node-channel.md`; the comments here name its sections.

mod address;
mod agent;
mod channel;
mod decode;
mod encode;
mod line;
mod message;
mod violation;

pub use address::{DescriptorKind, ListenAddress};
pub use agent::{
    FromAgent, Handover, HandoverMode, Json, Left, Load, MAX_BROADCAST, NotMovable, Offer,
    TicketKeys, ToAgent,
};
pub use channel::{
    Attachment, Channel, Frame, Happened, NotAnswered, NotDealt, PendingLeave, PendingQuery,
    PortCheck, RefusedBecause,
};
pub use decode::{Decoder, Incoming};
pub use encode::{Arrival, SockName};
pub use message::{FromWorker, Key, Listening, Query, UserMessage};
pub use serde_json::value::RawValue;
pub use violation::Violation;

/// The bounds on what one worker can make its primary keep.
pub mod limits {
    pub use crate::address::MAX_ADDRESS;
    pub use crate::agent::{MAX_AGENT_PATH, MAX_AGENT_TEXT};
    pub use crate::channel::{MAX_KEYS, MAX_QUEUED, MAX_UNACKNOWLEDGED, MAX_UNANSWERED};
    pub use crate::decode::{MAX_DESCRIPTORS, MAX_LINE, MAX_SKIPPED};
    pub use crate::line::{MAX_DATA, MAX_DEPTH, MAX_KEY};
}
