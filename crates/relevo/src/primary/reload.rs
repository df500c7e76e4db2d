//! Reloads: the configuration is read before anything else happens, and follows the rollout.

use relevo_config::Change;
use relevo_core::{Cause, Event, Listeners, Notice, Outcome};
use relevo_wire::protocol::{Failure, Verb};

use super::{DrainWords, Primary, control};

/// How many keys a line of the log names.
const NAMED: usize = 10;

impl Primary {
    /// Nobody waits for an answer, so the log has it.
    pub(super) fn reload_because(&mut self, cause: Cause) {
        match self.prepare_reload() {
            Ok(()) => {
                let listeners = Listeners::Same;
                self.events.push_back(Event::ReloadRequested { cause, request: None, listeners });
            }
            Err(failure) => self.say_refused(&failure),
        }
    }

    /// The client is told what stands against it, and so is the log.
    pub(super) fn reload_for(&mut self, client: u32, id: u64, wait: bool, listeners: Listeners) {
        match self.prepare_reload() {
            Ok(()) => {
                let changed_listeners = listeners == Listeners::Changed;
                let verb = Verb::Reload { wait, changed_listeners };
                let request = self.control.accept(client, id, verb, wait);
                let cause = Cause::Command;
                self.events.push_back(Event::ReloadRequested { cause, request, listeners });
            }
            Err(failure) => {
                self.say_refused(&failure);
                self.control.answer(client, id, Err::<(), _>(failure));
            }
        }
    }

    /// The way back: what there is to know of it is asked first, so that a refusal can name the place.
    pub(super) fn rollback_for(&mut self, client: u32, id: u64, wait: bool) {
        let verb = Verb::Rollback { wait };
        let target = self.supervisor.view().rollback_target();
        let target = target.map_err(|refusal| control::refusal(verb, refusal));
        match target.and_then(|to| Ok((to, self.reading.way_back(to)?))) {
            Ok((to, spec)) => {
                let request = self.control.accept(client, id, verb, wait);
                let spec = Box::new(spec);
                self.events.push_back(Event::RollbackRequested { to, spec, request });
            }
            Err(failure) => {
                self.say_refused(&failure);
                self.control.answer(client, id, Err::<(), _>(failure));
            }
        }
    }

    fn prepare_reload(&mut self) -> Result<(), Failure> {
        let (spec, changes) = self.reading.prepare()?;
        if !changes.is_empty() {
            self.say(&format!("configuration read again; the reload brings {}", keys(&changes)));
        }
        if let Some(file) = self.reading.passed_over() {
            let file = file.display();
            self.say(&format!(
                "{file} is not read: this service was started without it; stop it and start it again to use it"
            ));
        }
        self.events.push_back(Event::Configured { spec: Box::new(spec) });
        Ok(())
    }

    /// What of the configuration the shell carries out itself comes and goes with the rollout, too.
    pub(super) fn follow_rollout(&mut self, notice: &Notice) {
        if let Notice::RolloutStarted { generation, back_to, .. } = notice {
            let release = self.reading.rollout_started(*generation, *back_to);
            let event = Event::ReleaseResolved { generation: *generation, release };
            // Before anything else that may happen to its workers.
            self.events.push_front(event);
        } else if let Notice::RolloutEnded(report) = notice {
            let succeeded = report.outcome == Outcome::Succeeded;
            let scale = self.reading.rollout_ended(succeeded);
            self.reading.keep(&self.supervisor.view().generations());
            let event = |scale| Event::ScaleRequested { scale, wait: false, request: None };
            self.events.extend(scale.map(event));
        } else {
            return;
        }
        self.follow_reasons();
        self.hub.set_drain_words(DrainWords::of(&self.reading.counting().options));
    }
}

/// Which keys differ; values are for `relevo reload --dry-run`.
fn keys(changes: &[Change]) -> String {
    let named: Vec<&str> = changes.iter().take(NAMED).map(|change| change.key.as_str()).collect();
    let more = match changes.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", named.join(", "))
}
