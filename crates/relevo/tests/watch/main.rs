//! Reloads that nobody asks for by a command: files that change, a key on the terminal, the clock.

#[path = "../support/mod.rs"]
mod support;

mod files;
mod links;
mod schedule;
mod terminal;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::client::get;
use support::relevo::write;
use support::service::{Service, Setup};
use support::{TempDir, eventually};

/// Answers with what `lib/answer.js` says.
pub(crate) const APP: &str = "const answer = require('./lib/answer.js');
require('http').createServer((q, r) => r.end(answer)).listen(Number(process.env.PORT));
";

/// A directory with an app that answers `1`.
pub(crate) fn app() -> TempDir {
    let directory = TempDir::new("watch");
    write(directory.join("app.js"), APP);
    says(directory.path(), "1");
    directory
}

pub(crate) fn says(app: &Path, answer: &str) {
    write(app.join("lib/answer.js"), format!("module.exports = '{answer}';\n"));
}

/// The app, watched, with as many workers as are needed to see that all are replaced.
pub(crate) fn watched(directory: impl Into<PathBuf>, port: u16) -> Setup {
    let setup = Setup::new(22, "app.js").directory(directory).env("PORT", port);
    setup.options("-w 2 --probation 0s --drain-timeout 5s")
}

pub(crate) fn answers(port: u16, expected: &str) {
    eventually(&format!("the answer {expected}"), || {
        let answer = get(port, "/").expect("an answer").text();
        if answer == expected { Ok(()) } else { Err(answer) }
    });
}

/// Waits until the service runs this generation and nothing else goes on, and gives its last rollout.
pub(crate) fn settles_at(service: &Service, generation: u64) -> Value {
    let status = service.wait_for_status(&format!("generation {generation}"), |status| {
        status["generation"] == generation && status["state"] == "running"
    });
    assert_eq!(service.count_lines("begins"), generation as usize - 1, "{}", service.log());
    status["rollout"].clone()
}

/// Changes a file that is watched, so that whatever was wrongly noticed before it comes before it, and
/// waits for the one rollout of that.
pub(crate) fn only_this_counts(service: &Service, directory: &Path, generation: u64) {
    fs::write(directory.join("sentinel.js"), generation.to_string()).expect("a file");
    settles_at(service, generation);
    let line = service.wait_for_line("sentinel.js");
    assert!(line.ends_with("sentinel.js changed: reload"), "{line}");
}
