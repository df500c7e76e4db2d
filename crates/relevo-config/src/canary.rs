//! How the first new worker of a rollout proves itself by what it answers.

use std::fmt;
use std::str::FromStr;

use relevo_core::{Balance, Inconclusive};

use crate::{InvalidValue, Options};

/// The value of `--canary-requests`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanaryRequests(u64);

/// The value of `--canary-share`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanaryShare(u32);

/// The value of `--canary-inconclusive`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InconclusiveWord(Inconclusive);

impl CanaryRequests {
    /// The most that can be asked for.
    pub const MAX: u64 = 1_000_000;

    /// How many.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for CanaryRequests {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const REMEDY: &str = "give a whole number from 1 to 1000000";
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidValue::new(text, "is not a number of requests", REMEDY));
        }
        match text.parse::<u64>() {
            Ok(0) => Err(InvalidValue::new(text, "would prove nothing", REMEDY)),
            Ok(count) if count <= Self::MAX => Ok(Self(count)),
            Ok(_) | Err(_) => Err(InvalidValue::new(text, "is more than can be asked for", REMEDY)),
        }
    }
}

impl fmt::Display for CanaryRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl CanaryShare {
    /// How many of a hundred.
    pub const fn percent(self) -> u32 {
        self.0
    }
}

impl FromStr for CanaryShare {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let wrong = || {
            let remedy = "give a part of all new connections from 1% to 99%";
            InvalidValue::new(text, "is not a share", remedy)
        };
        let digits = text.strip_suffix('%').ok_or_else(wrong)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let percent = digits.parse().map_err(|_| wrong())?;
        if (1..100).contains(&percent) { Ok(Self(percent)) } else { Err(wrong()) }
    }
}

impl fmt::Display for CanaryShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl InconclusiveWord {
    /// What the core takes.
    pub const fn inconclusive(self) -> Inconclusive {
        self.0
    }
}

impl FromStr for InconclusiveWord {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "undo" => Ok(Self(Inconclusive::Undo)),
            "go-on" => Ok(Self(Inconclusive::GoOn)),
            _ => {
                Err(InvalidValue::new(text, "is not what can follow", "use one of `undo`, `go-on`"))
            }
        }
    }
}

impl fmt::Display for InconclusiveWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Inconclusive::Undo => "undo",
            Inconclusive::GoOn => "go-on",
        })
    }
}

/// Options that cannot go together: the name of the one to change, and why, with the remedy.
pub fn contradiction(options: &Options) -> Option<(&'static str, &'static str)> {
    const ALL_FIRST: &str =
        "under --all-first no worker goes ahead of the others: leave one of the two out";
    const SHARED: &str = "under --balance shared all workers accept from one socket, and nobody \
                          deals: leave it out, or use another balance";
    const NO_AGENT: &str =
        "what a worker answers is counted by the agent: leave it out, or leave out --no-agent";
    const NO_TIME: &str = "with --probation 0s and no --canary-requests the first new worker is \
                           not ahead for any time: give one of these";
    let counts = options.canary_requests.is_some();
    let shares = options.canary_share.is_some();
    let has_time = counts || !options.probation.duration().is_zero();
    if counts && options.all_first {
        Some(("canary-requests", ALL_FIRST))
    } else if shares && options.all_first {
        Some(("canary-share", ALL_FIRST))
    } else if counts && !options.agent {
        Some(("canary-requests", NO_AGENT))
    } else if shares && options.balance.balance() == Balance::Shared {
        Some(("canary-share", SHARED))
    } else if shares && !has_time {
        Some(("canary-share", NO_TIME))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_shown() {
        for text in ["1", "500", "1000000"] {
            assert_eq!(text.parse::<CanaryRequests>().unwrap().to_string(), text);
        }
        for text in ["1%", "5%", "99%"] {
            assert_eq!(text.parse::<CanaryShare>().unwrap().to_string(), text);
        }
        for text in ["undo", "go-on"] {
            assert_eq!(text.parse::<InconclusiveWord>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in ["", "0", "-1", "+1", "1.5", "1000001", "5%", "many"] {
            assert!(text.parse::<CanaryRequests>().is_err(), "{text}");
        }
        for text in ["", "%", "0%", "100%", "5", "0.5%", "-1%", "+1%", "99999999999%"] {
            assert!(text.parse::<CanaryShare>().is_err(), "{text}");
        }
        for text in ["", "go on", "Undo", "wait"] {
            assert!(text.parse::<InconclusiveWord>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_go_together_is_named() {
        #[track_caller]
        fn check(change: impl Fn(&mut Options), expected: Option<&str>) {
            let mut options = Options::default();
            change(&mut options);
            assert_eq!(contradiction(&options).map(|(name, _)| name), expected);
        }
        let requests = || Some("100".parse().unwrap());
        let share = || Some("5%".parse().unwrap());
        check(|_| {}, None);
        check(|o| o.all_first = true, None);
        check(|o| (o.canary_requests, o.canary_share) = (requests(), share()), None);
        let (requests_name, share_name) = (Some("canary-requests"), Some("canary-share"));
        check(|o| (o.canary_requests, o.all_first) = (requests(), true), requests_name);
        check(|o| (o.canary_share, o.all_first) = (share(), true), share_name);
        check(|o| (o.canary_requests, o.agent) = (requests(), false), requests_name);
        let shared = |o: &mut Options| o.balance = "shared".parse().unwrap();
        check(
            |o| {
                shared(o);
                o.canary_share = share();
            },
            share_name,
        );
        check(
            |o| {
                shared(o);
                o.canary_requests = requests();
            },
            None,
        );
        let at_once = |o: &mut Options| o.probation = "0s".parse().unwrap();
        check(
            |o| {
                at_once(o);
                o.canary_share = share();
            },
            share_name,
        );
        check(
            |o| {
                at_once(o);
                (o.canary_requests, o.canary_share) = (requests(), share());
            },
            None,
        );
    }
}
