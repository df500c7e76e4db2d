//! Code that a rollout refused and that lies where the good code was (a deploy in place): what serves
//! has the good code in its memory, and nothing better can be started any more.
//!
//! So nobody is replaced without need. Whoever must be started all the same, because a worker crashed, is
//! *held back*: its requests to listen are answered when it has lived for the probation after the first
//! of them. Until then others have its connections; where there are no others, it need not wait.

use super::Supervisor;
use crate::worker::{Stage, Worker};
use crate::{Generation, Notice, QueryId, Slot, Time, Wish, WorkerId};

impl Supervisor {
    /// Whether workers may be replaced that serve well enough: not while only refused code could follow.
    pub(super) fn may_replace_voluntarily(&self) -> bool {
        !self.is_code_refused()
    }

    /// Workers that serve, and whose code is not the one that was refused.
    pub(super) fn good_workers(&self) -> u32 {
        let refused = self.last_rollout.as_ref().map(|report| report.generation);
        let is_good = |worker: &&Worker| {
            worker.is_ready() && !worker.suspect && Some(worker.generation) != refused
        };
        self.workers.values().filter(is_good).count() as u32
    }

    /// Starts a worker because nobody is in its slot.
    pub(super) fn spawn_unasked(&mut self, slot: Slot, generation: Generation) -> WorkerId {
        let id = self.spawn(slot, generation);
        let suspect =
            self.is_code_refused() && self.releases.are_one_place(generation, self.generation);
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.suspect = suspect;
        }
        id
    }

    /// Whether this request to listen waits until the worker has proved itself.
    pub(super) fn is_held_back(&mut self, id: WorkerId) -> bool {
        let (now, probation) = (self.now, self.spec.probation);
        let others = self.ready_slots() > 0;
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.suspect) else {
            return false;
        };
        let Stage::Starting { deadline } = worker.stage else { return false };
        let until = match worker.held_until {
            Some(until) => until,
            None if !others || probation.is_zero() => now,
            None => {
                worker.stage = Stage::Starting { deadline: deadline + probation };
                let slot = worker.slot;
                self.tell(Notice::HeldBack { worker: id, slot, within: probation });
                now + probation
            }
        };
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.held_until = Some(until);
        }
        now < until
    }

    /// Those that have proved themselves, or are needed now, get their answers.
    pub(super) fn answer_held_back(&mut self) {
        let (now, needed) = (self.now, self.ready_slots() == 0);
        let mut due: Vec<(WorkerId, QueryId, Wish)> = Vec::new();
        for (id, worker) in self.workers.iter_mut().filter(|(_, worker)| is_held(worker)) {
            if needed || worker.held_until.is_some_and(|until| until <= now) {
                worker.held_until = Some(now);
                let postponed = std::mem::take(&mut worker.postponed);
                due.extend(postponed.into_iter().map(|(query, wish)| (*id, query, wish)));
            }
        }
        for (id, query, wish) in due {
            self.answer_request(id, query, wish);
        }
    }

    pub(super) fn held_back_deadline(&self) -> Option<(Time, &'static str)> {
        let held = self.workers.values().filter(|worker| is_held(worker));
        let until = held.filter_map(|worker| worker.held_until).min()?;
        Some((until, "a worker of refused code has proved itself"))
    }
}

fn is_held(worker: &Worker) -> bool {
    let starting = matches!(worker.stage, Stage::Starting { .. });
    starting && worker.held_until.is_some() && !worker.postponed.is_empty()
}
