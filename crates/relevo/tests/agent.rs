//! The agent's own tests (`agent/test`), on every Node major.

mod support;

use std::process::Command;

use support::{nodes, root};

#[test]
fn the_agents_own_tests_pass_on_every_major() {
    let majors = nodes::MAJORS.map(nodes::node);
    let output = Command::new(&majors[1])
        .arg(root().join("agent/test/run.cjs"))
        .args(&majors)
        .output()
        .expect("node runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    // A runner that ran nothing must not count as one that found nothing.
    assert_eq!(text.matches(" fail 0").count(), majors.len() * 2, "{text}");
    assert!(!text.contains(" pass 0"), "{text}");
}
