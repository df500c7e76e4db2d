//! Hearing, and asking, whether workers are ready.

use relevo_core::{Event, ListenerId, WorkerId};
use relevo_sys::poll::Interest;

use super::Primary;
use super::probes::Probed;
use super::token::Token;

impl Primary {
    /// Asks a worker for the path that it was started to be asked for.
    pub(super) fn probe(&mut self, worker: WorkerId, listener: ListenerId) {
        let Some(path) = self.processes.ready_path(worker) else { return };
        self.end_probe(worker);
        let asked = self.probes.ask(worker, &path).and_then(|theirs| {
            if let Some(fd) = self.probes.fd(worker) {
                self.poller.add(fd, Token::Probe(worker).pack(), Interest::READ)?;
            }
            Ok(theirs)
        });
        match asked {
            Ok(theirs) => self.hub.probe(worker, listener, theirs),
            Err(error) => {
                self.probes.forget(worker);
                let answer = format!("GET {path} could not be asked: {error}");
                self.events.push_back(Event::Probed { worker, ready: false, answer });
            }
        }
    }

    pub(super) fn on_probe(&mut self, worker: WorkerId) {
        // Its descriptor closes with what it tells, which also ends the watching.
        if let Some(Probed { ready, answer }) = self.probes.read(worker) {
            self.events.push_back(Event::Probed { worker, ready, answer });
        }
    }

    fn end_probe(&mut self, worker: WorkerId) {
        if let Some(fd) = self.probes.fd(worker) {
            let _ = self.poller.remove(fd);
        }
        self.probes.forget(worker);
    }

    pub(super) fn on_notification(&mut self, worker: WorkerId) {
        let pid = self.processes.process(worker);
        let heard = self.notifications.read(worker, pid, self.clock.now());
        self.events.extend(heard.events);
        for line in heard.lines {
            self.say(&line);
        }
    }

    /// The worker is gone: nothing more is heard of it.
    pub(super) fn end_hearing(&mut self, worker: WorkerId) {
        self.end_probe(worker);
        if let Some(fd) = self.notifications.fd(worker) {
            let _ = self.poller.remove(fd);
        }
        self.notifications.forget(worker);
    }
}
