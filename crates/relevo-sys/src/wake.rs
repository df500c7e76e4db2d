//! Waking a thread that waits in [`Poller::wait`](crate::poll::Poller::wait): `eventfd(2)`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// A bell that one thread rings and another hears. However often it has rung, it is heard once.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A bell that has not rung.
    pub fn new() -> Result<Self, Errno> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Self)
    }

    /// Makes the descriptor readable until it is [`hushed`](Self::hush).
    pub fn ring(&self) {
        // It fails only when 2^64 - 2 rings have not been heard, and then it rings anyway.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Ends the ringing. To be called before looking for what it was about, so that nothing that
    /// comes afterwards goes unheard.
    pub fn hush(&self) {
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}

/// So that it can be waited for.
impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::poll::{Interest, Poller};

    #[test]
    fn rings_are_heard_once() {
        let (bell, poller, mut out) = (Bell::new().unwrap(), Poller::new().unwrap(), Vec::new());
        poller.add(&bell, 1, Interest::READ).unwrap();
        bell.ring();
        bell.ring();
        poller.wait(Some(Duration::ZERO), &mut out).unwrap();
        assert_eq!(out.len(), 1);
        bell.hush();
        poller.wait(Some(Duration::ZERO), &mut out).unwrap();
        assert!(out.is_empty());
        bell.hush();
    }

    #[test]
    fn another_thread_can_ring() {
        let (bell, poller, mut out) = (Bell::new().unwrap(), Poller::new().unwrap(), Vec::new());
        poller.add(&bell, 1, Interest::READ).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| bell.ring());
            poller.wait(None, &mut out).unwrap();
        });
        assert_eq!(out[0].token, 1);
    }
}
