//! One worker's channel as bytes: reading with descriptors, writing with what the socket takes.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use relevo_core::{ListenerId, Time, WorkerId};
use relevo_node::limits::MAX_KEYS;
use relevo_node::{Attachment, Channel, Decoder, Frame, Incoming, Key, Violation};
use relevo_sys::poll::{Interest, Poller};
use relevo_sys::{Errno, scm};

use super::handover::Given;
use super::token::Token;

/// How much is read at once; a worker that says more waits for its turn.
const READ: usize = 64 * 1024;

/// A worker's channel, and what goes with it.
#[derive(Debug)]
pub(super) struct Wire {
    worker: WorkerId,
    socket: OwnedFd,
    decoder: Decoder<OwnedFd>,
    pub(super) channel: Channel,
    /// What the socket has not taken yet.
    unsent: Option<Unsent>,
    wants_writable: bool,
    is_heard: bool,
    /// When it last said anything.
    pub(super) heard: Time,
    /// How many reports of it wait to be delivered.
    pub(super) unreported: usize,
    /// Listening sockets on their way to the worker, by the number of their frame.
    pub(super) listeners: BTreeMap<u64, Arc<OwnedFd>>,
    pub(super) next_attachment: u64,
    pub(super) listener_of: BTreeMap<Key, ListenerId>,
    pub(super) key_of: BTreeMap<ListenerId, Key>,
    /// Servers that are closed: their connections may still be open.
    closed: BTreeMap<Key, ListenerId>,
    pub(super) given: Given,
    /// It broke the rules: nothing it says is read any more.
    pub(super) is_deaf: bool,
}

#[derive(Debug)]
struct Unsent {
    frame: Frame,
    written: usize,
}

/// What reading a channel came to.
pub(super) enum ReadOutcome {
    /// Something was read.
    Some {
        /// A descriptor came along, of which a read brings one at most (unix(7)).
        with_descriptor: bool,
    },
    /// There is nothing now.
    Nothing,
    /// The worker's end is closed.
    Ended,
}

/// What writing to a channel came to.
pub(super) enum Flushed {
    /// Everything is written, or will be when the socket takes more.
    Done,
    /// Something is left, to be tried when anything else happens.
    Again,
    /// The worker's end is closed.
    Gone,
}

impl Wire {
    pub(super) fn new(worker: WorkerId, socket: OwnedFd) -> Self {
        Self {
            worker,
            socket,
            decoder: Decoder::new(),
            channel: Channel::new(),
            unsent: None,
            wants_writable: false,
            is_heard: true,
            heard: Time::default(),
            unreported: 0,
            listeners: BTreeMap::new(),
            next_attachment: 0,
            listener_of: BTreeMap::new(),
            key_of: BTreeMap::new(),
            closed: BTreeMap::new(),
            given: Given::default(),
            is_deaf: false,
        }
    }

    /// The listener of a server that is open, or was.
    pub(super) fn ever_listener_of(&self, key: &Key) -> Option<ListenerId> {
        self.listener_of.get(key).or_else(|| self.closed.get(key)).copied()
    }

    /// The server that serves a listener, or else one that did.
    pub(super) fn ever_key_of(&self, listener: ListenerId) -> Option<Key> {
        let closed = || self.closed.iter().rfind(|(_, of)| **of == listener).map(|(key, _)| key);
        self.key_of.get(&listener).or_else(closed).cloned()
    }

    /// Of an app that opens and closes without end, the first that it closed are forgotten.
    pub(super) fn remember_key(&mut self, key: Key, listener: ListenerId) {
        if self.closed.len() >= MAX_KEYS {
            self.closed.pop_first();
        }
        self.closed.insert(key, listener);
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads once.
    pub(super) fn read(&mut self, buffer: &mut Vec<u8>) -> Result<ReadOutcome, Violation> {
        buffer.resize(READ, 0);
        let mut descriptors = Vec::new();
        match scm::receive(self.socket.as_fd(), buffer, &mut descriptors) {
            Ok(received) if received.bytes == 0 => Ok(ReadOutcome::Ended),
            Ok(received) => {
                if received.descriptors_lost {
                    return Err(Violation::TooManyDescriptors);
                }
                let with_descriptor = !descriptors.is_empty();
                self.decoder.push(&buffer[..received.bytes], descriptors)?;
                Ok(ReadOutcome::Some { with_descriptor })
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(ReadOutcome::Nothing),
            // A worker that ends with unread messages resets the connection.
            Err(_) => Ok(ReadOutcome::Ended),
        }
    }

    pub(super) fn next_message(&mut self) -> Option<Result<Incoming<OwnedFd>, Violation>> {
        self.decoder.next()
    }

    /// Writes what is queued, as much as the socket takes.
    pub(super) fn flush(&mut self, connections: &Connections, poller: &Poller) -> Flushed {
        loop {
            let unsent = match self.unsent.take() {
                Some(unsent) => unsent,
                None => match self.channel.next_frame() {
                    Some(frame) => Unsent { frame, written: 0 },
                    None => break,
                },
            };
            match self.send(unsent, connections) {
                Ok(()) => {}
                Err(Errno::AGAIN) => {
                    self.want_writable(true, poller);
                    return Flushed::Done;
                }
                // The kernel lets a user have so many descriptors in flight only; the next
                // acknowledgement of any worker is the moment to try again.
                Err(Errno::TOOMANYREFS) => return Flushed::Again,
                Err(_) => return Flushed::Gone,
            }
        }
        self.want_writable(false, poller);
        Flushed::Done
    }

    /// Writes one frame, its descriptor with the first byte; what is left is kept for later.
    fn send(&mut self, mut unsent: Unsent, connections: &Connections) -> Result<(), Errno> {
        while unsent.written < unsent.frame.bytes.len() {
            let attachment = unsent.frame.attachment.filter(|_| unsent.written == 0);
            let descriptor = attachment.and_then(|attachment| match attachment {
                Attachment::Listener(number) => self.listeners.get(&number).map(|fd| fd.as_fd()),
                Attachment::Connection(number) => connections.get(&number).map(AsFd::as_fd),
            });
            let bytes = &unsent.frame.bytes[unsent.written..];
            match scm::send(self.socket.as_fd(), bytes, descriptor) {
                Ok(sent) => {
                    unsent.written += sent;
                    if let Some(Attachment::Listener(number)) = attachment {
                        self.listeners.remove(&number);
                    }
                }
                Err(Errno::INTR) => {}
                Err(errno) => {
                    self.unsent = Some(unsent);
                    return Err(errno);
                }
            }
        }
        Ok(())
    }

    fn want_writable(&mut self, wanted: bool, poller: &Poller) {
        if self.wants_writable != wanted {
            self.wants_writable = wanted;
            self.watch(poller);
        }
    }

    /// Whether what it says is read; while not, it waits in the kernel.
    pub(super) fn hear(&mut self, heard: bool, poller: &Poller) {
        if self.is_heard != heard {
            self.is_heard = heard;
            self.watch(poller);
        }
    }

    fn watch(&self, poller: &Poller) {
        if !self.is_deaf {
            let interest = Interest { readable: self.is_heard, writable: self.wants_writable };
            // Changing what is watched of a descriptor that is watched cannot fail.
            let _ = poller.change(&self.socket, Token::Channel(self.worker).pack(), interest);
        }
    }
}

/// The connections that the primary holds, by their numbers.
pub(super) type Connections = BTreeMap<u64, OwnedFd>;
