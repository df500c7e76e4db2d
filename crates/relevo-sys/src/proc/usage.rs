//! What a process uses, and what it was started as.

use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::Pid;
use rustix::thread::sched_getaffinity;

use super::{printable, read_bounded};

const STATUS_LIMIT_BYTES: u64 = 4096;

/// Enough of a command line to recognise it.
const COMMAND_LIMIT_BYTES: u64 = 4096;

/// The memory of the process that is in RAM, shared pages included, in bytes.
pub fn memory_of(pid: Pid) -> Option<u64> {
    let pages = parse_resident_pages(&read_bounded(path(pid, "statm"), STATUS_LIMIT_BYTES)?)?;
    pages.checked_mul(u64::try_from(page_size()).ok()?)
}

/// The processor time that all threads of the process have used since it began; its children's is
/// not in it.
pub fn cpu_time_of(pid: Pid) -> Option<Duration> {
    let ticks = parse_cpu_ticks(&read_bounded(path(pid, "stat"), STATUS_LIMIT_BYTES)?)?;
    Some(ticks_to_time(ticks, clock_ticks_per_second()))
}

/// When the process began, in clock ticks after the machine did: what tells an older one from a
/// younger, which numbers do not once they have come round.
pub(super) fn start_of(pid: Pid) -> Option<u64> {
    parse_start_ticks(&read_bounded(path(pid, "stat"), STATUS_LIMIT_BYTES)?)
}

/// The command line of the process, arguments separated by spaces; of one that has none, as threads
/// of the kernel and zombies do not, its name in brackets. Control characters become `?`.
pub fn command_of(pid: Pid) -> Option<String> {
    let line = read_bounded(path(pid, "cmdline"), COMMAND_LIMIT_BYTES)?;
    let line = line.trim_end_matches('\0');
    if !line.is_empty() {
        return Some(printable(line));
    }
    let name = read_bounded(path(pid, "comm"), STATUS_LIMIT_BYTES)?;
    Some(format!("[{}]", printable(name.trim_end_matches('\n'))))
}

/// How many processors this process may run on, 1 at least.
pub fn allowed_cpus() -> usize {
    match sched_getaffinity(None) {
        Ok(set) => usize::try_from(set.count()).unwrap_or(1).max(1),
        // A machine with more processors than the set has room for.
        Err(_) => std::thread::available_parallelism().map_or(1, Into::into),
    }
}

fn path(pid: Pid, file: &str) -> String {
    format!("/proc/{pid}/{file}")
}

/// The second number of `statm`.
fn parse_resident_pages(statm: &str) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// `utime` and `stime` of `stat`, fields 14 and 15. The second field, the name in parentheses, may
/// itself have spaces and parentheses in it.
pub(super) fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// `starttime` of `stat`, field 22.
fn parse_start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

pub(super) fn ticks_to_time(ticks: u64, per_second: u64) -> Duration {
    let per_second = per_second.max(1);
    let nanos = ticks % per_second * 1_000_000_000 / per_second;
    Duration::from_secs(ticks / per_second) + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::own_pid;
    use crate::test_support::eventually;

    #[test]
    fn texts_of_proc() {
        assert_eq!(parse_resident_pages("5000 1234 300 1 0 400 0\n"), Some(1234));
        assert_eq!(parse_resident_pages(""), None);
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 99\n";
        assert_eq!(parse_cpu_ticks(stat), Some(200));
        assert_eq!(parse_start_ticks(stat), Some(99));
        assert_eq!(parse_cpu_ticks("42 (a) S 1"), None);
        assert_eq!(ticks_to_time(250, 100), Duration::from_millis(2500));
        assert_eq!(printable("node\0a b\0\x1b[2J"), "node a b ?[2J");
    }

    #[test]
    fn this_process() {
        let pid = own_pid();
        assert!(memory_of(pid).unwrap() > 100_000);
        assert!(command_of(pid).unwrap().contains(&std::env::args().next().unwrap()));
        let start = cpu_time_of(pid).unwrap();
        eventually("processor time", || (cpu_time_of(pid)? > start).then_some(()));
        assert!(
            (1..=std::fs::read_dir("/sys/devices/system/cpu").map_or(4096, Iterator::count))
                .contains(&allowed_cpus())
        );
    }

    #[test]
    fn no_process() {
        let nobody = Pid::from_raw(i32::MAX).unwrap();
        assert_eq!(memory_of(nobody), None);
        assert_eq!(cpu_time_of(nobody), None);
        assert_eq!(command_of(nobody), None);
    }
}
