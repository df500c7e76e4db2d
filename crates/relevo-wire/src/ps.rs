//! One line of `relevo ps`: what `ps --json` prints an array of.

use serde::{Deserialize, Serialize};

use crate::Status;
use crate::status::{ServiceState, SlotState};

/// One of this user's services. Of one whose primary does not answer, only the name and the
/// directory are known, and perhaps the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PsEntry {
    /// The service's name.
    pub name: String,
    /// The primary's process.
    pub pid: Option<u32>,
    /// What the service is doing; `null` if its primary does not answer.
    pub state: Option<ServiceState>,
    /// How many of its workers serve.
    pub workers: Option<PsWorkers>,
    /// The last generation whose rollout was completed.
    pub generation: Option<u64>,
    /// The directory that its control socket is in.
    pub runtime_directory: String,
    /// How long the primary has lived.
    pub uptime_ms: Option<u64>,
}

/// How many of a service's workers serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PsWorkers {
    /// Slots that are ready.
    pub ready: u32,
    /// Slots there are.
    pub of: u32,
}

impl PsEntry {
    /// The entry for a service that answered. A status does not tell the primary's age.
    pub fn of_status(status: &Status, runtime_directory: String) -> Self {
        let count = |slots: usize| u32::try_from(slots).unwrap_or(u32::MAX);
        let ready = status.slots.iter().filter(|slot| slot.state == SlotState::Ready).count();
        Self {
            name: status.name.clone(),
            pid: Some(status.pid),
            state: Some(status.state),
            workers: Some(PsWorkers { ready: count(ready), of: count(status.slots.len()) }),
            generation: status.generation,
            runtime_directory,
            uptime_ms: None,
        }
    }

    /// The entry for a service that runs and does not answer.
    pub const fn silent(name: String, pid: Option<u32>, runtime_directory: String) -> Self {
        Self {
            name,
            pid,
            state: None,
            workers: None,
            generation: None,
            runtime_directory,
            uptime_ms: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{SCHEMA, Slot};

    #[test]
    fn the_shape_is_a_contract() {
        let slot = |slot, state| Slot {
            slot,
            state,
            restarts: 0,
            next_try_ms: None,
            last_exit: None,
            workers: Vec::new(),
            renewal: None,
        };
        let status = Status {
            schema: SCHEMA,
            name: "shop".into(),
            pid: 900,
            version: "0.1.0".into(),
            state: ServiceState::Degraded,
            reason: None,
            generation: Some(2),
            release: None,
            slots: vec![slot(0, SlotState::Ready), slot(1, SlotState::BackingOff)],
            listeners: Vec::new(),
            rollout: None,
            next_reload_at: None,
            totals: None,
        };
        let entry = PsEntry::of_status(&status, "/run/user/1000/relevo/shop".into());
        assert_eq!(
            serde_json::to_string(&entry).unwrap(),
            concat!(
                r#"{"name":"shop","pid":900,"state":"degraded","workers":{"ready":1,"of":2},"#,
                r#""generation":2,"runtime_directory":"/run/user/1000/relevo/shop","#,
                r#""uptime_ms":null}"#,
            )
        );
        assert_eq!(
            serde_json::to_string(&PsEntry::silent("a".into(), None, "/x/a".into())).unwrap(),
            concat!(
                r#"{"name":"a","pid":null,"state":null,"workers":null,"generation":null,"#,
                r#""runtime_directory":"/x/a","uptime_ms":null}"#,
            )
        );
    }
}
