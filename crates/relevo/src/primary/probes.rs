//! Asking a starting worker by HTTP whether it is ready, where no other can answer: through a connection
//! that is made here, and handed to that worker alone.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use relevo_core::WorkerId;

/// How much of an answer is read: its first line is in it.
const MAX_ANSWER: usize = 4096;

/// The questions that wait for their answers: one a worker.
#[derive(Debug, Default)]
pub(crate) struct Probes(BTreeMap<WorkerId, Probe>);

#[derive(Debug)]
struct Probe {
    stream: TcpStream,
    path: String,
    answer: Vec<u8>,
}

/// What a question came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Probed {
    pub(crate) ready: bool,
    /// In words.
    pub(crate) answer: String,
}

impl Probes {
    /// Asks, in place of what this worker was asked before. What is returned is for the worker.
    pub(crate) fn ask(&mut self, worker: WorkerId, path: &str) -> io::Result<OwnedFd> {
        let (mut ours, theirs) = connection()?;
        let question = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: relevo-ready\r\nConnection: close\r\n\r\n"
        );
        // A new connection takes that much at once.
        ours.write_all(question.as_bytes())?;
        let (path, answer) = (path.to_owned(), Vec::new());
        self.0.insert(worker, Probe { stream: ours, path, answer });
        Ok(theirs.into())
    }

    /// To be watched.
    pub(crate) fn fd(&self, worker: WorkerId) -> Option<BorrowedFd<'_>> {
        self.0.get(&worker).map(|probe| probe.stream.as_fd())
    }

    /// Reads what the worker has answered; `None` while its first line is not there.
    pub(crate) fn read(&mut self, worker: WorkerId) -> Option<Probed> {
        let probe = self.0.get_mut(&worker)?;
        let mut buffer = [0; MAX_ANSWER];
        let room = MAX_ANSWER - probe.answer.len();
        let is_over = match probe.stream.read(&mut buffer[..room]) {
            Ok(0) => true,
            Ok(n) => {
                probe.answer.extend_from_slice(&buffer[..n]);
                probe.answer.len() == MAX_ANSWER
            }
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        let status = status_of(&probe.answer);
        if status.is_none() && !is_over {
            return None;
        }
        let Probe { path, answer, .. } = self.0.remove(&worker)?;
        let words = match status {
            Some(status) => format!("answered {status}"),
            None if answer.is_empty() => "was closed without an answer".to_owned(),
            None => "was answered by something that is not HTTP".to_owned(),
        };
        let ready = status.is_some_and(|status| (200..300).contains(&status));
        Some(Probed { ready, answer: format!("GET {path} {words}") })
    }

    /// The worker need not answer any more.
    pub(crate) fn forget(&mut self, worker: WorkerId) {
        self.0.remove(&worker);
    }
}

/// The status in the first line of an answer, once that is whole.
fn status_of(answer: &[u8]) -> Option<u16> {
    let line =
        answer.split(|byte| *byte == b'\n').next().filter(|line| line.len() < answer.len())?;
    let mut words = str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next().filter(|status| status.len() == 3)?.parse().ok()
}

/// Both ends of a connection, which nobody else can come between.
fn connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let ours = TcpStream::connect(listener.local_addr()?)?;
    let (theirs, from) = listener.accept()?;
    if from != ours.local_addr()? {
        return Err(io::Error::other(
            "somebody else connected to a port that was open for a moment",
        ));
    }
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    Ok((ours, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: WorkerId = WorkerId(1);

    fn answered(parts: &[&str]) -> Vec<Option<Probed>> {
        let mut probes = Probes::default();
        let mut theirs = TcpStream::from(probes.ask(WORKER, "/healthz").unwrap());
        theirs.set_nonblocking(false).unwrap();
        let mut question = vec![0; 1024];
        let length = theirs.read(&mut question).unwrap();
        assert!(question[..length].starts_with(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"));
        let mut seen = Vec::new();
        for part in parts {
            theirs.write_all(part.as_bytes()).unwrap();
            seen.push(probes.read(WORKER));
        }
        drop(theirs);
        seen.push(probes.read(WORKER));
        seen
    }

    #[track_caller]
    fn check(answer: &str, ready: bool, words: &str) {
        let mut seen = answered(&[answer]).into_iter().flatten();
        let expected = Probed { ready, answer: format!("GET /healthz {words}") };
        assert_eq!((seen.next(), seen.next()), (Some(expected), None));
    }

    #[test]
    fn only_2xx_is_ready() {
        check("HTTP/1.1 200 OK\r\n\r\n", true, "answered 200");
        check("HTTP/1.0 204 No Content\r\n\r\n", true, "answered 204");
        check("HTTP/1.1 503 Service Unavailable\r\n", false, "answered 503");
        check("HTTP/1.1 301 Moved\r\n", false, "answered 301");
        check("SSH-2.0-OpenSSH\r\n", false, "was answered by something that is not HTTP");
        check("HTTP/1.1 2000000 OK\r\n", false, "was answered by something that is not HTTP");
        check(&"x".repeat(9000), false, "was answered by something that is not HTTP");
        check("", false, "was closed without an answer");
    }

    #[test]
    fn an_answer_may_come_in_parts() {
        let seen = answered(&["HTTP/1.1 2", "00 OK\r", "\n"]);
        let ready: Vec<Option<bool>> =
            seen.into_iter().map(|probed| probed.map(|probed| probed.ready)).collect();
        assert_eq!(ready, [None, None, Some(true), None]);
    }
}
