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

use std::process::{Child, Output, Stdio};

use support::load::{Account, Load};
use support::service::Service;

/// Clients that open a connection for each request, and some that keep theirs.
pub(crate) fn load(port: u16) -> Load {
    Load::new().keep_alive(10, port, "/").settled().connection_per_request(2, port, "/")
}

/// Nothing was lost, and nobody closed an idle connection either.
pub(crate) fn assert_unnoticed(account: &Account, service: &Service) {
    account.assert_nothing_lost();
    assert_eq!((account.raced, account.closed_idle), (0, 0), "{account:#?}\n{}", service.log());
}

/// A reload that goes on while the test looks at the service.
pub(crate) fn begin_reload(service: &Service) -> Child {
    let mut command = service.command(&["reload", &service.name]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("relevo runs")
}

/// The reload failed, for this reason among its words.
#[track_caller]
pub(crate) fn assert_refused(output: &Output, reason: &str, service: &Service) {
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}\n{}", service.log());
    assert!(words.contains(reason), "{words}\n{}", service.log());
}
