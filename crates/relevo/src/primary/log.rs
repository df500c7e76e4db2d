//! The words for what the core has to tell.

use std::collections::BTreeMap;
use std::time::Duration;

use relevo_core::{
    DealerNotice, Disturbance, Exit, ExitHow, Failure, Generation, Left, ListenerId, Moved, Notice,
    Outcome, Refusal, RolloutReport, ScaleOutcome, ScaleReport, Slot, Spec, Waits, WorkerId,
};
use relevo_sys::{Signal, signals};

/// The line that is written for a notice of the dealer's.
pub(crate) fn dealer_line(
    notice: &DealerNotice,
    pid: impl Fn(WorkerId) -> Option<u32>,
    address: impl Fn(ListenerId) -> Option<String>,
) -> String {
    let who = |worker: &WorkerId| match pid(*worker) {
        Some(pid) => format!("worker {worker} (pid {pid})"),
        None => format!("worker {worker}"),
    };
    let on = |listener: &ListenerId| {
        address(*listener).unwrap_or_else(|| format!("listener {listener}"))
    };
    match notice {
        DealerNotice::NotSteered { listener, errno } => format!(
            "new connections to {} cannot be steered here ({}): the kernel's hash deals them, and the primary covers slots without a worker",
            on(listener),
            error_text(*errno)
        ),
        DealerNotice::Disturbed { listener, how } => {
            format!("warning: {}: {}", on(listener), disturbance(*how))
        }
        DealerNotice::Blocked { worker, slot } => format!(
            "slot {slot}: {} accepts nothing; the others get its connections until it does",
            who(worker)
        ),
        DealerNotice::Unblocked { worker, slot, after } => {
            format!("slot {slot}: {} accepts again after {}", who(worker), seconds(*after))
        }
    }
}

fn disturbance(how: Disturbance) -> String {
    match how {
        Disturbance::NotListening { .. } => {
            "a worker has shut a socket down; it listens again".to_owned()
        }
        Disturbance::Strangers { count: 1 } => {
            "another process of the same user listens there too; it gets nothing".to_owned()
        }
        Disturbance::Strangers { count } => {
            format!("{count} other sockets of the same user listen there too; they get nothing")
        }
        Disturbance::Shares => {
            "new connections did not go where they were sent; the weights are set anew".to_owned()
        }
    }
}

/// The line that is written for a notice.
pub(crate) fn line(notice: &Notice, pid: impl Fn(WorkerId) -> Option<u32>) -> String {
    let who = |worker: &WorkerId| match pid(*worker) {
        Some(pid) => format!("worker {worker} (pid {pid})"),
        None => format!("worker {worker}"),
    };
    match notice {
        Notice::WorkerReady { worker, slot, after } => {
            format!("slot {slot}: {} ready after {}", who(worker), seconds(*after))
        }
        Notice::WorkerLoaded { worker, slot, after } => {
            format!("slot {slot}: {} loaded after {}, on standby", who(worker), seconds(*after))
        }
        Notice::SparePromoted { worker, slot } => {
            format!("slot {slot}: {} takes over from standby", who(worker))
        }
        Notice::WorkerFailed { worker, slot, failure, next_try } => {
            let next = match next_try {
                Some(delay) if delay.is_zero() => "; starting another now".to_owned(),
                Some(delay) => format!("; next try in {}", seconds(*delay)),
                None => String::new(),
            };
            format!("slot {slot}: {} {}{next}", who(worker), failed(failure))
        }
        Notice::WorkerLeft { worker, slot, exit } => {
            format!("slot {slot}: {} gone ({})", who(worker), ended(exit))
        }
        Notice::DrainCut { worker, slot, left } => {
            let what = left.as_ref().map_or_else(|| "whatever it still did".to_owned(), work_left);
            format!("slot {slot}: {} did not finish in time; ending {what}", who(worker))
        }
        Notice::Killing { worker, slot } => {
            format!("slot {slot}: {} did not end by the stop signal; killing it", who(worker))
        }
        Notice::WorkerLeaving { worker, slot } => {
            format!("slot {slot}: {} wants to leave; starting another first", who(worker))
        }
        Notice::Unprotected { worker, addresses } => format!(
            "warning: {} listens on {} by itself, past Relevo: connections to that are not protected when it is replaced",
            who(worker),
            addresses.join(", ")
        ),
        Notice::BindFailed { address, errno, holder } => {
            bind_failed(address, *errno, holder.as_deref())
        }
        Notice::ListenerOpened { address } => format!("listening on {address}"),
        Notice::ListenerClosed { address } => format!("no longer listening on {address}"),
        Notice::ServiceReady { ready, of } if ready == of => format!("ready: {of} workers"),
        Notice::ServiceReady { ready, of } => {
            format!("ready, but degraded: {ready} of {of} workers")
        }
        Notice::FirstStartFailed { worker, failure } => {
            format!("start failed: worker {worker} {}", failed(failure))
        }
        Notice::RolloutStarted { generation, back_to: None } => {
            format!("reload: generation {generation} begins")
        }
        Notice::RolloutStarted { generation, back_to: Some(back_to) } => {
            format!(
                "rollback: generation {generation} begins, which is what generation {back_to} was"
            )
        }
        Notice::FellBack { slot, from, to } => format!(
            "slot {slot}: generation {from} has failed here and is still on trial; the slot goes on with generation {to}, the last good one, until the next reload or rollback"
        ),
        Notice::HeldBack { worker, slot, within } => format!(
            "slot {slot}: {} runs the code that was refused; it gets connections if it lives for {} (--probation)",
            who(worker),
            seconds(*within)
        ),
        Notice::RolloutWaits { generation, workers } => {
            let all: Vec<String> = workers.iter().map(&who).collect();
            format!(
                "reload: generation {generation} waits for workers of earlier reloads to end: {}",
                all.join(", ")
            )
        }
        Notice::RolloutWaitsForDrain { generation, workers } => format!(
            "reload: generation {generation} waits for {} (--drain-timeout bounds that)",
            drains(workers, who)
        ),
        Notice::RolloutHeld { generation, paused: true } => format!(
            "reload: generation {generation} is paused; `relevo resume` goes on, `relevo abort` undoes it"
        ),
        Notice::RolloutHeld { generation, paused: false } => {
            format!("reload: generation {generation} goes on")
        }
        Notice::RolloutUndone { generation, why, parked } => {
            let why = match why {
                Outcome::Failed { worker, failure } => {
                    format!("{} {}", who(worker), failed(failure))
                }
                Outcome::Aborted | Outcome::Stopped | Outcome::Succeeded => "aborted".to_owned(),
            };
            format!(
                "reload: undoing generation {generation}: {why}; {} called back",
                counted(*parked, "parked worker")
            )
        }
        Notice::WorkerReturned { worker, slot } => {
            format!("slot {slot}: {} serves again", who(worker))
        }
        Notice::ParkedTooLong { worker, slot } => format!(
            "slot {slot}: {} was parked for as long as one may be and is let go: the slot has no way back from this reload",
            who(worker)
        ),
        Notice::RolloutEnded(report) => rollout_ended(report),
        Notice::Down { held } => format!(
            "down: no worker was there to accept for {} (--hold); the listeners are closed until one is ready",
            seconds(*held)
        ),
        Notice::Up { after } => format!("up again after {}", seconds(*after)),
        Notice::Scaling { from, to } => format!("scale: from {from} to {}", workers(*to)),
        Notice::ScaleEnded(report) => scale_ended(report),
        Notice::NotScaled(refusal) => format!("not scaled: {}", refused(*refusal)),
        Notice::Stopping => "stopping".to_owned(),
        Notice::LeftBehind { workers } => {
            let all: Vec<String> = workers.iter().map(&who).collect();
            format!("left behind, since even SIGKILL does not end it: {}", all.join(", "))
        }
        Notice::Bug { what } => format!("bug in Relevo, please report it: {what}"),
    }
}

/// How a rollout went, in one sentence.
pub(crate) fn rollout_ended(report: &RolloutReport) -> String {
    let generation = report.generation;
    let after = seconds(report.duration);
    let wish = if report.back_to.is_some() { "rollback" } else { "reload" };
    match &report.outcome {
        Outcome::Succeeded => {
            let rest = rest(&report.cut, &report.moved);
            format!("{wish} done: generation {generation} on {} slots in {after}{rest}", report.of)
        }
        Outcome::Failed { worker, failure } => {
            let what = if report.returned > 0 { "undone" } else { "refused" };
            format!("{wish} {what}: worker {worker} {}; {}", failed(failure), who_serves(report))
        }
        Outcome::Aborted => {
            format!("{wish} of generation {generation} aborted; {}", who_serves(report))
        }
        Outcome::Stopped => {
            format!("{wish} of generation {generation} given up: the service is stopping")
        }
    }
}

/// Why a service is degraded some of whose slots have gone back to earlier generations.
pub(crate) fn gone_back(
    from: Generation,
    slots: &BTreeMap<Generation, Vec<Slot>>,
) -> Option<String> {
    if slots.is_empty() {
        return None;
    }
    let all: Vec<String> = slots.iter().map(runs).collect();
    Some(format!(
        "{} again, because generation {from} failed there soon after its rollout: `relevo rollback` brings all slots back, `relevo reload` to the code as it is now",
        all.join(", ")
    ))
}

/// How many workers still serve with good code.
pub(crate) fn good_workers(count: u32) -> String {
    match count {
        0 => "no good worker is".to_owned(),
        1 => "1 good worker is".to_owned(),
        _ => format!("{count} good workers are"),
    }
}

fn runs((generation, slots): (&Generation, &Vec<Slot>)) -> String {
    let noun = if slots.len() == 1 { "slot" } else { "slots" };
    let numbers: Vec<String> = slots.iter().map(ToString::to_string).collect();
    let verb = if slots.len() == 1 { "runs" } else { "run" };
    format!("{noun} {} {verb} generation {generation}", numbers.join(", "))
}

/// Which slots run what after a rollout that did not succeed.
fn who_serves(report: &RolloutReport) -> String {
    if report.replaced == 0 {
        let serves =
            if report.returned > 0 { "serves again on all slots" } else { "keeps serving" };
        return format!("generation {} {serves}", report.serving);
    }
    let all: Vec<String> = report.runs.iter().map(runs).collect();
    format!(
        "{}: what had been let go could not be taken back; `relevo reload` brings all to the same code",
        all.join(", ")
    )
}

/// What a rollout waits for, as the end of a sentence.
pub(crate) fn waits_for(waits: &Waits) -> String {
    match waits {
        Waits::Paused => "somebody to resume or abort it".to_owned(),
        Waits::Room(workers) => {
            let all: Vec<String> = workers.iter().map(|id| format!("worker {id}")).collect();
            format!("workers of earlier reloads to end: {}", all.join(", "))
        }
        Waits::Drain(workers) => drains(workers, |id| format!("worker {id}")),
    }
}

fn drains(workers: &[(WorkerId, Option<Left>)], who: impl Fn(&WorkerId) -> String) -> String {
    let one = |(id, left): &(WorkerId, Option<Left>)| match left {
        Some(left) if left.work() > 0 => format!("{} to finish {}", who(id), work_left(left)),
        Some(_) | None => format!("{} to finish", who(id)),
    };
    let all: Vec<String> = workers.iter().map(one).collect();
    all.join(", ")
}

/// How a scaling went, in one sentence.
pub(crate) fn scale_ended(report: &ScaleReport) -> String {
    let (to, after) = (report.to, seconds(report.duration));
    match &report.outcome {
        ScaleOutcome::Accepted => format!("scale to {to} begins"),
        ScaleOutcome::Done => {
            let rest = rest(&report.cut, &report.moved);
            format!("scale done: {} in {after}{rest}", workers(to))
        }
        ScaleOutcome::Failed { worker, failure } => format!(
            "scale to {to} failed: worker {worker} {}; {} of {to} are ready, and the others are tried again",
            failed(failure),
            report.ready
        ),
        ScaleOutcome::Superseded { by } => {
            format!("scale to {to} given up: by now {} wanted", are(*by))
        }
        ScaleOutcome::Aborted => format!("scale to {to} given up: the service is stopping"),
    }
}

/// What became of connections, for the end of a report.
fn rest(cut: &Left, moved: &Moved) -> String {
    let mut rest = String::new();
    if moved.handed_over > 0 {
        rest.push_str(&format!("; {}", counted(moved.handed_over, "connection")));
        rest.push_str(" handed over");
    }
    if moved.closed_idle > 0 {
        rest.push_str(&format!("; {} closed", counted(moved.closed_idle, "idle connection")));
    }
    if cut.work() > 0 {
        rest.push_str(&format!("; ended unfinished: {}", work_left(cut)));
    }
    if moved.not_zero > 0 {
        rest.push_str(&format!(
            "; not zero: {} with a keep-alive timeout longer than --linger, or none",
            counted(moved.not_zero, "idle connection")
        ));
    }
    rest
}

fn counted(count: u32, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Why a wish is not fulfilled, as the end of a sentence.
pub(crate) fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::Stopping => "the service is stopping".to_owned(),
        Refusal::NoRollout => "no reload is going on".to_owned(),
        Refusal::NoWayBack { generation } => format!(
            "every slot runs generation {generation} already and the old workers are finishing; to go back, use `relevo rollback`, or bring the old code back and reload"
        ),
        Refusal::BeingUndone => "the reload is being undone".to_owned(),
        Refusal::RolloutGoesOn { generation } => format!(
            "generation {generation} is being rolled out; `relevo abort` undoes it"
        ),
        Refusal::ReloadWaits => "a reload waits to begin; once it goes on, `relevo abort` undoes it".to_owned(),
        Refusal::NoPreviousRelease => "all code so far was loaded from the same place, so that there is no earlier release; bring the old code back and reload".to_owned(),
        Refusal::NotPaused => "the reload is not paused".to_owned(),
        Refusal::TooManyWaiting => "too many clients wait already".to_owned(),
        Refusal::TooFewWorkers { wanted } => format!(
            "{} wanted now, and one is the least; to end the service, use `relevo stop`",
            are(wanted)
        ),
        Refusal::TooManyWorkers { wanted } => {
            format!("{} wanted now, and {} are the most", are(wanted), Spec::MAX_SLOTS)
        }
    }
}

fn workers(count: u32) -> String {
    counted(count, "worker")
}

fn are(count: u32) -> String {
    format!("{} {}", workers(count), if count == 1 { "is" } else { "are" })
}

/// What happened to a worker, as the end of a sentence that begins with its name.
pub(crate) fn failed(failure: &Failure) -> String {
    match failure {
        Failure::Exited { exit, was_ready: true, .. } => ended(exit),
        Failure::Exited { exit, was_ready: false, asked_to_listen: false } => {
            format!("{} before it listened", ended(exit))
        }
        Failure::Exited { exit, was_ready: false, asked_to_listen: true } => {
            format!("{} before it was ready", ended(exit))
        }
        Failure::SpawnFailed { stage, errno } => {
            format!("could not be started: {stage}: {}", error_text(*errno))
        }
        Failure::NotReady { waited, missing, unprotected } => {
            not_ready(*waited, missing, unprotected)
        }
        Failure::AskedToLeave => "left by its own wish".to_owned(),
        Failure::ChannelLost => "closed its channel to Relevo and went on running".to_owned(),
        Failure::HungUp { addresses } => {
            format!("stopped listening on {}", addresses.join(", "))
        }
        Failure::HeldTooLong => {
            "had a socket and did not listen on it until --hold was spent".to_owned()
        }
        Failure::Misbehaved { reason } => format!("was ended: {reason}"),
    }
}

fn not_ready(waited: Duration, missing: &[String], unprotected: &[String]) -> String {
    let waited = seconds(waited);
    if !unprotected.is_empty() {
        format!(
            "holds {} itself, not through Node's net module (a native listener, or `exclusive: true` or `reusePort: true`): Relevo can neither give it its socket nor see that it is ready; let it listen with plain `listen(port)`",
            unprotected.join(", ")
        )
    } else if missing.is_empty() {
        format!(
            "did not listen on anything within {waited} (--ready-timeout): call `listen` in the app, or give it more time"
        )
    } else {
        format!("did not listen on {} within {waited} (--ready-timeout)", missing.join(", "))
    }
}

fn bind_failed(address: &str, errno: i32, holder: Option<&str>) -> String {
    let held = match holder {
        Some(holder) => format!(": {holder} holds it; stop that, or listen elsewhere"),
        None => String::new(),
    };
    format!("cannot listen on {address}: {}{held}", error_text(errno))
}

/// How a process ended.
pub(crate) fn ended(exit: &Exit) -> String {
    let how = match exit.how {
        ExitHow::Code(code) => format!("exited with code {code}"),
        ExitHow::Signal(number) => format!("was killed by {}", signal_name(number)),
    };
    if exit.out_of_memory { format!("{how} (the kernel was out of memory)") } else { how }
}

/// The name of a signal, or its number where it has none.
pub(crate) fn signal_name(number: i32) -> String {
    let known = Signal::from_named_raw(number);
    known.map_or_else(|| format!("signal {number}"), |signal| signals::name(signal).to_owned())
}

fn work_left(left: &Left) -> String {
    let kinds = [
        (left.requests, "request"),
        (left.uploads, "upload"),
        (left.event_streams, "event stream"),
        (left.websockets, "upgraded connection"),
        (left.unknown, "connection of another protocol"),
        (left.idle.saturating_add(left.moving), "idle connection"),
        (left.idle_tls, "idle TLS connection"),
    ];
    let named: Vec<String> = kinds
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| counted(*count, kind))
        .collect();
    named.join(", ")
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

fn error_text(errno: i32) -> String {
    crate::cli::error_text(&std::io::Error::from_raw_os_error(errno))
}
