//! One worker's channel as bytes: reading with descriptors, writing with what the socket takes.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use relevo_core::{ListenerId, WorkerId};
use relevo_node::{Attachment, Channel, Decoder, Frame, Incoming, Key, Violation};
use relevo_sys::poll::{Interest, Poller};
use relevo_sys::{Errno, scm};

use super::super::token::Token;

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
    /// Listening sockets on their way to the worker, by the number of their frame.
    pub(super) listeners: BTreeMap<u64, Rc<OwnedFd>>,
    pub(super) next_attachment: u64,
    pub(super) listener_of: BTreeMap<Key, ListenerId>,
    pub(super) key_of: BTreeMap<ListenerId, Key>,
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
    Some,
    /// There is nothing now.
    Nothing,
    /// The worker's end is closed.
    Ended,
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
            listeners: BTreeMap::new(),
            next_attachment: 0,
            listener_of: BTreeMap::new(),
            key_of: BTreeMap::new(),
            is_deaf: false,
        }
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
                self.decoder.push(&buffer[..received.bytes], descriptors)?;
                Ok(ReadOutcome::Some)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(ReadOutcome::Nothing),
            // A worker that ends with unread messages resets the connection.
            Err(_) => Ok(ReadOutcome::Ended),
        }
    }

    pub(super) fn next_message(&mut self) -> Option<Result<Incoming<OwnedFd>, Violation>> {
        self.decoder.next()
    }

    /// Writes what is queued, as much as the socket takes. `false`: the other end is gone.
    pub(super) fn flush(&mut self, connections: &Connections, poller: &Poller) -> bool {
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
                    return true;
                }
                // The kernel lets a user have so many descriptors in flight only; the worker's
                // next acknowledgement is the moment to try again.
                Err(Errno::TOOMANYREFS) => return true,
                Err(_) => return false,
            }
        }
        self.want_writable(false, poller);
        true
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
        if self.wants_writable != wanted && !self.is_deaf {
            self.wants_writable = wanted;
            let interest = if wanted { Interest::BOTH } else { Interest::READ };
            // Changing what is watched of a descriptor that is watched cannot fail.
            let _ = poller.change(&self.socket, Token::Channel(self.worker).pack(), interest);
        }
    }
}

/// The connections that the primary holds, by their numbers.
pub(super) type Connections = BTreeMap<u64, OwnedFd>;
