//! Unix sockets that listen, at a path or under an abstract name; see `unix(7)`.
//!
//! A socket's file outlives the process that bound it. What lies at a path decides:
//!
//! ```text
//! nothing ──────────────────────────► bind
//! a socket that refuses connections ► stale: remove it, bind
//! a socket that somebody serves ────► EADDRINUSE
//! anything else ────────────────────► EADDRINUSE; it is not ours to remove
//! ```

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, chmod, lstat, unlink};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

use super::backlog_argument;

/// The longest path a Unix socket can have: `sun_path` with its NUL byte.
pub const PATH_LIMIT_BYTES: usize = 107;

/// Which file it is, whatever path leads to it.
///
/// No other file gets the same identity as long as the socket bound to this one is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// The device the file is on.
    pub device: u64,
    /// The file's number on that device.
    pub inode: u64,
}

/// A socket that listens at a path, and the file that stands for it there.
#[derive(Debug)]
pub struct UnixListener {
    /// The socket.
    pub socket: OwnedFd,
    /// Its file, to remove by [`remove_if_ours`] when the socket is closed.
    pub file: FileIdentity,
}

/// A stream socket that listens at `path`. A stale file there is removed first.
///
/// `readable_all` and `writable_all` add permissions for everyone to what the umask left, as
/// libuv's `uv_pipe_chmod` does for Node's options of these names. A client needs write permission.
///
/// Two processes that do this at the same moment for the same path may both succeed, the second
/// having taken the first's file for stale because that did not listen yet. Who cannot rule that out
/// takes a lock first.
///
/// # Errors
///
/// `EADDRINUSE` when somebody serves the path or something else than a socket lies there,
/// `ENAMETOOLONG` over [`PATH_LIMIT_BYTES`], `EINVAL` for an empty path or one with a NUL byte, and what
/// `bind(2)` gives: `ENOENT`, `EACCES`, `EROFS`.
pub fn unix_listener(
    path: &Path,
    backlog: u32,
    readable_all: bool,
    writable_all: bool,
) -> Result<UnixListener, Errno> {
    let address = path_address(path)?;
    let socket = stream_socket()?;
    match bind(&socket, &address) {
        Err(Errno::ADDRINUSE) => {
            remove_stale(path, &address)?;
            bind(&socket, &address)?;
        }
        other => other?,
    }
    let file = identity(path)?.ok_or(Errno::ADDRINUSE)?;
    let opened = open_to_all(path, readable_all, writable_all)
        .and_then(|()| listen(&socket, backlog_argument(backlog)));
    if let Err(errno) = opened {
        // The file is of no use without its socket; the failure worth reporting is the first.
        let _ = remove_if_ours(path, file);
        return Err(errno);
    }
    Ok(UnixListener { socket, file })
}

/// A stream socket that listens under an abstract name, given without its leading NUL byte.
///
/// # Errors
///
/// `EADDRINUSE` when the name is taken, `ENAMETOOLONG` over [`PATH_LIMIT_BYTES`], `EINVAL` for an
/// empty name.
pub fn abstract_listener(name: &[u8], backlog: u32) -> Result<OwnedFd, Errno> {
    let address = abstract_address(name)?;
    let socket = stream_socket()?;
    bind(&socket, &address)?;
    listen(&socket, backlog_argument(backlog))?;
    Ok(socket)
}

/// Removes the socket's file at `path` if it still is the one of that identity; whether it was.
///
/// To be called while the socket is open: once it is closed, and its file removed by somebody else,
/// the file system may give the same number to the next file.
pub fn remove_if_ours(path: &Path, file: FileIdentity) -> Result<bool, Errno> {
    if identity(path)? != Some(file) {
        return Ok(false);
    }
    match unlink(path) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// A new stream socket, non-blocking and close-on-exec.
pub(crate) fn stream_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// The address of an abstract name. An empty one would make the kernel choose a name.
pub(crate) fn abstract_address(name: &[u8]) -> Result<SocketAddrUnix, Errno> {
    if name.is_empty() {
        return Err(Errno::INVAL);
    }
    SocketAddrUnix::new_abstract_name(name)
}

fn path_address(path: &Path) -> Result<SocketAddrUnix, Errno> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(Errno::INVAL);
    }
    if bytes.len() > PATH_LIMIT_BYTES {
        return Err(Errno::NAMETOOLONG);
    }
    SocketAddrUnix::new(path)
}

/// The identity of the socket file at `path`; `None` when there is nothing, or something else.
fn identity(path: &Path) -> Result<Option<FileIdentity>, Errno> {
    match lstat(path) {
        Ok(status) if FileType::from_raw_mode(status.st_mode) == FileType::Socket => {
            Ok(Some(FileIdentity { device: status.st_dev, inode: status.st_ino }))
        }
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Removes what lies at `path` if it is a socket that nobody serves.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), Errno> {
    let Some(found) = identity(path)? else {
        return match lstat(path) {
            Err(Errno::NOENT) => Ok(()),
            _ => Err(Errno::ADDRINUSE),
        };
    };
    match connect(stream_socket()?, address) {
        Err(Errno::CONNREFUSED) => {}
        Err(Errno::NOENT) => return Ok(()),
        // Served (`Ok`, and `EAGAIN` when its queue is full), of another type, or not for us to ask.
        Ok(()) | Err(_) => return Err(Errno::ADDRINUSE),
    }
    remove_if_ours(path, found)?;
    Ok(())
}

fn open_to_all(path: &Path, readable: bool, writable: bool) -> Result<(), Errno> {
    let mut wanted = Mode::empty();
    if readable {
        wanted |= Mode::RUSR | Mode::RGRP | Mode::ROTH;
    }
    if writable {
        wanted |= Mode::WUSR | Mode::WGRP | Mode::WOTH;
    }
    let now = Mode::from_raw_mode(lstat(path)?.st_mode);
    if now.contains(wanted) { Ok(()) } else { chmod(path, now | wanted) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;
    use crate::socket::{SocketName, accept, is_nonblocking, local_address};
    use crate::test_support::{Directory, eventually};

    fn refusal(path: &Path) -> Errno {
        unix_listener(path, 5, false, false).unwrap_err()
    }

    #[test]
    fn a_path_is_served() {
        let directory = Directory::new();
        let path = directory.join("a.sock");
        let listener = unix_listener(&path, 5, false, false).unwrap();
        assert_eq!(is_nonblocking(&listener.socket), Ok(true));
        assert_eq!(local_address(&listener.socket), Ok(SocketName::UnixPath(path.clone())));
        let _client = UnixStream::connect(&path).unwrap();
        eventually("the connection", || accept(&listener.socket).unwrap());
    }

    #[test]
    fn a_stale_file_is_bound_anew() {
        let directory = Directory::new();
        let path = directory.join("a.sock");
        drop(unix_listener(&path, 5, false, false).unwrap());
        assert!(path.exists());
        let listener = unix_listener(&path, 5, false, false).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        eventually("the connection", || accept(&listener.socket).unwrap());
    }

    #[test]
    fn a_served_file_is_in_use_with_its_queue_empty_and_full() {
        let directory = Directory::new();
        let path = directory.join("a.sock");
        let listener = unix_listener(&path, 0, false, false).unwrap();
        // Each refusal leaves a connection in the queue, so that later ones meet it full.
        for _ in 0..4 {
            assert_eq!(refusal(&path), Errno::ADDRINUSE);
        }
        drop(listener);
        unix_listener(&path, 5, false, false).unwrap();
    }

    #[test]
    fn what_is_no_stream_socket_is_left_alone() {
        let directory = Directory::new();
        let file = directory.join("file");
        std::fs::write(&file, "kept").unwrap();
        assert_eq!(refusal(&file), Errno::ADDRINUSE);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");

        let link = directory.join("link");
        std::os::unix::fs::symlink(directory.join("nowhere"), &link).unwrap();
        assert_eq!(refusal(&link), Errno::ADDRINUSE);
        assert!(link.is_symlink());

        let datagram = directory.join("datagram");
        let _socket = UnixDatagram::bind(&datagram).unwrap();
        assert_eq!(refusal(&datagram), Errno::ADDRINUSE);
        assert!(datagram.exists());
        assert_eq!(refusal(directory.path()), Errno::ADDRINUSE);
    }

    #[test]
    fn only_our_own_file_is_removed() {
        let directory = Directory::new();
        let path = directory.join("a.sock");
        let ours = unix_listener(&path, 5, false, false).unwrap();
        std::fs::remove_file(&path).unwrap();
        let theirs = unix_listener(&path, 5, false, false).unwrap();
        assert_eq!(remove_if_ours(&path, ours.file), Ok(false));
        assert!(path.exists());
        assert_eq!(remove_if_ours(&path, theirs.file), Ok(true));
        assert!(!path.exists());
        assert_eq!(remove_if_ours(&path, theirs.file), Ok(false));
    }

    #[test]
    fn permissions_are_added_to_what_the_umask_left() {
        let directory = Directory::new();
        let mode = |readable, writable| {
            let path = directory.join(&format!("{readable}-{writable}.sock"));
            unix_listener(&path, 5, readable, writable).unwrap();
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777
        };
        let plain = mode(false, false);
        assert_eq!(mode(true, false), plain | 0o444);
        assert_eq!(mode(false, true), plain | 0o222);
        assert_eq!(mode(true, true), plain | 0o666);
    }

    #[test]
    fn names_that_cannot_be() {
        let directory = Directory::new();
        let room = PATH_LIMIT_BYTES - directory.path().as_os_str().len() - 1;
        unix_listener(&directory.join(&"a".repeat(room)), 5, false, false).unwrap();
        assert_eq!(refusal(&directory.join(&"a".repeat(room + 1))), Errno::NAMETOOLONG);
        assert_eq!(refusal(Path::new("")), Errno::INVAL);
        assert_eq!(refusal(&directory.join("a\0b")), Errno::INVAL);
        assert_eq!(refusal(&directory.join("missing/a.sock")), Errno::NOENT);
    }

    #[test]
    fn an_abstract_name_is_taken_once() {
        let name = format!("relevo-sys-test-{}", std::process::id()).into_bytes();
        let listener = abstract_listener(&name, 5).unwrap();
        assert_eq!(local_address(&listener), Ok(SocketName::Abstract(name.clone())));
        assert_eq!(abstract_listener(&name, 5).unwrap_err(), Errno::ADDRINUSE);
        drop(listener);
        abstract_listener(&name, 5).unwrap();
        assert_eq!(abstract_listener(b"", 5).unwrap_err(), Errno::INVAL);
        assert_eq!(abstract_listener(&[b'a'; 108], 5).unwrap_err(), Errno::NAMETOOLONG);
    }
}
