//! What env files and options add to the environment of workers.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use relevo_config::{EnvPair, env_file};

use super::file::{read_beginning, read_regular};
use super::{Fault, Identity};
use crate::cli::error_text;
use crate::primary::environment;

/// An env file that was read.
#[derive(Clone, Debug)]
pub(crate) struct EnvFile {
    path: PathBuf,
    pairs: Vec<(String, String)>,
    /// A pipe, such as a shell's `<(…)`: what was read from it is not there any more.
    is_gone: bool,
}

/// The variables that all workers share: those of our own environment, of their user, of files, of
/// options.
pub(super) fn shared(
    identity: Option<&Identity>,
    files: &[EnvFile],
    options: &[EnvPair],
) -> Vec<(OsString, OsString)> {
    let of_user = identity.into_iter().flat_map(Identity::variables);
    let of_files = files.iter().flat_map(|file| file.pairs.iter().cloned());
    let of_options = options.iter().map(|pair| (pair.key.clone(), pair.value.clone()));
    environment::shared(std::env::vars_os(), of_user.chain(of_files).chain(of_options))
}

/// Reads a file. `before` has those of a service that runs.
pub(super) fn read(path: &Path, before: Option<&[EnvFile]>) -> Result<EnvFile, Fault> {
    let mut kept = before.into_iter().flatten().filter(|file| file.is_gone && file.path == path);
    if let Some(kept) = kept.next() {
        return Ok(kept.clone());
    }
    let label = path.display();
    let (bytes, is_gone) = read_bytes(path, before.is_none()).map_err(|error| {
        let why = error_text(&error);
        let remedy = "name a file of KEY=value lines that is there and may be read";
        Fault::new("env-file", format!("{label}: {why}: {remedy}"))
    })?;
    match env_file::parse(&bytes) {
        Ok(pairs) => Ok(EnvFile { path: path.to_owned(), pairs, is_gone }),
        Err(faults) => {
            // What such files hold are secrets, and what we write goes to logs.
            let rendered = faults.render(&label.to_string(), &env_file::masked(&bytes));
            let detail = rendered.lines().map(str::to_owned).collect();
            let sentence = format!("{label} has faults: correct them, values are not shown");
            Err(Fault::new("env-file", sentence).with_detail(detail))
        }
    }
}

/// The beginning of the file, and whether it can be read only once. Whoever may wait takes pipes, too;
/// no more is read than is needed to have a file refused that is too large, or has no end.
fn read_bytes(path: &Path, may_wait: bool) -> io::Result<(Vec<u8>, bool)> {
    if !may_wait {
        return Ok((read_regular(path, env_file::MAX_BYTES)?, false));
    }
    let file = fs::File::open(path)?;
    let is_gone = !file.metadata()?.is_file();
    Ok((read_beginning(file, env_file::MAX_BYTES)?, is_gone))
}
