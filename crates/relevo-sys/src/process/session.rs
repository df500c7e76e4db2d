//! Sessions, process groups, and being the parent of orphans.

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, getegid, geteuid, getpid, kill_process_group, set_child_subreaper, setsid,
    test_kill_process_group,
};

/// Makes orphans among our descendants our children, as they are of PID 1 otherwise
/// (`PR_SET_CHILD_SUBREAPER` of `prctl(2)`). They must then be reaped.
pub fn become_subreaper() -> Result<(), Errno> {
    set_child_subreaper(Some(getpid()))
}

/// Starts a session and process group of our own, without a terminal; see `setsid(2)`.
///
/// # Errors
///
/// `EPERM` when this process leads a group already.
pub fn new_session() -> Result<(), Errno> {
    setsid().map(drop)
}

/// Sends a signal to every process of the group.
///
/// # Errors
///
/// `ESRCH` when it has none, `EPERM` when none of them is ours to signal.
pub fn signal_group(group: Pid, signal: Signal) -> Result<(), Errno> {
    kill_process_group(group, signal)
}

/// Whether the group has a process, be it one that has ended and was not reaped.
pub fn group_exists(group: Pid) -> bool {
    // Not being allowed to signal them is proof that they exist.
    matches!(test_kill_process_group(group), Ok(()) | Err(Errno::PERM))
}

/// The user whose rights this process has.
pub fn effective_uid() -> u32 {
    geteuid().as_raw()
}

/// The group whose rights it has first of all.
pub fn effective_gid() -> u32 {
    getegid().as_raw()
}

/// The session of a process. One whose leader is outside of our PID namespace has no number here: the kernel
/// says 0 (`pid_namespaces(7)`), which rustix's `getsid` takes for impossible.
pub fn session_of(pid: Pid) -> Option<Pid> {
    // SAFETY: it takes a number and returns one.
    numbered(unsafe { libc::getsid(pid.as_raw_pid()) })
}

/// The process group of this process. It has no number if it began outside of our PID namespace, as above.
pub fn own_group() -> Option<Pid> {
    // SAFETY: it takes nothing and returns a number.
    numbered(unsafe { libc::getpgrp() })
}

fn numbered(raw: libc::pid_t) -> Option<Pid> {
    Pid::from_raw(raw.max(0))
}

/// This process.
pub fn own_pid() -> Pid {
    getpid()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_group_is_signalled_and_gone() {
        let mut child = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let group = Pid::from_child(&child);
        assert!(group_exists(group));
        signal_group(group, Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(!group_exists(group));
        assert_eq!(signal_group(group, Signal::KILL), Err(Errno::SRCH));
    }

    /// As in a container that was entered from outside: the leaders of both have no number in it.
    #[test]
    fn a_session_and_a_group_from_outside_of_the_namespace_have_no_number() {
        const INSIDE: &str = "RELEVO_TEST_INSIDE";
        const NAME: &str = "a_session_and_a_group_from_outside_of_the_namespace_have_no_number";
        if std::env::var_os(INSIDE).is_some() {
            assert_eq!((session_of(own_pid()), own_group()), (None, None));
            return;
        }
        let mut unshare = Command::new("unshare");
        if effective_uid() != 0 {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--pid", "--fork"]).arg(std::env::current_exe().unwrap());
        unshare.args(["--exact", &format!("process::session::tests::{NAME}")]);
        let output = unshare.env(INSIDE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("1 passed"), "{output:?}");
    }
}
