//! The agent's file: embedded in the binary, laid where `node --require` can read it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::runtime_dir;

/// The agent's text.
const TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/agent.cjs"));

/// Where the agent lies.
#[derive(Clone, Debug)]
pub(crate) struct AgentFile {
    path: PathBuf,
}

impl AgentFile {
    /// Lays the file into the runtime directory that holds the services' own. Its name tells its
    /// content, so that services of different versions do not get in each other's way.
    pub(crate) fn place(runtime_dir: &Path) -> io::Result<Self> {
        let file = Self { path: runtime_dir.join(format!("agent-{:016x}.cjs", hash(TEXT))) };
        file.ensure()?;
        Ok(file)
    }

    /// Writes the file again if somebody took it away, and says where it is.
    pub(crate) fn ensure(&self) -> io::Result<&Path> {
        let intact = fs::metadata(&self.path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == TEXT.len() as u64);
        if !intact {
            if let Some(dir) = self.path.parent() {
                runtime_dir::create_private(dir).map_err(io::Error::other)?;
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
