//! The clients of `fixtures/frameworks/client`: TLS, HTTP/2, WebSocket and Socket.IO, as Node speaks them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use serde_json::Value;

use crate::support::installed::installed;
use crate::support::{PATIENCE, nodes};

/// A process with clients. Dropping it kills it.
pub(crate) struct Foreign {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Foreign {
    /// Clients of the service on this port, each wish a kind and a count: `https-kept=4`.
    pub(crate) fn start(port: u16, wishes: &[String]) -> Self {
        let mut child = Command::new(nodes::node(22))
            .arg("main.js")
            .arg(port.to_string())
            .args(wishes)
            .current_dir(installed("fixtures/frameworks/client"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("piped");
        let (told, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    /// Returns when every client has had an answer.
    pub(crate) fn begun(&mut self) {
        self.ask("begun");
    }

    /// Returns when every client that does not pause for long has done once more what it does.
    pub(crate) fn round(&mut self) {
        self.ask("round");
    }

    /// Lets them finish, and returns what became of everything.
    pub(crate) fn end(mut self) -> Value {
        drop(self.stdin.take());
        let account = self.next_line().expect("an account");
        serde_json::from_str(&account).unwrap_or_else(|error| panic!("{error}: {account}"))
    }

    fn ask(&mut self, word: &str) {
        let stdin = self.stdin.as_mut().expect("it is taken at the end only");
        writeln!(stdin, "{word}").expect("the clients run");
        if self.next_line().as_deref() != Ok(word) {
            // What became of the requests so far says more than that.
            drop(self.stdin.take());
            panic!("the clients have not said `{word}`: {:?}", self.next_line());
        }
    }

    fn next_line(&self) -> Result<String, RecvTimeoutError> {
        self.lines.recv_timeout(PATIENCE)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
