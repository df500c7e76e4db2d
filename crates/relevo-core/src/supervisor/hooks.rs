//! Hooks: which is run when, and what follows from its end.
//!
//! A rollout has up to two *gates*, at which it waits for a hook: before it starts anything, and when its
//! first new worker is ready. A hook that fails there undoes it. The others are run beside everything
//! else, those about rollouts and those about crashes each one at a time; one more may wait, and what
//! comes while one waits is left out, which the log is told.
//!
//! ```text
//!  running ── it ends ──────────────────────▶ over: well, or failed
//!     └────── its time is up: it is ended ──▶ over: failed
//!     └────── the service stops, or nobody waits at its gate any more: it is ended
//! ```

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use super::Supervisor;
use crate::hook::{HookEnd, HookFacts, HookFailure, HookKind};
use crate::{Action, Failure, HookId, Notice, Outcome, RolloutReport, Slot, Time, WorkerId};

/// How long after the beginning of a hook about a crash the next is run: a crash loop is no reason to
/// wake somebody several times a second.
const CRASH_PAUSE: Duration = Duration::from_secs(10);

/// All hooks that run, or are to.
#[derive(Clone, Debug, Default)]
pub(super) struct Hooks {
    last: u64,
    running: BTreeMap<HookId, Running>,
    waiting: BTreeMap<Lane, (HookKind, HookFacts)>,
    /// When the next about a crash may be run.
    next_crash: Option<Time>,
}

#[derive(Clone, Debug)]
struct Running {
    kind: HookKind,
    deadline: Time,
    /// How long it was given.
    limit: Duration,
}

/// Those that are run one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Gate,
    Report,
    Crash,
}

impl Lane {
    const fn of(kind: HookKind) -> Self {
        match kind {
            HookKind::Before | HookKind::Ready => Self::Gate,
            HookKind::Success | HookKind::Failure => Self::Report,
            HookKind::Crash => Self::Crash,
        }
    }
}

impl Hooks {
    pub(super) fn is_running(&self, hook: HookId) -> bool {
        self.running.contains_key(&hook)
    }

    pub(super) fn kind(&self, hook: HookId) -> Option<HookKind> {
        self.running.get(&hook).map(|running| running.kind)
    }

    pub(super) fn deadline(&self, now: Time) -> Option<(Time, &'static str)> {
        let ends = self.running.values().map(|it| (it.deadline, "a hook must be over"));
        let is_waiting = self.waiting.contains_key(&Lane::Crash) && !self.is_busy(Lane::Crash);
        let next = self.next_crash.filter(|at| is_waiting && *at > now);
        ends.chain(next.map(|at| (at, "a hook about a crash is run"))).min()
    }

    fn is_busy(&self, lane: Lane) -> bool {
        self.running.values().any(|running| Lane::of(running.kind) == lane)
    }

    fn may_begin(&self, lane: Lane, now: Time) -> bool {
        let paused = lane == Lane::Crash && self.next_crash.is_some_and(|at| at > now);
        !self.is_busy(lane) && !paused
    }
}

impl Supervisor {
    /// The rollout goes on when this hook has ended well, if there is such a one.
    pub(super) fn wait_at_gate(&mut self, kind: HookKind, slot: Option<Slot>) {
        let Some(rollout) = &self.rollout else { return };
        if !self.spec.hooks.there.contains(&kind) {
            return;
        }
        let worker = slot.and_then(|slot| self.slot(slot).current);
        let generation = rollout.generation;
        let facts = HookFacts { generation, slot, worker, failure: None, report: None };
        let hook = self.run_hook(kind, facts);
        if let Some(rollout) = &mut self.rollout {
            rollout.gate = Some(hook);
        }
    }

    /// Nobody waits at the gate any more.
    pub(super) fn leave_gate(&mut self) {
        let gate = self.rollout.as_mut().and_then(|rollout| rollout.gate.take());
        if let Some(hook) = gate.filter(|hook| self.hooks.running.remove(hook).is_some()) {
            self.act(Action::EndHook { hook });
        }
    }

    pub(super) fn hook_about_rollout(&mut self, report: &RolloutReport) {
        let kind = match report.outcome {
            Outcome::Succeeded => HookKind::Success,
            Outcome::Failed { .. } | Outcome::HookFailed { .. } | Outcome::Aborted => {
                HookKind::Failure
            }
            Outcome::Stopped => return,
        };
        let (worker, failure) = match &report.outcome {
            Outcome::Failed { worker, failure } => (Some(*worker), Some(failure.clone())),
            Outcome::Succeeded
            | Outcome::HookFailed { .. }
            | Outcome::Aborted
            | Outcome::Stopped => (None, None),
        };
        let (generation, slot) = (report.generation, report.slot);
        let report = Some(Box::new(report.clone()));
        self.call_hook(kind, HookFacts { generation, slot, worker, failure, report });
    }

    /// A worker has ended, or had to be ended, although nobody had asked for it.
    pub(super) fn hook_about_crash(&mut self, slot: Slot, id: WorkerId, failure: &Failure) {
        let generation = self.slot(slot).generation;
        let (slot, worker, failure) = (Some(slot), Some(id), Some(failure.clone()));
        let facts = HookFacts { generation, slot, worker, failure, report: None };
        self.call_hook(HookKind::Crash, facts);
    }

    fn call_hook(&mut self, kind: HookKind, facts: HookFacts) {
        if self.stop.is_some() || !self.spec.hooks.there.contains(&kind) {
            return;
        }
        match self.hooks.waiting.entry(Lane::of(kind)) {
            Entry::Vacant(place) => {
                place.insert((kind, facts));
            }
            Entry::Occupied(_) => self.tell(Notice::HookLeftOut { kind }),
        }
    }

    fn run_hook(&mut self, kind: HookKind, facts: HookFacts) -> HookId {
        self.hooks.last += 1;
        let hook = HookId(self.hooks.last);
        let limit = self.spec.hooks.timeout;
        let running = Running { kind, deadline: self.now + limit, limit };
        self.hooks.running.insert(hook, running);
        self.act(Action::RunHook { hook, kind, facts: Box::new(facts) });
        hook
    }

    pub(super) fn hook_ended(&mut self, hook: HookId, end: HookEnd) {
        if let Some(running) = self.hooks.running.remove(&hook) {
            self.hook_is_over(hook, running.kind, end.failure());
        }
    }

    fn hook_is_over(&mut self, hook: HookId, kind: HookKind, failure: Option<HookFailure>) {
        let is_gate = self.rollout.as_ref().is_some_and(|rollout| rollout.gate == Some(hook));
        if let Some(rollout) = self.rollout.as_mut().filter(|_| is_gate) {
            rollout.gate = None;
        }
        let Some(failure) = failure else { return };
        self.tell(Notice::HookFailed { hook, kind, failure });
        if is_gate {
            self.begin_undo(Outcome::HookFailed { hook, kind, failure });
        }
    }

    /// Ends those whose time is up, and begins those whose turn it is.
    pub(super) fn step_hooks(&mut self) {
        let due = self.hooks.running.iter().filter(|(_, running)| running.deadline <= self.now);
        let due: Vec<(HookId, Running)> = due.map(|(id, it)| (*id, it.clone())).collect();
        for (hook, Running { kind, limit, .. }) in due {
            self.hooks.running.remove(&hook);
            self.act(Action::EndHook { hook });
            self.hook_is_over(hook, kind, Some(HookFailure::TimedOut { after: limit }));
        }
        for lane in [Lane::Report, Lane::Crash] {
            if self.hooks.may_begin(lane, self.now)
                && let Some((kind, facts)) = self.hooks.waiting.remove(&lane)
            {
                if lane == Lane::Crash {
                    self.hooks.next_crash = Some(self.now + CRASH_PAUSE);
                }
                self.run_hook(kind, facts);
            }
        }
    }

    /// At a stop nothing of the user's runs on.
    pub(super) fn end_hooks(&mut self) {
        self.hooks.waiting.clear();
        for hook in std::mem::take(&mut self.hooks.running).into_keys() {
            self.act(Action::EndHook { hook });
        }
    }
}
