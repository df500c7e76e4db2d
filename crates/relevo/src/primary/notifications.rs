//! What workers notify (`sd_notify(3)`): each under `--ready notify` has a socket of its own, and is
//! heard there and nowhere else.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use relevo_core::{Event, ReadyWhen, Time, WorkerId};
use relevo_sys::notified::{MAX_NOTIFICATION, Notification, NotifySocket, belongs_to};
use relevo_sys::random::random_bytes;
use relevo_sys::{Errno, Pid};

/// How many messages of one worker are read before others have their turn.
const AT_ONCE: usize = 16;
/// The longest status that is kept, in characters.
const MAX_STATUS: usize = 200;
/// How often the log tells a status, or what is wrong with a message, at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// The sockets, by whose they are.
#[derive(Default)]
pub(crate) struct Notifications(BTreeMap<WorkerId, Notified>);

struct Notified {
    socket: NotifySocket,
    status: Option<String>,
    /// When the log was last told its status, and what was wrong with a message.
    status_told: Option<Time>,
    fault_told: Option<Time>,
}

/// What came of reading.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) events: Vec<Event>,
    /// For the log.
    pub(crate) lines: Vec<String>,
}

/// A socket for a worker, and what `NOTIFY_SOCKET` is for it.
pub(super) fn socket(worker: WorkerId) -> Result<(NotifySocket, String), Errno> {
    // Nobody can take the name beforehand.
    let mut secret = [0; 8];
    random_bytes(&mut secret)?;
    let secret = u64::from_ne_bytes(secret);
    let name = format!("relevo/notify/{}/{worker}/{secret:016x}", std::process::id());
    Ok((NotifySocket::bind(name.as_bytes())?, format!("@{name}")))
}

impl Notifications {
    pub(super) fn add(&mut self, worker: WorkerId, socket: NotifySocket) {
        self.0
            .insert(worker, Notified { socket, status: None, status_told: None, fault_told: None });
    }

    /// The worker is gone.
    pub(super) fn forget(&mut self, worker: WorkerId) {
        self.0.remove(&worker);
    }

    /// To be watched.
    pub(super) fn fd(&self, worker: WorkerId) -> Option<BorrowedFd<'_>> {
        self.0.get(&worker).map(|notified| notified.socket.fd())
    }

    /// How a worker says that it is.
    pub(super) fn status(&self, worker: WorkerId) -> Option<&str> {
        self.0.get(&worker)?.status.as_deref()
    }

    /// Reads what there is. `pid` is the worker's.
    pub(super) fn read(&mut self, worker: WorkerId, pid: Option<Pid>, now: Time) -> Heard {
        let mut heard = Heard::default();
        let Some(notified) = self.0.get_mut(&worker) else { return heard };
        for _ in 0..AT_ONCE {
            let Ok(Some(message)) = notified.socket.receive() else { break };
            match fault_of(&message, pid) {
                Some(fault) if is_due(&mut notified.fault_told, now) => {
                    heard.lines.push(format!("worker {worker}: {fault}"));
                }
                Some(_) => {}
                None => notified.take(worker, &message, now, &mut heard),
            }
        }
        heard
    }
}

/// Why a message is not read.
fn fault_of(message: &Notification, worker: Option<Pid>) -> Option<String> {
    let is_its = message.sender.zip(worker).is_some_and(|(from, worker)| belongs_to(from, worker));
    if !is_its {
        let who = match message.sender {
            Some(pid) => format!("pid {}", pid.as_raw_pid()),
            None => "a process that cannot be seen from here".to_owned(),
        };
        return Some(format!(
            "a notification of {who} was not read: it has ended, or is none of the worker's processes"
        ));
    }
    let too_long = || format!("a notification longer than {MAX_NOTIFICATION} bytes was not read");
    message.text.is_none().then(too_long)
}

/// Not too often: whoever notifies without end is told of once a second.
fn is_due(told: &mut Option<Time>, now: Time) -> bool {
    let due = told.is_none_or(|at| now >= at + TOLD_EVERY);
    if due {
        *told = Some(now);
    }
    due
}

impl Notified {
    fn take(&mut self, worker: WorkerId, message: &Notification, now: Time, heard: &mut Heard) {
        let text = String::from_utf8_lossy(message.text.as_deref().unwrap_or_default());
        let before = self.status.clone();
        self.take_lines(worker, &text, &mut heard.events);
        if let Some(status) = self.status.as_ref().filter(|_| self.status != before)
            && is_due(&mut self.status_told, now)
        {
            heard.lines.push(format!("worker {worker}: {status}"));
        }
    }

    /// What is not known is left aside, as the manual wants it.
    fn take_lines(&mut self, worker: WorkerId, text: &str, events: &mut Vec<Event>) {
        for line in text.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => {
                    events.push(Event::ReadySaid { worker, how: ReadyWhen::Notify });
                }
                Some(("EXTEND_TIMEOUT_USEC", number)) => {
                    let by = number.parse().map(Duration::from_micros);
                    events.extend(by.ok().map(|by| Event::StartExtended { worker, by }));
                }
                Some(("STATUS", status)) => self.status = printable(status),
                Some(_) | None => {}
            }
        }
    }
}

fn printable(status: &str) -> Option<String> {
    let mut kept: String = status
        .chars()
        .take(MAX_STATUS)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if status.chars().count() > MAX_STATUS {
        kept.push('…');
    }
    (!kept.is_empty()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (Vec<Event>, Option<String>) {
        let (socket, _) = socket(WorkerId(7)).unwrap();
        let mut notified = Notified { socket, status: None, status_told: None, fault_told: None };
        let mut events = Vec::new();
        notified.take_lines(WorkerId(7), text, &mut events);
        (events, notified.status)
    }

    #[test]
    fn what_is_known_is_taken_and_the_rest_is_left_aside() {
        let worker = WorkerId(7);
        let ready = Event::ReadySaid { worker, how: ReadyWhen::Notify };
        let extended = Event::StartExtended { worker, by: Duration::from_secs(5) };
        let text = "STATUS=loading\nEXTEND_TIMEOUT_USEC=5000000\nX_MINE=1\nSTOPPING=1\nnonsense\nREADY=1\n";
        assert_eq!(taken(text), (vec![extended, ready], Some("loading".to_owned())));
        for text in
            ["READY=0", "READY=", "ready=1", "EXTEND_TIMEOUT_USEC=-1", "EXTEND_TIMEOUT_USEC=x", ""]
        {
            assert_eq!(taken(text), (vec![], None), "{text}");
        }
    }

    #[test]
    fn a_status_is_one_short_line() {
        let (_, status) = taken(&format!("STATUS=a\u{1b}[31m{}", "b".repeat(500)));
        let status = status.unwrap();
        assert!(status.starts_with("a\u{fffd}[31mbbb") && status.ends_with('…'), "{status}");
        assert_eq!(status.chars().count(), MAX_STATUS + 1);
    }
}
