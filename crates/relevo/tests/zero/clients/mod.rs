//! Clients over raw sockets. Each of them asks on and on, and accounts for every request.

mod corners;
mod limits;
mod pipelined;
mod plain;
mod site;
mod user;

pub(crate) use corners::{bodiless, expecting, trailers};
pub(crate) use limits::{KEEP_ALIVE, MAX_REQUESTS, counting, expiring, silent};
pub(crate) use pipelined::pipelined;
pub(crate) use plain::{kept, large, new, slow, unhurried, upload};
pub(crate) use site::Site;
pub(crate) use user::User;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A kind of client: what one of them does until it is over.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Whether a round of it is worth waiting for: it does not pause for long.
    pub(crate) hurried: bool,
    pub(crate) act: fn(&mut User<'_>),
}

/// When a client is to stop, and how far it has come.
#[derive(Clone, Default)]
pub(crate) struct Pace {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    finished: Arc<AtomicBool>,
}

impl Pace {
    /// Another client's, that stops at the same time.
    pub(crate) fn beside(&self) -> Self {
        Self { stop: Arc::clone(&self.stop), ..Self::default() }
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn one_more_round(&self) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// It has ended, be it early: nobody need wait for it.
    pub(crate) fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    /// Pauses, but not when it is over.
    pub(crate) fn think(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_over() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
    }
}
