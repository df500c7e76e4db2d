//! What workers answer, and what their agents say of it; and a slot's share of its own.

use relevo_core::{Event, Slot, Tally, WorkerId};

use crate::process::Deed;
use crate::rules::Rules;
use crate::world::{Happening, World};

/// How often an agent says it by itself, at most.
const EVERY: u64 = 100;

impl World {
    pub(crate) fn answered_one(&mut self, worker: WorkerId) {
        let errs = self.process(worker).character.errs;
        let failed = self.unkind && self.random.percent(errs);
        let agent = &mut self.process(worker).agent;
        agent.answers.answered += 1;
        agent.answers.failed += u64::from(failed);
        if agent.tallying && !std::mem::replace(&mut agent.about_to_tally, true) {
            self.soon(EVERY, Happening::Does(worker, Deed::SaysTally));
        }
    }

    pub(crate) fn begins_to_tally(&mut self, worker: WorkerId, on: bool) {
        self.process(worker).agent.tallying = on;
        self.says_tally(worker);
    }

    pub(crate) fn says_tally_again(&mut self, worker: WorkerId) {
        self.process(worker).agent.about_to_tally = false;
        if self.process(worker).agent.tallying {
            self.says_tally(worker);
        }
    }

    fn says_tally(&mut self, worker: WorkerId) {
        let process = self.process(worker);
        if !process.character.has_agent {
            return;
        }
        let (mut tally, lies) = (process.agent.answers, process.character.lies);
        if lies && self.unkind {
            let mut any = || self.random.below(u64::MAX) >> self.random.below(64);
            tally = Tally { answered: any(), failed: any(), aborted: any(), uncaught: any() };
        }
        self.tally.tallies_told += 1;
        self.says(worker, Event::Tallied { worker, tally });
    }
}

impl Rules {
    /// One slot at a time has a share, and only in a rollout.
    pub(crate) fn shared(&mut self, slot: Slot, percent: Option<u32>) {
        let before = std::mem::replace(&mut self.share, percent.map(|_| slot));
        match percent {
            Some(_) => assert!(before.is_none_or(|before| before == slot), "{before:?}, {slot}"),
            None => assert_eq!(before, Some(slot), "it had no share"),
        }
    }
}
