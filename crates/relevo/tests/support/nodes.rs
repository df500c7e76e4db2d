//! Real Node binaries of every major, from the npm packages that `fixtures/node` names.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::root;

/// The majors that everything is tried on.
pub(crate) const MAJORS: [u32; 5] = [18, 20, 22, 24, 26];

/// Those on which plain HTTP alone is promised, and nothing can be handed over.
pub(crate) const OLDEST: [u32; 2] = [14, 16];

/// The binary of one major. Installs all of them the first time.
pub(crate) fn node(major: u32) -> PathBuf {
    let directory = root().join("fixtures/node");
    let binary = directory.join(format!("node_modules/node{major}/bin/node"));
    if !binary.exists() {
        install(&binary);
    }
    assert!(binary.exists(), "{} is missing: run `npm ci` in fixtures/node", binary.display());
    binary
}

/// One test program at a time; the others find it done.
fn install(wanted: &Path) {
    let directory = root().join("fixtures/node");
    let lock =
        File::create(std::env::temp_dir().join("relevo-fixtures.lock")).expect("a lock file");
    lock.lock().expect("the lock");
    if wanted.exists() {
        return;
    }
    let status = Command::new("npm").arg("ci").current_dir(&directory).status();
    assert!(status.is_ok_and(|s| s.success()), "`npm ci` in fixtures/node failed");
}
