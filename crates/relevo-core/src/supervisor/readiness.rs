//! When a starting worker is ready (`docs/readiness.md`), and how long it may take.

use std::time::Duration;

use super::Supervisor;
use crate::ready::{Asked, Extension, Probe, ReadyWhen};
use crate::worker::{Door, Stage, Worker};
use crate::{Action, Failure, Notice, Time, WorkerId};

/// How long after an answer that is not the right one it is asked again.
const PROBE_AGAIN: Duration = Duration::from_millis(250);
/// How long a worker may take to answer before it is asked again.
pub(crate) const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// How long a worker may take in all that asks for more time: so many times what it had.
const MOST_TIMES: u32 = 10;
/// And no longer than this, unless it had more in the first place.
const MOST: Duration = Duration::from_secs(3600);

impl Supervisor {
    /// Whether a starting worker listens on all that it should, and has said or answered what it should.
    pub(super) fn has_all_it_should(&self, worker: &Worker) -> bool {
        let starts = matches!(worker.stage, Stage::Starting { .. }) && !worker.is_held;
        if !starts || worker.channel_ended.is_some() {
            return false;
        }
        if self.missing_listeners(worker).next().is_some() || !worker.readiness.has_said() {
            return false;
        }
        match worker.readiness.when {
            ReadyWhen::Listening => {
                worker.listens_at_all() && Self::has_what_it_first_asked(worker)
            }
            ReadyWhen::Message | ReadyWhen::Notify | ReadyWhen::Probe => {
                worker.doors.values().all(|door| *door == Door::Listening)
            }
            ReadyWhen::Spawned => worker.pid.is_some(),
        }
    }

    /// Where there is nobody before it whom to go by: what it had asked for by the time its first
    /// listener was there.
    fn has_what_it_first_asked(worker: &Worker) -> bool {
        let asked = worker.first_asked.as_deref().filter(|_| worker.owes.is_empty());
        asked
            .unwrap_or_default()
            .iter()
            .all(|id| !worker.doors.contains_key(id) || worker.listens_on(*id))
    }

    /// A worker that is held has loaded its code when it asks to listen; one that does not, when it would
    /// be ready.
    pub(super) fn load_workers(&mut self) {
        let would_be_ready = |worker: &Worker| match worker.readiness.when {
            ReadyWhen::Message | ReadyWhen::Notify => worker.readiness.said,
            ReadyWhen::Spawned => worker.pid.is_some(),
            ReadyWhen::Listening | ReadyWhen::Probe => false,
        };
        let starts = |worker: &Worker| matches!(worker.stage, Stage::Starting { .. });
        let loaded = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.is_held && starts(worker) && would_be_ready(worker));
        for id in loaded.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.has_loaded(id);
        }
    }

    /// A worker says that it is ready, in this way. Other ways than the one that was asked for are none.
    pub(super) fn said_ready(&mut self, id: WorkerId, how: ReadyWhen) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.readiness.said |= worker.readiness.when == how;
    }

    /// What a request to a worker came to. An answer to an earlier one is none.
    pub(super) fn probed(&mut self, id: WorkerId, ready: bool, answer: String) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if matches!(worker.readiness.probe, Probe::Put(_)) {
            worker.readiness.said |= ready;
            worker.readiness.answer = Some(answer);
            worker.readiness.probe = Probe::Due(now + PROBE_AGAIN);
        }
    }

    /// A worker asks for more time to become ready: so long from now. That is bounded, and told once.
    pub(super) fn extend_start(&mut self, id: WorkerId, by: Duration) {
        let now = self.now;
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let Stage::Starting { deadline } = worker.stage else { return };
        if worker.ready_at.is_some() || worker.inspected {
            return;
        }
        let within = worker.readiness.within;
        let most = within.saturating_mul(MOST_TIMES).min(MOST).max(within);
        let last = worker.began_at() + most;
        let wanted = now + by.min(MOST);
        let until = wanted.min(last).max(deadline);
        worker.stage = Stage::Starting { deadline: until };
        let before = worker.readiness.extension;
        let is_all = wanted > last;
        worker.readiness.extension = match before {
            Extension::All => Extension::All,
            Extension::None | Extension::Some if is_all => Extension::All,
            Extension::None | Extension::Some if until > deadline => Extension::Some,
            Extension::None | Extension::Some => before,
        };
        let (slot, within) = (worker.slot, until.since(worker.began_at()));
        if worker.readiness.extension != before {
            self.tell(Notice::StartExtended { worker: id, slot, within, is_all });
        }
    }

    /// Puts requests to the starting workers that become ready by an answer.
    pub(super) fn step_probes(&mut self) {
        if self.stop.is_some() {
            return;
        }
        let due: Vec<Asked> =
            self.to_be_asked().filter(|(_, at)| *at <= self.now).map(|it| it.0).collect();
        for Asked { worker: id, listener } in due {
            let until = self.now + PROBE_LIMIT;
            let Some(worker) = self.workers.get_mut(&id) else { continue };
            if matches!(worker.readiness.probe, Probe::Put(_)) {
                let limit = PROBE_LIMIT.as_secs();
                worker.readiness.answer = Some(format!("was not answered within {limit}s"));
            }
            worker.readiness.probe = Probe::Put(until);
            self.act(Action::Probe { worker: id, listener });
        }
    }

    pub(super) fn probe_deadline(&self) -> Option<(Time, &'static str)> {
        let asked = self.to_be_asked().filter(|_| self.stop.is_none()).map(|(_, at)| at).min();
        Some((asked?, "a starting worker is asked whether it is ready"))
    }

    /// Who is to be asked, and when.
    fn to_be_asked(&self) -> impl Iterator<Item = (Asked, Time)> {
        self.workers.iter().filter_map(|(id, worker)| {
            let probes = worker.readiness.when == ReadyWhen::Probe && !worker.readiness.said;
            let starts =
                matches!(worker.stage, Stage::Starting { .. }) && worker.ready_at.is_none();
            let mut streams = worker.doors.keys().filter(|listener| {
                let known = self.listeners.get(listener);
                worker.listens_on(**listener) && known.is_some_and(|l| l.wish.kind.is_stream())
            });
            let listener = *streams.next().filter(|_| probes && starts)?;
            let (Probe::Due(at) | Probe::Put(at)) = worker.readiness.probe;
            Some((Asked { worker: *id, listener }, at))
        })
    }

    /// The sockets of its process are looked at first: they may tell why.
    pub(super) fn not_ready_in_time(&mut self, id: WorkerId, deadline: Time) {
        let Some(worker) = self.workers.get(&id) else { return };
        let known = worker.unprotected.clone();
        match known {
            None if !worker.inspected => {
                self.act(Action::InspectSockets { worker: id });
                let until = self.now + super::INSPECT_LIMIT;
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.inspected = true;
                    worker.readiness.within = match worker.readiness.extension {
                        Extension::None => worker.readiness.within,
                        Extension::Some | Extension::All => deadline.since(worker.began_at()),
                    };
                    worker.stage = Stage::Starting { deadline: until };
                }
            }
            known => {
                let waited = deadline.since(worker.began_at()).min(worker.readiness.within);
                let missing =
                    self.missing_listeners(worker).map(|l| l.shown().to_owned()).collect();
                let unsaid = worker.readiness.unsaid();
                let unprotected = known.unwrap_or_default();
                self.fail(id, Failure::NotReady { waited, missing, unsaid, unprotected });
                self.retire(id);
            }
        }
    }
}
