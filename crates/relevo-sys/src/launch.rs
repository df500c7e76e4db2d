//! How a worker's process is started, and how the primary learns whether that went well.
//!
//! The primary starts a *shim*: its own program over again, with a Unix socket as its stdin. What
//! would have to be done between `fork` and `exec`, where hardly anything is allowed, is then
//! ordinary code of a process with a single thread.
//!
//! ```text
//! primary                                     shim
//! close_on_exec_from(3), once
//! channel_pair() ────── one end is its stdin ─►
//! send_channel() ─ a byte, with the channel ──► take_status_socket(), receive_channel()
//!                                               new_session(), set_nofile(), …
//!                                               close_on_exec_from(3), place_descriptor(channel, 3)
//! read_report() ◄── nothing, end of file ────── exec() succeeded: the socket was close-on-exec
//!               ◄── { stage, errno } ────────── a step failed: report_failure()
//! ```

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};

use crate::scm;

/// Where [`hold_high`] begins: out of the way of every number a worker is promised.
pub const HIGH: RawFd = 16;

/// The byte that the channel rides on.
const CHANNEL_BYTE: u8 = b'c';

/// One byte for the stage, four for the error's number in the machine's byte order: both sides are
/// the same program.
const REPORT_BYTES: usize = 5;

/// What the shim has told so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Nothing yet.
    Pending,
    /// The socket is closed: the shim has become the worker's program. Or it was killed before it
    /// could say anything; its exit tells.
    Execed,
    /// A step failed, and the shim ends.
    Failed {
        /// Which step; the numbers are the caller's.
        stage: u8,
        /// Why.
        errno: Errno,
    },
}

/// Primary: sends the worker's end of its channel to the shim.
pub fn send_channel(socket: BorrowedFd<'_>, channel: BorrowedFd<'_>) -> Result<(), Errno> {
    scm::send(socket, &[CHANNEL_BYTE], Some(channel)).map(drop)
}

/// Primary: what the shim at the other end of `socket` has told; never waits. [`Report::Pending`]
/// is answered by waiting until the socket is readable.
///
/// # Errors
///
/// `ECONNRESET` when the shim ended before it took the channel, `EBADMSG` for what no shim writes.
pub fn read_report(socket: BorrowedFd<'_>) -> Result<Report, Errno> {
    let (mut bytes, mut descriptors) = ([0; REPORT_BYTES], Vec::new());
    match scm::receive(socket, &mut bytes, &mut descriptors) {
        Err(Errno::AGAIN) => Ok(Report::Pending),
        Err(errno) => Err(errno),
        Ok(received) if received.bytes == 0 => Ok(Report::Execed),
        // The report was written in one call to a socket, and so is read whole.
        Ok(received) if received.bytes == REPORT_BYTES => Ok(decode(bytes)),
        Ok(_) => Err(Errno::BADMSG),
    }
}

/// Shim: takes the socket away from stdin, to a high number and close-on-exec, and leaves
/// `/dev/null` in its place.
pub fn take_status_socket() -> Result<OwnedFd, Errno> {
    // Whoever opened this for us made it number 0, so it is open as long as nobody closed it.
    let socket = hold_high(rustix::stdio::stdin())?;
    const NOTHING: &CStr = c"/dev/null";
    let nothing = open(NOTHING, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(nothing)?;
    Ok(socket)
}

/// Shim: waits for the channel. `None` when the primary has closed the socket without sending one.
///
/// # Errors
///
/// `EBADMSG` for anything else than one byte with one descriptor, `EMFILE` when there was no number
/// left for it.
pub fn receive_channel(socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    let (mut byte, mut descriptors) = ([0], Vec::new());
    let received = loop {
        let mut waited = [PollFd::new(&socket, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut waited, None))?;
        match scm::receive(socket, &mut byte, &mut descriptors) {
            Err(Errno::AGAIN) => {}
            other => break other?,
        }
    };
    match (received.bytes, descriptors.pop()) {
        (0, _) => Ok(None),
        _ if received.descriptors_lost => Err(Errno::MFILE),
        // It arrives at the lowest free number, which may be one that is promised to the worker.
        (1, Some(channel)) if descriptors.is_empty() && byte == [CHANNEL_BYTE] => {
            hold_high(channel).map(Some)
        }
        _ => Err(Errno::BADMSG),
    }
}

/// Shim: says which step failed. There is nobody left to tell if this fails too.
pub fn report_failure(socket: BorrowedFd<'_>, stage: u8, errno: Errno) {
    let _ = scm::send(socket, &encode(stage, errno), None);
}

/// A duplicate with a number of at least [`HIGH`], close-on-exec.
pub fn hold_high(descriptor: impl AsFd) -> Result<OwnedFd, Errno> {
    fcntl_dupfd_cloexec(descriptor, HIGH)
}

/// Shim: gives the next program this descriptor under this number, above 2. It stays open for the
/// rest of this process's life.
///
/// # Errors
///
/// `EEXIST` when the number is in use: nothing that somebody else may own is ever closed by this.
pub fn place_descriptor(descriptor: OwnedFd, number: RawFd) -> Result<(), Errno> {
    let placed = fcntl_dupfd_cloexec(&descriptor, number)?;
    if std::os::fd::AsRawFd::as_raw_fd(&placed) != number {
        return Err(Errno::EXIST);
    }
    let flags = fcntl_getfd(&placed)?;
    fcntl_setfd(&placed, flags - FdFlags::CLOEXEC)?;
    let _: RawFd = placed.into_raw_fd();
    Ok(())
}

/// Marks every descriptor from `first` on close-on-exec; see `close_range(2)`.
///
/// The primary does so at its start, so that what it was itself started with (a shell's, a job
/// server's) neither reaches the workers nor occupies the numbers they are promised. The shim does
/// so again before it places what the worker is meant to have.
pub fn close_on_exec_from(first: u32) -> Result<(), Errno> {
    /// `CLOSE_RANGE_CLOEXEC` of the kernel's `linux/close_range.h`.
    const MARK: libc::c_uint = 1 << 2;
    // Not by the C library's function of this name, which is younger than some C libraries.
    // SAFETY: with this flag the call closes nothing; it takes no pointers.
    if unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, MARK) } == 0 {
        return Ok(());
    }
    match crate::last_errno() {
        Errno::NOSYS | Errno::INVAL => mark_each(first), // before Linux 5.11
        errno => Err(errno),
    }
}

fn mark_each(first: u32) -> Result<(), Errno> {
    let listed = std::fs::read_dir("/proc/self/fd")
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let numbers = listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|&number: &u32| number >= first) {
        // SAFETY: setting the flag closes nothing now; a number that is closed already is an error,
        // which is as good.
        unsafe { libc::fcntl(number.cast_signed(), libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

fn encode(stage: u8, errno: Errno) -> [u8; REPORT_BYTES] {
    let [a, b, c, d] = errno.raw_os_error().to_ne_bytes();
    [stage, a, b, c, d]
}

fn decode([stage, a, b, c, d]: [u8; REPORT_BYTES]) -> Report {
    let errno = Errno::from_raw_os_error(i32::from_ne_bytes([a, b, c, d]));
    Report::Failed { stage, errno }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::scm::channel_pair;
    use crate::socket::socket_inode;

    #[test]
    fn a_channel_travels_to_the_shim() {
        let (ours, shims) = channel_pair().unwrap();
        let (channel, _other) = channel_pair().unwrap();
        send_channel(ours.as_fd(), channel.as_fd()).unwrap();
        let received = receive_channel(shims.as_fd()).unwrap().unwrap();
        assert_eq!(socket_inode(&received), socket_inode(&channel));
        assert!(received.as_raw_fd() >= HIGH);
    }

    #[test]
    fn a_primary_that_is_gone_or_talks_nonsense_is_noticed() {
        let (ours, shims) = channel_pair().unwrap();
        scm::send(ours.as_fd(), b"c", None).unwrap();
        assert_eq!(receive_channel(shims.as_fd()).unwrap_err(), Errno::BADMSG);
        drop(ours);
        assert!(receive_channel(shims.as_fd()).unwrap().is_none());
    }

    #[test]
    fn reports_are_read_as_written() {
        let (ours, shims) = channel_pair().unwrap();
        assert_eq!(read_report(ours.as_fd()), Ok(Report::Pending));
        report_failure(shims.as_fd(), 4, Errno::NOENT);
        let failed = Report::Failed { stage: 4, errno: Errno::NOENT };
        assert_eq!(read_report(ours.as_fd()), Ok(failed));
        drop(shims);
        assert_eq!(read_report(ours.as_fd()), Ok(Report::Execed));
    }

    #[test]
    fn half_a_report_is_no_report() {
        let (ours, shims) = channel_pair().unwrap();
        scm::send(shims.as_fd(), b"abc", None).unwrap();
        assert_eq!(read_report(ours.as_fd()), Err(Errno::BADMSG));
    }

    #[test]
    fn a_number_in_use_is_not_taken_over() {
        let (ours, theirs) = channel_pair().unwrap();
        let number = ours.as_raw_fd();
        assert_eq!(place_descriptor(theirs, number), Err(Errno::EXIST));
        assert!(socket_inode(&ours).is_ok());
    }
}
