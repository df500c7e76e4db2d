//! Clients from far away that come one after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::client::{Lost, get_within};
use crate::support::far::FAR;

/// How long a packet takes: so a handshake is under way for almost a second.
pub(crate) const DELAY: Duration = Duration::from_millis(300);

/// SYN, SYN-ACK, ACK: no worker has a connection sooner after its client began.
pub(crate) const HANDSHAKE: Duration = DELAY.saturating_mul(3);

/// Clients that come one after the other, whatever becomes of those before, each with one request.
pub(crate) struct Arrivals {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Visit>>,
}

/// One client's.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) lost: Option<Lost>,
}

impl Arrivals {
    /// A hundred a second.
    pub(crate) fn begin(port: u16) -> Self {
        const PACE: Duration = Duration::from_millis(10);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut clients, mut next) = (Vec::new(), Instant::now());
            while !stopped.load(Ordering::Relaxed) {
                clients.push(std::thread::spawn(move || visit(port)));
                next += PACE;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            clients.into_iter().map(|client| client.join().expect("no panic")).collect()
        });
        Self { stop, thread }
    }

    /// Waits for the last of them.
    pub(crate) fn stop(self) -> Vec<Visit> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}

fn visit(port: u16) -> Visit {
    let began = Instant::now();
    let answer = get_within(Duration::from_secs(10), SocketAddr::from((FAR, port)), "/");
    let lost = match answer {
        Ok(response) if response.status == 200 => None,
        Ok(_) => Some(Lost::Wrong),
        Err(lost) => Some(lost),
    };
    Visit { began, ended: Instant::now(), lost }
}
