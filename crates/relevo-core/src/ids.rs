//! The names of things: numbers that are never used twice for the same kind of thing.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// One process in a slot, from spawn to exit. Never reused; a pid is only a label.
    WorkerId(u64)
}
id! {
    /// One of the positions 0..N-1. It outlives its workers and owns its listening sockets.
    Slot(u32)
}
id! {
    /// The count of code loads; every rollout makes a new one. The first start is generation 1.
    Generation(u64)
}
id! {
    /// A place that code is loaded from: the same number is the same place, resolved.
    ReleaseId(u64)
}
id! {
    /// One address the service listens on.
    ListenerId(u32)
}
id! {
    /// A wish of a control client, answered by exactly one reply.
    RequestId(u64)
}
id! {
    /// A worker's question that waits for its answer, unique within the service. A worker's later
    /// question has a greater number.
    QueryId(u64)
}
id! {
    /// One run of a hook.
    HookId(u64)
}
id! {
    /// A connection that the primary has accepted and still holds.
    ConnectionId(u64)
}
