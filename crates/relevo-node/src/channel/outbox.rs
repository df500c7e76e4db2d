//! The frames that wait to be written to one worker, and the descriptors it has not acknowledged.

use std::collections::VecDeque;

use crate::message::Key;

/// How many frames may wait before a worker counts as one that does not read.
pub const MAX_QUEUED: usize = 1024;

/// One line for a worker, newline included, to be written by one `sendmsg` with its attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The line.
    pub bytes: Vec<u8>,
    /// The descriptor that goes with its first byte.
    pub attachment: Option<Attachment>,
}

/// A descriptor, by the number its owner gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attachment {
    /// A socket that the worker is to listen on.
    Listener(u64),
    /// A connection dealt to it.
    Connection(u64),
}

/// What a frame means for the order of things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// No descriptor.
    Nothing,
    /// An answer that Node waits for, which may follow the parting word.
    Acknowledgement,
    /// The parting word.
    Parting,
    /// A shared answer, and which server it opened.
    Listener { listener: u64, key: Key, server: u64 },
    /// A dealt connection, and the number of the message.
    Connection { connection: u64, seq: u64 },
}

impl Carries {
    fn attachment(&self) -> Option<Attachment> {
        match self {
            Self::Nothing | Self::Acknowledgement | Self::Parting => None,
            Self::Listener { listener, .. } => Some(Attachment::Listener(*listener)),
            Self::Connection { connection, .. } => Some(Attachment::Connection(*connection)),
        }
    }
}

/// Ordered and counted; it knows nothing of servers or deals.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<(Vec<u8>, Carries)>,
    /// How many frames in the queue have an attachment.
    queued_descriptors: usize,
    /// What was sent with a descriptor, oldest first. Acknowledgements name nothing: they come in
    /// the order in which the descriptors went.
    unacknowledged: VecDeque<Carries>,
    next_seq: u64,
    has_parted: bool,
}

impl Outbox {
    /// The number of the next message. Each number must be used, in order.
    pub(super) fn next_seq(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    pub(super) fn queue(&mut self, bytes: Vec<u8>, carries: Carries) {
        debug_assert!(
            !self.has_parted || carries == Carries::Acknowledgement,
            "{carries:?} would follow the parting word"
        );
        debug_assert!(
            carries != Carries::Parting || self.outstanding() == 0,
            "the parting word would overtake a descriptor"
        );
        self.has_parted |= carries == Carries::Parting;
        self.queued_descriptors += usize::from(carries.attachment().is_some());
        self.queue.push_back((bytes, carries));
    }

    /// Takes the next frame out: from now on it counts as sent.
    pub(super) fn take(&mut self) -> Option<(Frame, Carries)> {
        let (bytes, carries) = self.queue.pop_front()?;
        let attachment = carries.attachment();
        if attachment.is_some() {
            self.queued_descriptors -= 1;
            self.unacknowledged.push_back(carries.clone());
        }
        Some((Frame { bytes, attachment }, carries))
    }

    /// The worker has acknowledged a descriptor, or missed it: which one, if any was out.
    pub(super) fn acknowledged(&mut self) -> Option<Carries> {
        self.unacknowledged.pop_front()
    }

    /// How many descriptors are queued, or sent and not acknowledged.
    pub(super) fn outstanding(&self) -> usize {
        self.queued_descriptors + self.unacknowledged.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= MAX_QUEUED
    }
}
