//! Processes by descriptor: `pidfd_open(2)`. A number may be another process's by the time it is
//! used; a descriptor never is.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};

use super::exit::Exit;

/// A process, our child or not. The descriptor becomes readable when the process has ended.
#[derive(Debug)]
pub struct Pidfd {
    descriptor: OwnedFd,
}

impl Pidfd {
    /// Opens the process that has this number now. It is surely the one meant only as long as that
    /// one is our child and has not been reaped.
    ///
    /// # Errors
    ///
    /// `ESRCH` when there is none.
    pub fn open(pid: Pid) -> Result<Self, Errno> {
        // Descriptors of this kind are close-on-exec from the start.
        Ok(Self { descriptor: pidfd_open(pid, PidfdFlags::empty())? })
    }

    /// Takes over a descriptor that another process or an earlier image of this one opened.
    pub fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self { descriptor }
    }

    /// To wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Sends a signal; see `pidfd_send_signal(2)`.
    ///
    /// # Errors
    ///
    /// `ESRCH` when it has ended and was reaped, `EPERM` when it is not ours to signal.
    pub fn signal(&self, signal: Signal) -> Result<(), Errno> {
        pidfd_send_signal(&self.descriptor, signal)
    }
}

/// How our child has ended, leaving its status to be reaped; `None` while it runs.
///
/// # Errors
///
/// `ECHILD` when it is not our child, or was reaped already.
pub fn peek_exit(process: &Pidfd) -> Result<Option<Exit>, Errno> {
    wait(process, WaitIdOptions::NOWAIT)
}

/// How our child has ended, once and for all; `None` while it runs.
///
/// # Errors
///
/// `ECHILD` when it is not our child, or was reaped already.
pub fn reap(process: &Pidfd) -> Result<Option<Exit>, Errno> {
    wait(process, WaitIdOptions::empty())
}

fn wait(process: &Pidfd, more: WaitIdOptions) -> Result<Option<Exit>, Errno> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | more;
    let status = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(process.fd()), options))?;
    Ok(status.as_ref().and_then(Exit::from_status))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::test_support::eventually;

    fn start(script: &str) -> (Child, Pidfd) {
        let child = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
        let pidfd = Pidfd::open(Pid::from_child(&child)).unwrap();
        (child, pidfd)
    }

    #[test]
    fn an_exit_code_is_peeked_at_and_then_reaped() {
        let (_child, process) = start("exit 7");
        let exit = eventually("the exit", || peek_exit(&process).unwrap());
        assert_eq!(exit, Exit::Code(7));
        assert_eq!(peek_exit(&process), Ok(Some(Exit::Code(7))));
        assert_eq!(reap(&process), Ok(Some(Exit::Code(7))));
        assert_eq!(reap(&process), Err(Errno::CHILD));
        assert_eq!(process.signal(Signal::TERM), Err(Errno::SRCH));
    }

    #[test]
    fn a_signal_is_sent_and_reported() {
        let (_child, process) = start("exec sleep 1000");
        assert_eq!(peek_exit(&process), Ok(None));
        process.signal(Signal::KILL).unwrap();
        let exit = eventually("the exit", || reap(&process).unwrap());
        assert_eq!(exit, Exit::Signal { number: 9, core_dumped: false });
    }

    #[test]
    fn the_descriptor_becomes_readable_at_the_end() {
        let (_child, process) = start("exit 0");
        let poller = crate::poll::Poller::new().unwrap();
        poller.add(process.fd(), 1, crate::poll::Interest::READ).unwrap();
        let mut out = Vec::new();
        poller.wait(None, &mut out).unwrap();
        assert!(out[0].readable);
        assert_eq!(reap(&process), Ok(Some(Exit::Code(0))));
    }

    #[test]
    fn a_process_that_is_no_child_can_be_watched_but_not_reaped() {
        let parent = rustix::process::getppid().unwrap();
        let process = Pidfd::open(parent).unwrap();
        assert_eq!(peek_exit(&process), Err(Errno::CHILD));
    }
}
