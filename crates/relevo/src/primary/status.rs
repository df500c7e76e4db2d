//! From the core's view to what `status` says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Zoned;
use relevo_core::{
    Balance, Cause, ExitHow, Failure, Generation, Kind, Left, NotMovable, Outcome, RenewalStart,
    RenewalView, RolloutPhase, RolloutReport, RolloutView, ScaleReport, ServiceState, Slot,
    SlotView, SlotWord, Totals, View, Waits, WorkerId, WorkerView, WorkerWord,
};
use relevo_sys::{Pid, proc};
use relevo_wire::status as wire;

use super::hub::Sight;
use super::notifications::Notifications;
use super::{Reading, log};

/// What the core does not know.
pub(crate) struct Surroundings<'a> {
    pub(crate) name: &'a str,
    pub(crate) balance: Balance,
    pub(crate) reading: &'a Reading,
    pub(crate) sight: &'a Sight,
    /// When `--reload-at` is due next.
    pub(crate) next_reload: Option<&'a Zoned>,
    pub(crate) notifications: &'a Notifications,
}

impl Surroundings<'_> {
    /// Where a generation was loaded from.
    fn release(&self, generation: Generation) -> Option<String> {
        let release = self.reading.release(generation)?;
        Some(release.path().display().to_string())
    }

    /// Whether the slot's worker accepts nothing, anywhere.
    fn is_blocked(&self, slot: Slot) -> bool {
        self.sight.groups.values().any(|group| group.blocked.contains(&slot))
    }
}

/// The service in detail.
pub(crate) fn status(view: &View<'_>, around: &Surroundings<'_>) -> relevo_wire::Status {
    let generation = view.generation();
    let release = around.release(generation);
    relevo_wire::Status {
        schema: wire::SCHEMA,
        name: around.name.to_owned(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        state: state(view.state()),
        reason: reason(view),
        generation: (view.state() != ServiceState::Starting).then_some(generation.0),
        release,
        slots: view.slots().into_iter().map(|view| slot(view, around)).collect(),
        listeners: listeners(view, around),
        rollout: view.rollout().map(|view| rollout(&view)),
        next_reload_at: around.next_reload.map(|at| at.strftime("%FT%T%:z").to_string()),
        totals: Some(totals(view.totals())),
    }
}

/// The state of the service in a few words.
pub(crate) fn summary(view: &View<'_>) -> String {
    let of = view.wanted_slots();
    let ready = view.ready_slots();
    let generation = view.generation();
    match reason(view) {
        Some(reason) => format!("{ready} of {of} workers ready: {reason}"),
        None => format!("{ready} of {of} workers ready, generation {generation}"),
    }
}

fn state(state: ServiceState) -> wire::ServiceState {
    match state {
        ServiceState::Starting => wire::ServiceState::Starting,
        ServiceState::Running => wire::ServiceState::Running,
        ServiceState::Reloading => wire::ServiceState::Reloading,
        ServiceState::Degraded => wire::ServiceState::Degraded,
        ServiceState::Down => wire::ServiceState::Down,
        ServiceState::Stopping => wire::ServiceState::Stopping,
    }
}

fn reason(view: &View<'_>) -> Option<String> {
    match view.state() {
        ServiceState::Degraded => {}
        ServiceState::Down => {
            let why = slots_without_worker(view);
            return Some(format!("the listeners are closed until a worker is ready: {why}"));
        }
        ServiceState::Starting
        | ServiceState::Running
        | ServiceState::Reloading
        | ServiceState::Stopping => return None,
    }
    if let Some(report) = view.failed_rollout() {
        let ended = log::rollout_ended(report);
        return Some(match view.good_workers() {
            Some(good) => format!(
                "the code on disk was refused, and {} left: {ended}",
                log::good_workers(good)
            ),
            None => ended,
        });
    }
    let gone_back = log::gone_back(view.generation(), &view.gone_back());
    let vacant = Some(slots_without_worker(view)).filter(|vacant| !vacant.is_empty());
    let reasons: Vec<String> = gone_back.into_iter().chain(vacant).collect();
    Some(reasons.join("; "))
}

/// Which slots have no ready worker, and why. Slots with the same reason are told together.
fn slots_without_worker(view: &View<'_>) -> String {
    let mut reasons: Vec<(String, Vec<Slot>)> = Vec::new();
    for slot in view.slots() {
        if let Some(reason) = why_empty(&slot) {
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, slots)) => slots.push(slot.slot),
                None => reasons.push((reason, vec![slot.slot])),
            }
        }
    }
    let one = |(reason, slots): &(String, Vec<Slot>)| {
        let noun = if slots.len() == 1 { "slot" } else { "slots" };
        let numbers: Vec<String> = slots.iter().map(ToString::to_string).collect();
        format!("no ready worker in {noun} {}{reason}", numbers.join(", "))
    };
    let all: Vec<String> = reasons.iter().map(one).collect();
    all.join("; ")
}

/// What follows after the slot's number; `None` where nothing is missing.
fn why_empty(slot: &SlotView) -> Option<String> {
    match slot.word {
        SlotWord::Ready | SlotWord::Leaving => return None,
        SlotWord::Vacant | SlotWord::BackingOff | SlotWord::Ended => {}
    }
    let Some(failure) = &slot.last_failure else { return Some(String::new()) };
    let failed = log::failed(failure);
    Some(match slot.failures_in_a_row {
        _ if slot.word == SlotWord::Ended => format!(": its worker {failed}"),
        0 | 1 => format!(": its last worker {failed}"),
        count => format!(": crash loop, {count} failures in a row, its last worker {failed}"),
    })
}

fn slot(view: SlotView, around: &Surroundings<'_>) -> wire::Slot {
    let last_exit = view.last_exit.map(|(ago, exit)| {
        let (code, signal) = match exit.how {
            ExitHow::Code(code) => (Some(code), None),
            ExitHow::Signal(number) => (None, Some(log::signal_name(number))),
        };
        wire::LastExit { code, signal, oom: exit.out_of_memory, ago_ms: milliseconds(ago) }
    });
    wire::Slot {
        slot: view.slot.0,
        state: match view.word {
            SlotWord::Ready if around.is_blocked(view.slot) || is_silent(&view) => {
                wire::SlotState::Hung
            }
            SlotWord::Ready => wire::SlotState::Ready,
            // The last of its workers is on its way out.
            SlotWord::Vacant | SlotWord::Leaving => wire::SlotState::Vacant,
            SlotWord::BackingOff => wire::SlotState::BackingOff,
            SlotWord::Ended => wire::SlotState::Ended,
        },
        restarts: view.restarts,
        next_try_ms: view.next_try.map(milliseconds),
        last_exit,
        renewal: view.renewal.as_ref().map(renewal),
        workers: view.workers.into_iter().map(|view| worker(view, around)).collect(),
    }
}

/// Whether its worker owes a sign of life.
fn is_silent(view: &SlotView) -> bool {
    let serves = |worker: &&WorkerView| worker.word == WorkerWord::Ready;
    view.workers.iter().find(serves).is_some_and(|worker| worker.silent.is_some())
}

fn renewal(view: &RenewalView) -> wire::Renewal {
    let next_try = match view.start {
        Some(RenewalStart::In(delay)) => Some(milliseconds(delay)),
        Some(
            RenewalStart::Now
            | RenewalStart::AfterRollout
            | RenewalStart::AfterRefusal
            | RenewalStart::InTurn
            | RenewalStart::WhenAllReady
            | RenewalStart::WhenRoom,
        )
        | None => None,
    };
    let failure =
        |(id, failure): &(WorkerId, Failure)| format!("worker {id} {}", log::failed(failure));
    wire::Renewal {
        worker: view.worker.0,
        reason: log::renewal_reason(&view.reason),
        waits_for: view.start.and_then(log::renewal_waits_for),
        next_try_ms: next_try,
        failure: view.failure.as_ref().map(failure),
    }
}

/// CPU time is shown as `ps(1)` does: what was used, by the time since the start.
fn worker(view: WorkerView, around: &Surroundings<'_>) -> wire::Worker {
    let pid = view.pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let cpu_percent = pid.and_then(proc::cpu_time_of).and_then(|used| {
        let lived = view.uptime.as_secs_f64();
        (lived > 0.0).then(|| (used.as_secs_f64() / lived * 1000.0).round() / 10.0)
    });
    let WorkerId(id) = view.id;
    wire::Worker {
        id,
        pid: view.pid,
        generation: view.generation.0,
        release: around.release(view.generation),
        state: match view.word {
            WorkerWord::Starting => wire::WorkerState::Starting,
            WorkerWord::Standby => wire::WorkerState::Standby,
            WorkerWord::Ready => wire::WorkerState::Ready,
            WorkerWord::Parked => wire::WorkerState::Parked,
            WorkerWord::Draining => wire::WorkerState::Draining,
            WorkerWord::Lingering => wire::WorkerState::Lingering,
            WorkerWord::Stopping => wire::WorkerState::Stopping,
        },
        uptime_ms: Some(milliseconds(view.uptime)),
        rss_bytes: pid.and_then(proc::memory_of),
        cpu_percent,
        connections: around.sight.connections.get(&view.id).copied(),
        requests: None,
        active_requests: None,
        loop_lag_ms: None,
        status: around.notifications.status(view.id).map(str::to_owned),
    }
}

fn listeners(view: &View<'_>, around: &Surroundings<'_>) -> Vec<wire::Listener> {
    let one = |listener: relevo_core::ListenerView| wire::Listener {
        kind: match listener.kind {
            Kind::Udp | Kind::InheritedDatagram => wire::ListenerKind::Udp,
            Kind::Unix => wire::ListenerKind::Unix,
            Kind::Tcp => wire::ListenerKind::Tcp,
            Kind::Inherited if listener.address.contains('/') => wire::ListenerKind::Unix,
            Kind::Inherited => wire::ListenerKind::Tcp,
        },
        balance: around.balance.word().to_owned(),
        dealing: Some(match around.sight.groups.get(&listener.id) {
            Some(group) if group.front => wire::Dealing::Front,
            Some(_) => wire::Dealing::Kernel,
            None if listener.dealt => wire::Dealing::Primary,
            None if listener.one_socket => wire::Dealing::Shared,
            None => wire::Dealing::Kernel,
        }),
        weights: around
            .sight
            .groups
            .get(&listener.id)
            .and_then(|group| Some(group.weights.as_ref()?.values().copied().collect())),
        queued: around.sight.queued.get(&listener.id).copied(),
        covering: covering(&listener, around),
        address: listener.address,
    };
    view.listeners().into_iter().map(one).collect()
}

/// The slots that others get the connections of: nobody listens there, or who does is blocked.
fn covering(listener: &relevo_core::ListenerView, around: &Surroundings<'_>) -> Vec<u32> {
    let blocked = around.sight.groups.get(&listener.id).map(|group| group.blocked.as_slice());
    let slots = listener.covering.iter().chain(blocked.unwrap_or_default());
    slots.map(|slot| slot.0).collect::<BTreeSet<u32>>().into_iter().collect()
}

/// A rollout that is over.
pub(crate) fn of_report(report: &RolloutReport) -> wire::Rollout {
    rollout(&RolloutView::from(report))
}

/// A scaling that is over.
pub(crate) fn of_scaling(report: &ScaleReport) -> wire::Scaling {
    wire::Scaling {
        from: report.from,
        to: report.to,
        ready: Some(report.ready),
        duration_ms: Some(milliseconds(report.duration)),
        cut: cut(&report.cut),
    }
}

/// A rollout, in progress or over.
fn rollout(view: &RolloutView) -> wire::Rollout {
    let outcome = view.outcome.as_ref().map(|outcome| match outcome {
        Outcome::Succeeded => wire::Outcome::Succeeded,
        Outcome::Failed { .. } | Outcome::HookFailed { .. }
            if view.replaced == 0 && view.returned > 0 =>
        {
            wire::Outcome::RolledBack
        }
        Outcome::Failed { .. } | Outcome::HookFailed { .. } => wire::Outcome::Failed,
        Outcome::Aborted | Outcome::Stopped => wire::Outcome::Aborted,
    });
    let reason = view.outcome.as_ref().and_then(|outcome| match outcome {
        Outcome::Succeeded => None,
        Outcome::Failed { worker, failure } => {
            Some(format!("worker {worker} {}", log::failed(failure)))
        }
        Outcome::HookFailed { kind, failure, .. } => Some(log::hook_failed(*kind, failure)),
        Outcome::Aborted => Some("somebody aborted it".to_owned()),
        Outcome::Stopped => Some("the service is stopping".to_owned()),
    });
    wire::Rollout {
        generation: view.generation.0,
        cause: Some(cause(view.cause)),
        outcome,
        phase: view.phase.map(phase),
        slot: view.slot.map(|slot| slot.0),
        of: Some(view.of),
        reason,
        paused: view.phase.map(|_| view.waits == Some(Waits::Paused)),
        waits_for: view.waits.as_ref().map(log::waits_for),
        runs: Some(runs(view)),
        duration_ms: Some(milliseconds(view.duration)),
        handed_over: Some(view.moved.handed_over.into()),
        closed_idle: Some(view.moved.closed_idle.into()),
        not_zero: Some(view.moved.not_zero.into()),
        not_movable: Some(not_movable(&view.moved.not_movable)),
        cut: cut(&view.cut),
    }
}

/// What a rollout came from, in the word that `status` has for it.
pub(crate) fn cause(cause: Cause) -> wire::Cause {
    match cause {
        Cause::Command => wire::Cause::Command,
        Cause::Signal => wire::Cause::Signal,
        Cause::Watch => wire::Cause::Watch,
        Cause::Terminal => wire::Cause::Terminal,
        Cause::Schedule => wire::Cause::Schedule,
    }
}

fn runs(view: &RolloutView) -> Vec<wire::Runs> {
    let one = |(generation, slots): (&Generation, &Vec<Slot>)| wire::Runs {
        generation: generation.0,
        slots: slots.iter().map(|slot| slot.0).collect(),
    };
    view.runs.iter().map(one).collect()
}

fn phase(phase: RolloutPhase) -> wire::Phase {
    match phase {
        RolloutPhase::Starting => wire::Phase::Starting,
        RolloutPhase::Probation => wire::Phase::Probation,
        RolloutPhase::Draining => wire::Phase::Draining,
        RolloutPhase::Undoing => wire::Phase::Undoing,
    }
}

/// Those that there were, by the reason.
fn not_movable(counts: &NotMovable) -> BTreeMap<String, u64> {
    let all = [
        ("tls", counts.tls),
        ("http2", counts.http2),
        ("upgraded", counts.upgraded),
        ("late", counts.late),
        ("touched", counts.touched),
        ("kept", counts.kept),
        ("unlisted", counts.unlisted),
        ("busy_stream", counts.busy_stream),
    ];
    let there = all.into_iter().filter(|(_, count)| *count > 0);
    there.map(|(why, count)| (why.to_owned(), count.into())).collect()
}

fn totals(totals: Totals) -> wire::Totals {
    wire::Totals {
        handed_over: Some(totals.moved.handed_over.into()),
        closed_idle: Some(totals.moved.closed_idle.into()),
        cut: cut(&totals.cut),
    }
}

fn cut(left: &Left) -> wire::Cut {
    let count = |n: u32| Some(u64::from(n));
    wire::Cut {
        request: count(left.requests),
        upload: count(left.uploads),
        event_stream: count(left.event_streams),
        websocket: count(left.websockets),
        idle_tls: count(left.idle_tls),
        unknown: count(left.unknown),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
