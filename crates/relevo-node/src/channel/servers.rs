//! The servers a worker has open, by the keys they were answered with.

use std::collections::BTreeMap;

use crate::message::{Key, Listening, Query};

/// How many servers one worker may have open.
pub const MAX_KEYS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Servers {
    by_key: BTreeMap<Key, Server>,
    next_serial: u64,
}

#[derive(Debug)]
struct Server {
    /// Counts the answers, so that the latest of two is known.
    serial: u64,
    query: Query,
    /// Whether its real port may differ from the one the app asked for.
    any_port: bool,
    is_listening: bool,
}

impl Servers {
    pub(super) fn is_full(&self) -> bool {
        self.by_key.len() >= MAX_KEYS
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// Returns what tells this server from all others of the worker.
    pub(super) fn open(&mut self, key: Key, query: Query, any_port: bool) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        // The data has been echoed, and is only weight from now on.
        let query = Query { data: None, ..query };
        self.by_key.insert(key, Server { serial, query, any_port, is_listening: false });
        serial
    }

    /// The server is gone; its serial, if it was there.
    pub(super) fn close(&mut self, key: &Key) -> Option<u64> {
        self.by_key.remove(key).map(|server| server.serial)
    }

    /// Finds whose report this is: the latest server that fits and has not reported yet. A server
    /// that listens for a second time reports its first query as well, which is nobody's then.
    pub(super) fn listens(&mut self, listening: &Listening) -> Option<Key> {
        let fits = |server: &Server| {
            !server.is_listening
                && (listening.answers(&server.query)
                    || server.any_port && listening.answers_but_for_port(&server.query))
        };
        let (key, server) = self
            .by_key
            .iter_mut()
            .filter(|(_, server)| fits(server))
            .max_by_key(|(_, server)| server.serial)?;
        server.is_listening = true;
        Some(key.clone())
    }

    pub(super) fn serial(&self, key: &Key) -> Option<u64> {
        self.by_key.get(key).map(|server| server.serial)
    }

    pub(super) fn query(&self, key: &Key) -> Option<&Query> {
        self.by_key.get(key).map(|server| &server.query)
    }

    pub(super) fn is_listening(&self, key: &Key) -> bool {
        self.by_key.get(key).is_some_and(|server| server.is_listening)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.by_key.keys()
    }
}
