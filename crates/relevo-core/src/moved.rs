//! What became of the connections of workers that left.

/// What one worker's drain, or all of a rollout's, did to connections that were idle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Taken over by another worker; their clients noticed nothing.
    pub handed_over: u32,
    /// Closed by our side: a keep-alive timeout, or the end of `--linger`.
    pub closed_idle: u32,
    /// Those for which nobody can promise that no request was on its way when they were closed: their
    /// keep-alive timeout is longer than `--linger`, or none was announced.
    pub not_zero: u32,
    /// Those that had to stay with the worker, by the reason.
    pub not_movable: NotMovable,
}

/// Why connections were not moved (`docs/drain.md`, "What may be moved").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotMovable {
    /// The state of the encryption cannot travel.
    pub tls: u32,
    /// A session of HTTP/2 without TLS.
    pub http2: u32,
    /// A WebSocket, or another protocol.
    pub upgraded: u32,
    /// It was not taken by Node's HTTP server at once: something else has read from it first.
    pub late: u32,
    /// The app keeps something on the socket, or listens to it.
    pub touched: u32,
    /// The app asked for it.
    pub kept: u32,
    /// This Node does not tell whether it is idle.
    pub unlisted: u32,
    /// A response without an end is under way on it.
    pub busy_stream: u32,
}

impl Moved {
    /// The larger of each number.
    pub(crate) fn at_least(&self, other: &Self) -> Self {
        self.each(other, u32::max)
    }

    /// By how much each number is larger than before.
    pub(crate) fn since(&self, before: &Self) -> Self {
        self.each(before, u32::saturating_sub)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        *self = self.each(other, u32::saturating_add);
    }

    fn each(&self, other: &Self, of: fn(u32, u32) -> u32) -> Self {
        let (mine, theirs) = (&self.not_movable, &other.not_movable);
        Self {
            handed_over: of(self.handed_over, other.handed_over),
            closed_idle: of(self.closed_idle, other.closed_idle),
            not_zero: of(self.not_zero, other.not_zero),
            not_movable: NotMovable {
                tls: of(mine.tls, theirs.tls),
                http2: of(mine.http2, theirs.http2),
                upgraded: of(mine.upgraded, theirs.upgraded),
                late: of(mine.late, theirs.late),
                touched: of(mine.touched, theirs.touched),
                kept: of(mine.kept, theirs.kept),
                unlisted: of(mine.unlisted, theirs.unlisted),
                busy_stream: of(mine.busy_stream, theirs.busy_stream),
            },
        }
    }
}
