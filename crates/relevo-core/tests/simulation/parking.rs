//! What may and must become of workers that a rollout has parked: more of the rules.

use std::collections::BTreeSet;
use std::time::Duration;

use relevo_core::{Action, Generation, Slot, WorkerId, WorkerWord};

use crate::rules::{Known, Rules};

/// How long a rollout waits for a worker's word that it has stopped accepting.
const PARK_GRACE: Duration = Duration::from_secs(1);
/// How long a worker may be parked.
const PARK_LIMIT: Duration = Duration::from_secs(3600);

impl Rules {
    /// How many workers are parked.
    pub(crate) fn parked(&self) -> usize {
        let there = self.workers.values().filter(|known| !known.gone);
        there.filter(|known| known.word == WorkerWord::Parked).count()
    }

    /// A ready worker in a slot whose old worker is parked.
    pub(crate) fn somebody_new(&self) -> Option<WorkerId> {
        let of_slot = |slot, word| {
            move |(_, known): &(&WorkerId, &Known)| {
                known.slot == slot && known.word == word && !known.gone
            }
        };
        let mut parked = self.workers.values().filter(|known| known.word == WorkerWord::Parked);
        let slot = parked.find(|known| !known.gone)?.slot;
        self.workers.iter().find(of_slot(slot, WorkerWord::Ready)).map(|(worker, _)| *worker)
    }

    /// Somebody who is parked.
    pub(crate) fn somebody_parked(&self) -> Option<WorkerId> {
        let parked = |known: &Known| known.word == WorkerWord::Parked && !known.gone;
        self.workers.iter().find(|(_, known)| parked(known)).map(|(worker, _)| *worker)
    }

    /// From now on nothing stands in the way of those that are called back.
    pub(crate) fn begin_watching_returns(&mut self) {
        self.must_return = Some(BTreeSet::new());
    }

    /// All that were called back serve.
    pub(crate) fn check_returned(&mut self) {
        for worker in self.must_return.take().into_iter().flatten() {
            let known = &self.workers[&worker];
            // Where it had reached a limit, it is replaced as soon as all are well.
            let serves = known.word == WorkerWord::Ready && !known.gone;
            assert!(serves || known.renewed, "{worker} was called back and does not serve");
        }
    }

    pub(crate) fn is_parked(&mut self, worker: WorkerId) {
        let now = self.now;
        let known = self.known(worker);
        assert!(known.word != WorkerWord::Parked, "{worker} is parked twice");
        (known.parked_at, known.parked_on) = (now, known.listening.clone());
    }

    pub(crate) fn is_called_back(&mut self, worker: WorkerId) {
        assert!(!self.stopping, "{worker} is called back although the service stops");
        let known = self.known(worker);
        assert!(known.word == WorkerWord::Parked && !known.surplus, "{worker} is not parked");
        (known.returning, known.stopped_accepting) = (true, false);
        known.owes = known.parked_on.clone();
        known.listening.clear();
        let (slot, owes) = (known.slot, known.owes.clone());
        self.serves.insert(slot, owes);
        if let Some(must) = &mut self.must_return {
            must.insert(worker);
        }
    }

    /// Whoever is parked is the way back until every slot is replaced, and has proved itself.
    pub(crate) fn may_be_let_go(&self, worker: WorkerId, action: &Action) {
        let known = &self.workers[&worker];
        let too_long = self.now >= known.parked_at + PARK_LIMIT;
        let parked = known.word == WorkerWord::Parked && !known.returning;
        if !parked || known.surplus || self.stopping || too_long || self.is_tight {
            return;
        }
        assert!(!self.paused, "{action:?} although the rollout is paused");
        for slot in (0..self.wanted).map(Slot) {
            let newer = self.workers.values().filter(|other| {
                other.slot == slot && other.generation > known.generation && other.was_ready
            });
            let first = newer.map(|other| other.ready_at).min();
            let Some(first) = first else { panic!("{action:?} before slot {slot} is replaced") };
            let is_last = slot.0 + 1 == self.wanted && !self.was_scaled;
            let proved = self.now >= first + self.spec.probation;
            assert!(!is_last || proved, "{action:?} while the last one is on probation");
        }
    }

    /// In the first slot of a rollout the new worker must have proved itself before the next slot's
    /// turn comes (unless all are loaded first), and while it is paused none comes.
    pub(crate) fn check_turn(&self, action: &Action, slot: Slot, generation: Generation) {
        let mut of_it =
            self.workers.values().filter(|known| known.generation == generation && known.was_ready);
        let begins = generation > self.completed && !of_it.clone().any(|known| known.slot == slot);
        if !begins || self.failed_generations.contains(&generation) {
            return;
        }
        assert!(!self.paused, "{action:?} although the rollout is paused");
        let first = of_it.clone().map(|known| known.ready_at).min();
        let counts = !self.spec.all_first && of_it.next().is_some();
        if let Some(first) = first.filter(|_| counts) {
            let passed = self.now >= first + self.spec.probation;
            assert!(passed, "{action:?} while the first one is on probation");
        }
    }

    /// Under `all_first` nobody new serves before the new workers of all slots would, but where there is
    /// no old worker any more.
    pub(crate) fn check_all_first(&self, worker: WorkerId) {
        let known = &self.workers[&worker];
        let (slot, generation) = (known.slot, known.generation);
        let is_new = generation > self.completed && !self.failed_generations.contains(&generation);
        if !self.spec.all_first || !is_new || self.stopping {
            return;
        }
        let has_old = self.workers.values().any(|other| {
            let is_old = other.generation < generation && other.slot == slot && !other.gone;
            is_old && other.word == WorkerWord::Ready
        });
        for slot in (0..self.wanted).map(Slot).filter(|_| has_old && !self.was_scaled) {
            let mut of_slot = self.workers.values().filter(|other| other.slot == slot);
            let has_new =
                of_slot.any(|it| it.generation == generation && (it.loaded || it.was_ready));
            assert!(has_new, "{worker} serves before that of slot {slot} has loaded");
        }
    }

    /// Whether an old worker is what a rollout must still wait for in its slot.
    pub(crate) fn is_in_the_way(&self, known: &Known) -> bool {
        match known.word {
            WorkerWord::Draining => known.parked_at == Duration::ZERO,
            WorkerWord::Parked => {
                let told = !known.stopped_accepting && !known.serves_on;
                told && self.now < known.parked_at + PARK_GRACE
            }
            WorkerWord::Starting
            | WorkerWord::Standby
            | WorkerWord::Ready
            | WorkerWord::Lingering
            | WorkerWord::Stopping => false,
        }
    }
}

impl Known {
    /// Who is parked without being told so goes on accepting, or never did; it comes back without being
    /// told, too. Whether it is the former, as of now.
    pub(crate) fn is_seen(&mut self, word: WorkerWord, now: Duration) -> bool {
        let before = std::mem::replace(&mut self.word, word);
        match (before, word) {
            (WorkerWord::Parked, WorkerWord::Parked) => {}
            (_, WorkerWord::Parked) if self.parked_at != now => {
                (self.serves_on, self.parked_at) = (true, now);
                self.parked_on = self.listening.clone();
                self.owes = self.listening.clone();
            }
            (WorkerWord::Parked, WorkerWord::Starting) => {
                (self.returning, self.serves_on) = (true, false);
            }
            _ => self.serves_on = false,
        }
        self.serves_on && before != word
    }
}
