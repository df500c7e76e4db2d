//! The user's commands at the turns of a service's life.

#[path = "../support/mod.rs"]
mod support;

mod after;
mod gates;
mod limits;

use std::collections::BTreeMap;
use std::path::PathBuf;

use support::mood::Mood;
use support::service::{Service, Setup};
use support::{TempDir, eventually};

/// A service with hooks that write what they are told into files.
struct Hooked {
    mood: Mood,
    directory: TempDir,
}

impl Hooked {
    fn new() -> Self {
        Self { mood: Mood::new(), directory: TempDir::new("hooks") }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A command that writes its facts, each time anew, and goes on with `then`.
    fn command(&self, name: &str, then: &str) -> String {
        let file = self.file(name);
        let file = file.display();
        format!("env | grep ^RELEVO_ > {file}.new && mv {file}.new {file}; {then}")
    }

    fn setup(&self, port: u16, options: &str) -> Setup {
        self.mood.service(port, options)
    }

    /// What the hook was told, once it was.
    fn facts(&self, name: &str) -> BTreeMap<String, String> {
        let text = eventually(&format!("the facts of {name}"), || {
            std::fs::read_to_string(self.file(name))
        });
        text.lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

#[track_caller]
fn check(facts: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(facts.get(*name).map(String::as_str), Some(*value), "{name} in {facts:#?}");
    }
}

/// A reload that must fail: what it said.
fn refused(service: &Service) -> String {
    let output = service.ask("reload", &[]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}\n{}", service.log());
    words
}
