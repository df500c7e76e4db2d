//! A node and an app where other users can reach them: the checkout may be where only its owner can go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::service::Setup;
use super::{TempDir, fixture, nodes};

/// A directory of the test's own.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new(app: &str) -> Self {
        let place = Self(TempDir::new("place"));
        fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let node = nodes::node(22);
        fs::hard_link(&node, place.node())
            .or_else(|_| fs::copy(&node, place.node()).map(drop))
            .expect("a copy of node");
        fs::copy(fixture(app), place.script()).expect("a copy of the app");
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn node(&self) -> PathBuf {
        self.0.join("node")
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.0.join("app.js")
    }

    pub(crate) fn service(&self, port: u16, options: &str) -> Setup {
        Setup::with_node(self.node(), self.script())
            .directory(self.path())
            .options(options)
            .env("PORT", port)
    }
}
