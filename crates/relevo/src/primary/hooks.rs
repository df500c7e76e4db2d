//! The processes of hooks: a shell with the user's command, in a session of its own, with the rights and
//! the environment of the workers and the facts beside. What it writes goes to the log.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use relevo_core::{Exit, ExitHow, Failure, HookFacts, HookId, HookKind};
use relevo_sys::process::{self, Pidfd, signal_group};
use relevo_sys::{Errno, Pid, Signal};

use super::output::{Lines, Output, Stream};
use super::processes::{Launch, child_pid, kill_with_group, nonblocking, own_by, reap};
use super::{log, status};
use crate::cli::exec;

/// How many lines of one run the log has.
const LINES: usize = 200;
/// How much of each of them, in bytes.
const LINE_LENGTH: usize = 1000;
/// How many of its last lines on stderr are kept for the report of a rollout.
const LAST_WORDS: usize = 20;
/// For how many runs.
const ENDED_KEPT: usize = 8;
/// How often a pipe of a hook that has ended is read at most.
const READS: usize = 16;

/// All hooks that have not been reaped, and the last words of those that have.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    all: BTreeMap<HookId, Hook>,
    words: BTreeMap<HookId, VecDeque<String>>,
}

#[derive(Debug)]
struct Hook {
    kind: HookKind,
    pid: Pid,
    pidfd: Pidfd,
    out: Option<Pipe>,
    err: Option<Pipe>,
    /// How many lines the log has of it.
    told: usize,
}

#[derive(Debug)]
struct Pipe {
    fd: OwnedFd,
    lines: Lines,
}

/// What the facts alone do not tell.
pub(crate) struct Around<'a> {
    pub(crate) name: &'a str,
    /// The process of the worker in question.
    pub(crate) worker_pid: Option<u32>,
}

impl Hooks {
    /// Starts the shell.
    pub(crate) fn start(
        &mut self,
        hook: HookId,
        kind: HookKind,
        facts: &HookFacts,
        launch: &Launch,
        around: &Around<'_>,
    ) -> io::Result<()> {
        let configuration = &launch.configuration;
        let text = configuration.options.hooks.get(kind).ok_or(Errno::NOENT)?;
        let identity = configuration.identity.as_deref();
        let mut command = Command::new("/proc/self/exe");
        command.args([exec::NAME, "--without-channel", "--directory"]);
        command.arg(&configuration.directory).arg("--nofile");
        command.arg(format!("{}:{}", launch.nofile.soft, launch.nofile.hard));
        command.args(identity.map(exec::identity_arguments).unwrap_or_default());
        command.args(["--", "/bin/sh", "-c", text]);
        command.env_clear().envs(configuration.variables.iter().map(|(name, value)| (name, value)));
        command.env("PWD", &configuration.directory);
        for (name, value) in variables(kind, facts, around) {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("RELEVO_RELEASE", launch.release.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (pid, pidfd) = match take_hold(&child) {
            Ok(hold) => hold,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let pipe = |fd: Option<OwnedFd>| {
            own_by(fd.as_ref().map(AsFd::as_fd), identity);
            Some(Pipe { fd: nonblocking(fd).ok()?, lines: Lines::default() })
        };
        let out = pipe(child.stdout.take().map(OwnedFd::from));
        let err = pipe(child.stderr.take().map(OwnedFd::from));
        self.all.insert(hook, Hook { kind, pid, pidfd, out, err, told: 0 });
        Ok(())
    }

    /// What is to be watched: its process, and its pipes.
    pub(crate) fn pidfd(&self, hook: HookId) -> Option<BorrowedFd<'_>> {
        self.all.get(&hook).map(|hook| hook.pidfd.fd())
    }

    pub(crate) fn pipe(&self, hook: HookId, stream: Stream) -> Option<BorrowedFd<'_>> {
        let hook = self.all.get(&hook)?;
        let pipe = match stream {
            Stream::Out => &hook.out,
            Stream::Err => &hook.err,
        };
        pipe.as_ref().map(|pipe| pipe.fd.as_fd())
    }

    pub(crate) fn is_hook(&self, pid: Pid) -> bool {
        self.all.values().any(|hook| hook.pid == pid)
    }

    /// Kills all that it started, as far as that is still in its process group.
    pub(crate) fn kill(&self, hook: HookId) {
        if let Some(hook) = self.all.get(&hook) {
            kill_with_group(hook.pid, &hook.pidfd);
        }
    }

    pub(crate) fn kill_all(&self) {
        for hook in self.all.keys() {
            self.kill(*hook);
        }
    }

    /// Reads once from a pipe that is readable. `false` means that there is nothing to read now, or any
    /// more; then the pipe is gone.
    pub(crate) fn read(&mut self, id: HookId, stream: Stream, output: &Output) -> bool {
        let Some(hook) = self.all.get_mut(&id) else { return false };
        let pipe = match stream {
            Stream::Out => &mut hook.out,
            Stream::Err => &mut hook.err,
        };
        let Some(open) = pipe.as_mut() else { return false };
        let (mut buffer, mut lines) = ([0; 16 * 1024], Vec::new());
        let more = match rustix::io::read(&open.fd, &mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                open.lines.push(&buffer[..count], |line| lines.push(cut(line)));
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => return false,
            Err(_) => false,
        };
        if !more {
            open.lines.finish(|line| lines.push(cut(line)));
            *pipe = None;
        }
        for line in &lines {
            hook.tell(line, output);
        }
        if stream == Stream::Err {
            self.remember(id, lines);
        }
        more
    }

    /// A process that has ended is reaped, and what is left of its group ended first: while the zombie is
    /// there its number cannot be anybody else's.
    pub(crate) fn bury(&mut self, id: HookId, output: &Output) -> Option<Exit> {
        let pidfd = &self.all.get(&id)?.pidfd;
        if matches!(process::peek_exit(pidfd), Ok(None)) {
            return None;
        }
        for stream in [Stream::Out, Stream::Err] {
            // Somebody else may hold the other end for ever, and write to it.
            for _ in 0..READS {
                if !self.read(id, stream, output) {
                    break;
                }
            }
        }
        let hook = self.all.remove(&id)?;
        let _ = signal_group(hook.pid, Signal::KILL);
        Some(Exit { how: reap(&hook.pidfd), out_of_memory: false })
    }

    /// The last lines that it wrote to stderr, oldest first.
    pub(crate) fn last_words(&self, hook: HookId) -> Vec<String> {
        self.words.get(&hook).into_iter().flatten().cloned().collect()
    }

    fn remember(&mut self, hook: HookId, lines: Vec<String>) {
        let words = self.words.entry(hook).or_default();
        words.extend(lines.into_iter().filter(|line| !line.is_empty()));
        while words.len() > LAST_WORDS {
            words.pop_front();
        }
        while self.words.len() > ENDED_KEPT {
            self.words.pop_first();
        }
    }
}

impl Hook {
    fn tell(&mut self, line: &str, output: &Output) {
        let kind = self.kind;
        self.told += 1;
        if self.told <= LINES {
            output.say(&format!("{kind}: {line}"));
        } else if self.told == LINES + 1 {
            output.say(&format!("{kind}: it writes more than {LINES} lines; the rest is left out"));
        }
    }
}

fn take_hold(child: &Child) -> io::Result<(Pid, Pidfd)> {
    let pid = child_pid(child)?;
    Ok((pid, Pidfd::open(pid)?))
}

fn cut(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(LINE_LENGTH)]).trim_end().to_owned()
}

/// The facts; what is not known is not there, whatever Relevo's own environment has.
fn variables(
    kind: HookKind,
    facts: &HookFacts,
    around: &Around<'_>,
) -> Vec<(&'static str, Option<OsString>)> {
    let text = |value: Option<String>| value.map(OsString::from);
    let report = facts.report.as_deref().map(status::of_report);
    let outcome = report.as_ref().and_then(|report| Some(report.outcome?.to_string()));
    let exit = if let Some(Failure::Exited { exit, .. } | Failure::EndedForGood { exit }) =
        &facts.failure
    {
        Some(*exit)
    } else {
        None
    };
    let (code, signal) = match exit.map(|exit| exit.how) {
        Some(ExitHow::Code(code)) => (Some(code.to_string()), None),
        Some(ExitHow::Signal(number)) => (None, Some(log::signal_name(number))),
        None => (None, None),
    };
    let failed = facts.failure.as_ref().map(log::failed);
    let reason = report.and_then(|report| report.reason).or(failed);
    let name = kind.name();
    vec![
        ("RELEVO_HOOK", text(Some(name.strip_prefix("hook-").unwrap_or(name).to_owned()))),
        ("RELEVO_NAME", text(Some(around.name.to_owned()))),
        ("RELEVO_GENERATION", text(Some(facts.generation.to_string()))),
        ("RELEVO_SLOT", text(facts.slot.map(|slot| slot.to_string()))),
        ("RELEVO_WORKER", text(facts.worker.map(|worker| worker.to_string()))),
        ("RELEVO_WORKER_PID", text(around.worker_pid.map(|pid| pid.to_string()))),
        ("RELEVO_EXIT_CODE", text(code)),
        ("RELEVO_EXIT_SIGNAL", text(signal)),
        ("RELEVO_OUTCOME", text(outcome)),
        ("RELEVO_REASON", text(reason)),
    ]
}
