//! Answers to a worker's requests to listen.

use serde_json::value::RawValue;
use thiserror::Error;

use super::outbox::Carries;
use super::servers::MAX_KEYS;
use super::{Channel, MAX_UNACKNOWLEDGED, State};
use crate::encode::{HandleType, Reply, SockName};
use crate::message::{Key, Query};

const EINVAL: i32 = 22;
const EMFILE: i32 = 24;

/// A request to listen that waits for its answer: the worker is loaded, but invisible, until it
/// gets one. Withholding it for ever is harmless.
///
/// An answer takes it, so there is only one:
///
/// ```compile_fail,E0382
/// use relevo_node::{Channel, PendingQuery};
///
/// fn twice(channel: &mut Channel, query: PendingQuery) {
///     channel.refuse(query, 98, None);
///     channel.refuse(query, 98, None);
/// }
/// ```
///
/// and it cannot be copied:
///
/// ```compile_fail,E0599
/// fn copy(query: relevo_node::PendingQuery) -> (relevo_node::PendingQuery, relevo_node::PendingQuery) {
///     (query.clone(), query)
/// }
/// ```
#[derive(Debug, PartialEq)]
#[must_use = "the worker waits for an answer"]
pub struct PendingQuery {
    query: Query,
}

impl PendingQuery {
    /// What the worker asks for.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Of the data we were given and the worker's own, what may be echoed: a TLS server that gets
    /// none back crashes, even where it is refused (section 2.4).
    fn echo<'a>(&'a self, data: Option<&'a RawValue>) -> Option<&'a RawValue> {
        data.filter(|data| data.get().trim() != "null").or(self.query.data.as_deref())
    }
}

/// Whether the worker is to check that the shared socket has the port the app asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortCheck {
    /// It should; Node says `EADDRINUSE` otherwise.
    Check,
    /// It may have another one.
    Skip,
}

/// Why an answer was not given as wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAnswered {
    /// The worker goes, or is gone. It was told nothing: an answer now would leave it hanging.
    #[error("the worker is leaving")]
    Leaving,
    /// It has more servers open than anybody needs, or has opened as many without acknowledging
    /// their sockets. It was refused with `EMFILE`.
    #[error("the worker has {MAX_KEYS} servers open")]
    TooManyKeys,
    /// A bug of the caller: an open server has this key, or it is empty. The worker was refused
    /// with `EINVAL`, for a key that is there twice kills it.
    #[error("the key names another server already")]
    BadKey,
    /// A bug of the caller: datagram sockets are shared, never dealt. The worker was refused with
    /// `EINVAL`.
    #[error("datagrams cannot be dealt")]
    Datagram,
}

impl Channel {
    /// Counts a query that the caller is about to be given.
    pub(super) fn pend(&mut self, query: Query) -> PendingQuery {
        self.unanswered += 1;
        PendingQuery { query }
    }

    /// Refuses a query of which the caller never hears.
    pub(super) fn refuse_unheard(&mut self, query: Query) {
        self.reply_error(&PendingQuery { query }, EMFILE, None);
    }

    /// Lets the worker listen on a duplicate of `listener` itself. `data` is what is echoed: the
    /// first worker's, if the servers of several workers are to share it.
    ///
    /// # Errors
    ///
    /// See [`NotAnswered`]; the query is settled all the same.
    pub fn answer_shared(
        &mut self,
        query: PendingQuery,
        key: Key,
        port: PortCheck,
        listener: u64,
        data: Option<&RawValue>,
    ) -> Result<(), NotAnswered> {
        self.admit(&query, &key, data)?;
        let errno = match port {
            PortCheck::Check => Some(0),
            PortCheck::Skip => None,
        };
        let handle = if query.query.address.is_datagram() {
            HandleType::Datagram
        } else {
            HandleType::Stream
        };
        let seq = self.outbox.next_seq();
        let reply = Reply::new(errno, &key, query.query.seq, query.echo(data), seq);
        let bytes = reply.with_handle(handle);
        let server = self.servers.open(key.clone(), query.query, port == PortCheck::Skip);
        self.outbox.queue(bytes, Carries::Listener { listener, key, server });
        Ok(())
    }

    /// Lets the worker listen for connections that are [dealt](Self::deal) to it. Without a
    /// `sockname`, as for a path, `server.address()` is null.
    ///
    /// # Errors
    ///
    /// See [`NotAnswered`]; the query is settled all the same.
    pub fn answer_dealt(
        &mut self,
        query: PendingQuery,
        key: Key,
        sockname: Option<SockName>,
        data: Option<&RawValue>,
    ) -> Result<(), NotAnswered> {
        if query.query.address.is_datagram() {
            debug_assert!(false, "datagrams cannot be dealt: {query:?}");
            self.refuse(query, EINVAL, data);
            return Err(NotAnswered::Datagram);
        }
        self.admit(&query, &key, data)?;
        let seq = self.outbox.next_seq();
        let reply = Reply::new(None, &key, query.query.seq, query.echo(data), seq).named(sockname);
        self.outbox.queue(reply.plain(), Carries::Nothing);
        self.servers.open(key, query.query, false);
        Ok(())
    }

    /// Makes the app's `listen()` fail with `errno`, which is positive, as the system has it.
    /// `false`: the worker is leaving and was told nothing.
    #[expect(clippy::needless_pass_by_value, reason = "a query is answered once")]
    pub fn refuse(&mut self, query: PendingQuery, errno: i32, data: Option<&RawValue>) -> bool {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.state != State::Open {
            return false;
        }
        self.reply_error(&query, errno, data);
        true
    }

    /// What both kinds of success need. The query no longer waits, whatever comes of it.
    fn admit(
        &mut self,
        query: &PendingQuery,
        key: &Key,
        data: Option<&RawValue>,
    ) -> Result<(), NotAnswered> {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.state != State::Open {
            return Err(NotAnswered::Leaving);
        }
        if key.0.is_empty() || self.servers.contains(key) {
            debug_assert!(false, "the key {key:?} cannot name another server");
            self.reply_error(query, EINVAL, data);
            return Err(NotAnswered::BadKey);
        }
        // Closing a server does not acknowledge its socket.
        let has_caught_up = self.outbox.outstanding() < MAX_KEYS + MAX_UNACKNOWLEDGED;
        if self.servers.is_full() || !has_caught_up {
            self.reply_error(query, EMFILE, data);
            return Err(NotAnswered::TooManyKeys);
        }
        Ok(())
    }

    fn reply_error(&mut self, query: &PendingQuery, errno: i32, data: Option<&RawValue>) {
        debug_assert!(errno > 0, "{errno} is not an error number");
        // A worker that gets a positive number here crashes, and 0 would be success.
        let errno = -errno.saturating_abs().max(1);
        // Node does not look at the key of an error.
        let key = Key("refused".to_owned());
        let seq = self.outbox.next_seq();
        let reply = Reply::new(Some(errno), &key, query.query.seq, query.echo(data), seq);
        self.outbox.queue(reply.plain(), Carries::Nothing);
    }
}
