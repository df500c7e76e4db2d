//! What the workers and the primary itself write, on its way to the primary's stdout and stderr.
//!
//! A worker is never made to wait: its pipes are always read. What cannot be passed on is dropped
//! (`writer.rs`). The last lines that each worker wrote to stderr are kept for the report of its end.

mod lines;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub(super) use lines::Lines;
use relevo_core::{Slot, WorkerId};
use writer::Writer;

/// How many of a worker's last lines on stderr are kept.
const LAST_WORDS: usize = 20;
/// How much of each of them is kept, in bytes.
const WORD_LENGTH: usize = 400;
/// For how many ended workers they are kept.
const ENDED_KEPT: usize = 32;
/// How much is read from one pipe before others get their turn.
const READ: usize = 64 * 1024;
/// How long the end of the program waits for a stalled reader.
const FLUSH: Duration = Duration::from_secs(1);

/// Which of a worker's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// All streams of all workers.
#[derive(Debug)]
pub(crate) struct Output {
    out: Writer,
    err: Writer,
    prefix_out: bool,
    prefix_err: bool,
    pipes: BTreeMap<(WorkerId, Stream), Pipe>,
    last_words: BTreeMap<WorkerId, VecDeque<String>>,
    ended: VecDeque<WorkerId>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Pipe {
    fd: OwnedFd,
    slot: Slot,
    lines: Lines,
}

impl Output {
    /// Output that goes to the process's own stdout and stderr, or all of it to stderr.
    pub(crate) fn new(all_to_stderr: bool) -> io::Result<Self> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let out = if all_to_stderr { stderr.as_fd() } else { stdout.as_fd() };
        Ok(Self {
            out: Writer::new("stdout", File::from(out.try_clone_to_owned()?))?,
            err: Writer::new("stderr", File::from(io::stderr().as_fd().try_clone_to_owned()?))?,
            prefix_out: io::stdout().is_terminal(),
            prefix_err: io::stderr().is_terminal(),
            pipes: BTreeMap::new(),
            last_words: BTreeMap::new(),
            ended: VecDeque::new(),
            buffer: vec![0; READ],
        })
    }

    /// Adds one of a worker's pipes, which is non-blocking.
    pub(crate) fn add(&mut self, worker: WorkerId, stream: Stream, slot: Slot, fd: OwnedFd) {
        self.pipes.insert((worker, stream), Pipe { fd, slot, lines: Lines::default() });
    }

    /// From now on the worker's lines are another slot's.
    pub(crate) fn change_slot(&mut self, worker: WorkerId, slot: Slot) {
        for stream in [Stream::Out, Stream::Err] {
            if let Some(pipe) = self.pipes.get_mut(&(worker, stream)) {
                pipe.slot = slot;
            }
        }
    }

    /// The pipe's descriptor, to be watched.
    pub(crate) fn fd(&self, worker: WorkerId, stream: Stream) -> Option<BorrowedFd<'_>> {
        self.pipes.get(&(worker, stream)).map(|pipe| pipe.fd.as_fd())
    }

    /// Reads once from a pipe that is readable. `false` means that it has ended.
    pub(crate) fn read(&mut self, worker: WorkerId, stream: Stream) -> bool {
        let Some(pipe) = self.pipes.get_mut(&(worker, stream)) else { return false };
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = rustix::io::read(&pipe.fd, &mut buffer);
        let more = match read {
            Ok(0) => false,
            Ok(n) => {
                self.pass_on(worker, stream, &buffer[..n]);
                true
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => true,
            Err(_) => false,
        };
        self.buffer = buffer;
        more
    }

    /// Reads what a worker that has ended left in a pipe, then forgets the pipe. Its children may hold
    /// the other end open for ever, so this is bounded by what a pipe can hold, not by its end.
    pub(crate) fn finish(&mut self, worker: WorkerId, stream: Stream) {
        const PIPE_CAPACITY: usize = 1024 * 1024;
        for _ in 0..PIPE_CAPACITY / READ {
            let Some(pipe) = self.pipes.get(&(worker, stream)) else { return };
            let readable = rustix::io::ioctl_fionread(&pipe.fd).unwrap_or(0) > 0;
            if !readable || !self.read(worker, stream) {
                break;
            }
        }
        if let Some(mut pipe) = self.pipes.remove(&(worker, stream)) {
            let mut rest = Vec::new();
            pipe.lines.finish(|line| rest.extend_from_slice(line));
            if !rest.is_empty() {
                self.write_lines(worker, stream, pipe.slot, &[rest]);
            }
        }
        if stream == Stream::Err {
            self.keep_words_of_ended(worker);
        }
    }

    /// A line of the primary's own.
    pub(crate) fn say(&self, text: &str) {
        self.err.write(format!("relevo: {text}\n").into_bytes());
    }

    /// The last lines that the worker wrote to stderr, oldest first.
    pub(crate) fn last_words(&self, worker: WorkerId) -> Vec<String> {
        self.last_words
            .get(&worker)
            .map(|words| words.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Waits a moment for everything to be written, before the program ends.
    pub(crate) fn flush(&self) {
        self.out.flush(FLUSH);
        self.err.flush(FLUSH);
    }

    fn pass_on(&mut self, worker: WorkerId, stream: Stream, bytes: &[u8]) {
        let Some(pipe) = self.pipes.get_mut(&(worker, stream)) else { return };
        let mut lines = Vec::new();
        pipe.lines.push(bytes, |line| lines.push(line.to_vec()));
        let slot = pipe.slot;
        self.write_lines(worker, stream, slot, &lines);
    }

    fn write_lines(&mut self, worker: WorkerId, stream: Stream, slot: Slot, lines: &[Vec<u8>]) {
        if lines.is_empty() {
            return;
        }
        let (writer, prefixed) = match stream {
            Stream::Out => (&self.out, self.prefix_out),
            Stream::Err => (&self.err, self.prefix_err),
        };
        let mut all = Vec::new();
        for line in lines {
            if prefixed {
                all.extend_from_slice(format!("{slot} | ").as_bytes());
            }
            all.extend_from_slice(line);
        }
        writer.write(all);
        if stream == Stream::Err {
            self.remember(worker, lines);
        }
    }

    fn remember(&mut self, worker: WorkerId, lines: &[Vec<u8>]) {
        let words = self.last_words.entry(worker).or_default();
        for line in lines.iter().rev().take(LAST_WORDS).rev() {
            let cut = &line[..line.len().min(WORD_LENGTH)];
            let text = String::from_utf8_lossy(cut).trim_end().to_owned();
            if text.is_empty() {
                continue;
            }
            if words.len() == LAST_WORDS {
                words.pop_front();
            }
            words.push_back(text);
        }
    }

    fn keep_words_of_ended(&mut self, worker: WorkerId) {
        self.ended.push_back(worker);
        while self.ended.len() > ENDED_KEPT {
            if let Some(oldest) = self.ended.pop_front() {
                self.last_words.remove(&oldest);
            }
        }
    }
}
