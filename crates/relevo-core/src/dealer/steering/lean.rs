//! Slots whose event loops are busier get fewer new connections: gently, and never none.

use std::collections::BTreeMap;

use crate::Slot;

/// Below this utilization, per mille, chance is good enough.
const BUSY: f64 = 300.0;
/// How far a weight goes towards what a slot's headroom asks for, at each review.
const STEP: f64 = 0.2;
/// The least and the most that a slot can get, in parts of an even share.
const BOUNDS: (f64, f64) = (0.25, 4.0);
/// A weight that would change by less is left as it is, in parts of an even share.
const WORTH_IT: f64 = 0.03;

/// The slots' weights, in parts of an even share.
#[derive(Clone, Debug, Default)]
pub(super) struct Lean {
    wanted: BTreeMap<Slot, f64>,
    set: BTreeMap<Slot, f64>,
}

impl Lean {
    pub(super) fn of(&self, slot: Slot) -> f64 {
        self.set.get(&slot).copied().unwrap_or(1.0)
    }

    /// Whoever works there next begins with an even share.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.wanted.remove(&slot);
        self.set.remove(&slot);
    }

    /// Takes one step; `busy` is the utilization of each serving slot, per mille. `true`: the weights
    /// have changed.
    pub(super) fn review(&mut self, busy: &BTreeMap<Slot, u32>) -> bool {
        if busy.len() < 2 {
            return false;
        }
        let mean = busy.values().map(|busy| f64::from(*busy)).sum::<f64>() / busy.len() as f64;
        // So that a slot at its limit does not make the others' headroom look infinite.
        let headroom = |busy: f64| 1100.0 - busy;
        for (slot, busy) in busy {
            let weight = self.wanted.entry(*slot).or_insert(1.0);
            *weight = if mean < BUSY {
                *weight + (1.0 - *weight) * STEP
            } else {
                *weight * (headroom(f64::from(*busy)) / headroom(mean)).powf(STEP)
            };
        }
        self.normalize(busy);
        let changed = busy.keys().any(|slot| (self.wanted[slot] - self.of(*slot)).abs() > WORTH_IT);
        if changed {
            self.set.clone_from(&self.wanted);
        }
        changed
    }

    /// So that they do not drift together.
    fn normalize(&mut self, busy: &BTreeMap<Slot, u32>) {
        self.wanted.retain(|slot, _| busy.contains_key(slot));
        let mean = self.wanted.values().sum::<f64>() / self.wanted.len() as f64;
        for weight in self.wanted.values_mut() {
            *weight = (*weight / mean).clamp(BOUNDS.0, BOUNDS.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Slot = Slot(0);
    const B: Slot = Slot(1);

    #[test]
    fn the_busier_slot_gets_less_and_never_nothing() {
        let mut lean = Lean::default();
        let busy = BTreeMap::from([(A, 950), (B, 400)]);
        assert!(lean.review(&busy));
        let first = lean.of(A);
        assert!(first > 0.8 && first < 1.0, "gently: {first}");
        for _ in 0..1000 {
            let _ = lean.review(&busy);
        }
        assert!((BOUNDS.0..0.5).contains(&lean.of(A)), "{}", lean.of(A));
    }

    #[test]
    fn what_settles_is_left_alone() {
        let mut lean = Lean::default();
        assert!(!lean.review(&BTreeMap::from([(A, 700), (B, 702)])));
    }

    #[test]
    fn when_little_goes_on_shares_become_even_again() {
        let mut lean = Lean::default();
        for _ in 0..20 {
            let _ = lean.review(&BTreeMap::from([(A, 950), (B, 400)]));
        }
        for _ in 0..60 {
            let _ = lean.review(&BTreeMap::from([(A, 100), (B, 20)]));
        }
        assert!((lean.of(A) - 1.0).abs() < 0.05, "{}", lean.of(A));
    }

    #[test]
    fn the_slots_loads_meet() {
        // A machine where slot A's work is twice as dear: utilization follows the weights.
        let mut lean = Lean::default();
        for _ in 0..200 {
            let (a, b) = (lean.of(A), lean.of(B));
            let busy = |share: f64, cost: f64| (share * cost * 450.0).min(1000.0) as u32;
            let _ = lean.review(&BTreeMap::from([(A, busy(a, 2.0)), (B, busy(b, 1.0))]));
        }
        let ratio = lean.of(B) / lean.of(A);
        assert!((1.7..2.3).contains(&ratio), "{ratio}");
    }
}
