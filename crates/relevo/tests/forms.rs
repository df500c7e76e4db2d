//! Every form of `listen` on every Node major under every balance, through all that happens to a
//! service: its start, a crash, a reload, a reload that fails, its end.

mod forms {
    pub(crate) mod backlog;
    pub(crate) mod bare;
    pub(crate) mod covering;
    pub(crate) mod dealing;
    pub(crate) mod inspector;
    pub(crate) mod life;
    pub(crate) mod refused;
    pub(crate) mod rows;
    pub(crate) mod target;
    pub(crate) mod unix_files;

    use std::os::fd::OwnedFd;
    use std::sync::RwLock;

    use crate::support::service::Setup;

    /// The table keeps the machine busy. A test that measures time holds this for writing.
    pub(crate) static QUIET: RwLock<()> = RwLock::new(());

    /// Starts the service as a service manager does that has a socket for it (`sd_listen_fds(3)`).
    pub(crate) fn socket_activation(setup: Setup, socket: OwnedFd) -> Setup {
        let script = r#"exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@""#;
        setup.through(&["/bin/sh", "-c", script, "sh"]).stdin(socket)
    }

    /// Whether the process still has anything open. A zombie has not, unless it is but the first of
    /// several threads: the others hold its descriptors until they have ended too.
    pub(crate) fn is_running(pid: u32) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        let state = status.rsplit_once(") ").map(|(_, rest)| rest.to_owned());
        state.is_some_and(|state| threads > 1 || !state.starts_with(['Z', 'X']))
    }
}
mod support;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use forms::life::live;
use forms::rows::{Row, rows};
use support::nodes::MAJORS;

/// How many services live at the same time.
const ABREAST: usize = 4;

#[test]
fn every_form_on_every_major_under_every_balance() {
    let only = std::env::var("FORMS").unwrap_or_default();
    let rows = rows();
    let mut todo = VecDeque::new();
    for row in rows.iter().filter(|row| row.name.contains(&only)) {
        for major in MAJORS.into_iter().filter(|major| *major >= row.since) {
            for balance in balances(major) {
                todo.push_back((row, major, balance));
            }
        }
    }
    let count = todo.len();
    let todo = Mutex::new(todo);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..ABREAST {
            scope.spawn(|| {
                while let Some((row, major, balance)) = next(&todo) {
                    let _loud = forms::QUIET.read();
                    if let Err(failure) = combination(row, major, balance) {
                        failures.lock().expect("no panic with it").push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic with it");
    assert!(
        failures.is_empty(),
        "{} of {count} combinations failed:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

/// Those that differ in their sockets everywhere; those that differ in the choice alone on one major,
/// as the table is long.
fn balances(major: u32) -> &'static [&'static str] {
    match major {
        22 => &["auto", "kernel", "round-robin", "shared"],
        24 => &["kernel", "least-connections", "round-robin", "shared"],
        _ => &["kernel", "round-robin", "shared"],
    }
}

fn next<T>(todo: &Mutex<VecDeque<T>>) -> Option<T> {
    todo.lock().expect("no panic with it").pop_front()
}

/// One life; what went wrong comes with the names of the combination and of the step.
fn combination(row: &Row, major: u32, balance: &str) -> Result<(), String> {
    let step = Mutex::new("");
    catch_unwind(AssertUnwindSafe(|| live(row, major, balance, &step))).map_err(|panic| {
        let why = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without words");
        let step = step.lock().map_or("?", |step| *step);
        let name = row.name;
        format!("row `{name}`, node {major}, {balance}, at `{step}`:\n{why}")
    })
}
