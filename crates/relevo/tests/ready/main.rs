//! When a new worker is ready, in every way that `--ready` knows: until then whom it is to replace serves,
//! and no request is lost.

#[path = "../support/mod.rs"]
mod support;

mod boot;
mod extend;
mod http;
mod listeners;
mod message;
mod notify;
mod spawned;

use std::path::PathBuf;
use std::process::{Child, Output};

use support::service::{Service, Setup};
use support::{TempDir, fixture};

/// A `readiness.js`, and the file with its steps.
pub(crate) struct Steps(TempDir);

impl Steps {
    pub(crate) fn new(steps: &[&str]) -> Self {
        let file = Self(TempDir::new("steps"));
        file.set(steps);
        file
    }

    /// What every worker does that is started from now on.
    pub(crate) fn set(&self, steps: &[&str]) {
        std::fs::write(self.file(), steps.join("\n")).expect("the file with the steps");
    }

    /// The step that waits until the test says `go`.
    pub(crate) fn until_go(&self) -> String {
        format!("until {}", self.go_file().display())
    }

    pub(crate) fn go(&self) {
        std::fs::write(self.go_file(), "").expect("the file that is waited for");
    }

    fn go_file(&self) -> PathBuf {
        self.0.join("go")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("steps")
    }

    pub(crate) fn service(&self, options: &str) -> Setup {
        Setup::new(22, fixture("readiness.js"))
            .options(options)
            .env("STEPS_FILE", self.file().display())
            .env("NOTIFIER", std::env::current_exe().expect("this test's own path").display())
    }
}

/// Its end, which is a good one.
#[track_caller]
pub(crate) fn assert_reloaded(reload: Child, service: &Service) {
    let output = reload.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}\n{}", words(&output), service.log());
}

pub(crate) fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A reload that is refused with this sentence.
#[track_caller]
pub(crate) fn assert_refused(service: &Service, more: &[&str], sentence: &str) {
    let output = service.ask("reload", more);
    assert_eq!(output.status.code(), Some(1), "{}\n{}", words(&output), service.log());
    assert!(words(&output).contains(sentence), "{}", words(&output));
}

/// State and generation of all workers, by slot, oldest first.
pub(crate) fn wait_for_workers(service: &Service, expected: &[(&str, u64)]) -> serde_json::Value {
    service.wait_for_status(&format!("{expected:?}"), |status| {
        let slots = status["slots"].as_array().expect("slots").clone();
        let workers = slots.iter().flat_map(|slot| slot["workers"].as_array().expect("workers"));
        let is = |(worker, (state, generation)): (&serde_json::Value, &(&str, u64))| {
            worker["state"] == **state && worker["generation"] == *generation
        };
        let workers: Vec<_> = workers.collect();
        workers.len() == expected.len() && workers.into_iter().zip(expected).all(is)
    })
}
