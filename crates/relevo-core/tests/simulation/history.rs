//! The last steps, for who must find out what went wrong.

use std::collections::VecDeque;
use std::fmt;

use relevo_core::{Action, DealerAction, DealerEvent, Event, Time};

const LENGTH: usize = 50;

#[derive(Default)]
pub(crate) struct History(VecDeque<(Time, Step)>);

pub(crate) enum Step {
    Supervised(Event, Vec<Action>),
    Dealt(DealerEvent, Vec<DealerAction>),
}

impl History {
    /// Remembers the event before it is handled: what is done about it may be a panic.
    pub(crate) fn begin(&mut self, now: Time, step: Step) {
        if self.0.len() == LENGTH {
            self.0.pop_front();
        }
        self.0.push_back((now, step));
    }

    pub(crate) fn did(&mut self, actions: &[Action]) {
        if let Some((_, Step::Supervised(_, done))) = self.0.back_mut() {
            *done = actions.to_vec();
        }
    }

    pub(crate) fn dealt(&mut self, actions: &[DealerAction]) {
        if let Some((_, Step::Dealt(_, done))) = self.0.back_mut() {
            *done = actions.to_vec();
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the last {} steps:", self.0.len())?;
        for (now, step) in &self.0 {
            match step {
                Step::Supervised(event, actions) => {
                    writeln!(f, "{now} {event:?}")?;
                    for action in actions {
                        writeln!(f, "            {action:?}")?;
                    }
                }
                Step::Dealt(event, actions) => {
                    writeln!(f, "{now}     dealer: {event:?}")?;
                    for action in actions {
                        writeln!(f, "                {action:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
