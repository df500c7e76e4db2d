//! Workers are asked for a sign of life, and ended when they give none.

use std::time::Duration;

use relevo_core::{Event, Pause, Standstill, WorkerId};

use crate::world::{Happening, World};

/// How long answers, and whatever is told because of them, may take.
const LAG: Duration = Duration::from_secs(2);

/// In every other world, nobody is asked.
pub(crate) fn hang_timeout_of(seed: u64) -> Option<Duration> {
    (seed % 4 >= 2).then(|| Duration::from_secs(3 + seed % 17))
}

impl World {
    /// The worker's agent answers.
    pub(crate) fn is_pinged(&mut self, worker: WorkerId) {
        self.tally.pings += 1;
        let process = self.process(worker);
        let connections = process.holds.len() as u32;
        process.tells_of_next = connections == 0;
        self.says(worker, Event::Answered { worker, connections });
    }

    /// The worker has a connection more than before.
    pub(crate) fn tells_of_connection(&mut self, worker: WorkerId) {
        if std::mem::take(&mut self.process(worker).tells_of_next) {
            self.says(worker, Event::Answered { worker, connections: 1 });
        }
    }

    pub(crate) fn watches_sockets(&mut self) {
        self.stirs = true;
        if self.sockets.iter().any(|member| self.books.waiting_in(*member) > 0) {
            self.stirred();
        }
    }

    /// A connection is in some socket's queue.
    pub(crate) fn stirred(&mut self) {
        if std::mem::take(&mut self.stirs) {
            self.tally.stirred += 1;
            self.soon(2, Happening::Told(Event::ConnectionCame));
        }
    }

    /// Some that stand still have been stopped by a debugger.
    pub(crate) fn is_examined(&mut self, worker: WorkerId) {
        self.tally.examined += 1;
        let hangs = self.processes.get(&worker).is_some_and(|process| process.hung);
        let pause = (hangs && self.unkind && self.random.percent(30)).then_some(Pause::Traced);
        let found = Standstill { pause, ..Standstill::default() };
        let slow = self.unkind && self.random.percent(10);
        let millis = if slow { 10_000 } else { 500 };
        self.soon(millis, Happening::Told(Event::Examined { worker, found }));
    }

    /// Nobody is ended for standing still who does not.
    pub(crate) fn ended_for_hanging(&mut self, worker: WorkerId, silent: Duration) {
        self.tally.ended_for_hanging += 1;
        let timeout = self.spec.hang_timeout.expect("a limit");
        assert!(silent >= timeout, "{worker} has been silent for {silent:?} only");
        let process = self.process(worker);
        let thawed = process.thawed.is_some_and(|at| at + LAG > self.now);
        let process = self.process(worker);
        let cannot_answer = process.hung || !process.alive || !process.channel;
        assert!(cannot_answer || thawed, "{worker} is ended for standing still, and does not");
    }
}
