//! Workers that have reached a limit are replaced, one by one, and no request is lost by that.

#[path = "../support/mod.rs"]
mod support;

mod documents;
mod hang;
mod memory;
mod turns;

use support::load::Load;

/// Clients of both kinds, as the clients of `prove` are.
pub(crate) fn load(port: u16) -> Load {
    Load::new().keep_alive(10, port, "/").connection_per_request(2, port, "/").settled()
}
