//! What a worker may not do on its channel. Each of these ends the worker.

use std::fmt;

use thiserror::Error;

use crate::{decode, line};

/// A breach of the protocol, worded for the person who reads why the worker was ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// The first byte was the one Bun puts before its internal lines (section 7).
    #[error(
        "the worker speaks Bun's dialect of the cluster protocol, which is not spoken here; \
         run it with Node"
    )]
    Bun,
    /// More descriptors came than messages that carry one.
    #[error(
        "more than {} descriptors came without a message that names them",
        decode::MAX_DESCRIPTORS
    )]
    TooManyDescriptors,
    /// A line has no end.
    #[error("a message is longer than {} MiB", decode::MAX_SKIPPED >> 20)]
    LineTooLong,
    /// A line that is too long to be kept came with a descriptor that it may need.
    #[error("a message with a descriptor is longer than {} MiB", decode::MAX_LINE >> 20)]
    LongLineWithDescriptor,
    /// A line that is too long to be kept is not the app's own.
    #[error("an internal message (NODE_…) is longer than {} MiB", decode::MAX_LINE >> 20)]
    LongInternalLine,
    /// A line is not text.
    #[error("a message is not valid UTF-8")]
    NotUtf8,
    /// A line is not JSON.
    #[error("a message is not JSON: {why}")]
    NotJson {
        /// What the parser says.
        why: String,
    },
    /// A line is nested beyond reason.
    #[error("a message is nested more than {} levels deep", line::MAX_DEPTH)]
    TooDeep,
    /// An internal message lacks a field or has one of the wrong type.
    #[error("a {message} message is malformed: {why}")]
    Malformed {
        /// The `cmd` or `act` of the message.
        message: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// `NODE_HANDLE_ACK` or `NODE_HANDLE_NACK`, and no descriptor of ours was out.
    #[error("the worker acknowledged a descriptor that was not sent")]
    UnaskedAcknowledgement,
    /// A reply to a connection that was not dealt, or that it has replied to already.
    #[error("the worker replied to message {ack}, which does not wait for a reply")]
    UnaskedReply {
        /// The `ack` of the reply.
        ack: u64,
    },
    /// The worker asks and asks, and does not read what it is told.
    #[error("the worker does not read its channel: {queued} messages to it wait")]
    NotReading {
        /// How many frames are queued.
        queued: usize,
    },
}

impl Violation {
    pub(crate) fn malformed(message: &'static str, why: impl fmt::Display) -> Self {
        Self::Malformed { message, why: short(&why.to_string()) }
    }

    pub(crate) fn not_json(why: &serde_json::Error) -> Self {
        Self::NotJson { why: short(&why.to_string()) }
    }
}

/// A parser's words can quote what the worker sent, so they are cut and made printable.
pub(crate) fn short(text: &str) -> String {
    const MOST: usize = 160;
    let mut kept: String =
        text.chars().take(MOST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_short_and_printable() {
        let long = format!("\x1b[31m\n{}", "x".repeat(1 << 20));
        let kept = short(&long);
        assert!(kept.chars().count() <= 161, "{} chars", kept.chars().count());
        assert!(!kept.chars().any(char::is_control));
        assert_eq!(short("as it is"), "as it is");
    }

    #[test]
    fn reasons_are_sentences() {
        assert_eq!(Violation::LineTooLong.to_string(), "a message is longer than 64 MiB");
        assert!(Violation::Bun.to_string().contains("Bun's dialect"));
    }
}
