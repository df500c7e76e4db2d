//! The npm package `relevo-worker`: its own tests on every Node major, its types, and what its README shows.

mod support;

use std::fs;
use std::process::{Command, Output};

use support::installed::installed;
use support::{nodes, root};

fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn its_own_tests_pass_on_every_major() {
    let package = root().join("npm/relevo-worker");
    for major in nodes::MAJORS {
        let output = Command::new(nodes::node(major))
            .args([
                "--test",
                "--test-reporter=tap",
                "test/inside.test.cjs",
                "test/outside.test.cjs",
            ])
            .current_dir(&package)
            .output()
            .expect("node runs");
        let told = told(&output);
        assert!(output.status.success(), "node {major}: {told}");
        // A runner that ran nothing must not count as one that found nothing.
        assert!(told.contains("# pass 13\n") && told.contains("# fail 0\n"), "{major}: {told}");
    }
}

#[test]
fn its_types_are_those_that_it_says() {
    let output = Command::new(nodes::node(22))
        .args(["node_modules/typescript/bin/tsc", "--project", "."])
        .current_dir(installed("npm/relevo-worker/test/types"))
        .output()
        .expect("node runs");
    assert!(output.status.success(), "{}", told(&output));
}

/// The app that the tests drive has the adapter as the README shows it.
#[test]
fn the_readme_shows_the_adapter_that_is_tested() {
    let readme = root().join("npm/relevo-worker/README.md");
    let adapter = root().join("fixtures/frameworks/socketio/adapter.js");
    let readme = fs::read_to_string(readme).expect("a README");
    let adapter = fs::read_to_string(adapter).expect("an adapter");
    let code = adapter.split_once("word for word (a test compares them).\n").expect("a comment").1;
    let code = code.split_once("\nmodule.exports").expect("an export").0.trim();
    assert!(readme.contains(code), "the README's adapter is not\n{code}");
}
