//! Finding and reading a `relevo.toml`.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use relevo_config::{ConfigFile, config_file};
use rustix::fs::OFlags;

use super::Faults;
use crate::cli::{Failure, error_text};

/// A file that was read, with what is needed to show its lines.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: ConfigFile,
    path: PathBuf,
    /// The path as a user would write it.
    pub(super) label: String,
    pub(super) text: Vec<u8>,
}

impl Found {
    /// Relative paths in the file start here.
    pub(super) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// The `relevo.toml` of a directory, also one that cannot be read: that is an error worth telling.
pub(crate) fn find(directory: &Path) -> Option<PathBuf> {
    let path = directory.join(config_file::FILE_NAME);
    fs::symlink_metadata(&path).is_ok().then_some(path)
}

/// Reads a file, or finds all that is wrong in it. It is named as seen from `here`.
pub(super) fn read(path: &Path, here: &Path) -> Result<Found, Box<Faults>> {
    let label = path.strip_prefix(here).unwrap_or(path).display().to_string();
    let text = read_regular(path, config_file::MAX_BYTES).map_err(|error| {
        let why = error_text(&error);
        let remedy = "name a relevo.toml that is there and may be read";
        Faults::alone(Failure::usage(format!("{label}: {why}: {remedy}")))
    })?;
    match ConfigFile::parse(&text) {
        Ok(file) => Ok(Found { file, path: path.to_owned(), label, text }),
        Err(faults) => Err(Faults::of_text(label, text, faults).into()),
    }
}

/// The beginning of a regular file: one byte more than is allowed, so that more is refused. What is no
/// regular file may have no end, or nobody who writes to it.
pub(super) fn read_regular(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    read_beginning(file, most)
}

/// The beginning of anything, likewise.
pub(crate) fn read_beginning(file: fs::File, most: usize) -> io::Result<Vec<u8>> {
    let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
