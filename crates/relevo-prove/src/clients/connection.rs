//! One connection that speaks HTTP/1.1.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::ledger::{Carrier, Ledger, Loss, Miss};
use crate::response::{Answer, Decoder, Taken};
use crate::stream::{Dialed, Stream, broken};

/// How much is read at once.
const MOST_READ: usize = 16 * 1024;

/// How much is read at once by someone far away, and how often, each after a pause.
const SLOW_PIECE: usize = 2048;
const SLOW_PIECES: u32 = 40;

/// A connection, and what has come by it that was not asked for yet.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    held: BytesMut,
    pub(crate) decoder: Decoder,
    opened: Instant,
    local_port: Option<u16>,
    /// How many answers it has brought.
    pub(crate) answers: u32,
    /// How long to wait before each of so many more reads.
    slow: Option<(Duration, u32)>,
}

impl Connection {
    pub(crate) fn new(dialed: Dialed, decoder: Decoder) -> Self {
        let Dialed { stream, opened, local_port } = dialed;
        let (held, answers, slow) = (BytesMut::new(), 0, None);
        Self { stream, held, decoder, opened, local_port, answers, slow }
    }

    /// Reads as someone far away does, for so long; what comes then is read as fast as it comes.
    pub(crate) fn slowly(mut self, whole: Duration) -> Self {
        self.slow = Some((whole / SLOW_PIECES, SLOW_PIECES));
        self
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Miss> {
        let sent = match self.stream.write_all(bytes).await {
            // TLS holds some back otherwise.
            Ok(()) => self.stream.flush().await,
            Err(error) => Err(error),
        };
        sent.map_err(|error| broken(&error, "sending", self.carrier()))
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Result<Answer, Miss> {
        loop {
            match self.decoder.take(&self.held) {
                Ok(Taken::Done(used, answer)) => {
                    self.held.advance(used);
                    self.answers += 1;
                    return Ok(answer);
                }
                Ok(Taken::More(used)) => self.held.advance(used),
                Err(malformed) => {
                    let what = malformed.to_string();
                    return Err(Miss { loss: Loss::Wrong, what, carrier: Some(self.carrier()) });
                }
            }
            match self.read().await {
                Ok(0) => return self.decoder.end().ok_or_else(|| self.closed()),
                Ok(_) => {}
                Err(error) => return Err(broken(&error, "reading", self.carrier())),
            }
        }
    }

    async fn read(&mut self) -> std::io::Result<usize> {
        match self.slow {
            Some((pause, left)) if left > 0 => {
                tokio::time::sleep(pause).await;
                self.slow = Some((pause, left - 1));
                self.held.reserve(SLOW_PIECE);
                return (&mut self.stream).take(SLOW_PIECE as u64).read_buf(&mut self.held).await;
            }
            Some(_) | None => {}
        }
        self.held.reserve(MOST_READ);
        self.stream.read_buf(&mut self.held).await
    }

    fn closed(&self) -> Miss {
        let what = if self.decoder.is_before_head() && self.held.is_empty() {
            "closed before the answer began"
        } else {
            "closed in the middle of the answer"
        };
        Miss { loss: Loss::Closed, what: what.to_owned(), carrier: Some(self.carrier()) }
    }

    /// What is known of it, for the account of a request that is lost.
    pub(crate) fn carrier(&self) -> Carrier {
        Carrier {
            opened: self.opened,
            local_port: self.local_port,
            requests_before: self.answers,
            answer_begun: !self.decoder.is_before_head() || !self.held.is_empty(),
        }
    }

    /// Returns when the server ends the idle connection, or speaks unasked.
    pub(crate) async fn ended_idle(&mut self) {
        // Whatever comes, bytes or an error or the end: the connection is of no use any more.
        let _ = self.read().await;
    }

    /// Notes that the server ended it while it was idle, for so long, with this time announced.
    pub(crate) fn note_idle_end(
        &self,
        ledger: &Ledger,
        idle: Duration,
        announced: Option<Duration>,
    ) {
        // Node closes by a timer that looks only so often.
        let slack = Duration::from_millis(100);
        let expired = announced.is_some_and(|announced| idle + slack >= announced);
        ledger.ended_idle(&self.carrier(), expired);
    }

    /// Waits for the server to close it, as it said it would, and then some time at the most.
    pub(crate) async fn see_closed(mut self, ledger: &Ledger) {
        ledger.connections(|connections| connections.announced += 1);
        let _ = timeout(Duration::from_secs(1), self.ended_idle()).await;
    }
}
