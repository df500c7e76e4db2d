//! What the threads of a process do.

use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::Pid;

use super::usage::{parse_cpu_ticks, ticks_to_time};
use super::{printable, read_bounded};

/// How many threads are looked at.
const THREADS_LIMIT: usize = 64;
/// How much of each file is read.
const FILE_LIMIT_BYTES: u64 = 4096;
/// The same of what an epoll descriptor waits for: some 10,000 others.
const EPOLL_LIMIT_BYTES: u64 = 1 << 20;

/// A thread, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its number; the main thread has that of the process.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// `R` runs, `S` sleeps, `D` waits for a device, `T` is stopped, `t` is traced: proc_pid_stat(5).
    pub state: char,
    /// The processor time that it has used.
    pub cpu_time: Duration,
    /// The system call that it waits in; `None` where it runs, or may not be asked.
    pub system_call: Option<SystemCall>,
    /// The function of the kernel that it waits in, where that is told.
    pub waits_in: Option<String>,
}

/// A system call that a thread is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemCall {
    /// Its number, as in `libc::SYS_*`.
    pub number: i64,
    /// Its first argument: often a descriptor.
    pub first: u64,
}

impl Thread {
    /// The name of the system call that it waits in, or its number.
    pub fn waits_for(&self) -> Option<String> {
        let number = self.system_call?.number;
        let name = NAMED.iter().find(|(named, _)| *named == number).map(|(_, name)| *name);
        Some(name.map_or_else(|| format!("system call {number}"), str::to_owned))
    }

    /// The descriptor by which it waits for events (epoll(7)), as an event loop does that has nothing to do.
    pub fn waits_for_events(&self) -> Option<u64> {
        let call = self.waits_for().filter(|call| call.starts_with("epoll_"));
        call.and(self.system_call).map(|call| call.first)
    }
}

/// Those that a thread of node's waits in for long.
const NAMED: &[(i64, &str)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll"),
    (libc::SYS_epoll_pwait, "epoll_pwait"),
    (libc::SYS_ppoll, "ppoll"),
    (libc::SYS_futex, "futex"),
    (libc::SYS_read, "read"),
    (libc::SYS_write, "write"),
    (libc::SYS_wait4, "wait4"),
    (libc::SYS_recvmsg, "recvmsg"),
    (libc::SYS_recvfrom, "recvfrom"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_nanosleep, "nanosleep"),
    (libc::SYS_clock_nanosleep, "clock_nanosleep"),
];

/// The threads of a process, the main one first, 64 at most. Empty when it has ended.
pub fn threads_of(pid: Pid) -> Vec<Thread> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).ok().into_iter().flatten();
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut threads: Vec<Thread> =
        ids.take(THREADS_LIMIT).filter_map(|tid| thread(pid, tid)).collect();
    threads.sort_by_key(|thread| thread.tid);
    threads
}

/// The process that traces this one, as a debugger does (ptrace(2)).
pub fn tracer_of(pid: Pid) -> Option<u32> {
    parse_tracer(&read_bounded(format!("/proc/{pid}/status"), FILE_LIMIT_BYTES)?)
}

/// Whether whoever waits for events by this descriptor of a process (epoll(7)) is woken by that other one.
pub fn is_woken_by(pid: Pid, epoll: u64, other: u32) -> bool {
    let info = read_bounded(format!("/proc/{pid}/fdinfo/{epoll}"), EPOLL_LIMIT_BYTES);
    is_among_targets(&info.unwrap_or_default(), other)
}

/// `fdinfo` of an epoll descriptor has a line `tfd: <descriptor> events: …` for each that is waited for.
fn is_among_targets(info: &str, descriptor: u32) -> bool {
    let target =
        |line: &str| line.strip_prefix("tfd:")?.split_ascii_whitespace().next()?.parse().ok();
    info.lines().any(|line| target(line) == Some(descriptor))
}

/// What the main thread waits for within the kernel; told to root only.
pub fn kernel_stack_of(pid: Pid) -> Option<String> {
    read_bounded(format!("/proc/{pid}/stack"), FILE_LIMIT_BYTES).filter(|text| !text.is_empty())
}

fn thread(pid: Pid, tid: u32) -> Option<Thread> {
    let read = |file| read_bounded(format!("/proc/{pid}/task/{tid}/{file}"), FILE_LIMIT_BYTES);
    let stat = read("stat")?;
    let (name, state) = parse_name_and_state(&stat)?;
    let ticks = parse_cpu_ticks(&stat)?;
    Some(Thread {
        tid,
        name: printable(name),
        state,
        cpu_time: ticks_to_time(ticks, clock_ticks_per_second()),
        system_call: read("syscall").as_deref().and_then(parse_system_call),
        waits_in: read("wchan").filter(|text| !text.is_empty() && text != "0"),
    })
}

/// `TracerPid` of `status`; 0 is nobody.
fn parse_tracer(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok().filter(|tracer| *tracer != 0)
}

/// The second and third field of `stat`. The name may itself have spaces and parentheses in it.
fn parse_name_and_state(stat: &str) -> Option<(&str, char)> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    Some((name, after.trim_start().chars().next()?))
}

/// `syscall` is `running`, or the number and its arguments; -1 outside of a system call.
fn parse_system_call(text: &str) -> Option<SystemCall> {
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?.parse().ok().filter(|number| *number >= 0)?;
    let first = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    Some(SystemCall { number, first })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::own_pid;

    #[test]
    fn texts_of_proc() {
        assert_eq!(parse_tracer("Name:\tnode\nTracerPid:\t0\n"), None);
        assert_eq!(parse_tracer("Name:\tnode\nTracerPid:\t42\n"), Some(42));
        assert_eq!(parse_name_and_state("7 (a) b (c)) S 1 2"), Some(("a) b (c)", 'S')));
        assert_eq!(parse_name_and_state("7"), None);
        assert_eq!(parse_system_call("running\n"), None);
        assert_eq!(parse_system_call("-1 0x7f 0x7f\n"), None);
        let call = SystemCall { number: 232, first: 13 };
        assert_eq!(parse_system_call("232 0xd 0x7f\n"), Some(call));
        let info = "pos:\t0\nflags:\t02\ntfd:        3 events:       19 data: 3 pos:0\ntfd:       12 events: 19\n";
        let among: Vec<u32> = (0..20).filter(|fd| is_among_targets(info, *fd)).collect();
        assert_eq!(among, [3, 12]);
    }

    #[test]
    fn what_a_thread_waits_for() {
        let waits = |number: i64| Thread {
            tid: 1,
            name: "node".to_owned(),
            state: 'S',
            cpu_time: Duration::ZERO,
            system_call: Some(SystemCall { number, first: 13 }),
            waits_in: None,
        };
        assert_eq!(waits(libc::SYS_futex).waits_for().as_deref(), Some("futex"));
        assert_eq!(waits(9999).waits_for().as_deref(), Some("system call 9999"));
        assert_eq!(waits(libc::SYS_epoll_pwait).waits_for_events(), Some(13));
        assert_eq!(waits(libc::SYS_read).waits_for_events(), None);
    }

    #[test]
    fn our_own_threads() {
        let threads = threads_of(own_pid());
        assert!(threads.len() >= 2, "{threads:?}");
        assert_eq!(threads[0].tid, std::process::id());
        assert!(threads.iter().any(|thread| thread.state == 'R'), "{threads:?}");
        assert_eq!(tracer_of(own_pid()), None);
    }
}
