//! From the bytes and descriptors of a channel to messages.
//!
//! ```text
//!             newline                       more than MAX_LINE without one
//!   ┌────────────────────────┐            ┌──────────────────────────────┐
//!   ▼                        │            │                              ▼
//! Buffering ─────────────────┴────────────┘                          Skipping
//!   ▲                                                                 │    │
//!   └──────────────────────────── newline ────────────────────────────┘    │
//!                                                                          ▼
//!   any Violation, from either ─────────────────────────────────────▶   Failed
//! ```
//!
//! - *Buffering*: a line is kept until it is complete.
//! - *Skipping*: a line that long is the app's own business; it is counted, not kept, up to
//!   [`MAX_SKIPPED`].
//! - *Failed*: the worker is to be ended. Everything kept is dropped, and nothing more is yielded.
//!
//! A descriptor belongs to the first `NODE_HANDLE` line, or the agent's `handover`, that is completed by the chunk it came
//! with, or by a later one. That is how Node matches them (section 3), and all that the kernel
//! lets a receiver know.

use std::collections::VecDeque;

use crate::agent::FromAgent;
use crate::line;
use crate::message::{FromWorker, UserMessage};
use crate::violation::Violation;

/// The longest line that is kept, in bytes.
pub const MAX_LINE: usize = 1 << 20;
/// The longest line that is tolerated, in bytes.
pub const MAX_SKIPPED: usize = 64 << 20;
/// How many descriptors may wait for the message they belong to.
pub const MAX_DESCRIPTORS: usize = 8;

/// What the buffer keeps of its memory when it is empty.
const KEPT_CAPACITY: usize = 64 << 10;
/// Bun puts this byte before each internal line (section 7).
const BUN: u8 = 0x02;

/// A message, and the descriptor that came with it.
///
/// Only a [`FromWorker::UserHandle`] and a [`FromAgent::Handover`] claim a descriptor.
#[derive(Debug)]
pub struct Incoming<D> {
    /// What was said.
    pub message: FromWorker,
    /// What came along. Whoever does not want it drops it.
    pub descriptor: Option<D>,
}

/// Cuts the stream of one worker into messages. `D` is whatever owns a descriptor: the decoder
/// drops what it does not give away.
///
/// Push each chunk as it was received, then iterate until there is nothing more; what is not
/// taken out stays in memory.
#[derive(Debug)]
pub struct Decoder<D> {
    buffer: Vec<u8>,
    /// Where in the buffer the first line not yet yielded begins.
    start: usize,
    /// Up to where in the buffer no newline is left to be found.
    scanned: usize,
    /// Where in the whole stream `start` is.
    offset: u64,
    /// Each with the place in the stream where the chunk it came with begins.
    descriptors: VecDeque<(u64, D)>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Buffering,
    Skipping { skipped: usize },
    Failed,
}

impl<D> Default for Decoder<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D> Decoder<D> {
    /// For a channel of which nothing has been read yet.
    pub fn new() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            offset: 0,
            descriptors: VecDeque::new(),
            state: State::Buffering,
        }
    }

    /// Takes what one read yielded.
    ///
    /// # Errors
    ///
    /// Too many descriptors wait for their message; this one and all others are dropped. After
    /// any violation, here or from the iterator, whatever is pushed is dropped too.
    pub fn push(
        &mut self,
        bytes: &[u8],
        descriptors: impl IntoIterator<Item = D>,
    ) -> Result<(), Violation> {
        if self.state == State::Failed {
            return Ok(());
        }
        let chunk = self.offset + (self.buffer.len() - self.start) as u64;
        for descriptor in descriptors {
            if self.descriptors.len() == MAX_DESCRIPTORS {
                return Err(self.fail(Violation::TooManyDescriptors));
            }
            self.descriptors.push_back((chunk, descriptor));
        }
        self.make_room();
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// How much memory the buffer takes, in bytes.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// What is left of the stream when it has ended: whether it ended within a line.
    pub fn is_mid_line(&self) -> bool {
        self.start < self.buffer.len() || matches!(self.state, State::Skipping { .. })
    }

    /// The next message, or `None` if the next line is not complete.
    fn advance(&mut self) -> Result<Option<Incoming<D>>, Violation> {
        if self.offset == 0 && self.buffer.get(self.start) == Some(&BUN) {
            return Err(Violation::Bun);
        }
        let newline = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n');
        match newline {
            Some(at) => self.complete(self.scanned + at).map(Some),
            None => self.incomplete().map(|()| None),
        }
    }

    /// The line ends at `end`, where its newline is.
    fn complete(&mut self, end: usize) -> Result<Incoming<D>, Violation> {
        let line = &self.buffer[self.start..end];
        let newline = self.offset + line.len() as u64;
        let message = match self.state {
            State::Skipping { skipped } => check_skipped(skipped + line.len()).map(|()| None)?,
            State::Buffering if line.len() > MAX_LINE => {
                check_long(line)?;
                check_skipped(line.len()).map(|()| None)?
            }
            State::Buffering | State::Failed => Some(line::parse(line)?),
        };
        self.state = State::Buffering;
        self.consume(end + 1);
        let message = message.unwrap_or(FromWorker::User(UserMessage::Other));
        let descriptor = match message {
            FromWorker::UserHandle { .. } | FromWorker::Agent(FromAgent::Handover(_)) => {
                self.claim(newline)
            }
            FromWorker::Online
            | FromWorker::QueryServer(_)
            | FromWorker::Listening(_)
            | FromWorker::Close { .. }
            | FromWorker::ExitedAfterDisconnect { .. }
            | FromWorker::Reply { .. }
            | FromWorker::HandleAck
            | FromWorker::HandleNack
            | FromWorker::SocketNotifyClose { .. }
            | FromWorker::SocketGetCount { .. }
            | FromWorker::Agent(_)
            | FromWorker::User(_)
            | FromWorker::Unknown => None,
        };
        Ok(Incoming { message, descriptor })
    }

    /// There is no newline in the buffer.
    fn incomplete(&mut self) -> Result<(), Violation> {
        let line = &self.buffer[self.start..];
        let length = line.len();
        let skipped = match self.state {
            State::Buffering if length > MAX_LINE => {
                check_long(line)?;
                Some(length)
            }
            State::Skipping { skipped } => Some(skipped + length),
            State::Buffering | State::Failed => None,
        };
        if let Some(skipped) = skipped {
            // It came with this line or before it, so a message is here that could need it.
            if !self.descriptors.is_empty() {
                return Err(Violation::LongLineWithDescriptor);
            }
            check_skipped(skipped)?;
            self.state = State::Skipping { skipped };
            self.consume(self.buffer.len());
        }
        self.scanned = self.buffer.len();
        self.tidy();
        Ok(())
    }

    /// The first waiting descriptor, if it did not come after the newline.
    fn claim(&mut self, newline: u64) -> Option<D> {
        let (chunk, _) = self.descriptors.front()?;
        if *chunk > newline {
            return None;
        }
        self.descriptors.pop_front().map(|(_, descriptor)| descriptor)
    }

    fn consume(&mut self, end: usize) {
        self.offset += (end - self.start) as u64;
        self.start = end;
        self.scanned = end;
    }

    /// Moves what is left to the front, but only when that is less than what it follows: so each
    /// byte pays for at most one other.
    fn make_room(&mut self) {
        if self.start > 0 && self.start >= self.buffer.len() - self.start {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
    }

    /// One long line should not cost its memory for ever.
    fn tidy(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
            self.scanned = 0;
            if self.buffer.capacity() > KEPT_CAPACITY {
                self.buffer.shrink_to(KEPT_CAPACITY);
            }
        }
    }

    fn fail(&mut self, violation: Violation) -> Violation {
        *self = Self { state: State::Failed, ..Self::new() };
        violation
    }
}

/// Messages, as far as their lines are complete; a violation is the last item.
impl<D> Iterator for Decoder<D> {
    type Item = Result<Incoming<D>, Violation>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Failed {
            return None;
        }
        let outcome = self.advance();
        outcome.map_err(|violation| self.fail(violation)).transpose()
    }
}

/// A line too long to be kept must be the app's, for whoever skips an internal one leaves the
/// worker waiting for an answer.
fn check_long(start_of_line: &[u8]) -> Result<(), Violation> {
    if start_of_line.starts_with(line::INTERNAL_START) {
        return Err(Violation::LongInternalLine);
    }
    Ok(())
}

fn check_skipped(length: usize) -> Result<(), Violation> {
    if length > MAX_SKIPPED { Err(Violation::LineTooLong) } else { Ok(()) }
}
