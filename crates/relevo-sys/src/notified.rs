//! The receiving end of `sd_notify(3)`: a datagram socket that says who has sent what.
//!
//! The kernel adds the sender to each message (`SO_PASSCRED` and `SCM_CREDENTIALS`, unix(7)). Descriptors
//! that come along are closed with it: that is what the sender of `BARRIER=1` waits for.

use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with,
    sockopt::set_socket_passcred,
};
use rustix::process::Pid;

use crate::proc::read_bounded;
use crate::process::session_of;

/// The longest message that is taken, in bytes.
pub const MAX_NOTIFICATION: usize = 4096;
/// How many ancestors of a sender are looked at.
const MAX_ANCESTORS: usize = 64;
/// Room for the sender and for as many descriptors as the kernel passes in one message (`SCM_MAX_FD`).
const CONTROL_BYTES: usize = 1200;

/// A socket that a worker is told the name of.
#[derive(Debug)]
pub struct NotifySocket {
    socket: OwnedFd,
}

/// One message.
#[derive(Debug)]
pub struct Notification {
    /// What was sent; `None` where it was longer than [`MAX_NOTIFICATION`].
    pub text: Option<Vec<u8>>,
    /// Who sent it; `None` where that process is not visible from here.
    pub sender: Option<Pid>,
    /// The descriptors that came along: the sender may wait until they are closed, and end then.
    pub descriptors: Vec<OwnedFd>,
}

impl NotifySocket {
    /// Binds an abstract name, which goes with the socket.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` where somebody has that name.
    pub fn bind(name: &[u8]) -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        set_socket_passcred(&socket, true)?;
        bind(&socket, &SocketAddrUnix::new_abstract_name(name)?)?;
        Ok(Self { socket })
    }

    /// To be watched.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next message; `None` when none is there.
    ///
    /// # Errors
    ///
    /// Those of recvmsg(2).
    pub fn receive(&self) -> Result<Option<Notification>, Errno> {
        let mut bytes = [0_u8; MAX_NOTIFICATION];
        // Aligned for the headers that the kernel writes there.
        let mut control = [0_u64; CONTROL_BYTES / size_of::<u64>()];
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: a message header of zeros is one without anything.
        let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: the header points to buffers of the lengths that it says, and all outlive the call.
        let received = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, flags) };
        let Ok(received) = usize::try_from(received) else {
            return match crate::last_errno() {
                Errno::AGAIN | Errno::INTR => Ok(None),
                errno => Err(errno),
            };
        };
        let (sender, descriptors) = came_along(&message);
        let whole = message.msg_flags & libc::MSG_TRUNC == 0;
        Ok(Some(Notification {
            text: whole.then(|| bytes[..received].to_vec()),
            sender,
            descriptors,
        }))
    }
}

/// Who has sent a message, and which descriptors came with it.
fn came_along(message: &libc::msghdr) -> (Option<Pid>, Vec<OwnedFd>) {
    let (mut sender, mut descriptors) = (None, Vec::new());
    // SAFETY: the kernel has filled in this header and its control buffer, which is alive.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: it is not null, so it points to a whole header within the control buffer.
        let header = unsafe { next.read() };
        // SAFETY: likewise; its data follows it.
        let data = unsafe { libc::CMSG_DATA(next) };
        // SAFETY: only a number is computed.
        let before = unsafe { libc::CMSG_LEN(0) } as usize;
        let length = (header.cmsg_len as usize).saturating_sub(before);
        match (header.cmsg_level, header.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if length >= size_of::<libc::ucred>() => {
                // SAFETY: so many bytes are there, and any bytes are such numbers.
                let credentials = unsafe { data.cast::<libc::ucred>().read_unaligned() };
                sender = Pid::from_raw(credentials.pid);
            }
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                let first = data.cast::<RawFd>();
                for index in 0..length / size_of::<RawFd>() {
                    // SAFETY: so many numbers are there.
                    let place = unsafe { first.add(index) };
                    // SAFETY: likewise; the control buffer's data need not be aligned.
                    let number = unsafe { place.read_unaligned() };
                    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
                    descriptors.push(unsafe { OwnedFd::from_raw_fd(number) });
                }
            }
            _ => {}
        }
        // SAFETY: both headers are the kernel's, as above.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
    (sender, descriptors)
}

/// Whether a process belongs to a worker, which leads a session of its own: whether it is the worker, in
/// its session, or a descendant. A process that has ended belongs to nobody.
pub fn belongs_to(sender: Pid, worker: Pid) -> bool {
    if sender == worker || session_of(sender) == Some(worker) {
        return true;
    }
    let mut ancestor = sender;
    for _ in 0..MAX_ANCESTORS {
        match parent_of(ancestor) {
            Some(parent) if parent == worker => return true,
            Some(parent) => ancestor = parent,
            None => return false,
        }
    }
    false
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = read_bounded(format!("/proc/{}/stat", pid.as_raw_pid()), 1024)?;
    // The name before it may have spaces and brackets in it.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::process::Command;

    use super::*;
    use crate::process::own_pid;

    fn pair(what: &str) -> (NotifySocket, UnixDatagram) {
        let name = format!("relevo-test-notify-{what}-{}", std::process::id());
        let receiver = NotifySocket::bind(name.as_bytes()).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        (receiver, sender)
    }

    #[test]
    fn a_message_and_its_sender() {
        let (receiver, sender) = pair("plain");
        assert!(receiver.receive().unwrap().is_none());
        sender.send(b"READY=1").unwrap();
        let received = receiver.receive().unwrap().unwrap();
        assert_eq!(received.text.as_deref(), Some(b"READY=1".as_slice()));
        assert_eq!((received.sender, received.descriptors.len()), (Some(own_pid()), 0));
        assert!(receiver.receive().unwrap().is_none());
    }

    #[test]
    fn what_is_too_long_is_not_taken_in_parts() {
        let (receiver, sender) = pair("long");
        sender.send(&[b'x'; MAX_NOTIFICATION]).unwrap();
        sender.send(&[b'x'; MAX_NOTIFICATION + 1]).unwrap();
        let length = |taken: Option<Notification>| taken.unwrap().text.map(|text| text.len());
        assert_eq!(length(receiver.receive().unwrap()), Some(MAX_NOTIFICATION));
        assert_eq!(length(receiver.receive().unwrap()), None);
        assert!(receiver.receive().unwrap().is_none());
    }

    #[test]
    fn descriptors_are_closed_with_their_message() {
        let (receiver, sender) = pair("barrier");
        let (ours, theirs) = crate::scm::channel_pair().unwrap();
        crate::scm::send(sender.as_fd(), b"BARRIER=1", Some(theirs.as_fd())).unwrap();
        drop(theirs);
        let mut byte = [0];
        let nothing = rustix::io::read(&ours, &mut byte);
        assert_eq!(nothing, Err(Errno::AGAIN), "the other end is on its way");
        let received = receiver.receive().unwrap().unwrap();
        assert_eq!(received.descriptors.len(), 1);
        assert_eq!(rustix::io::read(&ours, &mut byte), Err(Errno::AGAIN));
        drop(received);
        assert_eq!(rustix::io::read(&ours, &mut byte), Ok(0), "the other end is closed");
    }

    #[test]
    fn who_belongs_to_whom() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32).unwrap();
        assert!(belongs_to(pid, pid));
        assert!(belongs_to(pid, own_pid()), "a descendant");
        assert!(!belongs_to(own_pid(), pid), "an ancestor");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!belongs_to(pid, own_pid()), "it has ended");
    }
}
