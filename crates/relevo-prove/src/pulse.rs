//! The moment at which something is replaced, told to all clients.
//!
//! A connection is lost most easily when its client speaks just as its worker leaves. Clients that
//! speak at random would seldom hit that moment; with the pulse many speak within some milliseconds
//! around it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// Around a pulse clients speak within this time.
const SCATTER: Duration = Duration::from_millis(60);

/// Tells clients when to speak, and when to end.
#[derive(Debug)]
pub(crate) struct Pulse {
    beats: watch::Sender<()>,
    ended: watch::Sender<bool>,
}

/// One client's end of it.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    beats: watch::Receiver<()>,
    ended: watch::Receiver<bool>,
}

impl Pulse {
    pub(crate) fn new() -> (Self, Pace) {
        let (beats, beats_of) = watch::channel(());
        let (ended, ended_of) = watch::channel(false);
        (Self { beats, ended }, Pace { beats: beats_of, ended: ended_of })
    }

    /// Something is being replaced now.
    pub(crate) fn beat(&self) {
        self.beats.send_replace(());
    }

    /// Clients finish what they have begun.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }
}

impl Pace {
    /// Whether clients are to go on.
    pub(crate) fn goes_on(&self) -> bool {
        !*self.ended.borrow()
    }

    /// A pause of this length on average, which a beat ends, for those who heed it; false at the end.
    pub(crate) async fn think(&mut self, mean: Duration, heeds: bool) -> bool {
        if mean.is_zero() {
            return self.goes_on();
        }
        self.beats.borrow_and_update();
        tokio::select! {
            () = sleep(mean.mul_f64(fastrand::f64() * 2.0)) => {}
            _ = self.beats.changed(), if heeds => sleep(SCATTER.mul_f64(fastrand::f64())).await,
            _ = self.ended.wait_for(|ended| *ended) => {}
        }
        self.goes_on()
    }
}
