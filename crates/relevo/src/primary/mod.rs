//! The primary: what `relevo run` becomes.
//!
//! One loop: wait for a descriptor or a deadline, turn what happened into events, give them
//! to the core, do what it says (`perform.rs`). Readiness is level-triggered, so what is not read yet
//! waits in the kernel, and no queue of our own can grow. Nothing wakes the loop while nothing goes on.
//!
//! | file | |
//! | --- | --- |
//! | `hub/` | listening sockets, channels, dealt connections: a thread of its own |
//! | `processes.rs` | starting, signalling and reaping workers |
//! | `hooks.rs` | the user's commands at the turns of a service's life |
//! | `output/` | what workers write, on its way out |
//! | `reading.rs`, `reload.rs` | configurations, and which of them counts |
//! | `releases.rs` | where code is loaded from |
//! | `control.rs`, `status.rs` | the control socket and what it tells |
//! | `readiness.rs`, `notifications.rs`, `probes.rs` | hearing, and asking, whether workers are ready |
//! | `trial.rs` | trying one worker aside |
//! | `signals.rs`, `notify.rs` | signals in, the service manager's socket out |
//! | `reasons.rs`, `watch/`, `terminal.rs`, `schedule.rs` | reloads for files that change, a key, the clock |
//! | `telling.rs`, `log.rs`, `history/` | telling people: when, in which words, and what is remembered of it |

mod agent_file;
mod clock;
mod control;
pub(crate) mod environment;
mod examine;
mod history;
mod hooks;
mod hub;
mod inspect_port;
mod log;
mod memory;
mod native;
mod notifications;
mod notify;
mod output;
mod perform;
mod probes;
mod processes;
mod readiness;
mod reading;
mod reasons;
mod releases;
mod reload;
mod schedule;
mod signals;
mod start;
mod status;
mod telling;
pub(crate) mod terminal;
mod token;
mod trial;
mod watch;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use relevo_core::{
    Balance, Cause, Event, Generation, Slot, SpawnStage, Supervisor, Time, WorkerId,
};
use relevo_core::{HookEnd, HookFacts, HookId, HookKind};
use relevo_sys::Errno;
use relevo_sys::lock::LockGuard;
use relevo_sys::poll::{Interest, Poller, Ready};
use relevo_sys::process::reap_strangers;

use agent_file::AgentFile;
use clock::Clock;
use control::{Control, Wish};
use examine::Examinations;
use history::History;
use hooks::{Around, Hooks};
pub(crate) use hub::DrainWords;
use hub::{HubHandle, Told};
use notifications::Notifications;
use notify::Notifier;
use output::{Output, Stream};
use probes::Probes;
use processes::{Launch, Launched, Processes};
pub(crate) use reading::{Machine, Reading};
use schedule::Schedule;
use signals::SignalSource;
pub(crate) use start::{Service, StartError};
use terminal::Terminal;
use token::Token;
pub(crate) use trial::Trial;
use watch::Watch;

/// The process that owns the sockets and keeps the workers.
pub(crate) struct Primary {
    name: String,
    reading: Reading,
    balance: Balance,
    agent: Option<AgentFile>,
    poller: Rc<Poller>,
    clock: Clock,
    supervisor: Supervisor,
    hub: HubHandle,
    processes: Processes,
    notifications: Notifications,
    probes: Probes,
    examinations: Examinations,
    hooks: Hooks,
    output: Output,
    history: History,
    control: Control,
    notifier: Notifier,
    signals: SignalSource,
    watch: Watch,
    terminal: Terminal,
    schedule: Schedule,
    events: VecDeque<Event>,
    exit: Option<u8>,
    /// If it is only to be seen whether a worker becomes ready.
    trial: Option<Trial>,
    /// Says to everybody that a service of this name runs, and dies with us.
    lock: LockGuard,
}

impl Primary {
    /// Runs the service to its end and returns the exit code.
    pub(crate) fn run(mut self) -> u8 {
        self.live()
    }

    fn live(&mut self) -> u8 {
        let mut ready = Vec::new();
        let generation = self.supervisor.view().generation();
        if let Some(release) = self.reading.release(generation).map(|release| release.id) {
            self.events.push_back(Event::ReleaseResolved { generation, release });
        }
        self.events.push_back(Event::Tick);
        self.follow_reasons();
        self.enter_terminal();
        loop {
            self.settle();
            self.control.tell_followers(&self.history);
            if let Some(code) = self.exit {
                self.end();
                return code;
            }
            let timeout = self.next_deadline().map(|at| at.since(self.clock.now()));
            if let Err(errno) = self.poller.wait(timeout, &mut ready) {
                self.say(&format!("bug in Relevo, please report it: epoll_wait: {errno}"));
                // Nothing can be waited for; do not spin.
                std::thread::sleep(Duration::from_millis(100));
            }
            for one in ready.drain(..) {
                self.on_ready(one);
            }
            self.on_deadlines();
        }
    }

    /// Handles events until there are none.
    fn settle(&mut self) {
        while let Some(event) = self.events.pop_front() {
            let ended = ended(&event);
            for action in self.supervisor.handle(self.clock.now(), event) {
                self.perform(action);
            }
            if let Some(worker) = ended {
                self.processes.forget_buried(worker);
            }
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        let core = self.supervisor.deadline().map(|deadline| deadline.at);
        core.into_iter().chain(self.reasons_deadline()).min()
    }

    fn on_deadlines(&mut self) {
        if self.supervisor.deadline().is_some_and(|deadline| deadline.at <= self.clock.now()) {
            self.events.push_back(Event::Tick);
        }
        self.on_reasons_due();
    }

    fn on_ready(&mut self, ready: Ready) {
        let Some(token) = Token::unpack(ready.token) else { return };
        match token {
            Token::Signals => self.on_signals(),
            Token::ControlListener => self.control.accept_clients(),
            // That we were found is the whole answer; who asked must not wait in the queue for ever.
            Token::Lock => self.lock.answer(),
            Token::Client(client) => {
                if ready.writable {
                    let wishes = self.control.write(client);
                    self.grant(wishes);
                }
                if ready.readable || ready.hangup {
                    let wishes = self.control.read(client);
                    self.grant(wishes);
                }
            }
            Token::Hub => {
                let reports = self.hub.take_reports();
                self.take_in(reports);
            }
            Token::Watch => self.on_watch(),
            Token::Terminal => self.on_terminal(ready),
            Token::Process(worker) => self.on_process_end(worker),
            Token::Launch(worker) => self.on_launch(worker),
            Token::Notification(worker) => self.on_notification(worker),
            Token::Probe(worker) => self.on_probe(worker),
            Token::Hook(hook) => self.on_hook_end(hook),
            Token::Examined => self.on_examined(),
            Token::HookOutput(hook, stream) => {
                let _more = self.hooks.read(hook, stream, &self.output);
            }
            Token::Output(worker, stream) => {
                if !self.output.read(worker, stream) {
                    self.end_output(worker, stream);
                }
            }
        }
    }

    fn take_in(&mut self, reports: Vec<Told>) {
        for report in reports {
            match report {
                Told::Event(event) => self.events.push_back(event),
                Told::Notice(notice) => self.tell_of_dealing(&notice),
                Told::Complaint(what) => self.say(&what),
                Told::Ended(worker) => self.bury(worker),
            }
        }
    }

    fn on_signals(&mut self) {
        for wish in self.signals.read() {
            match wish {
                signals::Wish::Reload => self.reload_because(Cause::Signal),
                signals::Wish::Event(event) => self.events.push_back(event),
                signals::Wish::StopAtTerminal => self.stop_at_terminal(),
                signals::Wish::EnterTerminal => self.enter_terminal(),
                signals::Wish::Say(text) => self.say(text),
                signals::Wish::ReapStrangers => {
                    self.reap_strangers();
                }
            }
        }
    }

    fn grant(&mut self, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Status { client, id } => {
                    // The core's time is that of its last event, which may be long ago.
                    self.events.push_back(Event::Tick);
                    self.settle();
                    let status = self.status();
                    self.control.answer(client, id, Ok(status));
                }
                Wish::Events { client, id, follow, last } => {
                    self.control.events(client, id, follow, last, &self.history);
                }
                Wish::Reload { client, id, wait, listeners } => {
                    self.reload_for(client, id, wait, listeners);
                }
                Wish::Rollback { client, id, wait } => self.rollback_for(client, id, wait),
                Wish::DryRun { client, id } => {
                    let difference = self.reading.difference();
                    self.control.answer(client, id, difference);
                }
                Wish::Event(event) => self.events.push_back(event),
            }
        }
    }

    fn status(&self) -> relevo_wire::Status {
        let sight = self.hub.look();
        let around = status::Surroundings {
            name: &self.name,
            balance: self.balance,
            reading: &self.reading,
            sight: &sight,
            next_reload: self.schedule.next(),
            notifications: &self.notifications,
        };
        status::status(&self.supervisor.view(), &around)
    }

    fn spawn(&mut self, worker: WorkerId, slot: Slot, generation: Generation) {
        let launch = self.reading.launch(generation);
        if let Some(path) = launch.release.missing() {
            let path = path.display();
            self.say(&format!(
                "slot {slot}: {path} is gone, from which generation {generation} is loaded: bring it back, or reload what is to run instead"
            ));
            let (stage, errno) = (SpawnStage::Release, Errno::NOENT.raw_os_error());
            self.events.push_back(Event::SpawnFailed { worker, stage, errno });
            return;
        }
        if let Err(error) = self.try_spawn(&launch, worker, slot, generation) {
            let errno = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
            let failed = Event::SpawnFailed { worker, stage: SpawnStage::Fork, errno };
            // Whatever of it exists already; if it is not dead yet, it is reaped as a stranger.
            self.processes.kill_group(worker);
            self.end_output(worker, Stream::Out);
            self.end_output(worker, Stream::Err);
            self.end_hearing(worker);
            self.processes.bury(worker);
            self.hub.end_channel(worker);
            self.events.push_back(failed);
        }
    }

    fn try_spawn(
        &mut self,
        launch: &Launch,
        worker: WorkerId,
        slot: Slot,
        generation: Generation,
    ) -> std::io::Result<()> {
        self.return_control_socket();
        self.processes.note_oom_kills();
        let agent = self.agent.as_ref();
        let started = self.processes.start(launch, agent, worker, slot, generation)?;
        if let Some(socket) = started.notify {
            self.notifications.add(worker, socket);
        }
        self.hub.add_channel(worker, started.channel);
        self.output.add(worker, Stream::Out, slot, started.stdout);
        self.output.add(worker, Stream::Err, slot, started.stderr);
        let watch = |fd: Option<std::os::fd::BorrowedFd<'_>>, token: Token| match fd {
            Some(fd) => self.poller.add(fd, token.pack(), Interest::READ),
            None => Ok(()),
        };
        watch(self.processes.pidfd(worker), Token::Process(worker))?;
        watch(self.processes.launch(worker), Token::Launch(worker))?;
        watch(self.notifications.fd(worker), Token::Notification(worker))?;
        for stream in [Stream::Out, Stream::Err] {
            watch(self.output.fd(worker, stream), Token::Output(worker, stream))?;
        }
        Ok(())
    }

    fn on_launch(&mut self, worker: WorkerId) {
        // Its descriptor closes with what it tells, which also ends the watching.
        match self.processes.launched(worker) {
            Launched::NotYet => {}
            Launched::Done => {
                if let Some(pid) = self.processes.pid(worker) {
                    self.events.push_back(Event::Spawned { worker, pid });
                }
            }
            Launched::Failed(stage, errno) => {
                if let Some(line) = self.processes.refused_rights(worker, stage, errno) {
                    self.say(&line);
                }
                self.events.push_back(Event::SpawnFailed { worker, stage, errno });
            }
        }
    }

    /// A worker's process has ended. What it said before comes first.
    fn on_process_end(&mut self, worker: WorkerId) {
        if !self.processes.has_ended(worker) {
            return;
        }
        self.on_launch(worker);
        self.on_notification(worker);
        if let Some(fd) = self.processes.pidfd(worker) {
            let _ = self.poller.remove(fd);
        }
        self.hub.end_channel(worker);
    }

    /// The worker has said all that it ever will.
    fn bury(&mut self, worker: WorkerId) {
        self.end_output(worker, Stream::Out);
        self.end_output(worker, Stream::Err);
        self.end_hearing(worker);
        if let Some(exit) = self.processes.bury(worker) {
            self.events.push_back(Event::Exited { worker, exit });
        }
        self.reap_strangers();
    }

    /// Children that became ours; our own are reaped by name.
    fn reap_strangers(&self) {
        reap_strangers(|pid| self.processes.is_worker(pid) || self.hooks.is_hook(pid));
    }

    fn run_hook(&mut self, hook: HookId, kind: HookKind, facts: &HookFacts) {
        if let Err(error) = self.try_run_hook(hook, kind, facts) {
            let errno = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
            // What exists of it already is reaped as a stranger.
            self.hooks.kill(hook);
            let _gone = self.hooks.bury(hook, &self.output);
            self.events.push_back(Event::HookEnded { hook, end: HookEnd::NotStarted { errno } });
        }
    }

    fn try_run_hook(
        &mut self,
        hook: HookId,
        kind: HookKind,
        facts: &HookFacts,
    ) -> std::io::Result<()> {
        let worker_pid = facts.worker.and_then(|worker| self.processes.pid_for_log(worker));
        let around = Around { name: &self.name, worker_pid };
        self.hooks.start(hook, kind, facts, &self.reading.launch_of_hook(), &around)?;
        let watched = [
            (self.hooks.pidfd(hook), Token::Hook(hook)),
            (self.hooks.pipe(hook, Stream::Out), Token::HookOutput(hook, Stream::Out)),
            (self.hooks.pipe(hook, Stream::Err), Token::HookOutput(hook, Stream::Err)),
        ];
        for (fd, token) in watched {
            if let Some(fd) = fd {
                self.poller.add(fd, token.pack(), Interest::READ)?;
            }
        }
        Ok(())
    }

    fn on_hook_end(&mut self, hook: HookId) {
        if let Some(exit) = self.hooks.bury(hook, &self.output) {
            self.events.push_back(Event::HookEnded { hook, end: HookEnd::Exited(exit) });
        }
    }

    fn end_output(&mut self, worker: WorkerId, stream: Stream) {
        if let Some(fd) = self.output.fd(worker, stream) {
            let _ = self.poller.remove(fd);
        }
        self.output.finish(worker, stream);
    }

    fn inspect_sockets(&self, worker: WorkerId) -> Vec<String> {
        self.processes
            .process(worker)
            .map(|pid| {
                native::unprotected(
                    pid,
                    &self.hub.look().inodes,
                    self.processes.inspect_port(worker),
                )
            })
            .unwrap_or_default()
    }

    /// What workers had started has been killed with them: who sees us gone sees that gone, too.
    fn await_remnants(&mut self) {
        let until = self.clock.now() + REMNANTS_LIMIT;
        while self.processes.has_remnants() && self.clock.now() < until {
            self.reap_strangers();
            std::thread::sleep(REMNANTS_PACE);
        }
    }

    /// Leaves nothing behind.
    fn end(&mut self) {
        self.terminal.leave(&self.poller);
        self.hooks.kill_all();
        self.await_remnants();
        self.hub.end();
        self.control.flush();
        self.control.close();
        self.output.flush();
    }
}

/// How long the end waits for processes that were killed.
const REMNANTS_LIMIT: Duration = Duration::from_secs(1);
/// How often it looks.
const REMNANTS_PACE: Duration = Duration::from_millis(1);

/// The worker that has no process any more, if that is what the event is about.
fn ended(event: &Event) -> Option<WorkerId> {
    if let Event::Exited { worker, .. } | Event::SpawnFailed { worker, .. } = event {
        Some(*worker)
    } else {
        None
    }
}
