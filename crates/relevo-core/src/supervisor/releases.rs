//! Which release a worker is started from, and going back to an earlier one.
//!
//! A generation is loaded from one release, however often its workers are started. It is *on trial* from
//! its rollout's beginning until [`CONFIRMATION`] after its success. Where one of its workers fails in
//! that time, its slot goes on with the last good generation: from another place, with the code of that
//! time. Where both were loaded from the same place there is nothing to go back to, and where the place
//! of the good one is gone, neither.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{MAX_WAITING, Supervisor};
use crate::rollout::{Phase, Rollout};
use crate::{
    Generation, ListenerId, Notice, Outcome, Refusal, ReleaseId, RequestId, Slot, Spec, Time,
    WorkerId,
};

/// How long after its success a generation is on trial.
pub(super) const CONFIRMATION: Duration = Duration::from_secs(60);
/// How many generations are remembered as ways back.
const KEPT: usize = 16;

/// What is known of the places that code was loaded from.
#[derive(Clone, Debug)]
pub(super) struct Releases {
    /// By generation; of those that may still be named.
    of: BTreeMap<Generation, ReleaseId>,
    /// Those in which there was no code when a worker was to be started.
    gone: BTreeSet<ReleaseId>,
    /// Generations that were completed, the newest last.
    completed: VecDeque<Generation>,
    /// The last completed one is new.
    trial: Option<Trial>,
    /// The rollback that is to follow.
    wanted: Option<Rollback>,
}

/// The trial of the last completed generation.
#[derive(Clone, Debug)]
struct Trial {
    /// The last good one before it, and what that listened on.
    before: Generation,
    served: BTreeSet<ListenerId>,
    until: Time,
    /// Whether a slot has gone back.
    refuted: bool,
}

/// A rollout that is to bring an earlier release.
#[derive(Clone, Debug)]
pub(super) struct Rollback {
    pub(super) to: Generation,
    pub(super) spec: Spec,
    pub(super) requests: Vec<RequestId>,
}

impl Releases {
    pub(super) fn new(first: Generation) -> Self {
        Self {
            of: BTreeMap::new(),
            gone: BTreeSet::new(),
            completed: VecDeque::from([first]),
            trial: None,
            wanted: None,
        }
    }

    /// Who waits for a rollback that has not begun.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &RequestId> {
        self.wanted.iter().flat_map(|rollback| &rollback.requests)
    }

    pub(super) fn forget_request(&mut self, request: RequestId) {
        if let Some(rollback) = &mut self.wanted {
            rollback.requests.retain(|waiting| *waiting != request);
        }
    }

    pub(super) fn take_wanted(&mut self) -> Option<Rollback> {
        self.wanted.take()
    }

    pub(super) fn is_rollback_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// Whether two generations were loaded from the same place, as far as that is known.
    pub(super) fn are_one_place(&self, one: Generation, other: Generation) -> bool {
        let release = self.of.get(&one);
        release.is_some() && release == self.of.get(&other)
    }

    /// Whether a worker of an earlier generation would run other code than one of this.
    fn can_go_back(&self, to: Generation, from: Generation) -> bool {
        let (Some(to), Some(from)) = (self.of.get(&to), self.of.get(&from)) else { return false };
        to != from && !self.gone.contains(to)
    }

    fn is_gone(&self, generation: Generation) -> bool {
        self.of.get(&generation).is_some_and(|release| self.gone.contains(release))
    }
}

impl Supervisor {
    pub(super) fn release_resolved(&mut self, generation: Generation, release: ReleaseId) {
        if generation.0 < self.next_generation {
            self.releases.of.insert(generation, release);
            self.releases.gone.remove(&release);
        }
    }

    /// A worker could not be started because there is no code any more where it was to be loaded from.
    pub(super) fn release_is_gone(&mut self, worker: WorkerId) {
        let generation = self.workers.get(&worker).map(|worker| worker.generation);
        let release = generation.and_then(|generation| self.releases.of.get(&generation).copied());
        self.releases.gone.extend(release);
    }

    /// As which generation the slot's next worker is started, outside of rollouts.
    pub(super) fn generation_to_start(&mut self, slot: Slot) -> Generation {
        let own = self.slot(slot).generation;
        let newest = match &self.rollout {
            Some(rollout) if rollout.phase == Phase::Draining => rollout.generation,
            Some(_) | None => self.generation,
        };
        if own < newest && self.releases.is_gone(own) && !self.releases.is_gone(newest) {
            // It had gone back to what is not there any more.
            self.slot_mut(slot).generation = newest;
            return newest;
        }
        let Some(good) = self.last_good_before(own).filter(|_| self.slot(slot).crashed) else {
            return own;
        };
        let served = self.served_before(own);
        let trial = self.releases.trial.as_mut().filter(|_| own == self.generation);
        if let Some(trial) = trial {
            trial.refuted = true;
        }
        let state = self.slot_mut(slot);
        state.generation = good;
        if let Some(served) = served {
            state.serves.retain(|listener| served.contains(listener));
        }
        self.tell(Notice::FellBack { slot, from: own, to: good });
        good
    }

    /// What a slot goes on with where this generation, which is on trial, has failed in it.
    fn last_good_before(&self, own: Generation) -> Option<Generation> {
        let good = match &self.rollout {
            Some(rollout) if rollout.generation == own => {
                // Somebody wanted to be rid of what was there before a rollback.
                let is_rollback = rollout.back_to.is_some() && rollout.phase != Phase::Undoing;
                (!is_rollback).then(|| self.good_generation())
            }
            // Of a rollout that failed, and could not be taken back here.
            Some(_) | None if own > self.generation => Some(self.good_generation()),
            Some(_) | None if own == self.generation => {
                let trial = self.releases.trial.as_ref();
                trial.filter(|trial| self.now < trial.until).map(|trial| trial.before)
            }
            Some(_) | None => None,
        }?;
        self.releases.can_go_back(good, own).then_some(good)
    }

    /// What the last good generation listened on, where this one came after it.
    fn served_before(&self, own: Generation) -> Option<BTreeSet<ListenerId>> {
        match (&self.rollout, &self.releases.trial) {
            (Some(rollout), _) if rollout.generation == own => Some(rollout.served.clone()),
            (_, Some(trial)) if own == self.generation => Some(trial.served.clone()),
            (_, _) => None,
        }
    }

    /// The last completed generation, unless its trial went badly.
    fn good_generation(&self) -> Generation {
        let trial = self.releases.trial.as_ref().filter(|trial| trial.refuted);
        trial.map_or(self.generation, |trial| trial.before)
    }

    /// Where an undone rollout has nobody to call back, the old release is loaded anew, if it is still
    /// to be had: once in a slot.
    pub(super) fn renew_lost_slots(&mut self) {
        for slot in self.slot_numbers() {
            let Some(good) = self.renewed_as(slot) else { continue };
            let owes = self.slot(slot).current.and_then(|id| self.workers.get(&id));
            let owes = owes.map(|new| new.owes.clone()).unwrap_or_default();
            let id = self.spawn(slot, good);
            if let Some(worker) = self.workers.get_mut(&id) {
                // What the new code opened besides, the old one may not know.
                worker.owes = owes;
            }
            let state = self.slot_mut(slot);
            (state.incoming, state.retry_at) = (Some(id), None);
            let undo = self.rollout.as_mut().and_then(|rollout| rollout.undo.as_mut());
            if let Some(undo) = undo {
                undo.renewed.insert(slot, id);
            }
            self.report_progress(slot, crate::Step::Started(id));
        }
    }

    /// What the slot is to be taken back to by a worker that is started anew, if it is.
    fn renewed_as(&self, slot: Slot) -> Option<Generation> {
        let rollout = self.rollout.as_ref()?;
        let undo = rollout.undo.as_ref()?;
        let state = self.slot(slot);
        let runs_new = state.current.is_some_and(|id| rollout.new.contains(&id));
        let is_cared_for = state.incoming.is_some()
            || rollout.parked.contains_key(&slot)
            || undo.renewed.contains_key(&slot);
        let good = self.good_generation();
        let can = self.releases.can_go_back(good, rollout.generation) && self.has_room(slot);
        (runs_new && !is_cared_for && can).then_some(good)
    }

    /// Whether a worker of the old release is still starting in a rollout that is undone.
    pub(super) fn is_renewing(&self, rollout: &Rollout) -> bool {
        let renewed = rollout.undo.iter().flat_map(|undo| &undo.renewed);
        renewed.into_iter().any(|(slot, id)| self.slot(*slot).incoming == Some(*id))
    }

    /// A rollout has succeeded; called before its generation counts as the last completed one.
    pub(super) fn release_completed(&mut self, rollout: &Rollout) {
        let before = self.good_generation();
        let mut slots = self.slot_numbers();
        let refuted = slots.any(|slot| self.slot(slot).generation != rollout.generation);
        let until = self.now + CONFIRMATION;
        // What a rollback brings has been good before.
        let is_new = rollout.back_to.is_none();
        let served = rollout.served.clone();
        let releases = &mut self.releases;
        releases.trial = is_new.then_some(Trial { before, served, until, refuted });
        releases.completed.push_back(rollout.generation);
        while releases.completed.len() > KEPT {
            releases.completed.pop_front();
        }
    }

    /// Forgets where nobody can be started from any more.
    pub(super) fn forget_releases(&mut self) {
        let named = self.named_generations();
        let releases = &mut self.releases;
        releases.of.retain(|generation, _| named.contains(generation));
        let kept: BTreeSet<ReleaseId> = releases.of.values().copied().collect();
        releases.gone.retain(|release| kept.contains(release));
    }

    /// All generations of which there is a worker, or one may be started.
    pub(super) fn named_generations(&self) -> BTreeSet<Generation> {
        let releases = &self.releases;
        let slots = self.slots.iter().map(|slot| slot.generation);
        let workers = self.workers.values().map(|worker| worker.generation);
        let rollout = self.rollout.iter().map(|rollout| rollout.generation);
        let last = self.last_rollout.iter().map(|report| report.generation);
        let others = [self.generation].into_iter().chain(releases.completed.iter().copied());
        let others = others.chain(releases.trial.iter().map(|trial| trial.before));
        let others = others.chain(releases.wanted.iter().map(|rollback| rollback.to));
        slots.chain(workers).chain(rollout).chain(last).chain(others).collect()
    }

    /// What a rollback would bring: the last completed generation that ran another release.
    pub(super) fn rollback_target(&self) -> Result<Generation, Refusal> {
        let present = match self.rollout.as_ref().map(|rollout| (rollout.phase, rollout.generation))
        {
            None => self.generation,
            Some((Phase::Draining, generation)) => generation,
            Some((Phase::Undoing, _)) => return Err(Refusal::BeingUndone),
            Some((Phase::Replacing, generation)) => {
                return Err(Refusal::RolloutGoesOn { generation });
            }
        };
        if self.reload_wanted.is_some() && self.releases.wanted.is_none() {
            return Err(Refusal::ReloadWaits);
        }
        let of = &self.releases.of;
        let differs = |generation: &&Generation| match (of.get(generation), of.get(&present)) {
            (Some(release), Some(now)) => release != now,
            (_, _) => false,
        };
        let found = self.releases.completed.iter().rev().find(differs).copied();
        found.ok_or(Refusal::NoPreviousRelease)
    }

    /// It comes before a reload that is asked for later.
    pub(super) fn rollback_requested(
        &mut self,
        to: Generation,
        spec: Spec,
        request: Option<RequestId>,
    ) {
        if self.is_waited_for(request) {
            return;
        }
        let refusal = if self.stop.is_some() {
            Some(Refusal::Stopping)
        } else if self.releases.waiting().count() >= MAX_WAITING {
            Some(Refusal::TooManyWaiting)
        } else {
            match self.rollback_target() {
                Ok(target) if target == to => None,
                Ok(_) => Some(Refusal::NoPreviousRelease),
                Err(refusal) => Some(refusal),
            }
        };
        match (refusal, &mut self.releases.wanted) {
            (Some(refusal), _) => self.refuse(request, refusal),
            (None, Some(wanted)) => wanted.requests.extend(request),
            (None, none) => {
                *none = Some(Rollback { to, spec, requests: request.into_iter().collect() });
            }
        }
    }

    /// The slots that have gone back, by what they run now.
    pub(super) fn slots_gone_back(&self) -> BTreeMap<Generation, Vec<Slot>> {
        let mut all: BTreeMap<Generation, Vec<Slot>> = BTreeMap::new();
        for slot in self.slot_numbers() {
            let generation = self.slot(slot).generation;
            if generation < self.generation {
                all.entry(generation).or_default().push(slot);
            }
        }
        all
    }

    /// Whether the last rollout failed, and what it brought lies where the good code was loaded from:
    /// any worker that is started anew is one of the refused code.
    pub(super) fn is_code_refused(&self) -> bool {
        self.last_rollout.as_ref().is_some_and(|report| {
            matches!(report.outcome, Outcome::Failed { .. })
                && self.releases.are_one_place(report.generation, self.generation)
        })
    }
}
