//! The workers' processes: starting, signalling, watching and reaping them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::rc::Rc;

use relevo_config::ReadyWord;
use relevo_core::{Exit, ExitHow, Generation, Slot, SpawnStage, WorkerId};
use relevo_sys::launch::{Report, read_report, send_channel};
use relevo_sys::notified::NotifySocket;
use relevo_sys::oom::{OomKills, oom_kills};
use relevo_sys::process::{self, NofileLimit, Pidfd, group_exists, signal_group};
use relevo_sys::{Errno, Pid, Signal, proc, scm, socket};

use super::agent_file::AgentFile;
use super::releases::Release;
use super::{environment, inspect_port, notifications};
use crate::cli::exec;
use crate::configuration::{Configuration, Identity};

/// How a generation's workers are started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) configuration: Rc<Configuration>,
    /// Where its code is.
    pub(crate) release: Rc<Release>,
    /// The limit of open files that the primary was started with.
    pub(crate) nofile: NofileLimit,
}

/// All processes that have not been reaped.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    all: BTreeMap<WorkerId, Process>,
    /// Those that were reaped, until the log has told their end.
    buried: BTreeMap<WorkerId, Pid>,
    /// Groups of which something was left when their worker was buried. It was killed, and is about to end.
    remnants: Vec<Pid>,
    oom_kills: Option<OomKills>,
}

#[derive(Debug)]
struct Process {
    pid: Pid,
    pidfd: Pidfd,
    /// The shim's end of this tells whether the program was executed.
    launch: Option<OwnedFd>,
    /// What it was started by.
    configuration: Rc<Configuration>,
    /// Where the inspector listens, which is no server of the app's.
    inspect_port: Option<u16>,
    /// What it is asked for to learn whether it is ready.
    ready_path: Option<String>,
    was_killed_by_us: bool,
}

/// What the primary holds of a process that has just been started.
pub(crate) struct Started {
    pub(crate) channel: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// Where it is heard.
    pub(crate) notify: Option<NotifySocket>,
}

/// What became of a launch.
pub(crate) enum Launched {
    NotYet,
    /// The worker's program runs.
    Done,
    Failed(SpawnStage, i32),
}

impl Processes {
    /// Starts the shim that becomes the worker's program.
    pub(crate) fn start(
        &mut self,
        launch: &Launch,
        agent: Option<&AgentFile>,
        worker: WorkerId,
        slot: Slot,
        generation: Generation,
    ) -> io::Result<Started> {
        let (channel, their_channel) = scm::channel_pair()?;
        let (status, their_status) = scm::channel_pair()?;
        let Configuration { entry, directory, variables, identity, .. } = &*launch.configuration;
        let release = &launch.release;
        let inspect = inspect_flag(launch, worker);
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(exec::NAME)
            .arg("--directory")
            .arg(release.directory())
            .arg("--nofile")
            .arg(format!("{}:{}", launch.nofile.soft, launch.nofile.hard))
            .args(identity.as_deref().map(exec::identity_arguments).unwrap_or_default())
            .arg("--")
            .arg(&entry.node)
            .args(&entry.node_args)
            .args(inspect.as_deref());
        if let Some(agent) = agent {
            command.arg("--require").arg(agent.ensure()?);
        }
        command.arg(release.script(entry, sees_links(launch))).args(&entry.args);
        command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.env("PWD", release.logical_directory(directory));
        command.envs(environment::of_worker(worker, slot, generation, release.path()));
        command.stdin(their_status).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ready = &launch.configuration.options.ready;
        let notify = (*ready == ReadyWord::Notify).then(|| notifications::socket(worker));
        let notify = notify.transpose()?.map(|(socket, name)| {
            command.env(environment::NOTIFY_SOCKET, name);
            socket
        });
        let ready_path = ready.path().map(str::to_owned);
        let mut child = command.spawn()?;
        let pid = child_pid(&child)?;
        let pidfd = Pidfd::open(pid)?;
        send_channel(status.as_fd(), their_channel.as_fd())?;
        for stream in
            [child.stdout.as_ref().map(AsFd::as_fd), child.stderr.as_ref().map(AsFd::as_fd)]
        {
            own_by(stream, identity.as_deref());
        }
        let stdout = nonblocking(child.stdout.take().map(OwnedFd::from))?;
        let stderr = nonblocking(child.stderr.take().map(OwnedFd::from))?;
        let inspect_port = inspect.and_then(|flag| flag.rsplit('=').next()?.parse().ok());
        let process = Process {
            pid,
            pidfd,
            launch: Some(status),
            configuration: Rc::clone(&launch.configuration),
            inspect_port,
            ready_path,
            was_killed_by_us: false,
        };
        self.all.insert(worker, process);
        Ok(Started { channel, stdout, stderr, notify })
    }

    pub(crate) fn pid(&self, worker: WorkerId) -> Option<u32> {
        number(self.process(worker)?)
    }

    /// The same, to ask the system about it.
    pub(crate) fn process(&self, worker: WorkerId) -> Option<Pid> {
        self.all.get(&worker).map(|process| process.pid)
    }

    /// The resident memory of the process, in bytes.
    pub(crate) fn memory(&self, worker: WorkerId) -> Option<u64> {
        proc::memory_of(self.process(worker)?)
    }

    /// The number by which the log names a worker, also one that has just been buried.
    pub(crate) fn pid_for_log(&self, worker: WorkerId) -> Option<u32> {
        self.pid(worker).or_else(|| self.buried.get(&worker).copied().and_then(number))
    }

    /// The end of a buried process has been told.
    pub(crate) fn forget_buried(&mut self, worker: WorkerId) {
        self.buried.remove(&worker);
    }

    /// The descriptor that becomes readable when the process has ended.
    pub(crate) fn pidfd(&self, worker: WorkerId) -> Option<BorrowedFd<'_>> {
        self.all.get(&worker).map(|process| process.pidfd.fd())
    }

    /// The descriptor that becomes readable when the program was executed, or was not.
    pub(crate) fn launch(&self, worker: WorkerId) -> Option<BorrowedFd<'_>> {
        self.all.get(&worker)?.launch.as_ref().map(AsFd::as_fd)
    }

    pub(crate) fn inspect_port(&self, worker: WorkerId) -> Option<u16> {
        self.all.get(&worker)?.inspect_port
    }

    pub(crate) fn ready_path(&self, worker: WorkerId) -> Option<String> {
        self.all.get(&worker)?.ready_path.clone()
    }

    /// What became of the launch. Once it is known, its descriptor is gone.
    pub(crate) fn launched(&mut self, worker: WorkerId) -> Launched {
        let Some(process) = self.all.get_mut(&worker) else { return Launched::NotYet };
        let Some(status) = &process.launch else { return Launched::NotYet };
        let outcome = match read_report(status.as_fd()) {
            Ok(Report::Pending) => return Launched::NotYet,
            Ok(Report::Execed) => Launched::Done,
            Ok(Report::Failed { stage, errno }) => {
                Launched::Failed(exec::stage_of(stage), errno.raw_os_error())
            }
            Err(errno) => Launched::Failed(SpawnStage::Fork, errno.raw_os_error()),
        };
        process.launch = None;
        outcome
    }

    /// What a launch that failed with this was refused, where that is for want of its user's rights.
    pub(crate) fn refused_rights(
        &self,
        worker: WorkerId,
        stage: SpawnStage,
        errno: i32,
    ) -> Option<String> {
        let Configuration { identity, directory, entry, .. } =
            &*self.all.get(&worker)?.configuration;
        let user = &identity.as_ref().filter(|_| errno == Errno::ACCESS.raw_os_error())?.shown;
        match stage {
            SpawnStage::Directory => Some(format!(
                "the user {user} may not enter the workers' directory {}: give it the right to (execute permission there and above it), or name another with --cwd",
                directory.display()
            )),
            SpawnStage::Exec => Some(format!(
                "the user {user} may not execute {}: give it the right to, or use a node that is installed for everybody",
                entry.node.display()
            )),
            SpawnStage::Fork
            | SpawnStage::Session
            | SpawnStage::Limits
            | SpawnStage::Release
            | SpawnStage::User
            | SpawnStage::Descriptors => None,
        }
    }

    /// Sends the service's stop signal to the worker alone, not to what it started.
    pub(crate) fn signal_stop(&self, worker: WorkerId, signal: Signal) {
        if let Some(process) = self.all.get(&worker) {
            // It may have ended this moment; then there is nothing to tell it.
            let _ = process.pidfd.signal(signal);
        }
    }

    /// Kills the worker and everything in its process group.
    pub(crate) fn kill_group(&mut self, worker: WorkerId) {
        if let Some(process) = self.all.get_mut(&worker) {
            process.was_killed_by_us = true;
            kill_with_group(process.pid, &process.pidfd);
        }
    }

    /// Whether the process has ended, without reaping it.
    pub(crate) fn has_ended(&self, worker: WorkerId) -> bool {
        self.all
            .get(&worker)
            .is_some_and(|process| !matches!(process::peek_exit(&process.pidfd), Ok(None)))
    }

    /// Reaps a process that has ended, and ends what is left of its group. While the zombie is there
    /// its number cannot be anybody else's, so the group is ended first.
    pub(crate) fn bury(&mut self, worker: WorkerId) -> Option<Exit> {
        let process = self.all.remove(&worker)?;
        let _ = signal_group(process.pid, Signal::KILL);
        let how = reap(&process.pidfd);
        self.remnants.push(process.pid);
        self.forget_remnants();
        self.buried.insert(worker, process.pid);
        let killed = how == ExitHow::Signal(Signal::KILL.as_raw());
        let out_of_memory = killed && !process.was_killed_by_us && self.memory_ran_out();
        Some(Exit { how, out_of_memory })
    }

    /// Whether something of a buried worker's group has not ended yet.
    pub(crate) fn has_remnants(&mut self) -> bool {
        self.forget_remnants();
        !self.remnants.is_empty()
    }

    fn forget_remnants(&mut self) {
        self.remnants.retain(|group| group_exists(*group));
    }

    /// The processes of all workers.
    pub(crate) fn pids(&self) -> impl Iterator<Item = Pid> {
        self.all.values().map(|process| process.pid)
    }

    /// Whether a process is one of the workers'.
    pub(crate) fn is_worker(&self, pid: Pid) -> bool {
        self.all.values().any(|process| process.pid == pid)
    }

    /// Remembers how many processes the kernel has killed so far for want of memory.
    pub(crate) fn note_oom_kills(&mut self) {
        self.oom_kills = oom_kills();
    }

    fn memory_ran_out(&mut self) -> bool {
        let before = self.oom_kills;
        self.oom_kills = oom_kills();
        match (before, self.oom_kills) {
            (Some(before), Some(now)) => before.scope == now.scope && now.count > before.count,
            (None, _) | (_, None) => false,
        }
    }
}

/// Whether node is to take a link for a file of its own: it loads what is beside the link then.
fn sees_links(launch: &Launch) -> bool {
    const FLAGS: [&str; 2] = ["--preserve-symlinks", "--preserve-symlinks-main"];
    const VARIABLES: [&str; 2] = ["NODE_PRESERVE_SYMLINKS", "NODE_PRESERVE_SYMLINKS_MAIN"];
    let Configuration { entry, variables, .. } = &*launch.configuration;
    let options = node_options(variables).into_iter().flat_map(str::split_whitespace);
    let mut flags = options.chain(entry.node_args.iter().map(String::as_str));
    let is_set = |(name, value): &(OsString, OsString)| {
        VARIABLES.iter().any(|known| name == OsStr::new(known)) && value == OsStr::new("1")
    };
    flags.any(|flag| FLAGS.contains(&flag)) || variables.iter().any(is_set)
}

fn node_options(variables: &[(OsString, OsString)]) -> Option<&str> {
    let options = variables.iter().find(|(name, _)| name == OsStr::new("NODE_OPTIONS"));
    options.and_then(|(_, value)| value.to_str())
}

fn inspect_flag(launch: &Launch, worker: WorkerId) -> Option<String> {
    let Configuration { entry, variables, .. } = &*launch.configuration;
    let flags = entry.node_args.iter().map(String::as_str);
    inspect_port::flag(flags, node_options(variables), worker.0)
}

/// A pipe is opened by its path (`/dev/stdout`) only by who owns it. Where that cannot be changed it
/// can be written to all the same.
pub(super) fn own_by(pipe: Option<BorrowedFd<'_>>, identity: Option<&Identity>) {
    let somebody_else = identity.filter(|identity| identity.is_somebody_else());
    if let (Some(pipe), Some(identity)) = (pipe, somebody_else) {
        let _ = std::os::unix::fs::fchown(pipe, Some(identity.uid), Some(identity.gid));
    }
}

/// Kills a process and everything in its process group. Before its `setsid` there is no group yet, so the
/// process is named as well.
pub(super) fn kill_with_group(pid: Pid, pidfd: &Pidfd) {
    let _ = pidfd.signal(Signal::KILL);
    let _ = signal_group(pid, Signal::KILL);
}

/// How a process ended, which is forgotten by the system with that.
pub(super) fn reap(pidfd: &Pidfd) -> ExitHow {
    match process::reap(pidfd).ok().flatten() {
        Some(process::Exit::Code(code)) => ExitHow::Code(code),
        Some(process::Exit::Signal { number, .. }) => ExitHow::Signal(number),
        // Somebody else reaped it: nothing is known of its end.
        None => ExitHow::Code(-1),
    }
}

fn number(pid: Pid) -> Option<u32> {
    u32::try_from(pid.as_raw_pid()).ok()
}

pub(super) fn child_pid(child: &std::process::Child) -> io::Result<Pid> {
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("the system gave a process the number 0"))
}

pub(super) fn nonblocking(pipe: Option<OwnedFd>) -> io::Result<OwnedFd> {
    let pipe = pipe.ok_or_else(|| io::Error::from(Errno::BADF))?;
    socket::set_nonblocking(&pipe)?;
    Ok(pipe)
}
