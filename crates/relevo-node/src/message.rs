//! What a worker says, typed.

use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::address::ListenAddress;
use crate::agent::FromAgent;

/// One line from a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum FromWorker {
    /// Node runs; user code has not been loaded yet.
    Online,
    /// The app wants to listen and waits for an answer.
    QueryServer(Query),
    /// The app listens.
    Listening(Listening),
    /// A server is closed: its key names nothing any more.
    Close {
        /// Whose.
        key: Key,
    },
    /// The worker leaves by its own will and waits for our acknowledgement.
    ExitedAfterDisconnect {
        /// What the acknowledgement has to name.
        seq: u64,
    },
    /// The answer to a message of ours: whether a dealt connection was accepted.
    Reply {
        /// The number of our message.
        ack: u64,
        /// Absent counts as no, as it does for Node.
        accepted: Option<bool>,
    },
    /// A descriptor of ours arrived.
    HandleAck,
    /// A message of ours arrived without its descriptor.
    HandleNack,
    /// The app passes us a handle, which Node wants acknowledged (section 2.8).
    UserHandle {
        /// Node's name of the server that a passed connection belongs to.
        key: Option<String>,
    },
    /// The app closes a server whose connections it has passed to us.
    SocketNotifyClose {
        /// Node's name of the server.
        key: String,
    },
    /// The app counts the connections of such a server.
    SocketGetCount {
        /// Node's name of the server.
        key: String,
    },
    /// The agent speaks.
    Agent(FromAgent),
    /// The app's own `process.send()`.
    User(UserMessage),
    /// Internal to Node and of no concern to a primary.
    Unknown,
}

/// A request to listen, `queryServer`.
#[derive(Clone, Debug)]
pub struct Query {
    /// The number of the message, which the answer names.
    pub seq: u64,
    /// Tells apart the servers of one worker that ask for the same address.
    pub index: u32,
    /// Where to listen.
    pub address: ListenAddress,
    /// The length of the accept queue the app wishes; `None` if it leaves that to us.
    pub backlog: Option<u32>,
    /// What has to be echoed, so that TLS servers share their ticket keys.
    pub data: Option<Box<RawValue>>,
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        let data = |query: &Self| query.data.as_ref().map(|data| data.get().to_owned());
        self.seq == other.seq
            && self.index == other.index
            && self.address == other.address
            && self.backlog == other.backlog
            && data(self) == data(other)
    }
}

/// The app listens: the query once more, with the port it really has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The index of the query.
    pub index: u32,
    /// The address of the query, with the real port.
    pub address: ListenAddress,
}

impl Listening {
    /// Whether this is the outcome of `query`: the same address, but any port if it asked for none.
    pub fn answers(&self, query: &Query) -> bool {
        self.answers_but_for_port(query)
            && match query.address.port() {
                None | Some(0) => true,
                wanted @ Some(_) => self.address.port() == wanted,
            }
    }

    /// The same for a query that was answered with a socket of another port.
    pub(crate) fn answers_but_for_port(&self, query: &Query) -> bool {
        self.index == query.index && self.address.is_other_only_by_port(&query.address)
    }
}

/// Names one server of a worker on its channel. The primary makes it; it must not be empty, nor
/// be the key of another open server of the same worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Key(pub String);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An app's own message, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserMessage {
    /// `"ready"`, `"online"` or `{"cmd":"ready"}`: the customary ways to say so.
    Ready,
    /// Anything else.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(port: u16) -> ListenAddress {
        ListenAddress::Tcp { host: None, port, ipv6_only: false }
    }

    #[test]
    fn a_listening_belongs_to_the_query_with_its_index_and_address() {
        let query = |address| Query { seq: 1, index: 1, address, backlog: None, data: None };
        let listening = |index, address| Listening { index, address };
        assert!(listening(1, tcp(80)).answers(&query(tcp(80))));
        assert!(listening(1, tcp(41_234)).answers(&query(tcp(0))));
        assert!(!listening(0, tcp(80)).answers(&query(tcp(80))), "another index");
        assert!(!listening(1, tcp(81)).answers(&query(tcp(80))), "another port");
        let v6 = ListenAddress::Tcp { host: None, port: 80, ipv6_only: true };
        assert!(!listening(1, v6).answers(&query(tcp(80))), "another address");
        let path = ListenAddress::Abstract { name: b"x".to_vec() };
        assert!(listening(1, path.clone()).answers(&query(path)));
    }
}
