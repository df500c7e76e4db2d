//! `relevo prove` against real apps: what is good passes, what is wrong is found.

#[path = "../support/mod.rs"]
mod support;

mod asked;
mod caught;
mod passes;

use std::process::Output;

use serde_json::Value;

use support::installed::installed;
use support::root;
use support::service::{Service, Setup};

/// One of the apps of `fixtures/frameworks`, which send back a request's id.
pub(crate) fn app(name: &str, port: u16) -> Setup {
    let directory = installed(&format!("fixtures/frameworks/{name}"));
    Setup::new(22, directory.join("app.js")).options("-w 2").env("PORT", port)
}

/// A file that makes workers wrong.
pub(crate) fn wrong(setup: Setup, file: &str) -> Setup {
    let file = root().join("fixtures/wrong").join(file);
    let file = file.to_str().expect("an ASCII path").to_owned();
    setup.options(&format!("--node-arg --require --node-arg {file}"))
}

/// `relevo prove --json` with more words, and the report.
pub(crate) fn prove(service: &Service, url: &str, more: &str) -> (Output, Value) {
    let mut words = vec!["prove", url, "--json"];
    words.extend(more.split_whitespace());
    let output = service.command(&words).output().expect("relevo runs");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {output:?}\n{}", service.log());
    });
    (output, report)
}

/// Fails unless the trial was passed, with every request answered.
#[track_caller]
pub(crate) fn assert_passed(service: &Service, (output, report): &(Output, Value)) {
    let told = || format!("{report:#}\n{}", service.log());
    assert_eq!(output.status.code(), Some(0), "{}", told());
    assert_eq!(report["passed"], true, "{}", told());
    let requests = &report["requests"];
    assert_eq!(requests["begun"], requests["answered"], "{}", told());
    for kind in report["kinds"].as_array().expect("kinds") {
        assert!(kind["requests"]["answered"].as_u64() > Some(0), "{}", told());
    }
}
