//! The agent's own tests (`agent/test`), on every Node major.

mod support;

use std::process::Command;

use support::{nodes, root};

#[test]
fn the_agents_own_tests_pass_on_every_major() {
    let majors: Vec<_> = nodes::OLDEST.into_iter().chain(nodes::MAJORS).map(nodes::node).collect();
    let output = Command::new(nodes::node(20))
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
