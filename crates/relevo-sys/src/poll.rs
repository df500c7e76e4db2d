//! Waiting for many descriptors at once: `epoll(7)`, level-triggered.

use std::cell::RefCell;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

/// How many events one [`Poller::wait`] takes at most; the others come with the next.
pub const EVENTS_PER_WAIT: usize = 256;

/// What to be woken for. With neither, a hang-up is still reported, over and over as long as it
/// lasts: [`Poller::remove`] the descriptor to hear nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Something can be read, accepted, or the peer has ended its side.
    pub readable: bool,
    /// Something can be written.
    pub writable: bool,
}

impl Interest {
    /// Nothing but hang-ups.
    pub const NONE: Self = Self { readable: false, writable: false };
    /// Reading.
    pub const READ: Self = Self { readable: true, writable: false };
    /// Writing.
    pub const WRITE: Self = Self { readable: false, writable: true };
    /// Both.
    pub const BOTH: Self = Self { readable: true, writable: true };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.readable);
        flags.set(epoll::EventFlags::OUT, self.writable);
        flags
    }
}

/// One descriptor that has something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// As given to [`Poller::add`].
    pub token: u64,
    /// Reading would not block.
    pub readable: bool,
    /// Writing would not block.
    pub writable: bool,
    /// Both directions have ended, or the socket has an error pending. There may still be something
    /// to read.
    pub hangup: bool,
}

/// A set of descriptors to wait for.
///
/// It holds none of them: closing the last duplicate of a descriptor removes it. As long as another
/// process has a duplicate the entry would stay, so [`Poller::remove`] comes before closing.
pub struct Poller {
    epoll: OwnedFd,
    /// Where the kernel writes to; nobody else sees it.
    events: RefCell<Vec<epoll::Event>>,
}

impl Poller {
    /// An empty set.
    pub fn new() -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: RefCell::new(Vec::with_capacity(EVENTS_PER_WAIT)) })
    }

    /// Adds a descriptor.
    ///
    /// # Errors
    ///
    /// `EEXIST` when it is there already, `EPERM` for a regular file or directory.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())
    }

    /// Changes the token and interest of a descriptor that is there; else `ENOENT`.
    pub fn change(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())
    }

    /// Removes a descriptor that is there; else `ENOENT`.
    pub fn remove(&self, fd: impl AsFd) -> Result<(), Errno> {
        epoll::delete(&self.epoll, fd)
    }

    /// Waits until a descriptor is ready or `timeout` is over (`None`: for ever), and puts those
    /// that are ready into `out`, which is emptied first. A signal ends the wait early, with nothing.
    ///
    /// The kernel counts in milliseconds here and a fraction is rounded up, so that who waits for a
    /// moment never wakes just before it and has to wait again.
    pub fn wait(&self, timeout: Option<Duration>, out: &mut Vec<Ready>) -> Result<(), Errno> {
        let mut events = self.events.borrow_mut();
        out.clear();
        events.clear();
        let timeout = timeout.map(timespec);
        let waited = epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref());
        match waited {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        out.extend(events.iter().map(|&event| ready(event)));
        Ok(())
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("epoll", &self.epoll).finish_non_exhaustive()
    }
}

/// So that a poller can itself be waited for.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

fn ready(event: epoll::Event) -> Ready {
    let (data, flags) = (event.data, event.flags);
    Ready {
        token: data.u64(),
        readable: flags.contains(epoll::EventFlags::IN),
        writable: flags.contains(epoll::EventFlags::OUT),
        hangup: flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR),
    }
}

/// At most some 24 days, which is what `epoll_wait(2)` can express.
fn timespec(timeout: Duration) -> Timespec {
    const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);
    let timeout = timeout.min(LONGEST);
    let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: timeout.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::scm::{channel_pair, send};

    fn wait_now(poller: &Poller) -> Vec<Ready> {
        let mut out = Vec::new();
        poller.wait(Some(Duration::ZERO), &mut out).unwrap();
        out
    }

    #[test]
    fn readiness_is_reported_as_long_as_it_lasts() {
        let (ours, theirs) = channel_pair().unwrap();
        let poller = Poller::new().unwrap();
        poller.add(&ours, 7, Interest::READ).unwrap();
        assert_eq!(wait_now(&poller), []);
        send(theirs.as_fd(), b"x", None).unwrap();
        let readable = Ready { token: 7, readable: true, writable: false, hangup: false };
        assert_eq!(wait_now(&poller), [readable]);
        assert_eq!(wait_now(&poller), [readable]);
        poller.change(&ours, 8, Interest::BOTH).unwrap();
        let both = Ready { token: 8, readable: true, writable: true, hangup: false };
        assert_eq!(wait_now(&poller), [both]);
        poller.remove(&ours).unwrap();
        assert_eq!(wait_now(&poller), []);
        assert_eq!(poller.remove(&ours), Err(Errno::NOENT));
    }

    #[test]
    fn a_hang_up_is_reported_even_without_interest() {
        let (ours, theirs) = channel_pair().unwrap();
        let poller = Poller::new().unwrap();
        poller.add(&ours, 1, Interest::NONE).unwrap();
        assert_eq!(wait_now(&poller), []);
        drop(theirs);
        let hangup = Ready { token: 1, readable: false, writable: false, hangup: true };
        assert_eq!(wait_now(&poller), [hangup]);
    }

    #[test]
    fn a_wait_is_never_shorter_than_asked_for() {
        let poller = Poller::new().unwrap();
        for micros in [0, 1, 300, 1001, 2500] {
            let asked = Duration::from_micros(micros);
            let start = Instant::now();
            poller.wait(Some(asked), &mut Vec::new()).unwrap();
            assert!(start.elapsed() >= asked, "{micros} µs");
        }
    }

    #[test]
    fn a_wait_without_end_is_ended_by_an_event() {
        let (ours, theirs) = channel_pair().unwrap();
        let poller = Poller::new().unwrap();
        poller.add(&ours, 3, Interest::READ).unwrap();
        let writer = std::thread::spawn(move || {
            send(theirs.as_fd(), b"x", None).unwrap();
            theirs
        });
        let mut out = Vec::new();
        poller.wait(None, &mut out).unwrap();
        assert_eq!(out[0].token, 3);
        writer.join().unwrap();
    }

    #[test]
    fn more_events_than_fit_come_in_turn() {
        let poller = Poller::new().unwrap();
        let pairs: Vec<_> = (0..EVENTS_PER_WAIT + 10).map(|_| channel_pair().unwrap()).collect();
        for (token, (ours, _)) in (0..).zip(&pairs) {
            poller.add(ours, token, Interest::WRITE).unwrap();
        }
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..2 {
            let ready = wait_now(&poller);
            assert!(ready.len() <= EVENTS_PER_WAIT);
            seen.extend(ready.iter().map(|ready| ready.token));
        }
        assert_eq!(seen.len(), pairs.len());
    }

    #[test]
    fn long_timeouts_are_cut() {
        assert_eq!(timespec(Duration::MAX).tv_sec, i64::from(i32::MAX / 1000));
        assert_eq!(timespec(Duration::from_nanos(1)).tv_nsec, 1);
    }
}
