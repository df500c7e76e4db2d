//! Reaping children that we did not start: the duty of PID 1 and of a subreaper.

use std::io::Read;
use std::mem::MaybeUninit;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// How much of a thread's list of children is looked at.
const CHILDREN_LIMIT_BYTES: u64 = 1 << 20;

/// Reaps every child that has ended and that `known` does not claim, and returns their pids.
///
/// The status of a known child is never taken: children are looked at first without reaping
/// (`WNOWAIT` of `waitid(2)`), then reaped one by one. A child must be known from before it can end,
/// so this belongs on the thread that starts the workers.
///
/// A known child that has ended stands in front of others until it is reaped. They are then found
/// through `/proc/self/task/*/children`; on a kernel without that they wait for the next call.
pub fn reap_strangers(known: impl Fn(Pid) -> bool) -> Vec<Pid> {
    let mut reaped = Vec::new();
    while let Some(ended) = peek_any() {
        if known(ended) {
            let behind = children().into_iter().filter(|&child| !known(child));
            reaped.extend(behind.filter(|&child| reap_one(child)));
            break;
        }
        if !reap_one(ended) {
            break;
        }
        reaped.push(ended);
    }
    reaped
}

/// Some child that has ended, left unreaped.
fn peek_any() -> Option<Pid> {
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // rustix makes this call too, but its result does not say which child it is about.
    // SAFETY: the pointer is to a `siginfo_t`, which the call fills or leaves as it is.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) };
    // SAFETY: zero bytes are a value of this structure of integers.
    let info = unsafe { info.assume_init() };
    if result != 0 {
        return None; // ECHILD: there are no children at all
    }
    // SAFETY: what `waitid` leaves is of the kind that has a pid; when nobody has ended it is zero.
    Pid::from_raw(unsafe { info.si_pid() })
}

/// Whether the child had ended and is now reaped.
fn reap_one(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let waited = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), options));
    matches!(waited, Ok(Some(_)))
}

fn children() -> Vec<Pid> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| {
        let file = std::fs::File::open(task.path().join("children")).ok()?;
        let mut text = String::new();
        file.take(CHILDREN_LIMIT_BYTES).read_to_string(&mut text).ok()?;
        Some(text)
    });
    lists.flat_map(|list| parse_children(&list)).collect()
}

fn parse_children(list: &str) -> Vec<Pid> {
    list.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_children_is_read() {
        let pids: Vec<_> = parse_children("12 345 \n").iter().map(|pid| pid.as_raw_pid()).collect();
        assert_eq!(pids, [12, 345]);
        assert!(parse_children("").is_empty());
        assert!(parse_children("0 x").is_empty());
    }
}
