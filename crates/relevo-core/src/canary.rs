//! Whether a new worker answers with more errors than the old ones: the rule of a rollout's canary.
//!
//! ```text
//!   the old workers had no error in 1,000 requests or more, and the new one has one     failed
//!   so many errors that it fails even if all that is still to come is answered well     failed
//!   an error, and the old workers have had fewer than 30 requests                       inconclusive
//!   fewer requests than there must be                                                   waits
//!   no error                                                                            passed
//!   else by how much its part of errors is larger than that of the old workers, in
//!   standard deviations (one-sided two-proportion test): more than 2.326 (chance does
//!   that once in 100 times)                                                             failed
//!   less than 1.645 (once in 20 times)                                                  passed
//!   between                                                                             waits
//! ```
//!
//! Who still waits when the time is up is inconclusive.

use std::time::Duration;

/// How a new worker is to prove itself by what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// How many requests it must have had; at least 1.
    pub requests: u64,
    /// How long it may take until the verdict is there.
    pub timeout: Duration,
    /// What follows where there is none.
    pub inconclusive: Inconclusive,
}

/// What follows where a canary had too little to do, or nobody can be compared with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inconclusive {
    /// The rollout is undone.
    #[default]
    Undo,
    /// It goes on as if the canary had passed.
    GoOn,
}

/// What a worker's agent has counted, since it was first asked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests whose response was sent to its end.
    pub answered: u64,
    /// Those of them with a status of 500 or more.
    pub failed: u64,
    /// Responses that the worker broke off.
    pub aborted: u64,
    /// Exceptions that nobody caught, whether or not the app lived on.
    pub uncaught: u64,
}

impl Tally {
    /// How many requests had an end. An exception without one is an end, too.
    pub fn requests(&self) -> u64 {
        self.answered.saturating_add(self.aborted).max(self.errors())
    }

    /// How many things went wrong.
    pub fn errors(&self) -> u64 {
        let failed = self.failed.min(self.answered);
        failed.saturating_add(self.aborted).saturating_add(self.uncaught)
    }

    /// Both counts in one.
    pub(crate) fn and(self, other: Self) -> Self {
        self.by_field(other, u64::saturating_add)
    }

    /// What was counted once does not become less: a report may come late, or twice.
    pub(crate) fn at_least(self, other: Self) -> Self {
        self.by_field(other, u64::max)
    }

    fn by_field(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            answered: of(self.answered, other.answered),
            failed: of(self.failed, other.failed),
            aborted: of(self.aborted, other.aborted),
            uncaught: of(self.uncaught, other.uncaught),
        }
    }
}

/// What the counts say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// More requests are needed.
    Waits,
    Passed,
    Failed,
    Inconclusive,
}

/// With so many requests and no error, none is what the old workers' answers are like.
const FAULTLESS: u64 = 1000;
/// With fewer requests of the old workers there is nothing to compare with.
const COMPARABLE: u64 = 30;
/// Beyond so many standard deviations it is no chance; below so many it may well be.
const TOO_FAR: f64 = 2.326;
const NEAR: f64 = 1.645;

/// Judges a new worker that must have had so many requests, by the old ones.
pub(crate) fn judge(new: Tally, old: Tally, wanted: u64) -> Verdict {
    let (errors, requests) = (new.errors(), new.requests());
    let faultless = old.errors() == 0 && old.requests() >= FAULTLESS;
    let comparable = old.requests() >= COMPARABLE;
    // As far as it is known, and as well as what is still to come could go.
    let distance = deviations((errors, requests.max(wanted)), (old.errors(), old.requests()));
    match errors {
        0 if requests < wanted => Verdict::Waits,
        0 => Verdict::Passed,
        _ if faultless => Verdict::Failed,
        _ if !comparable => Verdict::Inconclusive,
        _ if distance > TOO_FAR => Verdict::Failed,
        _ if requests < wanted || distance >= NEAR => Verdict::Waits,
        _ => Verdict::Passed,
    }
}

/// By how many standard deviations the first one's part of errors is the larger: the statistic of the
/// two-proportion z-test with the pooled part and the correction for continuity. Pairs of errors and requests.
fn deviations((e1, n1): (u64, u64), (e0, n0): (u64, u64)) -> f64 {
    let [e1, n1, e0, n0] = [e1, n1, e0, n0].map(|count| count as f64);
    let pooled = (e0 + e1) / (n0 + n1);
    let variance = pooled * (1.0 - pooled) * (1.0 / n0 + 1.0 / n1);
    // Counts are whole: without this, one error more where there are few would look like very many.
    let continuity = (1.0 / n0 + 1.0 / n1) / 2.0;
    // All alike, or nothing to compare: none is worse.
    if variance > 0.0 { (e1 / n1 - e0 / n0 - continuity) / variance.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many requests with so many errors among them.
    fn tally(requests: u64, failed: u64) -> Tally {
        Tally { answered: requests, failed, ..Tally::default() }
    }

    #[track_caller]
    fn check(new: (u64, u64), old: (u64, u64), expected: Verdict) {
        let verdict = judge(tally(new.0, new.1), tally(old.0, old.1), 100);
        assert_eq!(verdict, expected, "{new:?} after {old:?}");
    }

    #[test]
    fn without_errors_it_passes_when_it_has_had_enough_requests() {
        check((99, 0), (5000, 0), Verdict::Waits);
        check((100, 0), (5000, 0), Verdict::Passed);
        // Also where nobody can be compared with it.
        check((100, 0), (0, 0), Verdict::Passed);
    }

    #[test]
    fn an_error_where_there_was_none_in_a_thousand_fails_at_once() {
        check((1, 1), (1000, 0), Verdict::Failed);
        check((1, 1), (999, 0), Verdict::Waits);
        check((1, 1), (1000, 1), Verdict::Waits);
    }

    #[test]
    fn an_error_with_nobody_to_compare_with_is_inconclusive() {
        check((1, 1), (29, 0), Verdict::Inconclusive);
        check((200, 1), (0, 0), Verdict::Inconclusive);
        check((200, 1), (29, 29), Verdict::Inconclusive);
        check((100, 1), (30, 0), Verdict::Passed);
    }

    #[test]
    fn parts_of_errors_are_compared() {
        // 1 % before.
        check((100, 1), (2000, 20), Verdict::Passed);
        check((100, 2), (2000, 20), Verdict::Passed);
        check((100, 3), (2000, 20), Verdict::Passed);
        check((100, 4), (2000, 20), Verdict::Waits);
        check((100, 5), (2000, 20), Verdict::Failed);
        // More requests tell more.
        check((400, 6), (2000, 20), Verdict::Passed);
        check((400, 11), (2000, 20), Verdict::Failed);
        // One more than none is no more than chance.
        check((100, 1), (999, 0), Verdict::Passed);
    }

    #[test]
    fn what_cannot_pass_any_more_fails_early() {
        check((4, 4), (2000, 20), Verdict::Waits);
        check((5, 5), (2000, 20), Verdict::Failed);
    }

    #[test]
    fn as_bad_as_before_passes() {
        check((100, 100), (500, 500), Verdict::Passed);
        check((100, 50), (500, 400), Verdict::Passed);
    }

    #[test]
    fn whatever_goes_wrong_counts_and_no_number_is_too_large() {
        let new = Tally { answered: 10, failed: 99, aborted: 2, uncaught: 1 };
        assert_eq!((new.errors(), new.requests()), (13, 13));
        let alone = Tally { uncaught: 3, ..Tally::default() };
        assert_eq!((alone.errors(), alone.requests()), (3, 3));
        let most = u64::MAX;
        let most = Tally { answered: most, failed: most, aborted: most, uncaught: most };
        assert_eq!(judge(most, most.and(most), u64::MAX), Verdict::Passed);
        assert_eq!(judge(most, Tally::default(), 1), Verdict::Inconclusive);
        assert_eq!(judge(most, tally(1000, 0), 1), Verdict::Failed);
    }
}
