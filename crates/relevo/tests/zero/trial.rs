//! One service under load: its workers are replaced, become more and fewer, and one is killed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::account::{Account, WithTheKilled};
use crate::crowd::Crowd;
use crate::killed::kill;
use crate::support::eventually;
use crate::support::service::{Service, Setup};

/// What a trial has shown.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) account: Account,
    pub(crate) with_the_killed: WithTheKilled,
    /// What Relevo says of the reloads: connections that were moved, idle ones that were closed, and those that could not
    /// be moved by reason. `None` where it says nothing.
    pub(crate) handed_over: Option<u64>,
    pub(crate) closed_idle: Option<u64>,
    pub(crate) not_movable: BTreeMap<String, u64>,
    pub(crate) took: Duration,
}

/// Runs the service with two workers through a reload, four workers, two workers and a reload; and, with the port by which
/// the connections are known, through the death of a worker. Fails if anything is lost that was not the killed one's.
pub(crate) fn run(what: &str, setup: Setup, crowd: Crowd, killed_at: Option<u16>) -> Figures {
    let began = Instant::now();
    let service = setup.options("-w 2").start();
    let mut asking = crowd.begin();
    let mut figures = Figures::default();
    figures.note_rollout(what, &service.reload());
    asking.round();
    for workers in ["4", "2"] {
        assert_nothing_cut(what, &service.scale(workers)["cut"]);
        asking.round();
    }
    figures.note_rollout(what, &service.reload());
    asking.round();
    let killed = killed_at.map(|port| {
        let killed = kill_and_wait(&service, port);
        asking.round();
        killed
    });
    figures.account = asking.end();
    if let Some(killed) = killed {
        figures.with_the_killed = figures.account.set_apart(&killed);
    }
    let (ended, log) = service.stop();
    figures.took = began.elapsed();
    println!("{what}, {:.1} s: {figures}", figures.took.as_secs_f64());
    figures.account.assert_nothing_lost(what);
    assert!(ended.success(), "{what}: {ended}\n{}", log.join("\n"));
    assert!(!log.iter().any(|line| line.contains("bug in Relevo")), "{}", log.join("\n"));
    figures
}

/// Kills the worker of the first slot, and returns its clients' ports once there is another.
fn kill_and_wait(service: &Service, port: u16) -> std::collections::BTreeSet<u16> {
    let before = service.worker_pids();
    let victim = *before.first().expect("a worker");
    let killed = kill(victim, port);
    eventually("a worker in the place of the killed one", || {
        let pids = service.worker_pids();
        let whole = pids.len() == before.len() && !pids.contains(&victim);
        if whole { Ok(()) } else { Err(pids) }
    });
    killed
}

impl Figures {
    /// Fails unless connections were moved, and none of those that may be moved was ended, not even politely.
    #[track_caller]
    pub(crate) fn assert_moved(&self, what: &str) {
        assert!(self.handed_over.is_some_and(|count| count > 0), "{what}: none moved\n{self}");
        assert_eq!(self.closed_idle, Some(0), "{what}\n{self}");
        // A WebSocket is told to go; that is how it ends.
        let told = |kind: &str| kind.starts_with("ws") || kind.starts_with("socketio");
        let ended = self.account.0.iter().filter(|(kind, tally)| !told(kind) && tally.ended > 0);
        let ended: Vec<&String> = ended.map(|(kind, _)| kind).collect();
        assert!(ended.is_empty(), "{what}: ended although they could be moved: {ended:?}\n{self}");
    }

    fn note_rollout(&mut self, what: &str, rollout: &Value) {
        assert_eq!(rollout["outcome"], "succeeded", "{what}: {rollout}");
        assert_nothing_cut(what, &rollout["cut"]);
        let add = |sum: &mut Option<u64>, name: &str| {
            if let Some(count) = rollout[name].as_u64() {
                *sum = Some(sum.unwrap_or(0) + count);
            }
        };
        add(&mut self.handed_over, "handed_over");
        add(&mut self.closed_idle, "closed_idle");
        for (reason, count) in rollout["not_movable"].as_object().into_iter().flatten() {
            *self.not_movable.entry(reason.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { handed_over, closed_idle, not_movable, with_the_killed, account, .. } = self;
        let WithTheKilled { requests, idle } = with_the_killed;
        writeln!(f, "handed over {handed_over:?}, closed idle {closed_idle:?}, {not_movable:?}")?;
        writeln!(f, "with the killed worker: {requests} requests, {idle} idle connections")?;
        write!(f, "{account}")
    }
}

fn assert_nothing_cut(what: &str, cut: &Value) {
    for (kind, count) in cut.as_object().expect("counts by kind") {
        assert!(count.as_u64().unwrap_or(0) == 0, "{what}: {count} of {kind} were cut: {cut}");
    }
}
