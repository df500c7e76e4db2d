//! Disturbing a service by killing a worker.
//!
//! What was on that worker's connections is lost whoever manages it, and is counted apart; so it must
//! be known which those are. The worker is stopped first, looked at, then killed.

use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use relevo_prove::{Disturb, Done, Tell};
use relevo_sys::proc::connected_peer_ports;
use relevo_sys::process::Pidfd;
use relevo_sys::{Pid, Signal};
use relevo_wire::Status;
use relevo_wire::status::{SlotState, WorkerState};

use super::target::status;
use crate::cli::services::Service;
use crate::cli::status::units::took;

/// How often is looked whether the slot is ready again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Kills one of a service's workers.
#[derive(Debug)]
pub(super) struct KillWorker {
    service: Service,
    limit: Duration,
}

/// A worker that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Victim {
    slot: u32,
    worker: u64,
    pid: Pid,
}

impl KillWorker {
    pub(super) const fn new(service: Service, limit: Duration) -> Self {
        Self { service, limit }
    }

    fn kill(&self, tell: &Tell) -> Result<String, String> {
        let victim = choose(&self.status()?).ok_or("no worker is ready, so none was killed")?;
        let fault = |error| format!("worker {} cannot be killed: {error}", victim.worker);
        let process = Pidfd::open(victim.pid).map_err(fault)?;
        // Only now is it sure that the number is still that worker's.
        if !serving(&self.status()?).contains(&victim) {
            return Err(format!("worker {} ended by itself before it was killed", victim.worker));
        }
        process.signal(Signal::STOP).map_err(fault)?;
        tell.step();
        tell.killed().mark(connected_peer_ports(victim.pid));
        process.signal(Signal::KILL).map_err(fault)?;
        let began = Instant::now();
        self.await_successor(victim, began)
    }

    /// Waits until the slot has a ready worker again.
    fn await_successor(&self, victim: Victim, began: Instant) -> Result<String, String> {
        let Victim { slot, worker, .. } = victim;
        loop {
            let slots = self.status()?.slots;
            let ready = slots.iter().find(|found| found.slot == slot).is_some_and(|found| {
                found.state == SlotState::Ready && found.workers.iter().all(|it| it.id != worker)
            });
            let took = took(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
            if ready {
                return Ok(format!("worker {worker} killed, slot {slot} ready again after {took}"));
            }
            if began.elapsed() > self.limit {
                return Err(format!("worker {worker} killed, slot {slot} not ready after {took}"));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn status(&self) -> Result<Status, String> {
        status(&self.service).map_err(|error| error.into_failure(&self.service).reason)
    }
}

fn serving(status: &Status) -> Vec<Victim> {
    let workers =
        status.slots.iter().flat_map(|slot| slot.workers.iter().map(move |it| (slot, it)));
    let ready = workers.filter(|(_, worker)| worker.state == WorkerState::Ready);
    let victim = |(slot, worker): (&relevo_wire::status::Slot, &relevo_wire::status::Worker)| {
        let pid = worker.pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?))?;
        Some(Victim { slot: slot.slot, worker: worker.id, pid })
    };
    ready.filter_map(victim).collect()
}

fn choose(status: &Status) -> Option<Victim> {
    let victims = serving(status);
    // A hasher with keys of its own is random enough for this.
    let random = usize::try_from(RandomState::new().hash_one(0) >> 1).ok()?;
    victims.get(random.checked_rem(victims.len())?).copied()
}

impl Disturb for KillWorker {
    fn name(&self) -> String {
        format!("kill -9 of a worker of {}", self.service.name)
    }

    fn disturb(&mut self, tell: &Tell) -> Done {
        self.kill(tell).into()
    }
}
