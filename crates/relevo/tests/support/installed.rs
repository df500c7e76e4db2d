//! Folders with a `package-lock.json`, and what it names.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::relevo::path_with;
use super::root;

/// The directory, once what its lock file names is installed and what wants a build is built. One that depends on nothing
/// is as it is.
pub(crate) fn installed(folder: &str) -> PathBuf {
    let directory = root().join(folder);
    if !directory.join("package.json").exists() {
        return directory;
    }
    // Several test programs may get here at once; the others find it done.
    let lock = format!("relevo-{}.lock", folder.replace('/', "-"));
    let lock = File::create(std::env::temp_dir().join(lock)).expect("a lock file");
    lock.lock().expect("the lock");
    let install = Command::new(root().join("fixtures/frameworks/install"))
        .arg(&directory)
        .env("PATH", path_with(22))
        .output()
        .expect("the script of the checkout");
    assert!(
        install.status.success(),
        "{folder} could not be installed: {}{}",
        String::from_utf8_lossy(&install.stdout),
        String::from_utf8_lossy(&install.stderr)
    );
    directory
}

/// The version of a package that is installed there.
pub(crate) fn version(folder: &str, package: &str) -> String {
    let file = root().join(folder).join("node_modules").join(package).join("package.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("{}", file.display()));
    let described: Value = serde_json::from_str(&text).expect("JSON");
    described["version"].as_str().expect("a version").to_owned()
}
