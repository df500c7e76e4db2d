//! The agent's file: embedded in the binary, laid where `node --require` can read it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::configuration::Identity;
use crate::runtime_dir;

/// The agent's text.
const TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/agent.cjs"));

/// Where the agent lies.
#[derive(Clone, Debug)]
pub(crate) struct AgentFile {
    path: PathBuf,
    /// Its directory is not ours alone.
    is_public: bool,
}

impl AgentFile {
    /// Lays the file into the runtime directory that holds the services' own. Its name tells its
    /// content, so that services of different versions do not get in each other's way.
    pub(crate) fn place(runtime_dir: &Path) -> io::Result<Self> {
        Self::in_directory(runtime_dir, false)
    }

    /// Lays it where another user can read it, who may not look into the runtime directory.
    pub(crate) fn place_for(identity: &Identity) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::PermissionDenied);
        for directory in runtime_dir::public_candidates() {
            match Self::in_directory(&directory, true) {
                Ok(file) if identity.can_reach(&directory) => return Ok(file),
                Ok(file) => file.remove(),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn in_directory(directory: &Path, is_public: bool) -> io::Result<Self> {
        let path = directory.join(format!("agent-{:016x}.cjs", hash(TEXT)));
        let file = Self { path, is_public };
        file.ensure()?;
        Ok(file)
    }

    /// Another service may use the directory.
    fn remove(self) {
        let _ = fs::remove_file(&self.path);
        if let Some(directory) = self.path.parent() {
            let _ = fs::remove_dir(directory);
        }
    }

    /// Writes the file again if somebody took it away, and says where it is.
    pub(crate) fn ensure(&self) -> io::Result<&Path> {
        let intact = fs::metadata(&self.path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == TEXT.len() as u64);
        if !intact {
            if let Some(dir) = self.path.parent() {
                let created = if self.is_public {
                    runtime_dir::create_public(dir)
                } else {
                    runtime_dir::create_private(dir)
                };
                created.map_err(io::Error::other)?;
            }
            let unfinished = self.path.with_extension(format!("{}.tmp", std::process::id()));
            fs::write(&unfinished, TEXT)?;
            fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o444))?;
            fs::rename(&unfinished, &self.path)?;
        }
        Ok(&self.path)
    }
}

/// FNV-1a. It tells versions apart; it guards against nothing.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
