//! The configurations of a service: that which counts, those that rollouts bring, and those of
//! generations of which a worker may still be started.
//!
//! A configuration is read when a reload is asked for, and comes with the rollout that follows. Where
//! that fails, the one before it counts again, so that nothing is half applied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use relevo_config::{Change, ChangeKind, Configured, OnReload, difference};
use relevo_core::{Generation, ReleaseId, Scale, Spec};
use relevo_sys::Signal;
use relevo_sys::process::NofileLimit;
use relevo_wire::ExitCode;
use relevo_wire::difference::{self as wire, Difference, Effect, Kind};
use relevo_wire::protocol::Failure;

use super::processes::Launch;
use super::releases::{Place, Release};
use crate::configuration::{Configuration, Source};

/// How many differences are told, so that the answer is a line of the control protocol.
const MAX_CHANGES: usize = 200;

/// What the machine adds to a configuration, found out once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// How many workers `auto` means.
    pub(crate) auto_slots: u32,
    /// How often the kernel repeats a SYN-ACK.
    pub(crate) synack_retries: u32,
    /// The limit of open files that the primary was started with.
    pub(crate) nofile: NofileLimit,
}

/// See the module's documentation.
pub(crate) struct Reading {
    source: Source,
    machine: Machine,
    /// What the last completed generation was started with.
    current: Rc<Configuration>,
    /// What the rollout in progress brings.
    rolling: Option<Rc<Configuration>>,
    /// What the next one is to bring.
    coming: Option<Rc<Configuration>>,
    /// How workers are started, by the generation that they count as.
    generations: BTreeMap<Generation, Load>,
    /// The number of the next place that code is loaded from.
    next_release: u64,
}

/// What a generation was started with, and is wherever one of its workers is started once more.
#[derive(Clone)]
struct Load {
    configuration: Rc<Configuration>,
    release: Rc<Release>,
}

impl Reading {
    pub(crate) fn new(source: Source, configuration: Configuration, machine: Machine) -> Self {
        let current = Rc::new(configuration);
        let release = Rc::new(Release::new(ReleaseId(1), Place::resolve(&current)));
        let first = Load { configuration: Rc::clone(&current), release };
        let generations = BTreeMap::from([(Generation(1), first)]);
        let (rolling, coming, next_release) = (None, None, 2);
        Self { source, machine, current, rolling, coming, generations, next_release }
    }

    /// What the last completed generation was started with.
    pub(crate) fn current(&self) -> &Configuration {
        &self.current
    }

    /// What decisions depend on.
    pub(crate) fn spec(&self, configuration: &Configuration) -> Spec {
        let Machine { auto_slots, synack_retries, .. } = self.machine;
        let options = &configuration.options;
        Spec { synack_retries, ..options.spec(options.workers.slots(auto_slots)) }
    }

    /// How a worker of this generation is started.
    pub(super) fn launch(&self, generation: Generation) -> Launch {
        let Load { configuration, release } = match self.generations.get(&generation) {
            Some(load) => load.clone(),
            None => Load {
                release: Rc::new(Release::new(ReleaseId(0), Place::resolve(&self.current))),
                configuration: Rc::clone(&self.current),
            },
        };
        Launch { configuration, release, nofile: self.machine.nofile }
    }

    /// Where a generation's code was loaded from.
    pub(super) fn release(&self, generation: Generation) -> Option<&Release> {
        self.generations.get(&generation).map(|load| &*load.release)
    }

    /// What the core must know to go back to this generation, if that can be.
    pub(super) fn way_back(&self, to: Generation) -> Result<Spec, Failure> {
        let refuse =
            |why: String| Failure::new(ExitCode::Failed, format!("rollback refused: {why}"));
        let Some(Load { configuration, release }) = self.generations.get(&to) else {
            return Err(refuse(format!("generation {to} is not remembered any more")));
        };
        match release.missing() {
            None => Ok(self.spec(configuration)),
            Some(path) => Err(refuse(format!(
                "{} is gone, and generation {to} was loaded from there: bring it back, or reload what is to run instead",
                path.display()
            ))),
        }
    }

    /// How a hook is started: by what counts just now.
    pub(super) fn launch_of_hook(&self) -> Launch {
        let configuration = self.rolling.as_ref().unwrap_or(&self.current);
        Launch {
            release: Rc::new(Release::new(ReleaseId(0), Place::resolve(configuration))),
            configuration: Rc::clone(configuration),
            nofile: self.machine.nofile,
        }
    }

    /// How workers that are to end are told.
    pub(super) fn stop_signal(&self) -> Signal {
        let number = self.counting().options.stop_signal.number();
        Signal::from_named_raw(number).unwrap_or(Signal::TERM)
    }

    /// What counts just now: during a rollout what it brings.
    pub(super) fn counting(&self) -> &Configuration {
        self.rolling.as_ref().unwrap_or(&self.current)
    }

    /// What a reload would change.
    pub(super) fn difference(&self) -> Result<Difference, Failure> {
        let configuration = self.read()?;
        let mut changes = self.changes(&configuration);
        let more = changes.len().saturating_sub(MAX_CHANGES);
        changes.truncate(MAX_CHANGES);
        let changes = changes.into_iter().map(told).collect();
        Ok(Difference { changes, more: u64::try_from(more).unwrap_or(u64::MAX) })
    }

    /// Reads everything anew for the next rollout. What it will change is returned, with the wishes
    /// that the core must know; an error leaves everything as it was.
    pub(super) fn prepare(&mut self) -> Result<(Spec, Vec<Change>), Failure> {
        let configuration = self.read()?;
        let changes = self.changes(&configuration);
        refuse(&changes)?;
        let spec = self.spec(&configuration);
        self.coming = Some(Rc::new(configuration));
        Ok((spec, changes))
    }

    /// A file that nobody reads, because it was not there at the start.
    pub(super) fn passed_over(&self) -> Option<PathBuf> {
        self.source.passed_over()
    }

    /// A rollout has begun: now it is settled where its code is loaded from. A rollback takes that, and
    /// the configuration, from the generation that it goes back to.
    pub(super) fn rollout_started(
        &mut self,
        generation: Generation,
        back_to: Option<Generation>,
    ) -> ReleaseId {
        let before = back_to.and_then(|to| self.generations.get(&to)).cloned();
        let load = before.unwrap_or_else(|| {
            let brought = self.coming.take().unwrap_or_else(|| Rc::clone(&self.current));
            Load { release: self.resolve(&brought), configuration: brought }
        });
        let id = load.release.id;
        self.rolling = Some(Rc::clone(&load.configuration));
        self.generations.insert(generation, load);
        id
    }

    /// The same release for the same place.
    fn resolve(&mut self, configuration: &Configuration) -> Rc<Release> {
        let place = Place::resolve(configuration);
        let known = self.generations.values().find(|load| load.release.is_at(&place));
        if let Some(load) = known {
            return Rc::clone(&load.release);
        }
        let id = ReleaseId(self.next_release);
        self.next_release += 1;
        Rc::new(Release::new(id, place))
    }

    /// A rollout has ended. Where it succeeded, the number of workers may have to follow.
    pub(super) fn rollout_ended(&mut self, succeeded: bool) -> Option<Scale> {
        let brought = self.rolling.take().filter(|_| succeeded)?;
        let before = std::mem::replace(&mut self.current, brought);
        let workers = self.current.options.workers;
        (workers != before.options.workers)
            .then(|| Scale::To(workers.slots(self.machine.auto_slots)))
    }

    /// Forgets all generations of which no worker can be started any more.
    pub(super) fn keep(&mut self, named: &BTreeSet<Generation>) {
        self.generations.retain(|generation, _| named.contains(generation));
    }

    fn read(&self) -> Result<Configuration, Failure> {
        let newest = self.coming.as_ref().or(self.rolling.as_ref()).unwrap_or(&self.current);
        self.source.read(Some(newest)).map_err(|faults| {
            let (reason, detail) = faults.into_failure().into_parts();
            Failure {
                detail,
                ..Failure::new(ExitCode::Usage, format!("nothing is reloaded: {reason}"))
            }
        })
    }

    fn changes(&self, configuration: &Configuration) -> Vec<Change> {
        difference(compared(&self.current), compared(configuration))
    }
}

fn compared(configuration: &Configuration) -> Configured<'_> {
    let Configuration { name, options, words, variables, .. } = configuration;
    Configured { name, options, words, variables }
}

/// One failure for all that only a new start can change.
fn refuse(changes: &[Change]) -> Result<(), Failure> {
    let detail: Vec<String> = changes
        .iter()
        .filter_map(|change| match change.on_reload {
            OnReload::Refused(why) => Some(format!("{}: {why}", sides(change))),
            OnReload::Applied | OnReload::Scaled => None,
        })
        .collect();
    if detail.is_empty() {
        return Ok(());
    }
    let reason = "nothing is reloaded: only a new start can bring these changes: stop the service and start it again, or take them back";
    Err(Failure { detail, ..Failure::new(ExitCode::Failed, reason) })
}

/// What it is now and what the file says.
fn sides(change: &Change) -> String {
    let Change { key, from, to, .. } = change;
    let side = |side: &Option<String>| match side {
        Some(value) => format!("`{value}`"),
        None => "not set".to_owned(),
    };
    format!("{key} is {} now, and is to be {}", side(from), side(to))
}

fn told(change: Change) -> wire::Change {
    let Change { key, kind, from, to, is_secret, on_reload } = change;
    let (effect, reason) = match on_reload {
        OnReload::Applied => (Effect::Rollout, None),
        OnReload::Scaled => (Effect::Scaling, None),
        OnReload::Refused(why) => (Effect::Refused, Some(why.to_owned())),
    };
    let change = match kind {
        ChangeKind::Added => Kind::Added,
        ChangeKind::Removed => Kind::Removed,
        ChangeKind::Changed => Kind::Changed,
    };
    wire::Change { key, change, from, to, secret: is_secret, effect, reason }
}
