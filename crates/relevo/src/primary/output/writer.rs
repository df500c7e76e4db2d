//! Writing to the primary's own stdout and stderr without ever waiting for their readers.
//!
//! These descriptors may be a terminal, a file or a pipe shared with a shell, so they are never made
//! non-blocking. A thread does the writing; what it has not written yet is bounded, the oldest is
//! dropped first, and a line says how much was dropped.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many bytes may wait for a stalled reader.
const LIMIT: usize = 1024 * 1024;

/// A descriptor with a thread of its own.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
    /// Whether the thread is writing something it took out of the queue.
    writing: bool,
}

impl Writer {
    /// Writes to `out` from a thread called `name`.
    pub(crate) fn new(name: &str, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(64 * 1024)
            .spawn(move || write_for_ever(&theirs, out))?;
        Ok(Self { shared })
    }

    /// Adds a piece to what is to be written. Never waits.
    pub(crate) fn write(&self, piece: Vec<u8>) {
        let mut queue = self.shared.lock();
        queue.push(piece);
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// Waits until everything is written, or the time is up.
    pub(crate) fn flush(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        let mut queue = self.shared.lock();
        while !queue.pieces.is_empty() || queue.writing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            queue = self
                .shared
                .changed
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, piece: Vec<u8>) {
        self.bytes += piece.len();
        self.pieces.push_back(piece);
        while self.bytes > LIMIT {
            let Some(oldest) = self.pieces.pop_front() else { break };
            self.bytes -= oldest.len();
            self.dropped += oldest.iter().filter(|byte| **byte == b'\n').count().max(1) as u64;
        }
    }

    /// Everything there is, in one piece, preceded by a word on what was dropped.
    fn take(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.bytes);
        if self.dropped > 0 {
            let lines = self.dropped;
            all.extend_from_slice(
                format!("relevo: {lines} lines dropped: nobody read them fast enough\n").as_bytes(),
            );
            self.dropped = 0;
        }
        for piece in self.pieces.drain(..) {
            all.extend_from_slice(&piece);
        }
        self.pieces.shrink_to(64);
        self.bytes = 0;
        all
    }
}

fn write_for_ever(shared: &Shared, mut out: impl Write) {
    loop {
        let mut queue = shared.lock();
        while queue.pieces.is_empty() {
            queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let all = queue.take();
        queue.writing = true;
        drop(queue);
        // Nobody is there to be told that a reader is gone; workers must not notice either.
        let _ = out.write_all(&all).and_then(|()| out.flush());
        shared.lock().writing = false;
        shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A reader that reads nothing until it is told to.
    struct Stalled(mpsc::Receiver<()>, mpsc::Sender<Vec<u8>>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_reader_costs_the_oldest_lines_and_is_told_so() {
        let (go, gate) = mpsc::channel();
        let (written, out) = mpsc::channel();
        let writer = Writer::new("test", Stalled(gate, written)).unwrap();
        writer.write(b"first\n".to_vec());
        for _ in 0..3 * LIMIT / 1024 {
            let mut line = vec![b'x'; 1023];
            line.push(b'\n');
            writer.write(line);
        }
        writer.write(b"last\n".to_vec());
        drop(go);
        writer.flush(Duration::from_secs(10));
        let all: Vec<u8> = out.try_iter().flatten().collect();
        let text = String::from_utf8(all).unwrap();
        assert!(text.ends_with("last\n"), "the newest line is kept");
        assert!(text.contains(" lines dropped: "), "the loss is said");
        assert!(text.len() < 2 * LIMIT, "{} bytes were kept", text.len());
    }
}
