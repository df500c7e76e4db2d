//! Workers that have reached a limit are replaced, one by one, and no request is lost by that.

#[path = "../support/mod.rs"]
mod support;

mod documents;
mod hang;
mod memory;
mod turns;

use support::load::{Account, Load};
use support::service::Service;

/// Clients of both kinds, as the clients of `prove` are.
pub(crate) fn load(port: u16) -> Load {
    Load::new().keep_alive(10, port, "/").connection_per_request(2, port, "/").settled()
}

/// Nothing was lost, and nobody closed an idle connection either.
pub(crate) fn assert_unnoticed(account: &Account, service: &Service) {
    account.assert_nothing_lost();
    assert_eq!((account.raced, account.closed_idle), (0, 0), "{account:#?}\n{}", service.log());
}
