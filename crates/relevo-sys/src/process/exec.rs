//! Becoming another program: `execve(2)`.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;

use crate::signals;

/// Replaces this process by `program`, which gets exactly `environment` and whatever descriptors
/// are not close-on-exec. Returns only when that fails.
///
/// A program without a slash is looked for along the PATH of `environment`. All signals are let
/// through first, and SIGPIPE, which Rust ignores, gets its default back; others that are ignored
/// stay so (`nohup`).
pub fn exec<Argument, Name, Value>(
    program: &OsStr,
    arguments: impl IntoIterator<Item = Argument>,
    environment: impl IntoIterator<Item = (Name, Value)>,
) -> Errno
where
    Argument: AsRef<OsStr>,
    Name: AsRef<OsStr>,
    Value: AsRef<OsStr>,
{
    if let Err(errno) = signals::unblock_all() {
        return errno;
    }
    let error = Command::new(program).args(arguments).env_clear().envs(environment).exec();
    // The one failure that is not the system's is a NUL byte in a string.
    Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
}
