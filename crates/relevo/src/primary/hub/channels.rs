//! Reading and writing the workers' channels.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use relevo_core::{DealerEvent, Event, WorkerId};
use relevo_sys::poll::Interest;

use super::Hub;
use super::token::Token;
use super::wire::{Flushed, ReadOutcome, Wire};

/// How often the channel of a worker that has ended is read: more than its socket can hold.
const MAX_LAST_READS: usize = 1024;

/// How often the channel of a worker that hands connections over is read before others have their turn.
const MAX_READS: usize = 16;

/// What one read brought.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// More may follow.
    Words,
    /// With a descriptor: more is likely to follow.
    Descriptor,
    NoMore,
}

impl Hub {
    /// Takes over the primary's end of a worker's channel.
    pub(super) fn add_channel(&mut self, worker: WorkerId, socket: OwnedFd) {
        let wire = Wire::new(worker, socket);
        match self.poller.add(wire.fd(), Token::Channel(worker).pack(), Interest::READ) {
            Ok(()) => {
                self.wires.insert(worker, wire);
            }
            Err(errno) => {
                self.complain(format!("cannot watch the channel of worker {worker}: {errno}"));
                self.report(worker, Event::ChannelEnded { worker });
            }
        }
    }

    /// Reads what a worker has to say: once, which nearly always takes all there is. Asking whether
    /// there is more would cost as much again, but for a worker that hands connections over.
    pub(super) fn read(&mut self, worker: WorkerId) {
        for _ in 0..MAX_READS {
            if self.read_once(worker) != Read::Descriptor {
                break;
            }
        }
    }

    /// Reads what a worker said before its end.
    pub(super) fn read_rest(&mut self, worker: WorkerId) {
        for _ in 0..MAX_LAST_READS {
            if self.read_once(worker) == Read::NoMore {
                break;
            }
        }
    }

    fn read_once(&mut self, worker: WorkerId) -> Read {
        let Some(wire) = self.wires.get_mut(&worker).filter(|wire| !wire.is_deaf) else {
            return Read::NoMore;
        };
        match wire.read(&mut self.buffer) {
            Ok(ReadOutcome::Some { with_descriptor }) => {
                // Much of what is said wants an answer, and lets out what waited for it.
                wire.heard = self.now;
                self.talked_to.insert(worker);
                match (self.handle_messages(worker), with_descriptor) {
                    (false, _) => Read::NoMore,
                    (true, true) => Read::Descriptor,
                    (true, false) => Read::Words,
                }
            }
            Ok(ReadOutcome::Nothing) => Read::NoMore,
            Ok(ReadOutcome::Ended) => {
                self.end_channel(worker);
                Read::NoMore
            }
            Err(violation) => {
                self.condemn(worker, violation.to_string());
                Read::NoMore
            }
        }
    }

    /// Writes what is queued for any worker.
    pub(super) fn flush(&mut self) {
        // What a lost worker had in flight is queued for others at once.
        let mut again = BTreeSet::new();
        while let Some(worker) = self.talked_to.pop_first() {
            self.tell_donor(worker);
            let Some(wire) = self.wires.get_mut(&worker) else { continue };
            match wire.flush(&self.connections, &self.poller) {
                Flushed::Done => {}
                Flushed::Again => {
                    again.insert(worker);
                }
                Flushed::Gone => self.end_channel(worker),
            }
        }
        self.talked_to = again;
    }

    /// A worker that breaks the rules is not listened to any more, and will be ended.
    pub(super) fn condemn(&mut self, worker: WorkerId, reason: String) {
        if let Some(wire) = self.wires.get_mut(&worker)
            && !wire.is_deaf
        {
            wire.is_deaf = true;
            let _ = self.poller.remove(wire.fd());
            self.report(worker, Event::Misbehaved { worker, reason });
        }
    }

    /// The worker's end is closed: what it had not accepted goes to others.
    pub(super) fn end_channel(&mut self, worker: WorkerId) {
        let Some(mut wire) = self.wires.remove(&worker) else { return };
        if !wire.is_deaf {
            let _ = self.poller.remove(wire.fd());
        }
        // The dealer knows which connections these are.
        let _ = wire.channel.end();
        self.queries.retain(|_, pending| pending.worker != worker);
        self.leaves.remove(&worker);
        self.end_probes(worker);
        self.deal(DealerEvent::Gone { worker });
        self.report(worker, Event::ChannelEnded { worker });
    }
}
