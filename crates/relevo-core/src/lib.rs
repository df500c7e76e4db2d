//! The decisions of Relevo, and nothing else: events in, actions out.
//!
//! There is no clock here, no file, no socket and no randomness of its own: time, ids and the
//! seed are arguments, so the same events always give the same actions.

mod ids;
mod spec;
mod time;

pub use ids::{ConnectionId, Generation, ListenerId, QueryId, RequestId, Slot, WorkerId};
pub use spec::{Balance, Spec};
pub use time::Time;
