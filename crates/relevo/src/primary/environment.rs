//! What a worker finds in its environment: `docs/interface.md`, "What a worker finds".

use std::ffi::{OsStr, OsString};
use std::path::Path;

use relevo_core::{Generation, Slot, WorkerId};

/// The number of the channel's descriptor in a worker. Node closes descriptors from 3 on upward in
/// its children only until the first gap, so it must be a low one (`docs/node-channel.md`, 1).
pub(crate) const CHANNEL_FD: i32 = 3;

/// Where a worker is heard under `--ready notify`.
pub(crate) const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Variables that concern the primary alone: a worker that saw them would take them for its own.
const NOT_FOR_WORKERS: &[&str] = &[
    NOTIFY_SOCKET,
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NODE_CHANNEL_FD",
    "NODE_CHANNEL_SERIALIZATION_MODE",
    "NODE_UNIQUE_ID",
];

/// The variables that all workers share: the primary's own, then those of env files, then those
/// given one by one; what comes later wins.
pub(crate) fn shared(
    own: impl Iterator<Item = (OsString, OsString)>,
    added: impl Iterator<Item = (String, String)>,
) -> Vec<(OsString, OsString)> {
    let mut all: std::collections::BTreeMap<OsString, OsString> = own
        .filter(|(name, _)| !NOT_FOR_WORKERS.iter().any(|not| name == OsStr::new(not)))
        .collect();
    all.extend(added.map(|(name, value)| (name.into(), value.into())));
    all.into_iter().collect()
}

/// The variables that are one worker's own.
pub(crate) fn of_worker(
    worker: WorkerId,
    slot: Slot,
    generation: Generation,
    release: &Path,
) -> Vec<(&'static str, OsString)> {
    vec![
        ("NODE_CHANNEL_FD", CHANNEL_FD.to_string().into()),
        ("NODE_CHANNEL_SERIALIZATION_MODE", "json".into()),
        ("NODE_UNIQUE_ID", worker.to_string().into()),
        ("NODE_APP_INSTANCE", slot.to_string().into()),
        ("RELEVO_SLOT", slot.to_string().into()),
        ("RELEVO_WORKER", worker.to_string().into()),
        ("RELEVO_GENERATION", generation.to_string().into()),
        ("RELEVO_RELEASE", release.as_os_str().to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_primarys_alone_is_left_out_and_later_values_win() {
        let own = [("A", "1"), ("NOTIFY_SOCKET", "/run/x"), ("LISTEN_FDS", "2"), ("B", "1")];
        let added = [("B", "2"), ("C", "3"), ("C", "4")];
        let all = shared(
            own.iter().map(|(k, v)| (OsString::from(k), OsString::from(v))),
            added.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        );
        let expected = [("A", "1"), ("B", "2"), ("C", "4")];
        assert_eq!(all, expected.map(|(k, v)| (OsString::from(k), OsString::from(v))));
    }
}
