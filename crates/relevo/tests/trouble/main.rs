//! Whatever else can go wrong in a rollout: the service serves on, and the reason is told.

#[path = "../support/mod.rs"]
mod support;

mod dies;
mod disk;
mod exhausted;
mod killed;
mod memory;
mod one_slot;
mod stands_still;

use std::process::Output;

use support::load::Load;
use support::service::Service;

/// Clients that open a connection for each request, and some that keep theirs.
pub(crate) fn load(port: u16) -> Load {
    Load::new().keep_alive(10, port, "/").settled().connection_per_request(2, port, "/")
}

/// The reload failed, for this reason among its words.
#[track_caller]
pub(crate) fn assert_refused(output: &Output, reason: &str, service: &Service) {
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}\n{}", service.log());
    assert!(words.contains(reason), "{words}\n{}", service.log());
}
