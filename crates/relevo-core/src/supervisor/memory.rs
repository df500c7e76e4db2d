//! A rollout where memory is tight: one new worker at a time, and nobody parked.
//!
//! Before each slot but the first the shell is asked how much memory there is. If the next worker may not
//! find room, those that are parked are let go, and the rollout waits until they, and other new workers,
//! are done. When nothing more can be freed it goes on: it must not wait for ever.

use std::time::Duration;

use super::Supervisor;
use crate::rollout::Rollout;
use crate::{Action, Memory, Notice, Time};

/// How long what was seen counts.
const FRESH: Duration = Duration::from_secs(1);
/// Memory is tight when processes wait for it in this part of the time, per mille.
const STALLED: u32 = 100;

/// What a rollout knows of the memory that is left.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looked {
    /// When the shell was asked last.
    asked_at: Option<Time>,
    seen: Option<Memory>,
    /// Whether the rollout waits for memory.
    pub(crate) waits: bool,
    told: bool,
}

impl Memory {
    /// Whether another worker as large as the largest may not find room, with a quarter to spare.
    pub fn is_tight(&self) -> bool {
        let needed = self.largest_worker.map(|bytes| bytes.saturating_add(bytes / 4));
        let lacks =
            self.available.zip(needed).is_some_and(|(available, needed)| available < needed);
        lacks || self.stalled.is_some_and(|stalled| stalled >= STALLED)
    }
}

impl Supervisor {
    pub(super) fn memory_seen(&mut self, memory: Memory) {
        if let Some(rollout) = &mut self.rollout {
            rollout.memory.seen = Some(memory);
        }
    }

    /// Whether there is memory for the new worker of another slot; asks, where that is not known.
    pub(super) fn memory_allows(&mut self) -> bool {
        let now = self.now;
        let Some(rollout) = &mut self.rollout else { return false };
        if rollout.new.is_empty() {
            return true;
        }
        let is_fresh = rollout.memory.asked_at.is_some_and(|asked| now < asked + FRESH);
        if !is_fresh {
            rollout.memory.seen = None;
            rollout.memory.asked_at = Some(now);
            self.act(Action::LookAtMemory);
            return false;
        }
        let Some(memory) = rollout.memory.seen else { return false };
        let waits = memory.is_tight() && self.make_room(memory);
        if let Some(rollout) = &mut self.rollout {
            rollout.memory.waits = waits;
        }
        !waits
    }

    /// Whether that has to be waited for.
    fn make_room(&mut self, memory: Memory) -> bool {
        let Some(rollout) = &mut self.rollout else { return false };
        let generation = rollout.generation;
        let parked = std::mem::take(&mut rollout.parked);
        let others = !rollout.begun.is_empty();
        if !std::mem::replace(&mut rollout.memory.told, true) || !parked.is_empty() {
            let parked = parked.len() as u32;
            self.tell(Notice::MemoryTight { generation, memory, parked });
        }
        for (slot, id) in parked {
            self.let_go(slot, id);
        }
        others || !self.rollout_held_up_by().is_empty()
    }
}

impl Rollout {
    /// When the shell is asked again.
    pub(crate) fn memory_deadline(&self) -> Option<(Time, &'static str)> {
        let asked_at = self.memory.asked_at.filter(|_| self.has_a_way_back() && !self.paused)?;
        let wants = self.memory.waits || self.memory.seen.is_none();
        wants.then_some((asked_at + FRESH, "a rollout looks whether there is memory"))
    }
}
