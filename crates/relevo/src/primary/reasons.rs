//! Reasons for a rollout that come from around the service: files that change, a key, the clock.

use jiff::Zoned;
use relevo_core::{Cause, ServiceState, Time};
use relevo_sys::poll::{Interest, Ready};
use rustix::process::{Signal, getpid, kill_process};

use super::Primary;
use super::terminal::Pressed;
use super::token::Token;
use super::watch::Watched;
use crate::configuration::Configuration;

impl Primary {
    /// Looks where the configuration that counts says.
    pub(super) fn follow_reasons(&mut self) {
        let now = self.clock.now();
        let configuration = self.reading.counting();
        self.schedule.set(&configuration.options.reload_at, now, Zoned::now);
        let wanted = watched(configuration);
        if self.watch.differs_from(&wanted) {
            self.leave_watch();
            let complaints = self.watch.begin(wanted);
            self.enter_watch(complaints);
        }
    }

    /// The moment at which something here must be looked at.
    pub(super) fn reasons_deadline(&self) -> Option<Time> {
        self.watch.deadline().into_iter().chain(self.schedule.deadline()).min()
    }

    pub(super) fn on_reasons_due(&mut self) {
        let now = self.clock.now();
        if let Some(changed) = self.watch.changed(now) {
            let others = match changed.others {
                0 => String::new(),
                others => format!(" and {others} more"),
            };
            self.reload_for_reason(Cause::Watch, &format!("{}{others} changed", changed.first));
            if changed.looks_endless {
                self.say(&format!(
                    "{} changes during every reload: if the app writes it, leave it out with --ignore",
                    changed.first
                ));
            }
        }
        if self.schedule.deadline().is_some_and(|at| at <= now)
            && let Some(due) = self.schedule.look(now, &Zoned::now())
        {
            self.reload_for_reason(Cause::Schedule, &format!("it is time (--reload-at '{due}')"));
        }
    }

    /// Files may have changed.
    pub(super) fn on_watch(&mut self) {
        let (now, is_rolling) = (self.clock.now(), self.is_rolling());
        match self.watch.read(now, is_rolling) {
            Some(complaints) => complaints.iter().for_each(|what| self.say(what)),
            None => {
                self.leave_watch();
                let complaints = self.watch.begin_anew(now, is_rolling);
                self.enter_watch(complaints);
            }
        }
    }

    /// Somebody has pressed a key.
    pub(super) fn on_terminal(&mut self, ready: Ready) {
        match self.terminal.read(&self.poller, ready.hangup) {
            Pressed::Reload => self.reload_for_reason(Cause::Terminal, "Ctrl-R"),
            Pressed::Nothing => {}
        }
    }

    /// The terminal is ours, if it is: at the start, and after `fg`.
    pub(super) fn enter_terminal(&mut self) {
        if let Some(greeting) = self.terminal.enter(&self.poller) {
            self.output.say(greeting);
        }
    }

    /// Ctrl-Z: the shell gets its terminal as it was, and then we stop. What the kernel deals is served on.
    pub(super) fn stop_at_terminal(&mut self) {
        self.terminal.leave(&self.poller);
        // What goes on is told by SIGCONT.
        let _ = kill_process(getpid(), Signal::STOP);
    }

    fn reload_for_reason(&mut self, cause: Cause, what: &str) {
        if self.supervisor.view().state() == ServiceState::Stopping {
            return;
        }
        let when = if self.is_rolling() { ": reload when this one is over" } else { ": reload" };
        self.say(&format!("{what}{when}"));
        self.reload_because(cause);
    }

    fn is_rolling(&self) -> bool {
        self.supervisor.view().state() == ServiceState::Reloading
    }

    fn leave_watch(&mut self) {
        if let Some(fd) = self.watch.fd() {
            let _ = self.poller.remove(fd);
        }
    }

    fn enter_watch(&mut self, complaints: Vec<String>) {
        for complaint in complaints {
            self.say(&complaint);
        }
        if let Some(fd) = self.watch.fd()
            && let Err(errno) = self.poller.add(fd, Token::Watch.pack(), Interest::READ)
        {
            self.say(&format!("warning: --watch sees nothing: epoll_ctl: {errno}"));
        }
    }
}

/// What a configuration says about files.
fn watched(configuration: &Configuration) -> Watched {
    if configuration.watched.is_empty() {
        return Watched::default();
    }
    Watched {
        directory: configuration.directory.clone(),
        paths: configuration.watched.clone(),
        ignore: configuration.options.ignore.clone(),
        script: configuration.directory.join(&configuration.entry.script),
    }
}
