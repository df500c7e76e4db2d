//! Where each generation's code is loaded from, in this world and by the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use relevo_core::{Event, Generation, ListenerId, ReleaseId, Slot, View, WorkerId, WorkerWord};

use crate::rules::{Known, Rules};
use crate::world::{Happening, World};

/// How long after its success a generation is on trial.
const CONFIRMATION: Duration = Duration::from_secs(60);

/// The world's directories.
#[derive(Debug, Default)]
pub(crate) struct Places {
    of: BTreeMap<Generation, ReleaseId>,
    /// Those that somebody has deleted.
    pub(crate) gone: BTreeSet<ReleaseId>,
}

/// What the rules know of releases.
#[derive(Default)]
pub(crate) struct Trials {
    /// A release has been found gone when a worker was to be started from it.
    pub(crate) found_gone: bool,
    of: BTreeMap<Generation, ReleaseId>,
    completed_at: Duration,
    /// Those that brought back what was there before.
    rollbacks: BTreeSet<Generation>,
    undoing: bool,
    /// What the slots listened on before the rollout in progress, and before the last completed one.
    served: BTreeSet<ListenerId>,
    served_before: BTreeSet<ListenerId>,
}

impl World {
    /// A generation begins: its code is where another's is, or somewhere else.
    pub(crate) fn resolves(&mut self, generation: Generation, back_to: Option<Generation>) {
        let before = back_to.unwrap_or(self.rules.completed);
        let before = self.places.of.get(&before).copied();
        let before = before.filter(|_| back_to.is_some() || self.random.percent(50));
        let release = before.unwrap_or_else(|| ReleaseId(self.number()));
        self.places.of.insert(generation, release);
        let at = self.now;
        self.at(at, Happening::Told(Event::ReleaseResolved { generation, release }));
    }

    /// Whether there is no code for a worker any more.
    pub(crate) fn is_deleted(&self, generation: Generation) -> bool {
        self.places.of.get(&generation).is_some_and(|release| self.places.gone.contains(release))
    }

    /// Somebody tidies up, and deletes what is needed.
    pub(crate) fn deletes(&mut self) {
        let all: Vec<ReleaseId> = self.places.of.values().copied().collect();
        self.places.gone.extend(self.random.pick(&all));
    }

    /// Somebody wants the release before this one.
    pub(crate) fn rolls_back(&mut self) {
        let Ok(to) = self.supervisor.view().rollback_target() else { return };
        let request = self.random.percent(70).then(|| self.request());
        let spec = Box::new(self.other_times());
        self.told(&Event::RollbackRequested { to, spec, request });
    }
}

impl Rules {
    pub(crate) fn resolved(&mut self, generation: Generation, release: ReleaseId) {
        self.trials.of.insert(generation, release);
    }

    pub(crate) fn rollout_begins(&mut self, generation: Generation, back_to: Option<Generation>) {
        self.trials.rollbacks.extend(back_to.map(|_| generation));
        self.trials.undoing = false;
        self.trials.served = self.serves.values().flatten().copied().collect();
        assert!(back_to < Some(generation) && back_to <= Some(self.completed), "{back_to:?}");
    }

    pub(crate) fn rollout_is_undone(&mut self) {
        self.trials.undoing = true;
    }

    pub(crate) fn rollout_completed(&mut self) {
        self.trials.completed_at = self.now;
        self.trials.served_before = std::mem::take(&mut self.trials.served);
    }

    /// Nobody is taken back any more.
    pub(crate) fn rollout_is_over(&mut self) {
        self.trials.undoing = false;
    }

    /// Only what is new may be taken back, and only to other code.
    pub(crate) fn fell_back(&mut self, slot: Slot, from: Generation, to: Generation) {
        let trials = &self.trials;
        let (new, good) = (trials.of.get(&from), trials.of.get(&to));
        assert!(new.is_some() && good.is_some() && new != good, "{from} to {to}: the same code");
        assert!(to <= self.completed && to < from, "{from} to {to}");
        let in_time = self.now < trials.completed_at + CONFIRMATION;
        assert!(from > self.completed || in_time, "{from} has been confirmed");
        let wanted = trials.rollbacks.contains(&from) && !trials.undoing;
        assert!(!wanted || self.failed_generations.contains(&from), "{from} was wanted back");
        let is_running = from > self.completed && !self.failed_generations.contains(&from);
        let served = match (is_running, from == self.completed) {
            (true, _) => &trials.served,
            (false, true) => &trials.served_before,
            (false, false) => return,
        };
        if let Some(serves) = self.serves.get_mut(&slot) {
            serves.retain(|listener| served.contains(listener));
        }
    }

    /// Whom a worker of earlier code is to replace: somebody whose rollout is being undone.
    pub(crate) fn taken_back(&self, slot: Slot, generation: Generation) -> Option<&Known> {
        let newer = self.workers.values().rfind(|known| {
            let serves = known.word == WorkerWord::Ready && !known.gone && !known.surplus;
            known.slot == slot && serves && known.generation > self.completed
        })?;
        (self.trials.undoing && generation <= self.completed).then_some(newer)
    }

    /// Who is held back waits as long as others serve.
    pub(crate) fn may_be_answered(&self, worker: WorkerId) {
        let Some(until) = self.workers.get(&worker).and_then(|known| known.held_until) else {
            return;
        };
        let serves = |known: &Known| {
            known.word == WorkerWord::Ready && !known.gone && !known.forfeit && !known.surplus
        };
        let others = self.workers.values().any(serves);
        assert!(self.now >= until || !others, "{worker} is answered before it has proved itself");
    }

    pub(crate) fn check_refused(&self, view: View<'_>) {
        assert_eq!(view.good_workers().is_none(), view.may_replace_voluntarily());
        if let Some(good) = view.good_workers() {
            let ready = self.workers.values().filter(|known| known.word == WorkerWord::Ready);
            assert!(good as usize <= ready.count(), "{good} good workers are too many");
        }
    }
}
