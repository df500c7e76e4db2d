//! Sockets that a service manager opened for us: the protocol of `sd_listen_fds(3)`.
//!
//! They are found at the numbers from 3 on. `LISTEN_PID` says who they are for, `LISTEN_FDS` how many
//! there are, and `LISTEN_FDNAMES` what they are called, with colons in between.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::process::Pid;

use crate::socket::{set_nonblocking, socket_inode};

/// The first number.
const FIRST: RawFd = 3;

/// More would be a mistake; every one is a unit's `ListenStream=` or the like.
const LIMIT: usize = 1024;

/// What a descriptor is called when nobody named it.
const NAMELESS: &str = "unknown";

/// A descriptor that was opened for us.
#[derive(Debug)]
pub struct InheritedSocket {
    /// The number it was passed under (and still has).
    pub number: RawFd,
    /// The descriptor, close-on-exec by now, and non-blocking if it is a socket.
    pub descriptor: OwnedFd,
    /// Its name, `unknown` without one.
    pub name: String,
}

/// Takes the descriptors that the variables' values announce to the process `own_pid`; none when
/// they are absent or meant for another process.
///
/// To be called at the very start, before this process opens anything itself: whatever is at those
/// numbers is taken to be what was passed. A second call finds nothing.
///
/// # Errors
///
/// `EBADF` when one of them is not open, `EINVAL` for a count that is none. Nothing is taken then.
pub fn inherited_sockets(
    listen_pid: Option<&str>,
    listen_fds: Option<&str>,
    listen_fdnames: Option<&str>,
    own_pid: Pid,
) -> Result<Vec<InheritedSocket>, Errno> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let names = announced(listen_pid, listen_fds, listen_fdnames, own_pid)?;
    if names.is_empty() || TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(Vec::new());
    }
    let numbered = || (FIRST..).zip(&names);
    for (number, _) in numbered() {
        make_close_on_exec(number)?;
    }
    numbered().map(|(number, name)| take(number, name)).collect()
}

/// The names of the descriptors that are announced, in order; pure.
fn announced(
    listen_pid: Option<&str>,
    listen_fds: Option<&str>,
    listen_fdnames: Option<&str>,
    own_pid: Pid,
) -> Result<Vec<String>, Errno> {
    let (Some(pid), Some(count)) = (listen_pid, listen_fds) else { return Ok(Vec::new()) };
    if pid.parse() != Ok(own_pid.as_raw_pid()) {
        return Ok(Vec::new());
    }
    let count: usize = count.parse().map_err(|_| Errno::INVAL)?;
    if count > LIMIT {
        return Err(Errno::INVAL);
    }
    let given = listen_fdnames.unwrap_or_default().split(':').map(str::to_owned);
    let names = given.map(|name| if name.is_empty() { NAMELESS.to_owned() } else { name });
    Ok(names.chain(std::iter::repeat_with(|| NAMELESS.to_owned())).take(count).collect())
}

/// Fails with `EBADF` when the number is not open.
fn make_close_on_exec(number: RawFd) -> Result<(), Errno> {
    // SAFETY: the call takes no pointers and closes nothing.
    let result = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(crate::last_errno()) }
}

fn take(number: RawFd, name: &str) -> Result<InheritedSocket, Errno> {
    // SAFETY: the number is open, as has just been seen; it was passed to this process for it to
    // own, and as this happens once and before anything else is opened, nobody else here does.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    if socket_inode(&descriptor).is_ok() {
        set_nonblocking(&descriptor)?;
    }
    Ok(InheritedSocket { number, descriptor, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pid: &str, count: &str, names: Option<&str>, expect: Result<&[&str], Errno>) {
        let own = Pid::from_raw(42).unwrap();
        let found = announced(Some(pid), Some(count), names, own);
        assert_eq!(found, expect.map(|names| names.iter().map(|&name| name.into()).collect()));
    }

    #[test]
    fn what_is_announced() {
        check("42", "2", Some("web:admin"), Ok(&["web", "admin"]));
        check("42", "2", Some("web"), Ok(&["web", NAMELESS]));
        check("42", "2", Some(":admin:more"), Ok(&[NAMELESS, "admin"]));
        check("42", "1", None, Ok(&[NAMELESS]));
        check("42", "0", None, Ok(&[]));
        check("43", "2", Some("web:admin"), Ok(&[]));
        check("", "2", None, Ok(&[]));
        check("42", "two", None, Err(Errno::INVAL));
        check("42", "-1", None, Err(Errno::INVAL));
        check("42", "1000000", None, Err(Errno::INVAL));
    }

    #[test]
    fn absent_variables_announce_nothing() {
        let own = Pid::from_raw(42).unwrap();
        assert_eq!(announced(None, Some("1"), None, own), Ok(vec![]));
        assert_eq!(announced(Some("42"), None, None, own), Ok(vec![]));
    }
}
