//! A status as people read it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use relevo_wire::Status;
use relevo_wire::status::{
    Cut, LastExit, Listener, Outcome, Renewal, Rollout, Runs, ServiceState, Slot, SlotState,
    Worker, WorkerState,
};

use super::table::{Cell, Mood, Table, UNKNOWN};
use super::units::{age, bytes, counted, took};
use crate::cli::client::report::printable;

/// The whole page.
pub(super) fn status(status: &Status, colour: bool) -> String {
    let mut page = headline(status, colour);
    page.push('\n');
    page.push_str(&slots(&status.slots).render(colour));
    for slot in &status.slots {
        page.extend(slot.renewal.as_ref().map(|it| renewal(slot.slot, it)));
    }
    page.push_str(&said(&status.slots));
    page.push_str(&releases(&status.slots));
    page.push('\n');
    if status.listeners.is_empty() {
        page.push_str("no listener\n");
    } else {
        page.push_str(&listeners(&status.listeners).render(colour));
    }
    if let Some(last) = &status.rollout {
        page.push('\n');
        page.push_str(&rollout(last, colour));
    }
    if let Some(at) = &status.next_reload_at {
        page.push_str(&format!("next reload by schedule at {}\n", printable(at)));
    }
    page
}

/// What workers say of themselves.
fn said(slots: &[Slot]) -> String {
    let workers = slots.iter().flat_map(|slot| &slot.workers);
    let said = workers.filter_map(|worker| Some((worker.id, worker.status.as_deref()?)));
    said.map(|(id, status)| format!("worker {id} says: {}\n", printable(status))).collect()
}

/// The colour of a service's state.
pub(in crate::cli) fn service_state(state: ServiceState) -> Cell {
    let mood = match state {
        ServiceState::Running => Mood::Good,
        ServiceState::Starting
        | ServiceState::Reloading
        | ServiceState::Degraded
        | ServiceState::Stopping => Mood::Unsettled,
        ServiceState::Down => Mood::Bad,
    };
    Cell::in_mood(state, mood)
}

fn headline(status: &Status, colour: bool) -> String {
    let state = service_state(status.state).render(colour);
    let reason = status.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let generation = Cell::known(status.generation).render(false);
    format!(
        "{}  {state}{}  pid {}  relevo {}  generation {generation}  release {}\n",
        printable(&status.name),
        printable(&reason),
        status.pid,
        printable(&status.version),
        printable(status.release.as_deref().unwrap_or(UNKNOWN)),
    )
}

/// Which generation was loaded from where, as long as workers of several releases are there.
fn releases(slots: &[Slot]) -> String {
    let workers = slots.iter().flat_map(|slot| &slot.workers);
    let known = workers.filter_map(|worker| Some((worker.generation, worker.release.as_deref()?)));
    let known: BTreeMap<u64, &str> = known.collect();
    let places: BTreeSet<&str> = known.values().copied().collect();
    let line = |(generation, release): (&u64, &&str)| {
        format!("generation {generation} is release {}\n", printable(release))
    };
    if places.len() > 1 { known.iter().map(line).collect() } else { String::new() }
}

fn slots(slots: &[Slot]) -> Table<11> {
    let mut table = Table::new([
        "SLOT",
        "STATE",
        "WORKER",
        "PID",
        "GENERATION",
        "STATE",
        "UPTIME",
        "MEMORY",
        "CPU",
        "RESTARTS",
        "LAST EXIT",
    ]);
    for slot in slots {
        let mut workers = slot.workers.iter();
        let [restarts, last_exit] = [Cell::plain(slot.restarts), Cell::plain(history(slot))];
        let [id, pid, generation, state, uptime, memory, cpu] = worker(workers.next());
        table.push([
            Cell::plain(slot.slot),
            slot_state(slot.state),
            id,
            pid,
            generation,
            state,
            uptime,
            memory,
            cpu,
            restarts,
            last_exit,
        ]);
        for further in workers {
            let [id, pid, generation, state, uptime, memory, cpu] = worker(Some(further));
            let none = Cell::empty;
            table.push([
                none(),
                none(),
                id,
                pid,
                generation,
                state,
                uptime,
                memory,
                cpu,
                none(),
                none(),
            ]);
        }
    }
    table
}

/// A worker that has reached a limit, and what its replacement waits for.
fn renewal(slot: u32, renewal: &Renewal) -> String {
    let Renewal { worker, reason, waits_for, next_try_ms, failure } = renewal;
    let next = match (waits_for, next_try_ms) {
        (None, _) => "its replacement starts".to_owned(),
        (Some(_), Some(ms)) => format!("the next replacement starts in {}", took(*ms)),
        (Some(what), None) => format!("its replacement waits for {what}"),
    };
    let failed = failure.as_ref().map(|how| format!("; the last one failed: {how}"));
    let text =
        format!("slot {slot}: worker {worker} {reason}; {next}{}", failed.unwrap_or_default());
    format!("{}\n", printable(&text))
}

fn worker(worker: Option<&Worker>) -> [Cell; 7] {
    let Some(worker) = worker else {
        return std::array::from_fn(|_| Cell::plain(UNKNOWN));
    };
    [
        Cell::plain(worker.id),
        Cell::known(worker.pid),
        Cell::plain(worker.generation),
        worker_state(worker.state),
        Cell::known(worker.uptime_ms.map(age)),
        Cell::known(worker.rss_bytes.map(bytes)),
        Cell::known(worker.cpu_percent.map(|percent| format!("{percent:.1}%"))),
    ]
}

fn slot_state(state: SlotState) -> Cell {
    let mood = match state {
        SlotState::Ready => Mood::Good,
        SlotState::Vacant | SlotState::Ended => Mood::Unsettled,
        SlotState::BackingOff | SlotState::Hung => Mood::Bad,
    };
    Cell::in_mood(state, mood)
}

fn worker_state(state: WorkerState) -> Cell {
    let mood = match state {
        WorkerState::Ready | WorkerState::Standby => Mood::Good,
        WorkerState::Starting
        | WorkerState::Draining
        | WorkerState::Lingering
        | WorkerState::Parked
        | WorkerState::Stopping => Mood::Unsettled,
    };
    Cell::in_mood(state, mood)
}

/// How the slot's last process ended, and when there is a next one.
fn history(slot: &Slot) -> String {
    let last = slot.last_exit.as_ref().map(last_exit);
    let next = slot.next_try_ms.map(|ms| format!("next try in {}", took(ms)));
    let parts: Vec<String> = last.into_iter().chain(next).collect();
    if parts.is_empty() { UNKNOWN.to_owned() } else { parts.join("; ") }
}

fn last_exit(exit: &LastExit) -> String {
    let how = match (exit.code, &exit.signal) {
        (_, Some(signal)) => signal.clone(),
        (Some(code), None) => format!("code {code}"),
        (None, None) => "cause unknown".to_owned(),
    };
    let memory = if exit.oom { ", out of memory" } else { "" };
    format!("{how}{memory}, {} ago", age(exit.ago_ms))
}

fn listeners(listeners: &[Listener]) -> Table<6> {
    let mut table = Table::new(["ADDRESS", "KIND", "BALANCE", "DEALING", "WEIGHTS", "COVERING"]);
    for listener in listeners {
        let covering = match listener.covering.as_slice() {
            [] => Cell::plain("no slot"),
            slots => {
                let numbers: Vec<String> = slots.iter().map(ToString::to_string).collect();
                let word = if slots.len() == 1 { "slot" } else { "slots" };
                Cell::in_mood(format!("{word} {}", numbers.join(", ")), Mood::Unsettled)
            }
        };
        table.push([
            Cell::plain(&listener.address),
            Cell::plain(listener.kind),
            Cell::plain(&listener.balance),
            Cell::known(listener.dealing),
            weights(listener.weights.as_deref()),
            covering,
        ]);
    }
    table
}

/// The slots' shares in percent; in one word where they are all the same, as they mostly are.
fn weights(weights: Option<&[u32]>) -> Cell {
    match weights {
        None => Cell::plain("-"),
        Some([first, rest @ ..]) if rest.iter().all(|weight| weight == first) => {
            Cell::plain("even")
        }
        Some(weights) => {
            let all: Vec<String> = weights.iter().map(ToString::to_string).collect();
            Cell::plain(all.join(" "))
        }
    }
}

fn rollout(rollout: &Rollout, colour: bool) -> String {
    let mut parts = vec![match rollout.outcome {
        Some(outcome) => ended(rollout, outcome, colour),
        None => in_progress(rollout, colour),
    }];
    let waits = rollout.waits_for.as_ref().map(|what| format!("waits for {}", printable(what)));
    parts.extend(waits);
    parts.extend(mixed(rollout));
    parts.extend(became(rollout));
    let reason = rollout.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let cause = rollout.cause.map(|cause| format!(" (by {cause})")).unwrap_or_default();
    format!(
        "rollout to generation {}{cause} {}{}\n",
        rollout.generation,
        parts.join("; "),
        printable(&reason)
    )
}

/// Which slots run what, where a rollout is over and that is not the same everywhere.
pub(in crate::cli) fn mixed(rollout: &Rollout) -> Option<String> {
    let runs = rollout.runs.as_ref().filter(|runs| runs.len() > 1 && rollout.outcome.is_some())?;
    let one = |runs: &Runs| {
        let slots: Vec<String> = runs.slots.iter().map(ToString::to_string).collect();
        format!("generation {} in slot {}", runs.generation, slots.join(", "))
    };
    Some(runs.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn in_progress(rollout: &Rollout, colour: bool) -> String {
    let mut text = Cell::in_mood("in progress", Mood::Unsettled).render(colour);
    text.extend(rollout.slot.map(|slot| format!(", {}", place(slot, rollout.of))));
    text.extend(rollout.phase.map(|phase| format!(", {phase}")));
    if rollout.paused == Some(true) {
        text.push_str(", paused");
    }
    text.extend(rollout.duration_ms.map(|ms| format!(", {} so far", took(ms))));
    text
}

fn ended(rollout: &Rollout, outcome: Outcome, colour: bool) -> String {
    let mood = match outcome {
        Outcome::Succeeded => Mood::Good,
        Outcome::Failed | Outcome::RolledBack | Outcome::Aborted => Mood::Bad,
    };
    let word = outcome.word().replace('_', " ");
    let mut text = Cell::in_mood(word, mood).render(colour);
    match (rollout.slot, rollout.of) {
        (Some(slot), of) => text.push_str(&format!(" at {}", place(slot, of))),
        (None, Some(of)) if outcome == Outcome::Succeeded => {
            text.push_str(&format!(" on {}", counted(of.into(), "slot")));
        }
        (None, _) => {}
    }
    text.extend(rollout.duration_ms.map(|ms| format!(" in {}", took(ms))));
    text
}

/// A slot, and how far that is: slots are numbered from 0.
pub(in crate::cli) fn place(slot: u32, of: Option<u32>) -> String {
    match of {
        Some(of) => format!("slot {slot} ({} of {of})", u64::from(slot) + 1),
        None => format!("slot {slot}"),
    }
}

/// What became of the old workers' connections, as far as there is something to tell.
pub(in crate::cli) fn became(rollout: &Rollout) -> Vec<String> {
    let some = |count: Option<u64>, noun: &str| {
        count.filter(|count| *count > 0).map(|count| counted(count, noun))
    };
    let moved = some(rollout.handed_over, "connection").map(|count| format!("{count} handed over"));
    let closed =
        some(rollout.closed_idle, "idle connection").map(|count| format!("{count} closed"));
    let not_zero = some(rollout.not_zero, "idle connection").map(|count| {
        format!("not zero: {count} with a keep-alive timeout longer than --linger, or none")
    });
    [moved, closed, cut(&rollout.cut), not_zero].into_iter().flatten().collect()
}

/// What was cut, if anything is known to have been.
fn cut(cut: &Cut) -> Option<String> {
    let kinds = [
        (cut.request, "request"),
        (cut.upload, "upload"),
        (cut.event_stream, "event stream"),
        (cut.websocket, "WebSocket"),
        (cut.idle_tls, "idle TLS connection"),
        (cut.unknown, "unknown connection"),
    ];
    let cut: Vec<String> = kinds
        .into_iter()
        .filter_map(|(count, noun)| count.filter(|count| *count > 0).map(|n| counted(n, noun)))
        .collect();
    if cut.is_empty() { None } else { Some(format!("cut: {}", cut.join(", "))) }
}
