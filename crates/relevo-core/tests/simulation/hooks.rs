//! Hooks of the user's: they end well, badly, late or never.

use std::collections::BTreeMap;
use std::time::Duration;

use relevo_core::{Action, Event, Exit, ExitHow, Generation, HookEnd, HookId, HookKind, HookSpec};

use crate::world::{Happening, World};

/// Which hooks a world has: every third has all of them.
pub(crate) fn spec(seed: u64) -> HookSpec {
    let there = if seed % 3 == 1 { HookKind::ALL.to_vec() } else { Vec::new() };
    HookSpec { there, timeout: Duration::from_secs(1 + seed % 5) }
}

impl World {
    pub(crate) fn runs_hook(&mut self, hook: HookId, kind: HookKind) {
        match kind {
            HookKind::Before | HookKind::Ready => self.tally.gates += 1,
            HookKind::Success | HookKind::Failure => self.tally.hooks_about_rollouts += 1,
            HookKind::Crash => self.tally.hooks_about_crashes += 1,
        }
        let code = i32::from(self.unkind && self.random.percent(20));
        if self.unkind && self.random.percent(15) {
            // It never ends by itself.
            return;
        }
        let end = if self.unkind && self.random.percent(5) {
            HookEnd::NotStarted { errno: 12 }
        } else {
            HookEnd::Exited(Exit { how: ExitHow::Code(code), out_of_memory: false })
        };
        let millis = if self.unkind { 4000 } else { 800 };
        self.soon(millis, Happening::Told(Event::HookEnded { hook, end }));
    }
}

/// What is known of those that run.
#[derive(Default)]
pub(crate) struct KnownHooks(BTreeMap<HookId, (HookKind, Generation)>);

impl KnownHooks {
    pub(crate) fn told(&mut self, event: &Event) {
        if let Event::HookEnded { hook, .. } = event {
            self.0.remove(hook);
        }
    }

    /// One at each gate, one report and one about a crash may run at a time, and none at the end.
    pub(crate) fn done(&mut self, action: &Action) {
        if let Action::RunHook { hook, kind, facts } = action {
            let lane = |kind: HookKind| match kind {
                HookKind::Before | HookKind::Ready => 0,
                HookKind::Success | HookKind::Failure => 1,
                HookKind::Crash => 2,
            };
            let beside = self.0.values().find(|(other, _)| lane(*other) == lane(*kind));
            assert_eq!(beside, None, "{kind} is run beside another");
            let known = self.0.insert(*hook, (*kind, facts.generation));
            assert_eq!(known, None, "{hook} is used twice");
        } else if let Action::EndHook { hook } = action {
            assert!(self.0.remove(hook).is_some(), "hook {hook} does not run");
        } else if let Action::Exit { .. } = action {
            assert!(self.0.is_empty(), "a hook outlives the service");
        }
    }

    /// Whether the rollout to this generation must not start anything in this slot.
    pub(crate) fn forbid(&self, slot: u32, generation: Generation) -> bool {
        self.0.values().filter(|(_, of)| *of == generation).any(|(kind, _)| match kind {
            HookKind::Before => true,
            HookKind::Ready => slot > 0,
            HookKind::Success | HookKind::Failure | HookKind::Crash => false,
        })
    }
}
