//! A world: its clock, its agenda, and the parts of its life.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use relevo_core::{
    Balance, Canary, ConnectionId, Dealer, DealerEvent, Event, ExitCodes, Generation, Inconclusive,
    Kind, ListenerId, Listeners, Member, ReadyWhen, RequestId, Scale, ServiceState, SlotWord, Spec,
    Supervisor, Surge, Time, Waits, Wish, WorkerId,
};

use crate::books::Books;
use crate::hangs::hang_timeout_of;
use crate::history::{History, Step};
use crate::hooks;
use crate::kernel::{Kernel, Todo};
use crate::process::{Deed, Misdeed, Process};
use crate::random::Random;
use crate::releases::Places;
use crate::renewals::any_limits;
use crate::rules::Rules;
use crate::shell::wanted;
use crate::tally::Tally;
use crate::weights::Weights;

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) now: Duration,
    /// The latest moment that the machines were told.
    pub(crate) latest: Time,
    pub(crate) unkind: bool,
    pub(crate) supervisor: Supervisor,
    pub(crate) dealer: Dealer,
    pub(crate) spec: Spec,
    /// What the app listens on.
    pub(crate) ports: Vec<Wish>,
    pub(crate) agenda: BTreeMap<(Duration, u64), Happening>,
    next: u64,
    pub(crate) processes: BTreeMap<WorkerId, Process>,
    pub(crate) sockets: BTreeSet<Member>,
    pub(crate) watched: BTreeSet<Member>,
    pub(crate) books: Books,
    pub(crate) kernel: Kernel,
    pub(crate) rules: Rules,
    pub(crate) places: Places,
    pub(crate) weights: Weights,
    /// More connections than usual come, or very many.
    pub(crate) brisk: bool,
    pub(crate) flooded: bool,
    /// The supervisor is to be told of the next connection.
    pub(crate) stirs: bool,
    /// When the last order of the supervisor to the dealer arrives.
    pub(crate) last_order: Duration,
    pub(crate) history: History,
    pub(crate) tally: Tally,
}

/// What happens at some moment.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// The supervisor learns something.
    Told(Event),
    /// The supervisor learns something from a worker's channel.
    Heard(WorkerId, Event),
    /// The dealer learns something.
    Dealt(DealerEvent),
    /// The dealer learns something from a worker's channel.
    Answered(WorkerId, DealerEvent),
    Does(WorkerId, Deed),
    Thaws(WorkerId),
    Opens(Member),
    Closes(Member),
    Meddles,
    Floods(ListenerId),
    Tries(Member),
    Arrives,
    Orders,
    ClockLeaps,
}

/// Of the seed itself, so that the rest of the world stays as it was without this.
fn surge_of(seed: u64) -> Surge {
    [Surge::Workers(1), Surge::Workers(2), Surge::Percent(50), Surge::Workers(9)][seed as usize % 4]
}

fn canary_of(seed: u64) -> Option<Canary> {
    let inconclusive = if seed % 5 < 2 { Inconclusive::Undo } else { Inconclusive::GoOn };
    let (requests, timeout) = (1 + seed % 9, Duration::from_secs(1 + seed % 13));
    seed.is_multiple_of(3).then_some(Canary { requests, timeout, inconclusive })
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let spec = Spec {
            slots: [1, 2, 2, 3, 4][random.below(5) as usize],
            balance: match random.below(20) {
                0..8 => Balance::Auto,
                8..13 => Balance::Kernel,
                13..15 => Balance::LeastConnections,
                15..18 => Balance::RoundRobin,
                _ => Balance::Shared,
            },
            agent: random.percent(80),
            ready: ready_when(seed),
            ready_timeout: Duration::from_secs(2 + random.below(8)),
            probation: Duration::from_millis([0, 300, 1000, 4000][random.below(4) as usize]),
            surge: surge_of(seed),
            canary: canary_of(seed),
            canary_share: [None, Some(1), Some(20), Some(99)][seed as usize / 2 % 4],
            all_first: seed % 7 == 3,
            standby: [0, 0, 0, 1, 2][seed as usize / 3 % 5],
            drain_timeout: Duration::from_secs(1 + random.below(15)),
            linger: Duration::from_secs(random.below(25)),
            shutdown_timeout: Duration::from_secs(1 + random.below(12)),
            lame_duck: Duration::from_secs(if seed.is_multiple_of(2) { 0 } else { seed % 5 }),
            stop_timeout: Duration::from_secs(1 + random.below(4)),
            keep_trying: random.percent(70),
            limits: any_limits(seed),
            hang_timeout: hang_timeout_of(seed),
            final_exit_codes: match seed % 7 {
                3 => [1].into_iter().collect(),
                5 => [0].into_iter().collect(),
                _ => ExitCodes::default(),
            },
            hooks: hooks::spec(seed),
            hold: Duration::from_millis([0, 500, 2000, 10_000][random.below(4) as usize]),
            synack_retries: random.below(7) as u32,
        };
        let start = Duration::from_secs(1000);
        let time = Time::from_origin(start);
        let mut ports = vec![Wish { address: ":::3000".into(), kind: Kind::Tcp, index: None }];
        match random.below(4) {
            0 => {
                ports.push(Wish { address: "/run/app.sock".into(), kind: Kind::Unix, index: None });
            }
            1 => ports.push(Wish { address: ":::0".into(), kind: Kind::Tcp, index: Some(0) }),
            _ => {}
        }
        let by_load = random.percent(70);
        let refuses = random.percent(15);
        let mut world = Self {
            now: start,
            latest: time,
            unkind: true,
            supervisor: Supervisor::new(spec.clone(), time, random.below(u64::MAX)),
            dealer: Dealer::new(spec.balance, by_load),
            kernel: Kernel::new(refuses),
            weights: Weights::new(by_load),
            brisk: false,
            flooded: false,
            stirs: false,
            rules: Rules::new(spec.clone()),
            places: Places::default(),
            random,
            spec,
            ports,
            agenda: BTreeMap::new(),
            next: 0,
            processes: BTreeMap::new(),
            sockets: BTreeSet::new(),
            watched: BTreeSet::new(),
            books: Books::default(),
            last_order: Duration::ZERO,
            history: History::default(),
            tally: Tally::default(),
        };
        world.resolves(Generation(1), None);
        world.soon(1, Happening::Told(Event::Tick));
        world.soon(1000, Happening::Arrives);
        world
    }

    /// Everything goes wrong that can.
    pub(crate) fn is_unkind(&mut self) {
        let first = self.random.percent(70);
        if first {
            // Most services come to life before the worst begins.
            self.unkind = false;
            self.live_until(self.now + Duration::from_secs(3), |_| false);
            self.unkind = true;
        }
        self.soon(10_000, Happening::Orders);
        self.soon(60_000, Happening::ClockLeaps);
        if self.random.percent(50) {
            self.soon(20_000, Happening::Meddles);
        }
        let end = self.now + Duration::from_secs(5) + self.random.millis(80_000);
        self.live_until(end, |_| false);
    }

    /// From now on everything works, and so must the service soon.
    pub(crate) fn recovers(&mut self) {
        self.unkind = false;
        self.places.gone.clear();
        if self.supervisor.view().rollout().is_some_and(|it| it.waits == Some(Waits::Paused)) {
            let request = self.request();
            self.tell(&Event::ResumeRequested { request });
        }
        for worker in self.processes.keys().copied().collect::<Vec<_>>() {
            self.thaws(worker);
        }
        self.lives_until("is well again", World::is_well);
        self.revives();
    }

    /// What has ended for good stays so, until somebody asks for all workers.
    fn revives(&mut self) {
        if self.rules.exited.is_some() || self.ended() == 0 {
            return;
        }
        self.tally.revived += 1;
        let scale = Scale::To(self.supervisor.view().wanted_slots());
        let request = Some(self.request());
        self.tell(&Event::ScaleRequested { scale, wait: true, request });
        self.lives_until("has all its workers again", |world| {
            world.rules.exited.is_some() || (world.is_well() && world.ended() == 0)
        });
    }

    fn ended(&self) -> u32 {
        let slots = self.supervisor.view().slots();
        slots.iter().filter(|slot| slot.word == SlotWord::Ended).count() as u32
    }

    /// A reload succeeds.
    pub(crate) fn reloads(&mut self) {
        if self.rules.stopping {
            return;
        }
        let before = self.tally.rollouts_succeeded;
        // The few clients may not ask often enough for a verdict.
        let go_on = |canary| Canary { inconclusive: Inconclusive::GoOn, ..canary };
        let spec = Spec { canary: self.spec.canary.map(go_on), ..self.spec.clone() };
        self.tell(&Event::Configured { spec: Box::new(spec) });
        let request = Some(self.request());
        self.tell(&wanted(request, Listeners::Same));
        self.lives_until("has reloaded", |world| {
            world.is_well() && world.tally.rollouts_succeeded > before
        });
        assert_eq!(self.supervisor.view().state(), ServiceState::Running);
    }

    /// A rollout is undone half way: by its own failure, or because somebody wants it.
    pub(crate) fn is_undone(&mut self) {
        if self.rules.stopping || !self.random.percent(50) {
            return;
        }
        self.rules.begin_watching_returns();
        self.tell(&wanted(None, Listeners::Same));
        let generation = self.supervisor.view().rollout().map(|rollout| rollout.generation);
        let parked = 1 + self.random.below(u64::from(self.spec.slots)) as usize;
        let goes_on = |world: &Self| {
            let rollout = world.supervisor.view().rollout();
            rollout.is_some_and(|it| it.outcome.is_none() && Some(it.generation) == generation)
        };
        self.lives_until("is half way", |world| !goes_on(world) || world.rules.parked() >= parked);
        if !goes_on(self) {
            return;
        }
        self.tally.undone_on_purpose += 1;
        if let Some(worker) = self.rules.somebody_parked().filter(|_| self.random.percent(40)) {
            self.does(worker, Deed::Dies(9));
            let end = self.now + Duration::from_millis(100);
            self.live_until(end, |_| false);
        }
        match (self.random.below(3), self.rules.somebody_new()) {
            (0, Some(worker)) => self.does(worker, Deed::Dies(9)),
            (1, Some(worker)) => {
                self.unkind = true;
                self.does(worker, Deed::Misdeed(Misdeed::Closes));
                self.unkind = false;
            }
            (_, _) => {
                let request = self.request();
                self.tell(&Event::AbortRequested { request });
            }
        }
        self.lives_until("has come back", World::is_well);
        self.rules.check_returned();
    }

    /// A stop comes to its end, and nothing and nobody is forgotten.
    pub(crate) fn stops(&mut self) {
        if self.rules.exited.is_none() {
            let request = Some(self.request());
            self.tell(&Event::StopRequested { request });
            if self.random.percent(20) {
                self.clock_leaps();
            }
        }
        self.lives_until("has stopped", |world| world.rules.exited.is_some());
        assert_eq!(self.rules.pending(), 0, "a client waits for ever");
        assert!(self.supervisor.deadline().is_none());
        self.lives_until("has closed its books", |world| world.books.open() == 0);
        assert_eq!(self.dealer.held(), 0);
        self.tally.stopped += 1;
    }

    pub(crate) fn request(&mut self) -> RequestId {
        RequestId(self.number())
    }

    pub(crate) fn connection(&mut self) -> ConnectionId {
        ConnectionId(self.number())
    }

    /// A number that is never used twice.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Every slot is ready, no rollout goes on, nobody waits, every connection has found its end.
    fn is_well(&self) -> bool {
        let view = self.supervisor.view();
        let steady = view.ready_slots() + self.ended() == view.wanted_slots()
            && matches!(view.state(), ServiceState::Running | ServiceState::Degraded)
            && self.rules.pending() == 0
            && self.books.open() == 0;
        steady || self.rules.exited.is_some()
    }

    pub(crate) fn lives_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        // Two rollouts, the one under way and the one that follows, after the longest backoff.
        let spec = &self.spec;
        let each = spec.ready_timeout + spec.drain_timeout + spec.linger + spec.stop_timeout;
        // Also for a worker that does not say that it is parked, or does not come back.
        let canary = spec.canary.map_or(Duration::ZERO, |canary| canary.timeout);
        let each =
            each + spec.probation + canary + 2 * spec.hooks.timeout + Duration::from_secs(15);
        let limit = Duration::from_secs(90) + each * (3 * self.rules.most_slots() + 3);
        let end = self.now + limit;
        self.live_until(end, &done);
        if !done(self) {
            let forgotten = self.books.forgotten().join("\n");
            panic!(
                "not within {limit:?}: {what}\n{forgotten}\n{:#?}\n{:#?}",
                self.dealer, self.supervisor
            );
        }
    }

    pub(crate) fn live_until(&mut self, end: Duration, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let happens = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let supervisor = self.supervisor.deadline().map(|due| due.at.since_origin());
            let dealer = self.dealer.deadline().map(Time::since_origin);
            let Some(next) = [happens, supervisor, dealer].into_iter().flatten().min() else {
                break;
            };
            if next > end {
                break;
            }
            // A timer may be late.
            let late = self.unkind && happens.is_some() && self.random.percent(10);
            let next = if late { happens.unwrap_or(next) } else { next };
            self.now = self.now.max(next);
            if happens == Some(next) {
                if let Some((_, happening)) = self.agenda.pop_first() {
                    self.happens(happening);
                }
            } else if supervisor == Some(next) {
                self.tell(&Event::Tick);
            } else {
                self.deal(DealerEvent::Tick);
            }
        }
    }

    /// Tells the supervisor, checks the rules, and does what it wants.
    pub(crate) fn tell(&mut self, event: &Event) {
        if self.rules.exited.is_some() {
            return;
        }
        self.tally.steps += 1;
        let mut time = Time::from_origin(self.now);
        if self.unkind && self.random.percent(1) {
            self.tally.clock_went_back += 1;
            time = Time::from_origin(self.now.saturating_sub(self.random.millis(20_000)));
        }
        self.latest = self.latest.max(time);
        self.history.begin(time, Step::Supervised(event.clone(), Vec::new()));
        let actions = self.supervisor.handle(time, event.clone());
        self.history.did(&actions);
        let more = self.supervisor.handle(time, Event::Tick);
        assert_eq!(more, [], "was left over for the next event");
        if let Some(due) = self.supervisor.deadline() {
            assert!(due.at > self.latest, "{due:?} is not after {}", self.latest);
        }
        let now = self.latest.since_origin();
        self.rules.check(now, event, &actions, self.supervisor.view());
        self.tally.covered += u64::from(self.rules.covers_anything());
        self.tally.served_on = self.rules.served_on;
        for action in actions {
            self.perform(action);
        }
    }

    /// Tells the dealer, and does what it wants, until nothing more comes of it.
    pub(crate) fn deal(&mut self, event: DealerEvent) {
        let mut todo = Todo::from([event]);
        while let Some(event) = todo.pop_front() {
            self.deal_one(event, &mut todo);
        }
        if self.kernel.has_groups() {
            let (now, groups) = (Time::from_origin(self.now), self.dealer.groups());
            self.weights.check(now, &groups, &self.kernel, &mut self.tally);
        }
    }

    fn deal_one(&mut self, event: DealerEvent, todo: &mut Todo) {
        self.tally.steps += 1;
        let time = Time::from_origin(self.now);
        self.history.begin(time, Step::Dealt(event.clone(), Vec::new()));
        self.weights.told(&event);
        if let DealerEvent::Looked { listener, seen } = &event {
            self.kernel.was_looked_at(*listener, seen);
        }
        let actions = self.dealer.handle(time, event);
        self.history.dealt(&actions);
        let more = self.dealer.handle(time, DealerEvent::Tick);
        assert_eq!(more, [], "was left over for the next event");
        assert!(self.dealer.deadline().is_none_or(|due| due > time), "a busy loop");
        for action in actions {
            todo.extend(self.perform_dealing(action));
        }
        assert_eq!(self.dealer.held(), self.books.held(), "a connection is forgotten");
    }

    pub(crate) fn at(&mut self, at: Duration, happening: Happening) {
        let number = self.number();
        self.agenda.insert((at, number), happening);
    }

    /// Within so many milliseconds.
    pub(crate) fn soon(&mut self, millis: u64, happening: Happening) {
        let at = self.now + self.random.millis(millis);
        self.at(at, happening);
    }

    /// How long messages take, in milliseconds at most.
    pub(crate) fn lag(&mut self) -> u64 {
        if self.unkind && self.random.percent(5) { 400 } else { 4 }
    }
}

/// What makes a worker ready: in half of the worlds more than that it listens.
fn ready_when(seed: u64) -> ReadyWhen {
    match seed % 8 {
        0 => ReadyWhen::Message,
        2 => ReadyWhen::Notify,
        4 => ReadyWhen::Probe,
        5 => ReadyWhen::Spawned,
        _ => ReadyWhen::Listening,
    }
}
