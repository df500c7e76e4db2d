//! Telling people: a line in the log, and the same for `relevo events`.

use relevo_core::{DealerNotice, Notice};
use relevo_wire::protocol::Failure;

use super::history::{About, Culprit};
use super::{Primary, log};

impl Primary {
    /// What the core has to tell.
    pub(super) fn tell(&mut self, notice: &Notice) {
        let pid = |worker| self.processes.pid_for_log(worker);
        let (line, about) = (log::line(notice, pid), About::from(notice).with_pid(pid));
        let words = Culprit::of(notice).map(|culprit| self.last_words(culprit));
        self.put(about, &line, &words.unwrap_or_default());
    }

    /// What the dealer has to tell.
    pub(super) fn tell_of_dealing(&mut self, notice: &DealerNotice) {
        let view = self.supervisor.view();
        let pid = |worker| self.processes.pid_for_log(worker);
        let line = log::dealer_line(notice, pid, |listener| view.address(listener));
        let about = About::from(notice).with_pid(pid);
        self.put(about, &line, &[]);
    }

    /// A line of the shell's own.
    pub(super) fn say(&mut self, text: &str) {
        self.put(About::of("note"), text, &[]);
    }

    /// A wish that is not granted.
    pub(super) fn say_refused(&mut self, failure: &Failure) {
        self.put(About::of("refused"), &failure.reason, &failure.detail);
        for line in &failure.detail {
            self.output.say(&format!("    {line}"));
        }
    }

    fn put(&mut self, about: About, line: &str, detail: &[String]) {
        self.output.say(line);
        self.history.note(about, line, detail);
    }

    /// What they wrote last, oldest first.
    pub(super) fn last_words(&self, culprit: Culprit) -> Vec<String> {
        match culprit {
            Culprit::Worker(worker) => self.output.last_words(worker),
            Culprit::Hook(hook) => self.hooks.last_words(hook),
        }
    }
}
