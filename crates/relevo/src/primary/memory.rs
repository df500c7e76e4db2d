//! How much memory there is, for the core to decide whether that is enough.

use relevo_core::Memory;
use relevo_sys::{memory, proc};

use super::Primary;

impl Primary {
    pub(super) fn look_at_memory(&self) -> Memory {
        let workers = self.processes.pids().filter_map(proc::memory_of);
        Memory {
            available: memory::available(),
            largest_worker: workers.max(),
            stalled: memory::stalled(),
        }
    }
}
