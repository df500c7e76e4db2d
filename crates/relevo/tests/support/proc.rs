//! What the system knows of processes: `proc(5)`.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// The fields of `/proc/PID/stat` behind the name, or `None` where there is no such process. The
/// first of them is the third of the manual.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind_name) = text.rsplit_once(')')?;
    Some(behind_name.split_whitespace().map(str::to_owned).collect())
}

fn all_pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// How many descriptors the process has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// The sockets that it has open, by inode.
pub(crate) fn sockets(pid: u32) -> BTreeSet<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

/// Whether it stands still after SIGSTOP.
pub(crate) fn is_stopped(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] == "T")
}

/// How many threads it has.
pub(crate) fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Its resident memory in KiB.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The processor time it has used.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let fields = stat(pid).expect("a process");
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
    let per_second = rustix::param::clock_ticks_per_second();
    Duration::from_millis(ticks * 1000 / per_second)
}

/// Its children, zombies among them.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let parent = pid.to_string();
    all_pids()
        .into_iter()
        .filter(|pid| stat(*pid).is_some_and(|fields| fields[1] == parent))
        .collect()
}

/// Whether it is there and no zombie.
pub(crate) fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] != "Z")
}

/// Its children that have ended and were not reaped.
pub(crate) fn zombies(pid: u32) -> Vec<u32> {
    children(pid).into_iter().filter(|child| !lives(*child)).collect()
}
