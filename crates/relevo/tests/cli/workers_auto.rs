//! `-w auto`: the affinity mask and the control group's quota, never the host's bare count.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::fixture;
use crate::support::ports::port;
use crate::support::relevo::unique_name;
use crate::support::service::Setup;

fn slots(through: &[&str], options: &str) -> usize {
    let service = Setup::new(22, fixture("kitchen.js"))
        .options(options)
        .env("PORT", port())
        .through(through)
        .start();
    service.status()["slots"].as_array().expect("slots").len()
}

#[test]
fn the_affinity_mask_counts() {
    let first = fs::read_to_string("/proc/self/status").expect("our own");
    let list = first.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let list = list.expect("a field").trim();
    let first = list.split([',', '-']).next().expect("a CPU");
    assert_eq!(slots(&["taskset", "-c", first], ""), 1);
    assert_eq!(slots(&["taskset", "-c", first], "-w auto"), 1);
    assert_eq!(slots(&["taskset", "-c", first], "-w 3"), 3, "who asks for it gets it");
}

/// A control group with the quota of one CPU, if we may make one here.
struct Group(PathBuf);

impl Group {
    fn with_one_cpu() -> Option<Self> {
        let name = unique_name("relevo-test");
        let v2 = Path::new("/sys/fs/cgroup").join(&name);
        if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            fs::create_dir(&v2).ok()?;
            let group = Self(v2);
            fs::write(group.0.join("cpu.max"), "100000 100000").ok()?;
            return Some(group);
        }
        let v1 = Path::new("/sys/fs/cgroup/cpu").join(&name);
        fs::create_dir(&v1).ok()?;
        let group = Self(v1);
        fs::write(group.0.join("cpu.cfs_period_us"), "100000").ok()?;
        fs::write(group.0.join("cpu.cfs_quota_us"), "100000").ok()?;
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its last process has just ended; the kernel may need a moment.
        for _ in 0..200 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

#[test]
fn the_quota_counts() {
    let Some(group) = Group::with_one_cpu() else {
        eprintln!("skipped: no control group with a quota can be made here");
        return;
    };
    let enter = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", group.0.display());
    assert_eq!(slots(&["sh", "-c", &enter], ""), 1);
}
