//! Workers reach limits, and are replaced one by one.

use std::time::Duration;

use relevo_core::{Event, Limits, Slot, WorkerId, WorkerWord};

use crate::random::Random;
use crate::rules::Rules;
use crate::world::{Happening, World};

/// How much memory a worker may have, where that is limited.
const MEMORY: u64 = 1000;

/// In every other world, nothing is limited.
pub(crate) fn any_limits(seed: u64) -> Limits {
    let mut random = Random::new(seed ^ 0x5eed);
    if random.percent(50) {
        return Limits::default();
    }
    Limits {
        memory: random.percent(60).then_some(MEMORY),
        age: random.percent(40).then(|| Duration::from_secs(5) + random.millis(60_000)),
        requests: random.percent(60).then_some(1 + random.below(1000)),
    }
}

/// Whether somebody is being replaced because of a limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewing {
    Nobody,
    /// It was said so, and the next worker that is started comes for that.
    In(Slot),
    By(WorkerId),
}

impl World {
    /// Memory comes and goes.
    pub(crate) fn measures(&mut self, worker: WorkerId) {
        self.tally.measured += 1;
        let over = self.random.percent(if self.unkind { 30 } else { 4 });
        self.tally.over_memory += u64::from(over);
        let rss_bytes =
            if over { MEMORY + 1 } else { MEMORY } + self.random.below(2) * u64::from(over);
        self.soon(20, Happening::Told(Event::MemoryMeasured { worker, rss_bytes }));
    }
}

impl Rules {
    /// Too much memory counts when it is seen again.
    pub(crate) fn has_memory(&mut self, worker: WorkerId, rss_bytes: u64) {
        if rss_bytes <= MEMORY {
            self.over_memory.remove(&worker);
        } else if self.now > *self.over_memory.entry(worker).or_insert(self.now) {
            self.due.insert(worker);
        }
    }

    /// Whoever serves is replaced beside a rollout only if it has reached a limit, one at a time, and
    /// while all are well.
    pub(crate) fn may_renew(&mut self, old: WorkerId, slot: Slot) {
        let known = &self.workers[&old];
        let limits = self.spec.limits;
        let lived = known.served_since.map_or(Duration::ZERO, |since| self.now - since);
        let is_old = limits.age.is_some_and(|age| lived >= age * 9 / 10);
        assert!(self.due.contains(&old) || is_old, "{old} is replaced, and has reached no limit");
        assert!(known.was_ready && !known.gone && known.slot == slot, "{old} does not serve");
        let otherwise_busy = self.stopping || self.rolling || self.paused;
        assert!(!otherwise_busy, "{old} is replaced at a wrong time");
        if let Renewing::By(other) = self.renewing {
            let other_comes = self.workers.get(&other).is_some_and(|it| {
                !it.was_ready
                    && !it.gone
                    && !it.forfeit
                    && !it.failed
                    && !it.drains
                    && !it.disconnected
            });
            assert!(!other_comes, "{old} is replaced while {other} still starts");
        }
        for slot in (0..self.wanted).map(Slot) {
            // Who has just become ready is not shown so yet.
            let serves = [WorkerWord::Ready, WorkerWord::Starting];
            let mut here = self.workers.values().filter(|it| it.slot == slot && !it.gone);
            let ready = here.any(|it| it.was_ready && serves.contains(&it.word));
            assert!(ready, "{old} is replaced although nobody serves in slot {slot}");
        }
        self.renewing = Renewing::In(slot);
    }

    /// A worker is started: the one that was announced just before?
    pub(crate) fn replacement_starts(&mut self, worker: WorkerId, slot: Slot) {
        if let Renewing::In(due) = self.renewing {
            assert_eq!(due, slot, "{worker} was to come elsewhere");
            self.renewing = Renewing::By(worker);
        }
    }
}
