//! What a worker's message changes, and what its owner has to know of it.

use super::outbox::Carries;
use super::{Channel, MAX_UNANSWERED, PendingQuery, State};
use crate::agent::FromAgent;
use crate::encode;
use crate::message::{FromWorker, Key, Query, UserMessage};
use crate::violation::Violation;

/// What came of a message.
#[derive(Debug, PartialEq)]
pub enum Happened {
    /// Node runs.
    Online,
    /// The worker wants to listen and waits.
    Asked(PendingQuery),
    /// A server listens. The backlog of a shared socket has been reset by it (section 2.4).
    Listening {
        /// Which.
        key: Key,
    },
    /// A server is closed.
    Closed {
        /// Which.
        key: Key,
    },
    /// The worker wants to leave and waits.
    LeaveAsked(PendingLeave),
    /// A dealt connection is the worker's.
    Placed {
        /// Which.
        connection: u64,
    },
    /// A dealt connection is ours again.
    Refused {
        /// Which.
        connection: u64,
        /// How the worker let us know.
        why: RefusedBecause,
    },
    /// A shared listener did not arrive, mostly because the worker has no descriptor left. Its
    /// query is lost on the worker: it waits for ever.
    ListenerNotTaken {
        /// The key it was answered with, which names nothing now.
        key: Key,
    },
    /// The agent said something.
    Agent(FromAgent),
    /// The app said something.
    User(UserMessage),
    /// The app passed a handle. It has been acknowledged; whoever holds the descriptor drops it.
    PassedHandle,
}

/// How a worker refused a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedBecause {
    /// It is closing the server, or has as many connections as the app allows.
    NotAccepted,
    /// The descriptor did not arrive, mostly because the worker has none left.
    NoDescriptor,
}

/// A worker's wish to leave, which waits for
/// [`acknowledge_leave`](Channel::acknowledge_leave).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the worker waits for the acknowledgement"]
pub struct PendingLeave {
    seq: u64,
}

impl PendingLeave {
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }
}

impl Channel {
    /// Takes note of a message, and queues what Node wants in return for it.
    ///
    /// `with_descriptor` says whether a descriptor came along; the caller drops it in any case.
    ///
    /// # Errors
    ///
    /// The worker broke the protocol and is to be ended; [`end`](Self::end) still gives back what
    /// it had not accepted.
    pub fn receive(
        &mut self,
        message: FromWorker,
        with_descriptor: bool,
    ) -> Result<Option<Happened>, Violation> {
        if self.state == State::Ended {
            return Ok(None);
        }
        let happened = match message {
            FromWorker::Online => Some(Happened::Online),
            FromWorker::QueryServer(query) => self.asked(query)?,
            FromWorker::Listening(listening) => {
                self.servers.listens(&listening).map(|key| Happened::Listening { key })
            }
            FromWorker::Close { key } => {
                self.server_closed(&key).then_some(Happened::Closed { key })
            }
            FromWorker::ExitedAfterDisconnect { seq } => {
                Some(Happened::LeaveAsked(PendingLeave { seq }))
            }
            FromWorker::Reply { ack, accepted } => Some(self.replied(ack, accepted == Some(true))?),
            FromWorker::HandleAck => {
                self.outbox.acknowledged().ok_or(Violation::UnaskedAcknowledgement)?;
                None
            }
            FromWorker::HandleNack => self.missed()?,
            FromWorker::UserHandle { .. } if with_descriptor => {
                self.acknowledge(encode::handle_ack())?;
                Some(Happened::PassedHandle)
            }
            FromWorker::UserHandle { .. } => {
                self.acknowledge(encode::handle_nack())?;
                None
            }
            FromWorker::SocketNotifyClose { key } => {
                self.acknowledge(encode::socket_all_closed(&key))?;
                None
            }
            FromWorker::SocketGetCount { key } => {
                self.acknowledge(encode::socket_count(&key))?;
                None
            }
            FromWorker::Agent(said) => Some(Happened::Agent(said)),
            FromWorker::User(said) => Some(Happened::User(said)),
            FromWorker::Unknown => None,
        };
        self.settle();
        Ok(happened)
    }

    fn asked(&mut self, query: Query) -> Result<Option<Happened>, Violation> {
        // Whoever leaves is not answered any more.
        if self.state != State::Open {
            return Ok(None);
        }
        self.check_reads()?;
        if self.unanswered >= MAX_UNANSWERED {
            self.refuse_unheard(query);
            return Ok(None);
        }
        Ok(Some(Happened::Asked(self.pend(query))))
    }

    /// `false`: there was no such server.
    fn server_closed(&mut self, key: &Key) -> bool {
        let Some(serial) = self.servers.close(key) else { return false };
        // What was dealt to it will be refused, but need not be waited for: it cannot be lost by
        // the worker's going.
        for deal in self.deals.values_mut().filter(|deal| deal.server == serial) {
            deal.server_is_closed = true;
        }
        true
    }

    fn replied(&mut self, ack: u64, accepted: bool) -> Result<Happened, Violation> {
        if !self.deals.get(&ack).is_some_and(|deal| deal.is_sent) {
            return Err(Violation::UnaskedReply { ack });
        }
        let deal = self.deals.remove(&ack).ok_or(Violation::UnaskedReply { ack })?;
        let connection = deal.connection;
        Ok(if accepted {
            Happened::Placed { connection }
        } else {
            Happened::Refused { connection, why: RefusedBecause::NotAccepted }
        })
    }

    /// A message of ours arrived without its descriptor.
    fn missed(&mut self) -> Result<Option<Happened>, Violation> {
        match self.outbox.acknowledged() {
            Some(Carries::Listener { key, server, .. }) => {
                let is_open = self.servers.serial(&key) == Some(server);
                let lost = is_open && self.server_closed(&key);
                Ok(lost.then_some(Happened::ListenerNotTaken { key }))
            }
            Some(Carries::Connection { connection, seq }) => {
                // Node does not reply to what it could not take; if it did, that reply counts.
                let why = RefusedBecause::NoDescriptor;
                Ok(self.deals.remove(&seq).map(|_| Happened::Refused { connection, why }))
            }
            Some(Carries::Nothing | Carries::Acknowledgement | Carries::Parting) | None => {
                Err(Violation::UnaskedAcknowledgement)
            }
        }
    }

    fn acknowledge(&mut self, bytes: Vec<u8>) -> Result<(), Violation> {
        self.check_reads()?;
        self.outbox.queue(bytes, Carries::Acknowledgement);
        Ok(())
    }

    /// Each message that we must answer would make the queue longer.
    fn check_reads(&self) -> Result<(), Violation> {
        if self.outbox.is_full() {
            return Err(Violation::NotReading { queued: self.outbox.len() });
        }
        Ok(())
    }
}
