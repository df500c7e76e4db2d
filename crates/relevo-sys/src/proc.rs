//! What `/proc` tells about processes and sockets: `proc(5)`.
//!
//! Every read is bounded; what lies beyond the bound is not seen. Everything here is advice for
//! messages and displays: a process may have ended, or opened another socket, by the time the answer
//! is read. Text is understood by pure functions, which are tested without `/proc`.

mod holder;
mod sockets;
mod threads;
mod usage;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use holder::{Holder, holder_of_abstract, holder_of_tcp, holder_of_unix};
pub(crate) use sockets::tcp_listeners;
pub use sockets::{
    OpenAddress, OpenListener, connected_peer_ports, has_connection_on, listening_sockets,
};
pub use threads::{SystemCall, Thread, is_woken_by, kernel_stack_of, threads_of, tracer_of};
pub use usage::{allowed_cpus, command_of, cpu_time_of, memory_of};

/// The text of a file, `limit_bytes` of it at most; `None` if it cannot be read.
pub(crate) fn read_bounded(path: impl AsRef<Path>, limit_bytes: u64) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(limit_bytes).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Control characters become `?`, and what ends each of several texts a space.
pub(crate) fn printable(text: &str) -> String {
    let shown = |character| match character {
        '\0' => ' ',
        character if char::is_control(character) => '?',
        character => character,
    };
    text.chars().map(shown).collect()
}
