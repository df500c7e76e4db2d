//! Bytes with descriptors on a Unix stream socket: `unix(7)`, "Ancillary messages".
//!
//! A descriptor belongs to the first byte of the message it was sent with. The kernel never merges
//! bytes that follow a descriptor with it into one read, but may put earlier, plain bytes in front.
//! So a message written in one call with its one descriptor is understood by every receiver.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

use crate::socket::set_nonblocking;

/// How many descriptors one [`receive`] has room for, at least.
pub const DESCRIPTORS_PER_READ: usize = 8;

/// What one [`receive`] brought, apart from the bytes and descriptors themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many bytes were read; 0 is the end of the stream (if the buffer had room).
    pub bytes: usize,
    /// The kernel closed descriptors that the peer sent: more came at once than there is room for,
    /// or this process has no free descriptor number left (`MSG_CTRUNC`). Those that did fit were
    /// delivered.
    pub descriptors_lost: bool,
}

/// Two connected stream sockets, both close-on-exec: ours, non-blocking, and the other side's.
///
/// The other side's is left blocking: Node makes it non-blocking itself, and what runs before Node
/// is simpler when it may wait.
pub fn channel_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_nonblocking(&ours)?;
    Ok((ours, theirs))
}

/// Writes as much of `bytes` as fits now, with `descriptor` riding on the first byte.
///
/// Once any byte was written the descriptor has gone too: the rest is to be sent without it.
/// Nothing is written when it fails.
///
/// # Errors
///
/// `EAGAIN` when the socket's buffer is full, `ETOOMANYREFS` when this user has too many
/// descriptors under way (`unix(7)`), `EPIPE` when the peer is gone (without a signal), `EINVAL` for
/// a descriptor without a byte to ride on.
pub fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<usize, Errno> {
    if descriptor.is_some() && bytes.is_empty() {
        return Err(Errno::INVAL);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let riding = descriptor.as_slice();
    if !riding.is_empty() && !control.push(SendAncillaryMessage::ScmRights(riding)) {
        return Err(Errno::NOBUFS);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::io::retry_on_intr(|| sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags))
}

/// Reads what is there into `buf`, never waiting, and puts the descriptors that came along, all
/// close-on-exec, at the end of `descriptors`.
///
/// # Errors
///
/// `EAGAIN` when nothing is there; `ECONNRESET` when the peer closed with something of ours unread.
pub fn receive(
    socket: BorrowedFd<'_>,
    buf: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<Received, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_PER_READ))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(buf)], &mut control, flags)
    })?;
    for ancillary in control.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = ancillary {
            descriptors.extend(came);
        }
    }
    Ok(Received {
        bytes: message.bytes,
        descriptors_lost: message.flags.contains(ReturnFlags::CTRUNC),
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::io::FdFlags;

    use super::*;
    use crate::socket::{is_nonblocking, socket_inode};

    #[test]
    fn a_descriptor_rides_on_the_first_byte() {
        let (ours, theirs) = channel_pair().unwrap();
        let (passed, _other) = channel_pair().unwrap();
        assert_eq!(send(ours.as_fd(), b"plain\n", None), Ok(6));
        assert_eq!(send(ours.as_fd(), b"carrying\n", Some(passed.as_fd())), Ok(9));
        assert_eq!(send(ours.as_fd(), b"plain again\n", None), Ok(12));

        let (mut buf, mut descriptors) = ([0; 256], Vec::new());
        let first = receive(theirs.as_fd(), &mut buf, &mut descriptors).unwrap();
        assert_eq!(&buf[..first.bytes], b"plain\ncarrying\n");
        assert_eq!(descriptors.len(), 1);
        assert_eq!(socket_inode(&descriptors[0]), socket_inode(&passed));
        assert!(rustix::io::fcntl_getfd(&descriptors[0]).unwrap().contains(FdFlags::CLOEXEC));

        let second = receive(theirs.as_fd(), &mut buf, &mut descriptors).unwrap();
        assert_eq!(second, Received { bytes: 12, descriptors_lost: false });
        assert_eq!(descriptors.len(), 1);
    }

    #[test]
    fn nothing_there_and_nobody_there_are_told_apart() {
        let (ours, theirs) = channel_pair().unwrap();
        let (mut buf, mut descriptors) = ([0; 16], Vec::new());
        assert_eq!(receive(ours.as_fd(), &mut buf, &mut descriptors), Err(Errno::AGAIN));
        drop(theirs);
        let end = Received { bytes: 0, descriptors_lost: false };
        assert_eq!(receive(ours.as_fd(), &mut buf, &mut descriptors), Ok(end));
        assert_eq!(send(ours.as_fd(), b"x", None), Err(Errno::PIPE));
    }

    #[test]
    fn a_full_buffer_takes_a_part_then_nothing() {
        let (ours, theirs) = channel_pair().unwrap();
        let much = vec![b'x'; 1 << 20];
        let mut sent = send(ours.as_fd(), &much, None).unwrap();
        assert!(sent < much.len());
        while let Ok(more) = send(ours.as_fd(), &much, None) {
            sent += more;
        }
        assert_eq!(send(ours.as_fd(), &much, None), Err(Errno::AGAIN));
        let (mut buf, mut descriptors, mut read) = (vec![0; 1 << 16], Vec::new(), 0);
        while let Ok(received) = receive(theirs.as_fd(), &mut buf, &mut descriptors) {
            read += received.bytes;
        }
        assert_eq!(read, sent);
    }

    #[test]
    fn more_descriptors_than_there_is_room_for_are_said_to_be_lost() {
        let (ours, theirs) = channel_pair().unwrap();
        let many = [ours.as_fd(); 20];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(20))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&many)));
        sendmsg(&ours, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).unwrap();

        let mut descriptors = Vec::new();
        let received = receive(theirs.as_fd(), &mut [0; 16], &mut descriptors).unwrap();
        assert_eq!(received, Received { bytes: 1, descriptors_lost: true });
        assert!((DESCRIPTORS_PER_READ..20).contains(&descriptors.len()));
    }

    #[test]
    fn a_descriptor_needs_a_byte() {
        let (ours, _theirs) = channel_pair().unwrap();
        assert_eq!(send(ours.as_fd(), b"", Some(ours.as_fd())), Err(Errno::INVAL));
    }

    #[test]
    fn only_our_end_is_non_blocking() {
        let (ours, theirs) = channel_pair().unwrap();
        assert_eq!(is_nonblocking(&ours), Ok(true));
        assert_eq!(is_nonblocking(&theirs), Ok(false));
    }
}
