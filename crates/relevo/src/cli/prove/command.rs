//! Disturbing a server by a command of the user's.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use relevo_prove::{Disturb, Done, Tell};
use relevo_sys::process::signal_group;
use relevo_sys::{Pid, Signal};

use crate::cli::client::report::printable;
use crate::cli::error_text;

/// How often is looked whether the command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How much of the end of its output is kept, in bytes.
const KEPT: usize = 4096;

/// Runs a command by the shell.
#[derive(Debug)]
pub(super) struct OnReload {
    command: String,
    limit: Duration,
}

/// The end of what a command writes.
type Tail = Arc<Mutex<Vec<u8>>>;

impl OnReload {
    pub(super) fn new(command: &str, limit: Duration) -> Self {
        Self { command: command.to_owned(), limit }
    }

    fn run(&self) -> Result<String, String> {
        let began = Instant::now();
        let mut child = Command::new("/bin/sh")
            .args(["-c", &self.command])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // So that all of it can be ended.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("/bin/sh cannot be run: {}", error_text(&error)))?;
        let tail = Tail::default();
        keep(child.stdout.take(), &tail);
        keep(child.stderr.take(), &tail);
        let status = self.wait(&mut child, began)?;
        let ended = ending(status);
        let last = last_line(&tail);
        let said = if last.is_empty() { ended } else { format!("{ended}: {last}") };
        if status.success() { Ok(said) } else { Err(said) }
    }

    fn wait(&self, child: &mut Child, began: Instant) -> Result<ExitStatus, String> {
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if began.elapsed() < self.limit => thread::sleep(LOOK_EVERY),
                Ok(None) => {
                    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                    // It is gone, then, or was never there.
                    let _ = group.map(|group| signal_group(group, Signal::KILL));
                    let _ = child.wait();
                    return Err(format!("it did not end within {:?}, and was killed", self.limit));
                }
                Err(error) => return Err(error_text(&error)),
            }
        }
    }
}

/// Reads what a command writes, on a thread: what it leaves in the background may hold the pipe
/// open for longer than it runs itself.
fn keep(pipe: Option<impl Read + Send + 'static>, tail: &Tail) {
    let Some(mut pipe) = pipe else { return };
    let tail = Arc::clone(tail);
    thread::spawn(move || {
        let mut bytes = [0; 1024];
        while let Ok(count @ 1..) = pipe.read(&mut bytes) {
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend_from_slice(&bytes[..count]);
            let surplus = tail.len().saturating_sub(KEPT);
            tail.drain(..surplus);
        }
    });
}

fn last_line(tail: &Tail) -> String {
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&tail);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    printable(last.trim()).chars().take(200).collect()
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

impl Disturb for OnReload {
    fn name(&self) -> String {
        self.command.clone()
    }

    fn disturb(&mut self, _tell: &Tell) -> Done {
        self.run().into()
    }
}
