//! The control socket, the primary's side: `docs/interface.md`, "Control protocol".
//!
//! Only processes of the same user, and root's, get an answer. Clients are few and bounded, and one
//! that does not read what it asked for is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use relevo_core::{
    Answer, Event, Listeners, Outcome, Progress, Refusal, RequestId, RolloutReport, Scale,
    ScaleOutcome, ScaleReport, Step,
};
use relevo_sys::peer::peer_credentials;
use relevo_sys::poll::{Interest, Poller};
use relevo_sys::process::effective_uid;
use relevo_wire::ExitCode;
use relevo_wire::protocol::{
    self, Count, Failure, Hello, HelloReply, LineReader, Nothing, Reply, Request, Verb,
};
use relevo_wire::status::{Held, Phase};
use serde::Serialize;

use super::history::History;
use super::token::Token;
use super::{log, status};

/// How many clients there may be at once; more are turned away.
const MAX_CLIENTS: usize = 64;
/// How much may wait for a client that does not read, in bytes.
const MAX_UNSENT: usize = protocol::MAX_REPLY_LINE + 64 * 1024;
/// How much is read from one client before others get their turn.
const READ: usize = 16 * 1024;

/// The socket and its clients.
pub(crate) struct Control {
    poller: Rc<Poller>,
    name: String,
    opened: Option<Opened>,
    /// A descriptor held for when there is none left.
    spare: Option<fs::File>,
    clients: BTreeMap<u32, Client>,
    requests: BTreeMap<RequestId, Waiting>,
    next_client: u32,
    next_request: u64,
}

/// The socket, and which file is its.
struct Opened {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

struct Client {
    stream: UnixStream,
    lines: LineReader,
    unsent: VecDeque<u8>,
    greeted: bool,
    wants_writable: bool,
    /// No more is read; it is closed when everything is sent.
    is_closing: bool,
    /// The request by which it wants to be told what happens, and the last event that it was told.
    follows: Option<(u64, u64)>,
}

/// Who waits for the answer to a request.
#[derive(Clone, Copy)]
struct Waiting {
    client: u32,
    id: u64,
    /// What it asked for.
    verb: Verb,
}

/// What a client wants that must be done elsewhere.
pub(crate) enum Wish {
    /// To be told how the service is.
    Status { client: u32, id: u64 },
    /// To be told what has happened, and perhaps what happens from now on.
    Events { client: u32, id: u64, follow: bool, last: Option<u32> },
    /// That every worker be replaced, if the configuration is right.
    Reload { client: u32, id: u64, wait: bool, listeners: Listeners },
    /// That every worker be replaced by one of the release before, if there still is one.
    Rollback { client: u32, id: u64, wait: bool },
    /// To be told what a reload would change.
    DryRun { client: u32, id: u64 },
    /// An event for the core.
    Event(Event),
}

impl Control {
    pub(crate) fn new(poller: Rc<Poller>, name: String) -> Self {
        Self {
            poller,
            name,
            opened: None,
            spare: fs::File::open("/dev/null").ok(),
            clients: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_client: 0,
            next_request: 1,
        }
    }

    /// Opens the socket in the service's runtime directory. The lock is held, so whatever lies there
    /// is left over.
    pub(crate) fn open(&mut self, directory: &Path) -> io::Result<()> {
        let path = directory.join("control.sock");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        self.poller.add(&listener, Token::ControlListener.pack(), Interest::READ)?;
        let metadata = fs::symlink_metadata(&path)?;
        let file = (metadata.dev(), metadata.ino());
        // The one before it, if there was one, ends here.
        self.opened = Some(Opened { listener, path, file });
        Ok(())
    }

    /// Whether clients find the socket where it was put: somebody may have cleaned up.
    pub(crate) fn is_in_place(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| {
            fs::symlink_metadata(&opened.path)
                .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == opened.file)
        })
    }

    /// Removes the socket's file and its directory.
    pub(crate) fn close(&mut self) {
        if let Some(Opened { path, .. }) = self.opened.take() {
            // Somebody may have cleaned up before us.
            let _ = fs::remove_file(&path);
            if let Some(directory) = path.parent() {
                let _ = fs::remove_dir(directory);
            }
        }
    }

    /// Takes new clients.
    pub(crate) fn accept_clients(&mut self) {
        while let Some(stream) = self.accept_one() {
            let allowed = peer_credentials(&stream)
                .is_ok_and(|peer| peer.uid == effective_uid() || peer.uid == 0);
            if !allowed || stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.clients.len() >= MAX_CLIENTS {
                turn_away(stream);
                continue;
            }
            let id = self.next_client;
            self.next_client = self.next_client.wrapping_add(1);
            if self.poller.add(&stream, Token::Client(id).pack(), Interest::READ).is_ok() {
                self.clients.insert(id, Client::new(stream));
            }
        }
    }

    /// Without a descriptor left, a client would wait in the queue and wake us again and again: then
    /// the spare one is given up for the moment that it takes to turn the client away.
    fn accept_one(&mut self) -> Option<UnixStream> {
        let listener = &self.opened.as_ref()?.listener;
        match listener.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => {
                self.spare = None;
                drop(listener.accept());
                self.spare = fs::File::open("/dev/null").ok();
                None
            }
        }
    }

    /// Reads what a client asks for.
    pub(crate) fn read(&mut self, client: u32) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let mut buffer = [0; READ];
        let Some(state) = self.clients.get_mut(&client) else { return wishes };
        if state.is_closing {
            return wishes;
        }
        match state.stream.read(&mut buffer) {
            Ok(0) => wishes.extend(self.drop_client(client)),
            Ok(n) => {
                state.lines.push(&buffer[..n]);
                self.read_lines(client, &mut wishes);
            }
            Err(error) if is_passing(&error) => {}
            Err(_) => wishes.extend(self.drop_client(client)),
        }
        wishes
    }

    /// Writes what waits for a client that can take more.
    pub(crate) fn write(&mut self, client: u32) -> Vec<Wish> {
        let Some(state) = self.clients.get_mut(&client) else { return Vec::new() };
        if state.flush(client, &self.poller) { Vec::new() } else { self.drop_client(client) }
    }

    pub(crate) fn progress(&mut self, request: RequestId, progress: Progress) {
        let Some(waiting) = self.requests.get(&request).copied() else { return };
        let (phase, worker) = match progress.step {
            Step::Started(worker) => (Some(Phase::Starting), worker),
            Step::Loaded(worker) => (Some(Phase::Loaded), worker),
            Step::Ready(worker) => (Some(Phase::Probation), worker),
            Step::Proved(worker) => (Some(Phase::Draining), worker),
            Step::Returned(worker) => (Some(Phase::Undoing), worker),
            Step::Leaving(worker) => (Some(Phase::Draining), worker),
            // The last word about a slot: nothing goes on there any more.
            Step::Replaced(worker) | Step::Joined(worker) | Step::Left(worker) => (None, worker),
        };
        let line = Reply::progress(
            waiting.id,
            protocol::Progress {
                slot: Some(progress.slot.0),
                of: Some(progress.of),
                phase,
                worker: Some(worker.0),
            },
        );
        self.send(waiting.client, &line.to_line());
    }

    /// Tells a client what has happened; who follows is told more by [`Self::tell_followers`].
    pub(crate) fn events(
        &mut self,
        client: u32,
        id: u64,
        follow: bool,
        last: Option<u32>,
        history: &History,
    ) {
        let Some(state) = self.clients.get_mut(&client) else { return };
        if follow && state.follows.is_some() {
            let reason = "this connection follows the events already: use another one";
            let failure = Failure::new(ExitCode::Usage, reason);
            self.send(client, &failure.to_line(Some(id)));
            return;
        }
        let first = last.map_or(0, |last| history.last().saturating_sub(last.into()));
        if follow {
            state.follows = Some((id, first));
            self.tell_followers(history);
        } else {
            self.send(client, &event_lines(id, history, first));
            self.send(client, &Reply::ok(id, Nothing {}).to_line());
        }
    }

    /// Tells those who follow what they have not been told yet.
    pub(crate) fn tell_followers(&mut self, history: &History) {
        let mut due = Vec::new();
        for (client, state) in &mut self.clients {
            if let Some((id, told)) = &mut state.follows
                && *told < history.last()
            {
                due.push((*client, event_lines(*id, history, *told)));
                *told = history.last();
            }
        }
        for (client, lines) in due {
            self.send(client, &lines);
        }
    }

    /// Answers a request, for good.
    pub(crate) fn reply(&mut self, request: RequestId, answer: &Answer, last_words: Vec<String>) {
        let Some(Waiting { client, id, verb }) = self.requests.remove(&request) else { return };
        let line = match answer {
            Answer::RolledOut(report) if verb == Verb::Abort => aborted(id, report),
            Answer::RolledOut(report) => rolled_out(id, report, last_words),
            Answer::Held { paused, generation, slot, of } => {
                let (slot, of) = (Some(slot.0), Some(*of));
                let (paused, generation) = (*paused, generation.0);
                Reply::ok(id, Held { generation, paused, slot, of }).to_line()
            }
            Answer::Scaled(report) => scaled(id, report, last_words),
            Answer::Stopped => Reply::ok(id, Nothing {}).to_line(),
            Answer::Refused(refusal) => self::refusal(verb, *refusal).to_line(Some(id)),
        };
        self.send(client, &line);
    }

    /// Sends what is left before the program ends, without waiting for anybody.
    pub(crate) fn flush(&mut self) {
        for (id, client) in &mut self.clients {
            client.flush(*id, &self.poller);
        }
    }

    fn read_lines(&mut self, client: u32, wishes: &mut Vec<Wish>) {
        loop {
            let Some(state) = self.clients.get_mut(&client) else { return };
            if state.is_closing {
                return;
            }
            match state.lines.next_line() {
                Ok(None) => return,
                Ok(Some(line)) => {
                    let line = line.to_vec();
                    self.handle_line(client, &line, wishes);
                }
                Err(too_long) => {
                    let failure = Failure::new(ExitCode::Usage, too_long.to_string());
                    self.send_last(client, &failure.to_line(None));
                    return;
                }
            }
        }
    }

    fn handle_line(&mut self, client: u32, line: &[u8], wishes: &mut Vec<Wish>) {
        let Some(state) = self.clients.get_mut(&client) else { return };
        if !state.greeted {
            match Hello::parse(line) {
                Ok(hello) => {
                    state.greeted = true;
                    let reply = HelloReply {
                        hello: hello.hello,
                        name: self.name.clone(),
                        pid: std::process::id(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                    };
                    self.send(client, &reply.to_line());
                }
                Err(error) => self.send_last(client, &error.to_line()),
            }
            return;
        }
        match Request::parse(line) {
            Ok(Request { id, verb }) => wishes.push(self.wish(client, id, verb)),
            Err(error) => self.send(client, &error.to_line()),
        }
    }

    fn wish(&mut self, client: u32, id: u64, verb: Verb) -> Wish {
        match verb {
            Verb::Status => Wish::Status { client, id },
            Verb::Events { follow, last } => Wish::Events { client, id, follow, last },
            Verb::Reload { wait, changed_listeners } => {
                let listeners =
                    if changed_listeners { Listeners::Changed } else { Listeners::Same };
                Wish::Reload { client, id, wait, listeners }
            }
            Verb::Rollback { wait } => Wish::Rollback { client, id, wait },
            Verb::DryRun => Wish::DryRun { client, id },
            // Who does not wait is told, too, if it cannot be.
            Verb::Scale { to, wait } => {
                let request = Some(self.remember(client, id, verb));
                let scale = match to {
                    Count::To(to) => Scale::To(to),
                    Count::By(by) => Scale::By(by),
                };
                Wish::Event(Event::ScaleRequested { scale, wait, request })
            }
            Verb::Abort => {
                let request = self.remember(client, id, verb);
                Wish::Event(Event::AbortRequested { request })
            }
            Verb::Pause => {
                let request = self.remember(client, id, verb);
                Wish::Event(Event::PauseRequested { request })
            }
            Verb::Resume => {
                let request = self.remember(client, id, verb);
                Wish::Event(Event::ResumeRequested { request })
            }
            Verb::Stop => {
                let request = Some(self.remember(client, id, verb));
                Wish::Event(Event::StopRequested { request })
            }
        }
    }

    /// A rollout that nothing stands against. Who does not wait has its answer now.
    pub(crate) fn accept(
        &mut self,
        client: u32,
        id: u64,
        verb: Verb,
        wait: bool,
    ) -> Option<RequestId> {
        if wait {
            return Some(self.remember(client, id, verb));
        }
        self.send(client, &Reply::ok(id, Nothing {}).to_line());
        None
    }

    /// Answers a request at once.
    pub(crate) fn answer<T: Serialize>(&mut self, client: u32, id: u64, with: Result<T, Failure>) {
        let line = match with {
            Ok(value) => Reply::ok(id, value).to_line(),
            Err(failure) => failure.to_line(Some(id)),
        };
        self.send(client, &line);
    }

    fn remember(&mut self, client: u32, id: u64, verb: Verb) -> RequestId {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        self.requests.insert(request, Waiting { client, id, verb });
        request
    }

    fn send(&mut self, client: u32, line: &[u8]) {
        let Some(state) = self.clients.get_mut(&client) else { return };
        state.unsent.extend(line);
        if state.unsent.len() > MAX_UNSENT || !state.flush(client, &self.poller) {
            // Its requests stay: their answers find nobody, which is harmless.
            self.clients.remove(&client);
        }
    }

    /// Sends a line and closes: what the client says next could not be understood.
    fn send_last(&mut self, client: u32, line: &[u8]) {
        if let Some(state) = self.clients.get_mut(&client) {
            state.is_closing = true;
        }
        self.send(client, line);
    }

    /// Forgets a client; what it waited for is told to the core.
    fn drop_client(&mut self, client: u32) -> Vec<Wish> {
        if let Some(state) = self.clients.remove(&client) {
            let _ = self.poller.remove(&state.stream);
        }
        let its = |waiting: &Waiting| waiting.client == client;
        let dropped: Vec<RequestId> =
            self.requests.iter().filter(|(_, waiting)| its(waiting)).map(|(id, _)| *id).collect();
        self.requests.retain(|_, waiting| !its(waiting));
        dropped.into_iter().map(|request| Wish::Event(Event::RequestDropped { request })).collect()
    }
}

/// What has happened since the event of this number.
fn event_lines(id: u64, history: &History, since: u64) -> Vec<u8> {
    history.since(since).flat_map(|event| Reply::event(id, event.clone()).to_line()).collect()
}

fn rolled_out(id: u64, report: &RolloutReport, last_words: Vec<String>) -> Vec<u8> {
    match &report.outcome {
        Outcome::Succeeded => Reply::ok(id, status::of_report(report)).to_line(),
        Outcome::Failed { .. }
        | Outcome::HookFailed { .. }
        | Outcome::Aborted
        | Outcome::Stopped => failed(log::rollout_ended(report), last_words).to_line(Some(id)),
    }
}

fn failed(reason: String, last_words: Vec<String>) -> Failure {
    Failure { detail: last_words, ..Failure::new(ExitCode::Failed, reason) }
}

/// Who wanted a rollout undone has that, as long as nothing of it is left.
fn aborted(id: u64, report: &RolloutReport) -> Vec<u8> {
    match report.outcome {
        Outcome::Aborted | Outcome::Failed { .. } | Outcome::HookFailed { .. }
            if report.replaced == 0 =>
        {
            Reply::ok(id, status::of_report(report)).to_line()
        }
        Outcome::Succeeded
        | Outcome::Aborted
        | Outcome::Failed { .. }
        | Outcome::HookFailed { .. }
        | Outcome::Stopped => {
            Failure::new(ExitCode::Failed, log::rollout_ended(report)).to_line(Some(id))
        }
    }
}

fn scaled(id: u64, report: &ScaleReport, last_words: Vec<String>) -> Vec<u8> {
    match &report.outcome {
        ScaleOutcome::Accepted | ScaleOutcome::Done => {
            Reply::ok(id, status::of_scaling(report)).to_line()
        }
        ScaleOutcome::Failed { .. } | ScaleOutcome::Superseded { .. } | ScaleOutcome::Aborted => {
            failed(log::scale_ended(report), last_words).to_line(Some(id))
        }
    }
}

/// What a client is told whose wish is refused.
pub(crate) fn refusal(verb: Verb, refusal: Refusal) -> Failure {
    Failure::new(ExitCode::Failed, refused(verb, refusal))
}

fn refused(verb: Verb, refusal: Refusal) -> String {
    let verb = verb.word();
    match refusal {
        Refusal::TooManyWaiting if verb == "reload" => "reload refused: too many clients wait for a reload already; the one that comes next brings the newest code to all of them".to_owned(),
        Refusal::Stopping
        | Refusal::TooManyWaiting
        | Refusal::NoRollout
        | Refusal::NoWayBack { .. }
        | Refusal::BeingUndone
        | Refusal::NotPaused
        | Refusal::RolloutGoesOn { .. }
        | Refusal::ReloadWaits
        | Refusal::NoPreviousRelease
        | Refusal::TooFewWorkers { .. }
        | Refusal::TooManyWorkers { .. } => format!("{verb} refused: {}", log::refused(refusal)),
    }
}

impl Client {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            lines: LineReader::for_requests(),
            unsent: VecDeque::new(),
            greeted: false,
            wants_writable: false,
            is_closing: false,
            follows: None,
        }
    }

    /// Writes as much as the client takes. `false`: it is to be dropped.
    fn flush(&mut self, id: u32, poller: &Poller) -> bool {
        while !self.unsent.is_empty() {
            let (front, _) = self.unsent.as_slices();
            match self.stream.write(front) {
                Ok(0) => return false,
                Ok(n) => {
                    self.unsent.drain(..n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_passing(&error) => {}
                Err(_) => return false,
            }
        }
        let wanted = !self.unsent.is_empty();
        if wanted != self.wants_writable || (wanted && self.is_closing) {
            self.wants_writable = wanted;
            // What it goes on saying is not read any more, so nobody is to be woken for that.
            let interest = match (wanted, self.is_closing) {
                (true, true) => Interest::WRITE,
                (true, false) => Interest::BOTH,
                (false, _) => Interest::READ,
            };
            // Changing what is watched of a descriptor that is watched cannot fail.
            let _ = poller.change(&self.stream, Token::Client(id).pack(), interest);
        }
        wanted || !self.is_closing
    }
}

/// Says why before the connection is closed. A new socket takes a line without waiting.
fn turn_away(mut stream: UnixStream) {
    let reason = format!(
        "{MAX_CLIENTS} clients are connected already, and no more are taken: try again when one has left"
    );
    let _ = stream.write_all(&Failure::new(ExitCode::Failed, reason).to_line(None));
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
