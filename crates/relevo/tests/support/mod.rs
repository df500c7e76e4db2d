//! What the end-to-end tests share: real Node binaries, the real `relevo`, real clients.
//!
//! Nothing here sleeps for a fixed time in order to wait for something: [`eventually`] waits for a
//! state, and says what the last one was when it does not come.

#![expect(dead_code, reason = "each test program uses a part of this")]

pub(crate) mod client;
pub(crate) mod far;
pub(crate) mod installed;
pub(crate) mod load;
pub(crate) mod mood;
pub(crate) mod nodes;
pub(crate) mod notify;
pub(crate) mod place;
pub(crate) mod ports;
pub(crate) mod proc;
pub(crate) mod relevo;
pub(crate) mod service;
pub(crate) mod traffic;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long any state may take to come. Generous: the machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Every `--balance`.
pub(crate) const BALANCES: [&str; 5] =
    ["auto", "kernel", "least-connections", "round-robin", "shared"];

/// The top of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the checkout")
}

/// One of the programs in `fixtures/apps`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    root().join("fixtures/apps").join(name)
}

/// Asks again and again until the answer is `Ok`, and panics with the last `Err` if it never is.
pub(crate) fn eventually<T, E: Debug>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) if Instant::now() >= until => {
                panic!("{what}: not within {PATIENCE:?}; last seen: {last:?}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// A directory of a test's own, removed with it.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(purpose: &str) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("relevo-{purpose}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
