//! How much one worker may use up before another takes its place.

use std::time::Duration;

use crate::random::Random;

/// What a worker may reach; `None`: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How much resident memory it may have, in bytes.
    pub memory: Option<u64>,
    /// How long it may serve.
    pub age: Option<Duration>,
    /// How many requests it may be asked.
    pub requests: Option<u64>,
}

impl Limits {
    /// What one worker gets of this. Workers that start together must not reach a limit together, so each
    /// may serve, and be asked, for 90 % to all of what is allowed. Memory is not drawn: it is used up
    /// at different times anyway, and is the one limit that a machine has.
    pub(crate) fn drawn(&self, random: &mut Random) -> Self {
        let Self { memory, age, requests } = *self;
        Self {
            memory,
            age: age.map(|age| random.most_of(age)),
            requests: requests.map(|requests| random.most_of_count(requests).max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_gets_most_of_what_is_allowed() {
        let (age, requests) = (Duration::from_secs(1000), 1000);
        let all = Limits { memory: Some(5), age: Some(age), requests: Some(requests) };
        let mut random = Random::new(1);
        let drawn: Vec<Limits> = (0..200).map(|_| all.drawn(&mut random)).collect();
        for limits in &drawn {
            assert_eq!(limits.memory, Some(5));
            assert!((age * 9 / 10..=age).contains(&limits.age.unwrap()), "{limits:?}");
            assert!((900..=requests).contains(&limits.requests.unwrap()), "{limits:?}");
        }
        assert!(drawn.iter().any(|limits| limits.age != drawn[0].age));
        assert!(drawn.iter().any(|limits| limits.requests != drawn[0].requests));
    }

    #[test]
    fn what_is_not_limited_stays_so_and_one_request_is_the_least() {
        let mut random = Random::new(1);
        assert_eq!(Limits::default().drawn(&mut random), Limits::default());
        let one = Limits { requests: Some(1), ..Limits::default() };
        assert_eq!(one.drawn(&mut random), one);
        let most = Limits { requests: Some(u64::MAX), ..Limits::default() };
        assert!(most.drawn(&mut random).requests > Some(u64::MAX / 10 * 8));
    }
}
