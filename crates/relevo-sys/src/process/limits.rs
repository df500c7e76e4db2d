//! How many descriptors a process may have: `RLIMIT_NOFILE` of `getrlimit(2)`.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit on descriptor numbers; [`u64::MAX`] stands for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NofileLimit {
    /// The one in force.
    pub soft: u64,
    /// How far a process may raise it by itself.
    pub hard: u64,
}

/// The limit of this process.
pub fn nofile_limit() -> NofileLimit {
    let limit = getrlimit(Resource::Nofile);
    let number = |value: Option<u64>| value.unwrap_or(u64::MAX);
    NofileLimit { soft: number(limit.current), hard: number(limit.maximum) }
}

/// Raises the soft limit to the hard one and returns what it was before.
///
/// A worker should be started with the earlier one: there are programs that close every possible
/// number, or use `select(2)`.
pub fn raise_nofile_limit() -> Result<NofileLimit, Errno> {
    let before = nofile_limit();
    if before.soft < before.hard {
        set_nofile(before.hard, before.hard)?;
    }
    Ok(before)
}

/// Sets both limits.
///
/// # Errors
///
/// `EPERM` to raise the hard one without privilege or over `fs.nr_open`, `EINVAL` for a soft one above
/// the hard one.
pub fn set_nofile(soft: u64, hard: u64) -> Result<(), Errno> {
    let value = |number: u64| (number != u64::MAX).then_some(number);
    setrlimit(Resource::Nofile, Rlimit { current: value(soft), maximum: value(hard) })
}
