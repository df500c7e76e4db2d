//! Noticing that a connection, or a datagram, has come to one of the sockets, whoever is to take it.
//!
//! All sockets are in a poller of their own. The hub waits for that one only until it has told once, and again
//! when it is asked to: so a busy service is not woken by each connection, and an idle one by none.

use std::os::fd::OwnedFd;

use relevo_core::Event;
use relevo_sys::Errno;
use relevo_sys::poll::{Interest, Poller};

use super::Hub;
use super::order::Report;
use super::token::Token;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Stir {
    sockets: Poller,
    is_waited_for: bool,
}

impl Stir {
    pub(super) fn new() -> Result<Self, Errno> {
        Ok(Self { sockets: Poller::new()?, is_waited_for: false })
    }

    /// Sockets that were passed to us may stand for several members; then the first counts.
    pub(super) fn add(&self, socket: &OwnedFd) {
        let _there = self.sockets.add(socket, 0, Interest::READ);
    }

    pub(super) fn remove(&self, socket: &OwnedFd) {
        let _gone = self.sockets.remove(socket);
    }
}

impl Hub {
    pub(super) fn watch_sockets(&mut self) {
        if self.stir.is_waited_for {
            return;
        }
        let added = self.poller.add(&self.stir.sockets, Token::Stir.pack(), Interest::READ);
        self.stir.is_waited_for = added.is_ok();
        if added.is_err() {
            // Told at once, so that it is asked for again.
            self.unreported.push_back(Report::Event(Event::ConnectionCame));
        }
    }

    pub(super) fn has_stirred(&mut self) {
        let _waited = self.poller.remove(&self.stir.sockets);
        self.stir.is_waited_for = false;
        self.unreported.push_back(Report::Event(Event::ConnectionCame));
    }
}
