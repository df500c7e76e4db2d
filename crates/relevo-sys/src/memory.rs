//! How much memory is to be had, and whether processes wait for it.

use crate::proc::read_bounded;

const LIMIT_BYTES: u64 = 64 * 1024;
/// Groups deeper than this are not looked at.
const MAX_DEPTH: usize = 64;

/// The memory that can be used without swapping, in bytes: what the kernel estimates for the machine
/// (`MemAvailable`, proc_meminfo(5)), or what the limit of our control group or of one above leaves, if
/// that is less. Files in the cache that nobody has used of late count as free.
pub fn available() -> Option<u64> {
    let machine = kilobytes(&read_bounded("/proc/meminfo", LIMIT_BYTES)?, "MemAvailable:");
    let groups = read_bounded("/proc/self/cgroup", LIMIT_BYTES).unwrap_or_default();
    let left = groups_of(&groups).into_iter().filter_map(|group| group.left());
    machine.into_iter().chain(left).min()
}

/// For which part of the last ten seconds some process has waited for memory, per mille: of our own
/// control group where the kernel tells, else of the machine (the kernel's `accounting/psi.rst`).
pub fn stalled() -> Option<u32> {
    let groups = read_bounded("/proc/self/cgroup", LIMIT_BYTES).unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.and_then(|path| {
        read_bounded(format!("/sys/fs/cgroup{}/memory.pressure", slashed(path)), LIMIT_BYTES)
    });
    let text = own.or_else(|| read_bounded("/proc/pressure/memory", LIMIT_BYTES))?;
    parse_stalled(&text)
}

/// Where a control group tells of its memory.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    directory: String,
    limit: &'static str,
    used: &'static str,
    /// In `memory.stat`: the cache that nobody has used of late.
    idle_cache: &'static str,
}

impl Group {
    fn left(&self) -> Option<u64> {
        let read = |file: &str| read_bounded(format!("{}/{file}", self.directory), LIMIT_BYTES);
        let limit: u64 = read(self.limit)?.trim().parse().ok()?;
        let used: u64 = read(self.used)?.trim().parse().ok()?;
        let idle = read("memory.stat").and_then(|text| field(&text, self.idle_cache)).unwrap_or(0);
        Some(limit.saturating_sub(used.saturating_sub(idle)))
    }
}

/// Our group and those above it, of both versions of control groups; `text` is that of
/// `/proc/self/cgroup`.
fn groups_of(text: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (mount, limit, used, idle_cache) = if id == "0" && controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            let (limit, used) = ("memory.limit_in_bytes", "memory.usage_in_bytes");
            ("/sys/fs/cgroup/memory", limit, used, "total_inactive_file")
        } else {
            continue;
        };
        let mut path = slashed(path);
        for _ in 0..MAX_DEPTH {
            let directory = format!("{mount}{path}");
            groups.push(Group { directory, limit, used, idle_cache });
            let Some((parent, _)) = path.rsplit_once('/') else { break };
            path = parent;
        }
    }
    groups
}

/// Without the slash of the root group.
fn slashed(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.checked_mul(1024)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let of_name = |line: &str| {
        let rest = line.strip_prefix(name)?.strip_prefix(|c: char| c.is_ascii_whitespace())?;
        rest.split_ascii_whitespace().next()?.parse().ok()
    };
    text.lines().find_map(of_name)
}

/// `some avg10=1.25 avg60=…`.
fn parse_stalled(text: &str) -> Option<u32> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let percent: f64 =
        some.split_ascii_whitespace().find_map(|word| word.strip_prefix("avg10="))?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some((percent * 10.0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory() {
        assert!(available().unwrap() > 1024 * 1024);
    }

    #[test]
    fn our_group_and_those_above_it_are_looked_at() {
        let groups = groups_of("5:cpu:/x\n4:memory:/a/b\n0::/\nnonsense\n");
        let directories: Vec<&str> = groups.iter().map(|group| group.directory.as_str()).collect();
        let expected = [
            "/sys/fs/cgroup/memory/a/b",
            "/sys/fs/cgroup/memory/a",
            "/sys/fs/cgroup/memory",
            "/sys/fs/cgroup",
        ];
        assert_eq!(directories, expected);
        assert_eq!(groups[0].limit, "memory.limit_in_bytes");
        assert_eq!(groups[3].limit, "memory.max");
    }

    #[test]
    fn what_the_kernel_prints_is_read() {
        assert_eq!(
            kilobytes("MemTotal: 9 kB\nMemAvailable:   12 kB\n", "MemAvailable:"),
            Some(12288)
        );
        assert_eq!(field("inactive_file 7\ninactive_file_x 9\n", "inactive_file"), Some(7));
        assert_eq!(field("total 7\n", "inactive_file"), None);
        let text = "some avg10=12.34 avg60=0.00 avg300=0.00 total=0\nfull avg10=9.99 avg60=0";
        assert_eq!(parse_stalled(text), Some(123));
        assert_eq!(parse_stalled("some avg10=-1 avg60=0"), None);
        assert_eq!(parse_stalled("full avg10=1.0"), None);
    }
}
