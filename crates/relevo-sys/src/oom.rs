//! Telling that the kernel killed a process for want of memory.
//!
//! The kill itself looks like any SIGKILL. But the kernel counts them, so a counter that has grown
//! since the process was known to live is the proof.

use std::path::{Path, PathBuf};

use crate::proc::read_bounded;

const LIMIT_BYTES: u64 = 64 << 10;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomScope {
    /// Kills in our own control group and those below it.
    OwnGroup,
    /// Kills anywhere on this machine: a growing count may be somebody else's.
    Machine,
}

/// How many processes the kernel has killed for want of memory, to be compared with a later count
/// of the same scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomKills {
    /// So many, ever.
    pub count: u64,
    /// Among which processes.
    pub scope: OomScope,
}

/// The counter of our own control group (`memory.events` of version 2, see the kernel's
/// `admin-guide/cgroup-v2`), or the whole machine's (`/proc/vmstat`, since Linux 4.13).
pub fn oom_kills() -> Option<OomKills> {
    own_group().or_else(machine)
}

fn own_group() -> Option<OomKills> {
    let groups = read_bounded("/proc/self/cgroup", LIMIT_BYTES)?;
    let path = own_events_path(&groups)?;
    let count = counter(&read_bounded(path, LIMIT_BYTES)?, "oom_kill")?;
    Some(OomKills { count, scope: OomScope::OwnGroup })
}

fn machine() -> Option<OomKills> {
    let count = counter(&read_bounded("/proc/vmstat", LIMIT_BYTES)?, "oom_kill")?;
    Some(OomKills { count, scope: OomScope::Machine })
}

/// Where the events of our group are, by the text of `/proc/self/cgroup`: the line of version 2 has
/// the number 0 and names no controllers.
fn own_events_path(groups: &str) -> Option<PathBuf> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(Path::new("/sys/fs/cgroup").join(group).join("memory.events"))
}

/// The value after `name` in a text of lines of names and values.
fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        let events = "low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 1\n";
        assert_eq!(counter(events, "oom_kill"), Some(3));
        assert_eq!(counter(events, "oom"), Some(4));
        assert_eq!(counter(events, "group"), None);
    }

    #[test]
    fn our_group_is_found_beside_those_of_version_1() {
        let check = |groups, expect: Option<&str>| {
            assert_eq!(own_events_path(groups).as_deref(), expect.map(Path::new));
        };
        let service = "/sys/fs/cgroup/system.slice/web.service/memory.events";
        check("0::/system.slice/web.service\n", Some(service));
        check("4:memory:/a\n0::/system.slice/web.service\n", Some(service));
        check("0::/\n", Some("/sys/fs/cgroup/memory.events"));
        check("4:memory:/a\n", None);
    }

    #[test]
    fn this_machine_counts() {
        let first = oom_kills().unwrap();
        let second = oom_kills().unwrap();
        assert_eq!(first.scope, second.scope);
        assert!(second.count >= first.count);
    }
}
