//! What a worker's agent counts, and says.

use std::time::Duration;

use relevo_core::{DealerEvent, Load, Tally, WorkerId};

use crate::process::Deed;
use crate::world::{Happening, World};

/// How often it says by itself what it counts, at most.
const EVERY: u64 = 100;

#[derive(Default)]
pub(crate) struct Agent {
    /// It has been asked to.
    pub(crate) counting: bool,
    /// How many connections it has seen.
    accepted: u64,
    /// What it said last: how many are open, and how many it has seen.
    said: (usize, u64),
    /// What it has answered, whether it tells that again and again, and is about to.
    pub(crate) answers: Tally,
    pub(crate) tallying: bool,
    pub(crate) about_to_tally: bool,
    /// It is about to say something.
    about_to: bool,
    /// When the primary last heard anything of the worker.
    pub(crate) heard: Duration,
}

impl World {
    /// Its worker has come to life.
    pub(crate) fn agent_arrives(&mut self, worker: WorkerId) {
        if self.unkind && self.random.percent(5) {
            self.tally.lost_events += 1;
            return;
        }
        let hands_over = self.process(worker).character.hands_over;
        self.answers(worker, DealerEvent::Agent { worker, hands_over });
    }

    pub(crate) fn begins_to_count(&mut self, worker: WorkerId) {
        self.tally.counts += 1;
        self.process(worker).agent.counting = true;
        self.says_load(worker);
    }

    /// The worker has one connection more.
    pub(crate) fn has_one_more(&mut self, worker: WorkerId) {
        self.process(worker).agent.accepted += 1;
        self.number_changes(worker);
    }

    pub(crate) fn number_changes(&mut self, worker: WorkerId) {
        let agent = &mut self.process(worker).agent;
        if agent.counting && !std::mem::replace(&mut agent.about_to, true) {
            self.soon(EVERY, Happening::Does(worker, Deed::SaysLoad));
        }
    }

    pub(crate) fn says_load_if_changed(&mut self, worker: WorkerId) {
        let process = self.process(worker);
        process.agent.about_to = false;
        if process.agent.said != (process.holds.len(), process.agent.accepted) {
            self.says_load(worker);
        }
    }

    fn says_load(&mut self, worker: WorkerId) {
        let process = self.process(worker);
        let (open, accepted) = (process.holds.len(), process.agent.accepted);
        let (lies, base) = (process.character.lies, process.character.busy);
        process.agent.said = (open, accepted);
        if self.unkind && self.random.percent(5) {
            self.tally.lost_events += 1;
            return;
        }
        let load = if lies && self.unkind {
            self.tally.lies += 1;
            self.any_load()
        } else {
            let busy = base.map(|base| base + self.random.below(100) as u16);
            Load { connections: open as u32, accepted, utilization: busy }
        };
        self.tally.loads += 1;
        self.answers(worker, DealerEvent::Load { worker, load });
    }

    /// A worker may say what it likes.
    fn any_load(&mut self) -> Load {
        let bits = self.random.below(65);
        let any = move |random: u64| random.checked_shr(bits as u32).unwrap_or(0);
        Load {
            connections: any(self.random.below(u64::MAX)) as u32,
            accepted: any(self.random.below(u64::MAX)),
            utilization: Some(any(self.random.below(u64::MAX)) as u16),
        }
    }
}
