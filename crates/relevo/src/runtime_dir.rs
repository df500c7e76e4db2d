//! Where control sockets and the agent's file lie: `docs/interface.md`, "Files".

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use relevo_sys::process::effective_uid;

/// Why a runtime directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeDirError {
    /// Somebody else could put things there.
    #[error(
        "{} belongs to user {owner}, not to user {me}; remove it, or set RELEVO_RUNTIME_DIR to a directory of your own",
        path.display()
    )]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who we are.
        me: u32,
    },
    /// It is a file, or a link.
    #[error("{} is not a directory; remove it, or set RELEVO_RUNTIME_DIR", path.display())]
    NotADirectory {
        /// What is there.
        path: PathBuf,
    },
    /// It cannot be made or written to.
    #[error("{} cannot be used: {source}", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// All places where a runtime directory may be, the one for new services first.
pub(crate) fn candidates() -> Vec<PathBuf> {
    let mut all = Vec::new();
    let from_environment =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    all.extend(from_environment("RELEVO_RUNTIME_DIR"));
    all.extend(from_environment("XDG_RUNTIME_DIR").map(|dir| dir.join("relevo")));
    let uid = effective_uid();
    if uid == 0 {
        all.push(PathBuf::from("/run/relevo"));
    }
    all.push(PathBuf::from(format!("/tmp/relevo-{uid}")));
    all
}

/// Makes a directory for the service in the first candidate that can be written to; both are ours
/// alone. Where `RELEVO_RUNTIME_DIR` names a place, only that will do: `XDG_RUNTIME_DIR` is often left
/// over from another user (`su`), but this was meant.
pub(crate) fn create(service: &str) -> Result<PathBuf, RuntimeDirError> {
    let mut places = candidates();
    if std::env::var_os("RELEVO_RUNTIME_DIR").is_some_and(|value| !value.is_empty()) {
        places.truncate(1);
    }
    let mut unusable = None;
    for base in places {
        let dir = base.join(service);
        match create_private(&base).and_then(|()| create_private(&dir)) {
            Ok(()) => return Ok(dir),
            Err(error @ RuntimeDirError::Unusable { .. }) => {
                unusable.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(unusable.unwrap_or_else(|| unreachable!("there is always a place in /tmp")))
}

/// Directories beside those, for what other users may read.
pub(crate) fn public_candidates() -> Vec<PathBuf> {
    let beside = |private: PathBuf| {
        let mut name = private.file_name()?.to_owned();
        name.push("-agent");
        Some(private.with_file_name(name))
    };
    candidates().into_iter().filter_map(beside).collect()
}

/// A directory with mode 0700 that belongs to us.
pub(crate) fn create_private(path: &Path) -> Result<(), RuntimeDirError> {
    create_with_mode(path, 0o700)
}

/// One that everybody can read, and only we can write to.
pub(crate) fn create_public(path: &Path) -> Result<(), RuntimeDirError> {
    create_with_mode(path, 0o755)
}

fn create_with_mode(path: &Path, mode: u32) -> Result<(), RuntimeDirError> {
    let unusable = |source| RuntimeDirError::Unusable { path: path.to_owned(), source };
    match fs::DirBuilder::new().mode(mode).recursive(true).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unusable(error)),
    }
    check_owner(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(unusable)
}

/// Refuses a directory that is a link or belongs to somebody else.
pub(crate) fn check_owner(path: &Path) -> Result<(), RuntimeDirError> {
    let metadata = fs::symlink_metadata(path)
        .map_err(|source| RuntimeDirError::Unusable { path: path.to_owned(), source })?;
    if !metadata.is_dir() {
        return Err(RuntimeDirError::NotADirectory { path: path.to_owned() });
    }
    let (owner, me) = (metadata.uid(), effective_uid());
    if owner != me {
        return Err(RuntimeDirError::Owner { path: path.to_owned(), owner, me });
    }
    Ok(())
}
