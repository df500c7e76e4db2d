//! Wishes that change while the service runs: they come with a rollout, and go with one that fails.

use super::Supervisor;
use crate::Spec;

/// What counts at other times than now.
#[derive(Clone, Debug, Default)]
pub(super) struct OtherSpecs {
    /// From the next rollout on.
    coming: Option<Spec>,
    /// Again, if the rollout in progress fails.
    before: Option<Spec>,
}

impl Supervisor {
    pub(super) fn configured(&mut self, spec: Spec) {
        self.other_specs.coming = Some(spec);
    }

    /// A rollout begins.
    pub(super) fn adopt_configuration(&mut self) {
        if let Some(coming) = self.other_specs.coming.take() {
            self.adopt(&coming);
        }
    }

    /// A rollout begins that brings these.
    pub(super) fn adopt(&mut self, coming: &Spec) {
        let Spec { slots, balance, agent, synack_retries, .. } = self.spec;
        // Sockets and agents are as they are; the number of slots has events of its own.
        let adopted = Spec { slots, balance, agent, synack_retries, ..coming.clone() };
        self.other_specs.before = Some(std::mem::replace(&mut self.spec, adopted));
    }

    /// A rollout ends.
    pub(super) fn settle_configuration(&mut self, succeeded: bool) {
        if let Some(before) = self.other_specs.before.take()
            && !succeeded
        {
            self.spec = before;
        }
    }
}
