//! Little memory, as the control group of a container leaves it (cgroups(7)).

use std::fs;
use std::path::{Path, PathBuf};

use crate::load;
use crate::support::ports::port;
use crate::support::service::Setup;
use crate::support::{TempDir, fixture};

const MIB: u64 = 1 << 20;
/// Some 45 MiB of a node that runs, and these.
const BALLAST_MIB: u64 = 45;
/// Room for three such workers and Relevo, and not for four.
const LIMIT: u64 = 290 * MIB;

/// A control group of the test's own with a limit of memory.
struct Group {
    directory: PathBuf,
    /// What it has used at most, if the kernel tells, and how often it ran out.
    peak: &'static str,
    failures: (&'static str, &'static str),
}

impl Group {
    /// Of whichever version is there; `None` where it cannot be made.
    fn new() -> Option<Self> {
        let name = format!("relevo-test-{}", std::process::id());
        let old = Path::new("/sys/fs/cgroup/memory").join(&name);
        let new = Path::new("/sys/fs/cgroup").join(&name);
        let (directory, limit, peak, failures) = if old.parent()?.is_dir() {
            let failures = ("memory.oom_control", "oom_kill ");
            (old, "memory.limit_in_bytes", "memory.max_usage_in_bytes", failures)
        } else {
            (new, "memory.max", "memory.peak", ("memory.events", "oom_kill "))
        };
        fs::create_dir(&directory).ok()?;
        let group = Self { directory, peak, failures };
        fs::write(group.directory.join(limit), LIMIT.to_string()).ok()?;
        Some(group)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.directory.join(file)).unwrap_or_default()
    }

    /// How many processes were ended for want of memory.
    fn kills(&self) -> u64 {
        let (file, key) = self.failures;
        let text = self.read(file);
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|count| count.trim().parse().ok()).expect("the kernel counts them")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Whoever was in it has ended, and is about to leave it.
        for _ in 0..100 {
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn a_surge_is_held_back_so_that_nobody_is_killed_for_want_of_memory() {
    let Some(group) = Group::new() else {
        eprintln!("no control group can be made here: not tried");
        return;
    };
    let app = TempDir::new("ballast");
    let kitchen = fixture("kitchen.js");
    let text = format!(
        "globalThis.ballast = Buffer.alloc({BALLAST_MIB} << 20, 1);\nrequire('{}');\n",
        kitchen.display()
    );
    fs::write(app.join("app.js"), text).expect("the app");
    let port = port();
    let processes = group.directory.join("cgroup.procs");
    let enter = format!("echo $$ > {} && exec \"$0\" \"$@\"", processes.display());
    let service = Setup::new(22, app.join("app.js"))
        .options("-w 2 --surge 2 --probation 300ms")
        .through(&["sh", "-c", &enter])
        .env("PORT", port)
        .start();
    let load = load(port);
    assert_eq!(service.reload()["outcome"], "succeeded");
    service.wait_for_line("memory is tight (");
    load.stop().assert_unnoticed(&service.log());
    assert_eq!(service.wait_until_calm()["state"], "running");
    assert_eq!(group.kills(), 0, "{}", service.log());
    println!("at most {} bytes of {LIMIT}", group.read(group.peak).trim());
}
