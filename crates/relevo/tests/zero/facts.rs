//! When a full run was made, and where.

use std::process::Command;

use crate::support::nodes::{MAJORS, OLDEST, node};
use crate::support::service::RELEVO;

/// The day, the machine, and the versions of all that took part.
pub(crate) fn facts() -> String {
    let nodes: Vec<String> = OLDEST
        .into_iter()
        .chain(MAJORS)
        .map(|major| printed(Command::new(node(major)).arg("--version")))
        .collect();
    format!(
        "*{}: {}; {}; {}; Node {}.*\n",
        printed(Command::new("date").args(["--utc", "+%Y-%m-%d"])),
        processors(),
        printed(Command::new("uname").args(["--kernel-name", "--kernel-release"])),
        printed(Command::new(RELEVO).arg("--version")),
        nodes.join(", "),
    )
}

/// How many, and of which model.
fn processors() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split(": ").nth(1))
        .collect();
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{count} × {}", models.first().unwrap_or(&"unknown processor"))
}

fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
