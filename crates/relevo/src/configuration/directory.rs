//! The directory for the workers, as the user knows it: symbolic links on the way to it are resolved
//! for each worker anew, so that a link that moved on takes effect.

use std::path::{Path, PathBuf};

use relevo_config::Options;

use super::Fault;
use crate::cli::{Failure, error_text};

/// `--cwd`, else that of the `relevo.toml`, else where the command was typed: `base` is the latter.
pub(super) fn working_directory(
    base: &Path,
    here: &Path,
    options: &Options,
) -> Result<PathBuf, Fault> {
    let directory = options.cwd.as_ref().map_or_else(|| base.to_owned(), |cwd| here.join(cwd));
    let refuse = |why: &str| {
        let shown = directory.display();
        Err(Fault::new("cwd", format!("{shown}: {why}: name a directory that is there")))
    };
    match std::fs::metadata(&directory) {
        Ok(metadata) if metadata.is_dir() => Ok(directory),
        Ok(_) => refuse("it is not a directory"),
        Err(error) => refuse(&error_text(&error)),
    }
}

/// `PWD` keeps the links that `getcwd(3)` has resolved, where it tells the truth.
pub(crate) fn logical_current_directory() -> Result<PathBuf, Failure> {
    use std::os::unix::fs::MetadataExt;
    let identity =
        |path: &Path| std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let logical = std::env::var_os("PWD").map(PathBuf::from).filter(|pwd| pwd.is_absolute());
    if let Some(logical) = logical
        && identity(&logical).is_some_and(|id| Some(id) == identity(Path::new(".")))
    {
        return Ok(logical);
    }
    std::env::current_dir()
        .map_err(|error| Failure::usage(format!("the current directory cannot be used: {error}")))
}
