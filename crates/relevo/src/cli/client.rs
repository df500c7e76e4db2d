//! The client's side of the control socket: connect, say hello, ask, wait for the answer.
//!
//! Blocking, with a bound on every step but the answer itself, which may rightly take minutes.

pub(super) mod report;
#[cfg(test)]
mod tests;
pub(super) mod waiting;

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use relevo_config::ServiceName;
use relevo_sys::peer::peer_credentials;
use relevo_sys::signals::{Signals, is_ignored};
use relevo_sys::{Errno, Signal};
use relevo_wire::difference::Difference;
use relevo_wire::protocol::{
    self, BadReply, Body, Hello, HelloReply, LineReader, LineTooLong, Progress, Reply, Request,
    Verb,
};
use relevo_wire::status::{Held, Rollout, Scaling};
use relevo_wire::{Event, ExitCode, Status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde_json::Value;

use super::Failure;
use super::services::{self, Service};

/// How long a primary may take for what it does at once: to say hello, to tell its status.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A primary that has said hello.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    lines: LineReader,
    next_id: u64,
    /// The primary's process, as it is numbered where we are.
    pub(crate) pid: Option<u32>,
    /// Where it was reached.
    pub(crate) socket: PathBuf,
}

/// What ends the wait for an answer, besides the answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Until<'a> {
    /// A moment.
    pub(crate) deadline: Option<Instant>,
    /// Something to read from this: Ctrl-C, if that was taken.
    pub(crate) interrupt: Option<BorrowedFd<'a>>,
}

/// What a request was answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The JSON as it was received: a newer primary may tell more than is known here.
    pub(crate) json: String,
    value: Value,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// There is no file to connect to.
    #[error("its control socket was not found")]
    NoSocket,
    /// There is one, and nobody can be reached by it.
    #[error("{} cannot be connected to: {source}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The deadline has passed.
    #[error("it does not answer")]
    TimedOut,
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The primary speaks another version of the protocol.
    #[error("it is relevo {version} and speaks version {protocol} of the control protocol")]
    Version {
        /// The primary's version.
        version: String,
        /// The protocol's.
        protocol: u32,
    },
    /// The primary did not like our hello.
    #[error("it refuses this client: {0}")]
    HelloRefused(protocol::Failure),
    /// The request is refused or has failed: an answer, though not the one wished for.
    #[error(transparent)]
    Failed(protocol::Failure),
    /// The answer makes no sense.
    #[error("it answers with something that this version does not understand: {0}")]
    NotUnderstood(serde_json::Error),
    /// The answer has no end.
    #[error("it answers with {0}")]
    TooLong(LineTooLong),
    /// The connection was closed before there was an answer.
    #[error("it closed the connection before it answered")]
    Closed,
    /// The system refuses to read or write.
    #[error("the connection failed: {0}")]
    Broken(io::Error),
}

/// Connects to the service that a command is about.
pub(crate) fn open(name: Option<&ServiceName>) -> Result<(Service, Connection), Failure> {
    let service = services::resolve(name)?;
    match Connection::open(&service, PATIENCE) {
        Ok(connection) => Ok((service, connection)),
        Err(error) => Err(error.into_failure(&service)),
    }
}

/// Takes Ctrl-C, so that a command can say a word before it ends by it.
pub(crate) fn take_interrupt() -> Option<Signals> {
    // Where it is ignored, as in the background of a shell's script, it stays so.
    if is_ignored(Signal::INT) { None } else { Signals::take(&[Signal::INT]).ok() }
}

impl Connection {
    /// Connects and says hello, all within `patience`.
    pub(crate) fn open(service: &Service, patience: Duration) -> Result<Self, ClientError> {
        let mut outcome = Err(ClientError::NoSocket);
        for path in &service.sockets {
            outcome = match reach(path, patience) {
                Ok(stream) => Self::greet(stream, path.clone(), patience),
                Err(Errno::AGAIN) => Err(ClientError::TimedOut),
                Err(errno) => {
                    Err(ClientError::Connect { path: path.clone(), source: errno.into() })
                }
            };
            match &outcome {
                // A file that a primary left behind.
                Err(ClientError::Connect { .. }) => {}
                Ok(_) | Err(_) => break,
            }
        }
        outcome
    }

    fn greet(stream: UnixStream, socket: PathBuf, patience: Duration) -> Result<Self, ClientError> {
        let peer = peer_credentials(&stream).ok().and_then(|peer| peer.pid);
        let pid = peer.and_then(|pid| u32::try_from(pid.as_raw_pid()).ok());
        let lines = LineReader::for_replies();
        let mut connection = Self { stream, lines, next_id: 1, pid, socket };
        connection.send(&Hello::CURRENT.to_line())?;
        let deadline = Instant::now().checked_add(patience);
        let line = connection.line(Until { deadline, interrupt: None })?;
        let hello = HelloReply::parse(&line).map_err(|bad| match bad {
            BadReply::Refused(failure) => ClientError::HelloRefused(failure),
            BadReply::NotUnderstood(error) => ClientError::NotUnderstood(error),
        })?;
        if hello.hello != protocol::VERSION {
            let HelloReply { version, hello: protocol, .. } = hello;
            return Err(ClientError::Version { version, protocol });
        }
        Ok(connection)
    }

    /// Asks, and waits for the one answer.
    pub(crate) fn ask(
        &mut self,
        verb: Verb,
        until: Until<'_>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Answer, ClientError> {
        let id = self.request(verb)?;
        loop {
            let (line, body) = self.reply(id, until)?;
            match body {
                Body::Progress(progress) => on_progress(progress),
                Body::Event(_) => {}
                Body::Ok(value) => {
                    let json = json_of(&line, id, "ok").unwrap_or_else(|| value.to_string());
                    return Ok(Answer { json, value });
                }
                Body::Error(failure) => return Err(ClientError::Failed(failure)),
            }
        }
    }

    /// Asks what has happened, and hears it until that is all, or `on_event` has heard enough. It is handed
    /// the JSON as well, as it was received.
    pub(crate) fn hear(
        &mut self,
        verb: Verb,
        until: Until<'_>,
        on_event: &mut dyn FnMut(&Event, &str) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        let id = self.request(verb)?;
        loop {
            let (line, body) = self.reply(id, until)?;
            match body {
                Body::Event(event) => {
                    let json = json_of(&line, id, "event");
                    let json = json.or_else(|| serde_json::to_string(&event).ok());
                    if on_event(&event, &json.unwrap_or_default()).is_break() {
                        return Ok(());
                    }
                }
                Body::Progress(_) => {}
                Body::Ok(_) => return Ok(()),
                Body::Error(failure) => return Err(ClientError::Failed(failure)),
            }
        }
    }

    /// Asks for what the primary does at once, and waits so long.
    pub(crate) fn ask_within(
        &mut self,
        patience: Duration,
        verb: Verb,
    ) -> Result<Answer, ClientError> {
        let until = Until { deadline: Instant::now().checked_add(patience), interrupt: None };
        self.ask(verb, until, &mut |_| {})
    }

    /// Waits until the primary has closed the connection, which its end does at the latest;
    /// whether it has.
    pub(crate) fn wait_closed(&mut self, until: Until<'_>) -> bool {
        loop {
            match self.line(until) {
                Ok(_) => {}
                Err(error) => return matches!(error, ClientError::Closed),
            }
        }
    }

    fn request(&mut self, verb: Verb) -> Result<u64, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&Request { id, verb }.to_line())?;
        Ok(id)
    }

    /// The next line that is about this request, and what it says.
    fn reply(&mut self, id: u64, until: Until<'_>) -> Result<(Vec<u8>, Body<Value>), ClientError> {
        loop {
            let line = self.line(until)?;
            let reply: Reply<Value> =
                serde_json::from_slice(&line).map_err(ClientError::NotUnderstood)?;
            // An error without an id is about a line that the primary could not read: ours.
            if reply.id.is_none_or(|answered| answered == id) {
                return Ok((line, reply.body));
            }
        }
    }

    fn send(&mut self, line: &[u8]) -> Result<(), ClientError> {
        match self.stream.write_all(line) {
            Ok(()) => Ok(()),
            // What the primary said before it closed the connection is still to be read.
            Err(error) if is_closed(&error) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(ClientError::TimedOut),
            Err(error) => Err(ClientError::Broken(error)),
        }
    }

    fn line(&mut self, until: Until<'_>) -> Result<Vec<u8>, ClientError> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            if let Some(line) = self.lines.next_line().map_err(ClientError::TooLong)? {
                return Ok(line.to_vec());
            }
            wait_readable(&self.stream, until)?;
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(ClientError::Closed),
                Ok(count) => self.lines.push(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_closed(&error) => return Err(ClientError::Closed),
                Err(error) => return Err(ClientError::Broken(error)),
            }
        }
    }
}

impl Answer {
    /// The answer to [`Verb::Status`].
    pub(crate) fn status(&self) -> Result<Status, ClientError> {
        serde_json::from_value(self.value.clone()).map_err(ClientError::NotUnderstood)
    }

    /// The answer to [`Verb::Scale`].
    pub(crate) fn scaling(&self) -> Result<Scaling, ClientError> {
        serde_json::from_value(self.value.clone()).map_err(ClientError::NotUnderstood)
    }

    /// The answer to [`Verb::DryRun`].
    pub(crate) fn difference(&self) -> Result<Difference, ClientError> {
        serde_json::from_value(self.value.clone()).map_err(ClientError::NotUnderstood)
    }

    /// The answer to [`Verb::Pause`] and [`Verb::Resume`].
    pub(crate) fn held(&self) -> Result<Held, ClientError> {
        serde_json::from_value(self.value.clone()).map_err(ClientError::NotUnderstood)
    }

    /// The answer to [`Verb::Reload`] and [`Verb::Abort`].
    pub(crate) fn rollout(&self) -> Result<Rollout, ClientError> {
        serde_json::from_value(self.value.clone()).map_err(ClientError::NotUnderstood)
    }
}

impl ClientError {
    /// As the user is told: who, what happened, what to do.
    pub(crate) fn into_failure(self, service: &Service) -> Failure {
        let unreachable = |who: String, service: &Service| {
            let reason = format!("{}: {who}", introduce(service));
            Failure::new(ExitCode::Unreachable, reason)
        };
        match self {
            Self::Failed(failure) => {
                Failure::new(failure.code, failure.reason).with_detail(failure.detail)
            }
            Self::NoSocket => {
                let text = format!(
                    "{self} in {}; if it was started with RELEVO_RUNTIME_DIR, set that here, too{}",
                    services::list(&services::places()),
                    service.pid().map(removed).unwrap_or_default()
                );
                unreachable(text, service).with_detail(services::passed_over())
            }
            Self::Version { .. } => {
                let text = format!(
                    "{self}, this is relevo {} and speaks version {}; use the relevo that started it",
                    env!("CARGO_PKG_VERSION"),
                    protocol::VERSION
                );
                unreachable(text, service)
            }
            Self::HelloRefused(protocol::Failure { ref detail, .. }) => {
                unreachable(self.to_string(), service).with_detail(detail.clone())
            }
            Self::TimedOut => unreachable(format!("{self}; is it stopped, or very busy?"), service),
            Self::Connect { .. }
            | Self::Interrupted
            | Self::NotUnderstood(_)
            | Self::TooLong(_)
            | Self::Closed
            | Self::Broken(_) => unreachable(self.to_string(), service),
        }
    }
}

/// The beginning of a sentence about a service's primary.
pub(crate) fn introduce(service: &Service) -> String {
    match service.pid() {
        Some(pid) => format!("the primary of `{}` (pid {pid})", service.name),
        None => format!("the primary of `{}`", service.name),
    }
}

/// What to do where it was removed: with its next worker a primary makes it anew.
fn removed(pid: u32) -> String {
    format!("; if its directory was removed, `kill -USR2 {pid}` brings it back, with a reload")
}

/// Connects. A primary that accepts nobody has a full queue in the end, and who connects then waits
/// as long as it may take to send: unix(7).
fn reach(path: &Path, patience: Duration) -> Result<UnixStream, Errno> {
    let address = SocketAddrUnix::new(path)?;
    let socket: OwnedFd =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    connect(&socket, &address)?;
    Ok(UnixStream::from(socket))
}

fn wait_readable(stream: &UnixStream, until: Until<'_>) -> Result<(), ClientError> {
    loop {
        let left = until.deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = vec![PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN)];
        if let Some(interrupt) = until.interrupt {
            fds.push(PollFd::from_borrowed_fd(interrupt, PollFlags::IN));
        }
        let ready = match poll(&mut fds, timeout.as_ref()) {
            Ok(ready) => ready,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(ClientError::Broken(errno.into())),
        };
        // An answer that came together with Ctrl-C is still the answer.
        if fds[0].revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            return Ok(());
        }
        if ready > 0 {
            return Err(ClientError::Interrupted);
        }
        if left.is_some_and(|left| left.is_zero()) {
            return Err(ClientError::TimedOut);
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// The text of what a line says, with its fields in the order they came in.
fn json_of(line: &[u8], id: u64, field: &str) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    let text = line.strip_prefix(&format!("{{\"id\":{id},\"{field}\":"))?.strip_suffix('}')?;
    Some(text.to_owned())
}
