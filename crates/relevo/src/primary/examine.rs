//! Looking at a worker whose event loop stands still: whether somebody has stopped it, what it does, and a
//! report of that for whoever has to find out why.
//!
//! It takes two looks with some time between them, so it is done in a thread of its own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use relevo_core::{Event, Pause, Slot, Spec, Standstill, WorkerId};
use relevo_sys::poll::{Interest, Poller};
use relevo_sys::proc::{self, Thread};
use relevo_sys::wake::Bell;
use relevo_sys::{Errno, Pid};

use super::Primary;
use super::environment::CHANNEL_FD;
use super::token::Token;
use crate::runtime_dir;

/// How long it is between two looks at what the threads have used.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Where node's inspector listens if it is told by SIGUSR1 (node's `src/inspector_agent.cc`, and
/// `--inspect-port`).
const USUAL_INSPECT_PORT: u16 = 9229;

/// The workers that are being looked at.
#[derive(Debug)]
pub(super) struct Examinations {
    sender: SyncSender<(WorkerId, Standstill)>,
    found: Receiver<(WorkerId, Standstill)>,
    /// Rings when something is found.
    bell: Arc<Bell>,
}

/// Who is to be looked at.
struct Patient {
    worker: WorkerId,
    slot: Slot,
    pid: Pid,
    inspect_port: u16,
    /// Of the service.
    directory: Option<PathBuf>,
}

impl Examinations {
    pub(super) fn new(poller: &Poller) -> Result<Self, Errno> {
        // No worker is looked at twice at a time.
        let (sender, found) = sync_channel(Spec::MAX_SLOTS as usize);
        let bell = Arc::new(Bell::new()?);
        poller.add(&bell, Token::Examined.pack(), Interest::READ)?;
        Ok(Self { sender, found, bell })
    }

    fn begin(&self, patient: Patient) -> std::io::Result<()> {
        let (sender, bell) = (self.sender.clone(), Arc::clone(&self.bell));
        Builder::new().name("examine".to_owned()).spawn(move || {
            let found = examine(&patient);
            let _ = sender.try_send((patient.worker, found));
            bell.ring();
        })?;
        Ok(())
    }
}

impl Primary {
    pub(super) fn examine(&mut self, worker: WorkerId, slot: Slot) {
        let nothing = Event::Examined { worker, found: Standstill::default() };
        let Some(pid) = self.processes.process(worker) else {
            return self.events.push_back(nothing);
        };
        let inspect_port = self.processes.inspect_port(worker).unwrap_or(USUAL_INSPECT_PORT);
        let directory = runtime_dir::create(&self.name).ok().filter(|_| self.trial.is_none());
        let patient = Patient { worker, slot, pid, inspect_port, directory };
        if self.examinations.begin(patient).is_err() {
            self.events.push_back(nothing);
        }
    }

    pub(super) fn on_examined(&mut self) {
        self.examinations.bell.hush();
        let found = self.examinations.found.try_iter();
        self.events.extend(found.map(|(worker, found)| Event::Examined { worker, found }));
    }
}

fn examine(patient: &Patient) -> Standstill {
    let before = proc::threads_of(patient.pid);
    std::thread::sleep(BETWEEN_LOOKS);
    let after = proc::threads_of(patient.pid);
    let tracer = proc::tracer_of(patient.pid);
    let inspected = proc::has_connection_on(patient.pid, patient.inspect_port);
    let looks: Vec<&Thread> = [before.first(), after.first()].into_iter().flatten().collect();
    let is_deaf = looks.len() == 2 && looks.iter().all(|look| hears_channel(patient.pid, look));
    if let Some(pause) = pause(&looks, tracer.is_some(), inspected, is_deaf) {
        return Standstill { pause: Some(pause), ..Standstill::default() };
    }
    let doing = after.first().map(|main| doing(main, used_of(&before, main)));
    let text = report(patient, &before, &after, doing.as_deref());
    let report = patient.directory.as_deref().and_then(|directory| {
        let path = directory.join(format!("hung-{}.txt", patient.slot));
        write_private(&path, &text).ok()?;
        Some(path.display().to_string())
    });
    Standstill { pause: None, doing, report }
}

/// Whether a main thread waits in its own loop, which hears the channel: execSync() and its like wait in another.
fn hears_channel(pid: Pid, main: &Thread) -> bool {
    let loop_of = main.waits_for_events();
    loop_of.is_some_and(|epoll| proc::is_woken_by(pid, epoll, CHANNEL_FD.unsigned_abs()))
}

/// Why the worker is not to be blamed, as both looks at its main thread show.
fn pause(looks: &[&Thread], traced: bool, inspected: bool, is_deaf: bool) -> Option<Pause> {
    let is_stopped = |look: &&Thread| matches!(look.state, 'T' | 't');
    if traced {
        Some(Pause::Traced)
    } else if looks.len() == 2 && looks.iter().all(is_stopped) {
        Some(Pause::Stopped)
    } else if inspected {
        Some(Pause::Inspected)
    } else {
        is_deaf.then_some(Pause::Deaf)
    }
}

/// How much of one processor the thread has used between the looks, in percent.
fn used_of(before: &[Thread], now: &Thread) -> u128 {
    let earlier = before.iter().find(|thread| thread.tid == now.tid);
    let used = earlier.map_or(Duration::ZERO, |then| now.cpu_time.saturating_sub(then.cpu_time));
    (100 * used.as_micros() / BETWEEN_LOOKS.as_micros()).min(100)
}

/// What a main thread that does not come round does, in words.
fn doing(main: &Thread, percent: u128) -> String {
    match main.waits_for() {
        _ if percent >= 50 => format!("it computes, with {percent} % of a processor"),
        Some(_) if main.waits_for_events().is_some() => {
            "it waits for something in a loop of its own, as execSync() does for a command"
                .to_owned()
        }
        Some(call) => format!("it waits in {call}"),
        None if main.state == 'D' => "it waits for a device or a file system".to_owned(),
        None => format!("its main thread is in state {}", main.state),
    }
}

fn report(patient: &Patient, before: &[Thread], after: &[Thread], doing: Option<&str>) -> String {
    let Patient { worker, slot, pid, .. } = patient;
    let mut text =
        format!("worker {worker} (pid {pid}) in slot {slot}: its event loop stands still\n");
    if let Some(doing) = doing {
        let _ = writeln!(text, "{doing}");
    }
    if let Some(command) = proc::command_of(*pid) {
        let _ = writeln!(text, "command: {command}");
    }
    if let Some(bytes) = proc::memory_of(*pid) {
        let _ = writeln!(text, "resident memory: {} MiB", bytes >> 20);
    }
    let _ = writeln!(
        text,
        "\nthreads, with the processor time used in all and in the last {} ms (see proc_pid_stat(5) for states):",
        BETWEEN_LOOKS.as_millis()
    );
    for thread in after {
        let Thread { tid, name, state, cpu_time, .. } = thread;
        let percent = used_of(before, thread);
        let waits = thread.waits_for().unwrap_or_default();
        let within = thread.waits_in.as_deref().unwrap_or_default();
        let cpu = cpu_time.as_secs_f64();
        let _ = writeln!(
            text,
            "{tid:>8} {state} {cpu:>9.2} s {percent:>3} %  {name:<16} {waits} {within}"
        );
    }
    if let Some(stack) = proc::kernel_stack_of(*pid) {
        let _ = write!(text, "\nthe main thread within the kernel:\n{stack}");
    }
    text
}

/// Others are not to read it; what was there is replaced.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;

    let _gone = fs::remove_file(path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use relevo_sys::proc::SystemCall;

    use super::*;

    fn thread(state: char, cpu_ms: u64, system_call: Option<i64>) -> Thread {
        Thread {
            tid: 7,
            name: "node".to_owned(),
            state,
            cpu_time: Duration::from_millis(cpu_ms),
            system_call: system_call.map(|number| SystemCall { number, first: 13 }),
            waits_in: None,
        }
    }

    #[test]
    fn who_is_stopped_does_not_hang() {
        let (runs, stopped) = (thread('R', 0, None), thread('T', 0, None));
        let check = |looks: &[&Thread], traced, inspected, deaf, expected| {
            assert_eq!(pause(looks, traced, inspected, deaf), expected, "{looks:?}");
        };
        check(&[&runs, &runs], false, false, false, None);
        check(&[&runs, &runs], true, false, false, Some(Pause::Traced));
        check(&[&runs, &runs], false, true, false, Some(Pause::Inspected));
        check(&[&runs, &runs], false, false, true, Some(Pause::Deaf));
        check(&[&stopped, &stopped], false, false, false, Some(Pause::Stopped));
        check(&[&stopped, &runs], false, false, false, None);
        check(&[], false, false, false, None);
    }

    #[test]
    fn what_it_does() {
        let (before, after) = (thread('R', 1000, None), thread('R', 1245, None));
        assert_eq!(used_of(&[before], &after), 98);
        assert_eq!(doing(&after, 98), "it computes, with 98 % of a processor");
        assert_eq!(doing(&thread('D', 0, None), 0), "it waits for a device or a file system");
        assert_eq!(doing(&thread('S', 0, None), 0), "its main thread is in state S");
    }
}
