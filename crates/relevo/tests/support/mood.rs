//! A `moody.js`, which boots as the test wishes.

use std::path::PathBuf;

use super::service::Setup;
use super::{TempDir, fixture};

/// The file with its mood.
pub(crate) struct Mood(TempDir);

impl Mood {
    pub(crate) fn new() -> Self {
        Self(TempDir::new("mood"))
    }

    fn path(&self) -> PathBuf {
        self.0.join("mood")
    }

    /// The mood of every worker that is started from now on.
    pub(crate) fn set(&self, mood: &str) {
        std::fs::write(self.path(), mood).expect("the mood's file");
    }

    /// The same for one slot alone.
    pub(crate) fn set_in_slot(&self, slot: u32, mood: &str) {
        std::fs::write(self.0.join(&format!("mood.{slot}")), mood).expect("the mood's file");
    }

    /// A service that goes by this file.
    pub(crate) fn service(&self, port: u16, options: &str) -> Setup {
        Setup::new(22, fixture("moody.js"))
            .options(options)
            .env("PORT", port)
            .env("MOOD_FILE", self.path().display())
    }
}
