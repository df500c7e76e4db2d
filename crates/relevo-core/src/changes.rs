//! When files that change are a reason for a rollout: one for all that change together.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::Time;

/// How long nothing more may have changed before a rollout is wanted.
const QUIET: Duration = Duration::from_millis(100);
/// How long that may be put off by further changes.
const LONGEST: Duration = Duration::from_secs(1);
/// How many paths are told apart; of more it is only said that there are more.
const MAX_PATHS: usize = 1000;
/// After how many rollouts in a row, each of which had the same file changed while it went on, the app
/// itself is suspected of writing it.
const SUSPICIOUS: u32 = 5;

/// Gathers changes until they are a reason for a rollout.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    gathering: Option<Gathering>,
    /// What the last rollout began for, and for how many in a row that changed during the one before.
    last: Option<(String, u32)>,
}

#[derive(Clone, Debug)]
struct Gathering {
    first: String,
    others: BTreeSet<String>,
    first_at: Time,
    last_at: Time,
    during_rollout: bool,
}

/// Changes that are one reason for a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// What changed first.
    pub first: String,
    /// How many others did; 1,000 stand for as many or more.
    pub others: usize,
    /// Whether it looks as if every rollout made the app write this file: told once.
    pub looks_endless: bool,
}

impl Changes {
    /// A file has changed. `is_rolling`: while a rollout goes on.
    pub fn add(&mut self, now: Time, path: &str, is_rolling: bool) {
        let gathering = self.gathering.get_or_insert_with(|| Gathering {
            first: path.to_owned(),
            others: BTreeSet::new(),
            first_at: now,
            last_at: now,
            during_rollout: is_rolling,
        });
        gathering.last_at = gathering.last_at.max(now);
        if path != gathering.first && gathering.others.len() < MAX_PATHS {
            gathering.others.insert(path.to_owned());
        }
    }

    /// When [`Changes::take`] is to be asked.
    pub fn deadline(&self) -> Option<Time> {
        let gathering = self.gathering.as_ref()?;
        Some((gathering.last_at + QUIET).min(gathering.first_at + LONGEST))
    }

    /// What has changed, once it is a reason for a rollout.
    pub fn take(&mut self, now: Time) -> Option<Changed> {
        self.deadline().filter(|at| *at <= now)?;
        let Gathering { first, others, during_rollout, .. } = self.gathering.take()?;
        let in_a_row = match &self.last {
            Some((last, in_a_row)) if during_rollout && *last == first => in_a_row + 1,
            Some(_) | None => 0,
        };
        self.last = Some((first.clone(), in_a_row));
        Some(Changed { first, others: others.len(), looks_endless: in_a_row == SUSPICIOUS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Time {
        Time::from_origin(Duration::from_millis(milliseconds))
    }

    #[test]
    fn what_changes_together_is_one_reason() {
        let mut changes = Changes::default();
        assert_eq!(changes.deadline(), None);
        for (now, path) in [(0, "a.js"), (50, "b.js"), (60, "a.js"), (120, "c.js"), (121, "b.js")] {
            changes.add(at(now), path, false);
        }
        assert_eq!(changes.deadline(), Some(at(221)));
        assert_eq!(changes.take(at(220)), None);
        let changed = changes.take(at(221)).unwrap();
        assert_eq!((changed.first.as_str(), changed.others), ("a.js", 2));
        assert_eq!(changes.take(at(500)), None);
        assert_eq!(changes.deadline(), None);
    }

    #[test]
    fn changes_that_go_on_put_it_off_for_a_second_at_most() {
        let mut changes = Changes::default();
        let mut taken = Vec::new();
        for now in (0..3000).step_by(20) {
            changes.add(at(now), &format!("{now}.js"), false);
            taken.extend(changes.take(at(now)).map(|_| now));
        }
        assert_eq!(taken, [1000, 2020]);
    }

    #[test]
    fn paths_are_bounded() {
        let mut changes = Changes::default();
        for n in 0..5000 {
            changes.add(at(n / 100), &n.to_string(), false);
        }
        assert_eq!(changes.take(at(2000)).unwrap().others, MAX_PATHS);
    }

    #[test]
    fn an_app_that_writes_what_is_watched_is_suspected_once() {
        let mut changes = Changes::default();
        let mut suspected = Vec::new();
        for round in 0..20 {
            changes.add(at(round * 1000), "cache.json", round > 0);
            suspected.push(changes.take(at(round * 1000 + 100)).unwrap().looks_endless);
        }
        assert_eq!(suspected.iter().filter(|it| **it).count(), 1);
        assert!(suspected[5]);
    }

    #[test]
    fn who_saves_one_file_again_and_again_is_not() {
        let mut changes = Changes::default();
        for round in 0..20 {
            changes.add(at(round * 1000), "app.js", false);
            assert!(!changes.take(at(round * 1000 + 100)).unwrap().looks_endless);
        }
    }
}
