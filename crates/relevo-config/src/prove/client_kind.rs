//! The kinds of clients that `relevo prove` drives a server with.

use std::fmt;
use std::str::FromStr;

use crate::InvalidValue;

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientKind {
    /// A connection for every request.
    New,
    /// One connection for many requests, idle in between.
    KeepAlive,
    /// Several requests at once on one connection, cut anywhere.
    Pipelined,
    /// A body that is sent in pieces over seconds.
    SlowUpload,
    /// An answer that is read in pieces over seconds, or that the server takes seconds for.
    SlowResponse,
    /// Large answers, read as fast as they come.
    LargeResponse,
    /// Several streams of HTTP/2 on one connection.
    Http2,
    /// A WebSocket: pings, or messages if the server echoes them.
    WebSocket,
}

impl ClientKind {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 8] = [
        Self::New,
        Self::KeepAlive,
        Self::Pipelined,
        Self::SlowUpload,
        Self::SlowResponse,
        Self::LargeResponse,
        Self::Http2,
        Self::WebSocket,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::KeepAlive => "keep-alive",
            Self::Pipelined => "pipelined",
            Self::SlowUpload => "slow-upload",
            Self::SlowResponse => "slow-response",
            Self::LargeResponse => "large-response",
            Self::Http2 => "http2",
            Self::WebSocket => "websocket",
        }
    }

    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether its requests take as long as the server does, so that their latency says something
    /// about the server.
    pub const fn is_quick(self) -> bool {
        match self {
            Self::New | Self::KeepAlive | Self::Http2 | Self::WebSocket => true,
            Self::Pipelined | Self::SlowUpload | Self::SlowResponse | Self::LargeResponse => false,
        }
    }
}

impl FromStr for ClientKind {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| {
            let known = Self::ALL.map(|kind| format!("`{}`", kind.word())).join(", ");
            InvalidValue::new(text, "is no kind of client", format!("use one of {known}"))
        })
    }
}

impl fmt::Display for ClientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_in_order() {
        for (index, kind) in ClientKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(kind.index(), index);
        }
        let error = "keepalive".parse::<ClientKind>().unwrap_err().to_string();
        assert!(error.starts_with("`keepalive` is no kind of client: use one of `new`"), "{error}");
    }
}
