//! A service manager's end of `sd_notify(3)`.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use super::{PATIENCE, TempDir};

/// The socket that `NOTIFY_SOCKET` names.
pub(crate) struct Manager {
    socket: UnixDatagram,
    directory: TempDir,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new("notify");
        let socket = UnixDatagram::bind(directory.join("socket")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { socket, directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// The next datagram, by line.
    pub(crate) fn next(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("a datagram in time");
        String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned).collect()
    }

    /// What has come and was not taken: there must be nothing more.
    pub(crate) fn assert_empty(&self) {
        self.socket.set_nonblocking(true).expect("an option");
        let mut buffer = [0; 4096];
        let more = self.socket.recv(&mut buffer).ok();
        let more = more.map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned());
        assert_eq!(more, None);
    }
}
