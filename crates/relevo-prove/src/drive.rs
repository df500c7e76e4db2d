//! A trial from its beginning to its end.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use relevo_wire::prove as wire;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::Refusal;
use crate::clients::{Client, Common};
use crate::disturb::{Disturb, Killed, News, serve};
use crate::ledger::Ledger;
use crate::plan::{Plan, Schedule};
use crate::pulse::Pulse;
use crate::rehearsal::{Found, reach, rehearse};
use crate::report::judge;
use crate::tls::{Tls, server_name};

/// How often whoever watches is told.
const SHOWN_EVERY: Duration = Duration::from_millis(100);

/// How a trial stands.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// How long clients have run.
    pub elapsed: Duration,
    /// Disturbances that are over.
    pub disturbed: u32,
    /// Disturbances that there will be.
    pub of: u32,
    /// Whether one is going on.
    pub is_disturbed: bool,
    /// The requests so far.
    pub requests: wire::Outcomes,
    /// The connections so far.
    pub connections: wire::Connections,
    /// The latency so far, without disturbances.
    pub quiet: wire::Latency,
}

/// Runs a trial. `watch` is told ten times a second how it stands, and may end it.
pub fn prove(
    plan: Plan,
    disturb: Option<Box<dyn Disturb>>,
    watch: &mut dyn FnMut(&Glance) -> ControlFlow<()>,
) -> Result<wire::Report, Refusal> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refusal(format!("clients cannot be run: {error}")))?;
    let report = LocalSet::new().block_on(&runtime, trial(Rc::new(plan), disturb, watch));
    // A name that is being looked up must not hold up the end.
    runtime.shutdown_background();
    report
}

async fn trial(
    plan: Rc<Plan>,
    disturb: Option<Box<dyn Disturb>>,
    watch: &mut dyn FnMut(&Glance) -> ControlFlow<()>,
) -> Result<wire::Report, Refusal> {
    let address = reach(&plan.target, plan.timeout).await?;
    let tls = match plan.target.tls {
        true => Some((Tls::new(&plan.trust)?, server_name(&plan.target.host)?)),
        false => None,
    };
    let killed = Killed::default();
    let common = |ledger| {
        let (plan, address, tls) = (Rc::clone(&plan), address.clone(), tls.clone());
        Rc::new(Common { plan, ledger: Rc::new(ledger), address, tls })
    };
    let found = rehearse(&common(Ledger::new(killed.ports()))).await?;
    let name = disturb.as_ref().map_or("nothing".to_owned(), |disturb| disturb.name());

    let common = common(Ledger::new(killed.ports()));
    let (pulse, pace) = Pulse::new();
    let mut clients = JoinSet::new();
    for kind in found.mix.kinds() {
        for index in 0..found.mix.of(kind) {
            let client = Client::new(&common, kind, index, &found.right[kind.index()], &pace);
            clients.spawn_local(client.run());
        }
    }
    let conductor = Conductor::new(&common, pulse, disturb, killed);
    let is_cut_short = conductor.run(watch).await?;
    let mut remarks = found.remarks.clone();
    if is_cut_short {
        remarks.push("ended early, at the user's wish".to_owned());
    }
    if !wait_for(&mut clients, &common).await {
        remarks.push("some clients did not end in time".to_owned());
    }
    Ok(finish(&common, &found, name, remarks, is_cut_short))
}

/// Lets clients finish what they have begun; whether all did.
async fn wait_for(clients: &mut JoinSet<()>, common: &Common) -> bool {
    let limit = common.plan.timeout + common.plan.slow + Duration::from_secs(5);
    let all = async { while clients.join_next().await.is_some() {} };
    timeout(limit, all).await.is_ok()
}

fn finish(
    common: &Common,
    found: &Found,
    disturbance: String,
    remarks: Vec<String>,
    is_cut_short: bool,
) -> wire::Report {
    let path = |kind| format!("{} {}", common.plan.method(kind), common.plan.path(kind));
    let mut report = common.ledger.close(&found.mix, path);
    report.url = common.plan.target.url.clone();
    report.disturbance = disturbance;
    report.remarks = remarks;
    judge(&mut report, common.plan.schedule.disturbances, is_cut_short, common.plan.strict);
    report
}

/// Disturbs when it is time, and says when clients are to end.
struct Conductor<'a> {
    common: &'a Common,
    pulse: Pulse,
    wishes: Option<Sender<()>>,
    news: UnboundedReceiver<News>,
    schedule: Schedule,
    began: Instant,
    done: u32,
    is_disturbed: bool,
    /// Whether the disturber says when something is replaced; if not, it may be at any time.
    tells_steps: bool,
    next_beat: Instant,
    /// When to disturb next, or to end.
    next: Instant,
}

impl<'a> Conductor<'a> {
    fn new(
        common: &'a Common,
        pulse: Pulse,
        disturb: Option<Box<dyn Disturb>>,
        killed: Killed,
    ) -> Self {
        let (told, news) = unbounded_channel();
        let mut schedule = common.plan.schedule;
        let wishes = disturb.map(|mut disturb| {
            let (wishes, heard) = channel();
            thread::spawn(move || serve(&mut *disturb, &heard, &told, &killed));
            wishes
        });
        if wishes.is_none() {
            schedule.disturbances = 0;
        }
        let now = Instant::now();
        let mut conductor = Self {
            common,
            pulse,
            wishes,
            news,
            schedule,
            began: now,
            done: 0,
            is_disturbed: false,
            tells_steps: false,
            next_beat: now,
            next: now,
        };
        conductor.plan_next();
        conductor
    }

    /// Until the end, which the user may wish earlier: whether that was so.
    async fn run(
        mut self,
        watch: &mut dyn FnMut(&Glance) -> ControlFlow<()>,
    ) -> Result<bool, Refusal> {
        let mut shown = interval(SHOWN_EVERY);
        shown.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let is_cut_short = loop {
            tokio::select! {
                _ = shown.tick() => {
                    if let Some(fault) = self.common.ledger.fault() {
                        return Err(ours(&fault));
                    }
                    if watch(&self.glance()).is_break() {
                        break true;
                    }
                }
                Some(news) = self.news.recv() => self.hear(news),
                () = sleep_until(self.next), if !self.is_disturbed => {
                    if self.done == self.schedule.disturbances {
                        break false;
                    }
                    self.disturb();
                }
                () = sleep_until(self.next_beat), if self.is_disturbed && !self.tells_steps => {
                    self.beat();
                }
            }
        };
        self.pulse.end();
        // A disturbance that goes on is not waited for.
        if self.is_disturbed {
            self.common.ledger.calm(false, "it was not waited for".to_owned());
        }
        Ok(is_cut_short)
    }

    fn disturb(&mut self) {
        self.common.ledger.disturb();
        self.is_disturbed = true;
        if let Some(wishes) = &self.wishes {
            // The thread lives as long as this end of the channel.
            let _ = wishes.send(());
        }
        self.beat();
    }

    fn beat(&mut self) {
        self.pulse.beat();
        self.next_beat = Instant::now() + Duration::from_millis(fastrand::u64(40..240));
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Step => {
                self.tells_steps = true;
                self.pulse.beat();
            }
            News::Done(done) => {
                self.common.ledger.calm(done.succeeded, done.said);
                self.is_disturbed = false;
                self.done += 1;
                self.plan_next();
            }
        }
    }

    /// The next is a pause after the last, and all are spread over the time that was asked for.
    fn plan_next(&mut self) {
        let Schedule { disturbances, at_least, pause } = self.schedule;
        let share = f64::from(self.done + 1) / f64::from(disturbances + 1);
        let spread = self.began + at_least.mul_f64(share.min(1.0));
        self.next = spread.max(Instant::now() + pause);
    }

    fn glance(&self) -> Glance {
        let (connections, quiet) = self.common.ledger.glance();
        Glance {
            elapsed: self.common.ledger.elapsed(),
            disturbed: self.done,
            of: self.schedule.disturbances,
            is_disturbed: self.is_disturbed,
            requests: self.common.ledger.total(),
            connections,
            quiet,
        }
    }
}

/// What this side lacks is no loss of the server's.
fn ours(fault: &str) -> Refusal {
    let remedy = if fault.contains("Too many open files") {
        "raise the limit (`ulimit -n`) or use fewer clients"
    } else {
        "use fewer clients, or give them more time to think"
    };
    Refusal(format!("the clients cannot go on ({fault}): {remedy}"))
}
