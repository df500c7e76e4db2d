//! The words for what the core has to tell.

use std::collections::BTreeMap;
use std::time::Duration;

use relevo_core::{
    DealerNotice, Disturbance, Exit, ExitHow, Failure, Generation, HookFailure, HookKind, Left,
    ListenerId, Memory, Moved, Notice, Outcome, Pause, Refusal, RenewalReason, RenewalStart,
    RolloutReport, ScaleOutcome, ScaleReport, Slot, Spec, Tally, Unsaid, Waits, WorkerId,
};
use relevo_sys::{Errno, Signal, signals};

use super::status;

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

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

fn memory_seen(memory: &Memory) -> String {
    let free = memory.available.map(|bytes| format!("{} available", mebibytes(bytes)));
    let worker = memory.largest_worker.map(|bytes| format!("a worker has {}", mebibytes(bytes)));
    let stalled = memory.stalled.filter(|stalled| *stalled > 0);
    let stalled = stalled.map(|part| format!("processes wait for it {} % of the time", part / 10));
    [free, worker, stalled].into_iter().flatten().collect::<Vec<_>>().join(", ")
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
        Notice::StartExtended { worker, slot, within, is_all } => {
            let all = if *is_all { ", and no longer" } else { "" };
            let within = seconds(*within);
            format!(
                "slot {slot}: {} asks for more time: it may take {within} to be ready{all}",
                who(worker)
            )
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
        Notice::WorkerPaused { worker, slot, pause } => {
            format!("slot {slot}: {} {}", who(worker), paused(*pause))
        }
        Notice::WorkerDue { worker, slot, reason, start } => {
            let (why, start) = (renewal_reason(reason), renewal_start(*start));
            format!("slot {slot}: {} {why}: {start}", who(worker))
        }
        Notice::WorkerRenewed { worker, slot, old } => {
            format!("slot {slot}: {} takes the place of {}, which drains", who(worker), who(old))
        }
        Notice::RenewalFailed { worker, slot, next_try } => {
            let next = match next_try {
                delay if delay.is_zero() => "another replacement starts".to_owned(),
                delay => format!("the next replacement starts in {}", seconds(*delay)),
            };
            format!("slot {slot}: {} keeps serving; {next}", who(worker))
        }
        Notice::RequestsNotCounted { worker } => format!(
            "warning: {} has no agent, which would count its requests: --max-requests has no effect on it, nor on others without one",
            who(worker)
        ),
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
        Notice::RolloutStarted { generation, cause, back_to: None } => {
            format!("reload: generation {generation} begins (by {})", status::cause(*cause))
        }
        Notice::RolloutStarted { generation, back_to: Some(back_to), .. } => {
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
        Notice::MemoryTight { generation, memory, parked } => format!(
            "reload: generation {generation}: memory is tight ({}): one new worker at a time{}",
            memory_seen(memory),
            if *parked == 0 {
                String::new()
            } else {
                format!(
                    "; {} let go, so that slot has no way back",
                    counted(*parked, "parked worker")
                )
            }
        ),
        Notice::RolloutHeld { generation, paused: true } => format!(
            "reload: generation {generation} is paused; `relevo resume` goes on, `relevo abort` undoes it"
        ),
        Notice::RolloutHeld { generation, paused: false } => {
            format!("reload: generation {generation} goes on")
        }
        Notice::CanaryPassed { worker, slot, new, old, conclusive } => {
            let verdict = if *conclusive {
                "passed"
            } else {
                "is inconclusive, and the reload goes on (--canary-inconclusive go-on)"
            };
            format!("slot {slot}: the canary {verdict}: {} {}", who(worker), canary(new, old))
        }
        Notice::RolloutUndone { generation, why, parked } => {
            let why = match why {
                Outcome::Failed { worker, failure } => {
                    format!("{} {}", who(worker), failed(failure))
                }
                Outcome::HookFailed { kind, failure, .. } => hook_failed(*kind, failure),
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
        Notice::HookFailed { kind, failure, .. } => hook_failed(*kind, failure),
        Notice::HookLeftOut { kind } => {
            format!("{kind} is not run: one more of its kind waits already")
        }
        Notice::RolloutEnded(report) => rollout_ended(report),
        Notice::Down { held } => format!(
            "down: no worker was there to accept for {} (--hold); the listeners are closed until one is ready",
            seconds(*held)
        ),
        Notice::Up { after } => format!("up again after {}", seconds(*after)),
        Notice::Scaling { from, to } if from == to => {
            format!("scale: what has ended begins anew, to {}", workers(*to))
        }
        Notice::Scaling { from, to } => format!("scale: from {from} to {}", workers(*to)),
        Notice::ScaleEnded(report) => scale_ended(report),
        Notice::NotScaled(refusal) => format!("not scaled: {}", refused(*refusal)),
        Notice::AllEnded { ends, code } => all_ended(ends, *code),
        Notice::Stopping => "stopping".to_owned(),
        Notice::LeftBehind { workers } => {
            let all: Vec<String> = workers.iter().map(&who).collect();
            format!("left behind, since even SIGKILL does not end it: {}", all.join(", "))
        }
        Notice::Bug { what } => format!("bug in Relevo, please report it: {what}"),
    }
}

/// Why a worker is replaced although it serves, as the end of a sentence that begins with its name.
pub(crate) fn renewal_reason(reason: &RenewalReason) -> String {
    match reason {
        RenewalReason::Memory { rss_bytes, limit_bytes } => format!(
            "is over its memory limit ({} of {})",
            mebibytes(*rss_bytes),
            mebibytes(*limit_bytes)
        ),
        RenewalReason::Age { limit } => {
            format!("has served for as long as it may ({})", seconds(*limit))
        }
        RenewalReason::Requests { limit } => {
            format!("has been asked as many requests as it may be ({limit})")
        }
    }
}

/// What became of a hook, as a sentence.
pub(crate) fn hook_failed(kind: HookKind, failure: &HookFailure) -> String {
    match failure {
        HookFailure::Exited(exit) => format!("{kind} {}", ended(exit)),
        HookFailure::NotStarted { errno } => {
            format!("{kind} could not be started: {}", error_text(*errno))
        }
        HookFailure::TimedOut { after } => {
            format!("{kind} did not end within {} (--hook-timeout)", seconds(*after))
        }
    }
}

/// When it is replaced, as the end of a sentence.
fn renewal_start(start: RenewalStart) -> String {
    match start {
        RenewalStart::Now => "a replacement starts".to_owned(),
        RenewalStart::AfterRollout => "a replacement starts when the reload is over".to_owned(),
        RenewalStart::AfterRefusal => {
            "a replacement starts when a reload has brought code that works".to_owned()
        }
        RenewalStart::InTurn => "a replacement starts when its turn comes".to_owned(),
        RenewalStart::WhenAllReady => "a replacement starts when every slot is ready".to_owned(),
        RenewalStart::In(delay) => format!("a replacement starts in {}", seconds(delay)),
        RenewalStart::WhenRoom => {
            "a replacement starts when workers on their way out have ended".to_owned()
        }
    }
}

/// What keeps a replacement from starting, as the end of a sentence.
pub(crate) fn renewal_waits_for(start: RenewalStart) -> Option<String> {
    let what = match start {
        RenewalStart::Now => return None,
        RenewalStart::AfterRollout => "the reload to be over",
        RenewalStart::AfterRefusal => "a reload that brings code that works",
        RenewalStart::InTurn => "its turn",
        RenewalStart::WhenAllReady => "every slot to be ready",
        RenewalStart::In(_) => "the next try",
        RenewalStart::WhenRoom => "workers on their way out to end",
    };
    Some(what.to_owned())
}

fn all_ended(ends: &[(Slot, Exit)], code: u8) -> String {
    let one = |(slot, exit): &(Slot, Exit)| format!("slot {slot} {}", ended(exit));
    let all: Vec<String> = ends.iter().map(one).collect();
    format!(
        "every worker has ended for good (--final-exit-codes): {}; so does the service, with exit code {code}",
        all.join(", ")
    )
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
        Outcome::HookFailed { kind, failure, .. } => {
            let what = if report.returned > 0 { "undone" } else { "refused" };
            format!("reload {what}: {}; {}", hook_failed(*kind, failure), who_serves(report))
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
        Waits::Memory => "memory for another worker".to_owned(),
        Waits::Hook(kind) => format!("{kind} to end"),
        Waits::Room(workers) => {
            let all: Vec<String> = workers.iter().map(|id| format!("worker {id}")).collect();
            format!("workers of earlier reloads to end: {}", all.join(", "))
        }
        Waits::Canary { worker, new, old, wanted } => format!(
            "the canary: worker {worker} has answered {} of {wanted} requests, {}; the old ones {} of {}",
            new.requests(),
            errors(new.errors()),
            old.errors(),
            old.requests()
        ),
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
        ScaleOutcome::Failed { worker, failure: failure @ Failure::EndedForGood { .. } } => {
            format!(
                "scale to {to} failed: worker {worker} {}; {} of {to} are ready",
                failed(failure),
                report.ready
            )
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
        Failure::EndedForGood { exit } => format!(
            "{}, which is final (--final-exit-codes): its slot stays empty until a reload or a scaling",
            ended(exit)
        ),
        Failure::SpawnFailed { stage, errno } => {
            let (why, remedy) = (error_text(*errno), remedy(*errno));
            format!("could not be started: {stage}: {why}{remedy}")
        }
        Failure::NotReady { waited, missing, unsaid, unprotected } => {
            not_ready(*waited, missing, unsaid.as_ref(), unprotected)
        }
        Failure::Hung { silent, doing, report } => {
            hung(*silent, doing.as_deref(), report.as_deref())
        }
        Failure::AskedToLeave => "left by its own wish".to_owned(),
        Failure::ChannelLost => "closed its channel to Relevo and went on running".to_owned(),
        Failure::HungUp { addresses } => {
            format!("stopped listening on {}", addresses.join(", "))
        }
        Failure::Canary { new, old, conclusive: true, .. } => canary(new, old),
        Failure::Canary { new, old, waited, .. } => {
            let within =
                waited.map(|waited| format!(" within {} (--canary-timeout)", seconds(waited)));
            format!(
                "{}: too little to tell{}; `--canary-inconclusive go-on` goes on all the same",
                canary(new, old),
                within.unwrap_or_default()
            )
        }
        Failure::HeldTooLong => {
            "had a socket and did not listen on it until --hold was spent".to_owned()
        }
        Failure::Misbehaved { reason } => format!("was ended: {reason}"),
    }
}

/// What a new worker answered, and the old ones did, as the end of a sentence.
/// What to do where a limit of the system is the reason that a process cannot be started.
fn remedy(errno: i32) -> &'static str {
    match Errno::from_raw_os_error(errno) {
        Errno::MFILE => ": raise the limit of open files (ulimit -n, LimitNOFILE=)",
        Errno::AGAIN => ": raise the limit of processes (ulimit -u, TasksMax=)",
        _ => "",
    }
}

fn hung(silent: Duration, doing: Option<&str>, report: Option<&str>) -> String {
    let doing = doing.map(|doing| format!(": {doing}")).unwrap_or_default();
    let report = report.map(|path| format!("; see {path}")).unwrap_or_default();
    format!("hung, no answer for {} (--hang-timeout){doing}{report}", seconds(silent))
}

/// Why a worker that gives no sign of life is left alone.
fn paused(pause: Pause) -> &'static str {
    match pause {
        Pause::Stopped => {
            "gives no sign of life: its process was stopped, as by SIGSTOP; it is left alone"
        }
        Pause::Traced => {
            "gives no sign of life: a debugger has its process (ptrace); it is left alone"
        }
        Pause::Inspected => {
            "gives no sign of life: a debugger is connected to its inspector; it is left alone"
        }
        Pause::Deaf => {
            "gives no sign of life although it waits for events: the app may have removed the listeners for 'internalMessage' that the agent needs; it is left alone"
        }
    }
}

fn canary(new: &Tally, old: &Tally) -> String {
    format!(
        "answered {} of {} requests with errors, the old ones {} of {}",
        new.errors(),
        new.requests(),
        old.errors(),
        old.requests()
    )
}

fn errors(count: u64) -> String {
    format!("{count} error{}", if count == 1 { "" } else { "s" })
}

fn not_ready(
    waited: Duration,
    missing: &[String],
    unsaid: Option<&Unsaid>,
    unprotected: &[String],
) -> String {
    let waited = seconds(waited);
    if !unprotected.is_empty() {
        format!(
            "holds {} itself, not through Node's net module (a native listener, or `exclusive: true` or `reusePort: true`): Relevo can neither give it its socket nor see that it is ready; let it listen with plain `listen(port)`",
            unprotected.join(", ")
        )
    } else if let Some(unsaid) = unsaid.filter(|_| missing.is_empty()) {
        not_said(&waited, unsaid)
    } else if missing.is_empty() {
        format!(
            "did not listen on anything within {waited} (--ready-timeout): call `listen` in the app, or give it more time"
        )
    } else {
        let missing = missing.join(", ");
        format!(
            "did not listen on {missing} within {waited} (--ready-timeout): the worker before it did; where that is to change, use `relevo reload --listeners changed`"
        )
    }
}

fn not_said(waited: &str, unsaid: &Unsaid) -> String {
    let within = format!("within {waited} (--ready-timeout)");
    match unsaid {
        Unsaid::Message => format!(
            "did not say that it is ready {within}: under --ready message an app calls `process.send('ready')`, or `ready()` of relevo-worker"
        ),
        Unsaid::Notify => format!(
            "did not send READY=1 {within}: under --ready notify an app sends it to the socket that NOTIFY_SOCKET names, as `systemd-notify --ready` does"
        ),
        Unsaid::Probe { answer: Some(answer) } => {
            format!("was not ready {within}: {answer}, and 2xx is wanted (--ready)")
        }
        Unsaid::Probe { answer: None } => {
            format!(
                "did not listen on anything that could be asked {within}: call `listen` in the app"
            )
        }
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
