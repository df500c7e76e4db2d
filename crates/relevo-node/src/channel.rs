//! What may be written to one worker, and in which order.
//!
//! ```text
//!            disconnect(),               nothing of ours with a
//!            acknowledge_leave()         descriptor is on its way
//!   Open ───────────────────▶ Closing ───────────────────────────▶ Disconnected
//!     │                          │                                      │
//!     └──────────────────────────┴──────────── end() ───────────────────┴──▶ Ended
//! ```
//!
//! - *Open*: queries are answered and connections are dealt.
//! - *Closing*: somebody wishes the worker to go. Nothing new is answered or dealt. It lasts until
//!   every descriptor message is sent and acknowledged, and every dealt connection replied to or
//!   its server closed. For a worker handles a descriptor message later than a plain one behind
//!   it: a parting word that overtook a shared listener would leave an orphan that serves without
//!   a channel (section 3).
//! - *Disconnected*: the *parting word* is queued or out, and is the last of our words but for
//!   acknowledgements. It is one of two: `disconnect`, or the acknowledgement of a leave the
//!   worker asked for. Never both: each makes Node close the channel, and closing it twice kills
//!   the worker (`ERR_IPC_DISCONNECTED`; seen on 18, 22 and 26) or cuts the requests it drains.
//! - *Ended*: the channel is gone. What was not accepted has been given back.
//!
//! A dealt connection is ours until the worker says that it accepted it. So each one ends in
//! exactly one of [`Happened::Placed`], [`Happened::Refused`] and the return of [`Channel::end`].

mod answer;
mod outbox;
mod receive;
mod servers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use answer::{NotAnswered, PendingQuery, PortCheck};
pub use outbox::{Attachment, Frame, MAX_QUEUED};
pub use receive::{Happened, PendingLeave, RefusedBecause};
pub use servers::MAX_KEYS;

use crate::agent::ToAgent;
use crate::encode::{self, Arrival};
use crate::message::{Key, Query};
use outbox::{Carries, Outbox};
use servers::Servers;

/// How many descriptor messages, and how many unanswered deals, one worker may have outstanding.
/// A worker that lags this far behind is better served by waiting.
pub const MAX_UNACKNOWLEDGED: usize = 64;
/// How many queries of one worker may wait for their answer.
pub const MAX_UNANSWERED: usize = 1024;

/// The primary's end of one worker's channel.
///
/// Whoever owns it feeds it each [message](crate::FromWorker) and writes each [`Frame`] it hands
/// out, in order. It does no more than decide.
#[derive(Debug, Default)]
pub struct Channel {
    state: State,
    outbox: Outbox,
    servers: Servers,
    /// Connections handed to the worker and not yet accepted, by the number of their message.
    deals: BTreeMap<u64, Deal>,
    /// How many queries the caller holds without having answered them.
    unanswered: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Closing(Parting),
    Disconnected,
    Ended,
}

/// The parting word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parting {
    Disconnect,
    /// The acknowledgement of the worker's message of this number.
    AcknowledgeLeave(u64),
}

#[derive(Debug)]
struct Deal {
    connection: u64,
    /// Which answer the connection was dealt by. Keys may be used again, this may not.
    server: u64,
    server_is_closed: bool,
    is_sent: bool,
}

/// Why a connection was not dealt. It is still the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDealt {
    /// The worker has no such server, or has closed it.
    #[error("the worker has no server of this key")]
    UnknownKey,
    /// The worker goes, or is gone.
    #[error("the worker is leaving")]
    Leaving,
    /// It has not caught up with what it was given before.
    #[error("the worker has {MAX_UNACKNOWLEDGED} connections to take already")]
    Busy,
    /// It does not read its channel.
    #[error("{MAX_QUEUED} messages to the worker wait")]
    QueueFull,
}

impl Channel {
    /// For a worker that has just been started.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands `connection` to the server of `key`. It may be of a shared answer or a dealt one, and
    /// need not be listening yet. `arrival`: another worker handed it over.
    ///
    /// # Errors
    ///
    /// Nothing was queued; deal it elsewhere or later.
    pub fn deal(
        &mut self,
        key: &Key,
        connection: u64,
        arrival: Option<Arrival>,
    ) -> Result<(), NotDealt> {
        debug_assert!(
            self.deals.values().all(|deal| deal.connection != connection),
            "connection {connection} is dealt twice"
        );
        if self.state != State::Open {
            return Err(NotDealt::Leaving);
        }
        let server = self.servers.serial(key).ok_or(NotDealt::UnknownKey)?;
        if self.outbox.outstanding() >= MAX_UNACKNOWLEDGED || self.deals.len() >= MAX_UNACKNOWLEDGED
        {
            return Err(NotDealt::Busy);
        }
        if self.outbox.is_full() {
            return Err(NotDealt::QueueFull);
        }
        let seq = self.outbox.next_seq();
        let carries = Carries::Connection { connection, seq };
        self.outbox.queue(encode::newconn(key, seq, arrival), carries);
        let deal = Deal { connection, server, server_is_closed: false, is_sent: false };
        self.deals.insert(seq, deal);
        Ok(())
    }

    /// Says something to the agent. `false`: it was not queued, because the worker does not read
    /// or has been given its parting word.
    pub fn tell_agent(&mut self, say: ToAgent) -> bool {
        match self.state {
            State::Open | State::Closing(_) if !self.outbox.is_full() => {
                self.outbox.queue(encode::agent(say), Carries::Nothing);
                true
            }
            State::Open | State::Closing(_) | State::Disconnected | State::Ended => false,
        }
    }

    /// Wishes the worker to close its servers, finish its requests and go. Wishing it again
    /// changes nothing.
    pub fn disconnect(&mut self) {
        if self.state == State::Open {
            self.state = State::Closing(Parting::Disconnect);
            self.settle();
        }
    }

    /// Lets a worker go that asked to. It also counts as the wish to [disconnect](Self::disconnect).
    ///
    /// The acknowledgement waits for descriptors on their way just as `disconnect` does, and is
    /// not sent where `disconnect` has been: the worker is closing the channel already.
    #[expect(clippy::needless_pass_by_value, reason = "a leave is acknowledged once")]
    pub fn acknowledge_leave(&mut self, leave: PendingLeave) {
        match self.state {
            State::Open | State::Closing(Parting::Disconnect) => {
                self.state = State::Closing(Parting::AcknowledgeLeave(leave.seq()));
                self.settle();
            }
            // Its first leave is being acknowledged, which closes the channel.
            State::Closing(Parting::AcknowledgeLeave(_)) => {}
            State::Disconnected | State::Ended => {}
        }
    }

    /// Whether the parting word is queued or out, so that nothing but acknowledgements follows.
    pub fn is_disconnected(&self) -> bool {
        match self.state {
            State::Open | State::Closing(_) => false,
            State::Disconnected | State::Ended => true,
        }
    }

    /// What to write next. Once taken, a frame counts as sent, its attachment included; the rest
    /// of a partial write is the caller's.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let (frame, carries) = self.outbox.take()?;
        if let Carries::Connection { seq, .. } = carries
            && let Some(deal) = self.deals.get_mut(&seq)
        {
            deal.is_sent = true;
        }
        Some(frame)
    }

    /// How many messages wait to be written.
    pub fn queued(&self) -> usize {
        self.outbox.len()
    }

    /// Whether there is something to write.
    pub fn has_frames(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// The channel has ended. Returns the connections that the worker had not accepted, in the
    /// order they were dealt in, for others.
    #[must_use = "these connections are still open and nobody serves them"]
    pub fn end(&mut self) -> Vec<u64> {
        self.state = State::Ended;
        self.outbox = Outbox::default();
        self.servers = Servers::default();
        self.unanswered = 0;
        std::mem::take(&mut self.deals).into_values().map(|deal| deal.connection).collect()
    }

    /// How many connections are dealt and not yet accepted.
    pub fn in_flight(&self) -> usize {
        self.deals.len()
    }

    /// The keys of the worker's open servers, in their own order.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.servers.keys()
    }

    /// What the worker asked for when the server of `key` was opened, without its `data`.
    pub fn query_of(&self, key: &Key) -> Option<&Query> {
        self.servers.query(key)
    }

    /// Whether the server of `key` has reported that it listens.
    pub fn is_listening(&self, key: &Key) -> bool {
        self.servers.is_listening(key)
    }

    /// Queues the parting word as soon as nothing can be overtaken by it. To be called after
    /// whatever may have been the last thing it waited for.
    fn settle(&mut self) {
        let State::Closing(parting) = self.state else { return };
        let is_awaited = |deal: &Deal| !deal.server_is_closed;
        if self.outbox.outstanding() > 0 || self.deals.values().any(is_awaited) {
            return;
        }
        let seq = self.outbox.next_seq();
        let bytes = match parting {
            Parting::Disconnect => encode::disconnect(seq),
            Parting::AcknowledgeLeave(ack) => encode::acknowledge(ack, seq),
        };
        self.outbox.queue(bytes, Carries::Parting);
        self.state = State::Disconnected;
    }
}
