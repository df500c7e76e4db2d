//! What has happened, for `relevo events`: the last of it, in memory.

mod about;

use std::collections::VecDeque;

use jiff::Timestamp;
use relevo_wire::Event;

pub(crate) use about::{About, Culprit};

/// How many events are remembered.
const MAX_EVENTS: usize = 1000;
/// How much text they may have in all, in bytes: fewer are remembered when they are long.
const MAX_TEXT: usize = 512 * 1024;
/// How much of one line is remembered, in bytes.
const MAX_LINE: usize = 4096;

/// The last events, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    events: VecDeque<Event>,
    text: usize,
    last: u64,
}

impl History {
    /// Adds what has happened now. `detail` are more lines.
    pub(crate) fn note(&mut self, about: About, text: &str, detail: &[String]) {
        self.last += 1;
        let event = Event {
            number: self.last,
            at: Timestamp::now().strftime("%FT%T%.3fZ").to_string(),
            kind: about.kind.to_owned(),
            slot: about.slot.map(|slot| slot.0),
            worker: about.worker.map(|worker| worker.0),
            pid: about.pid,
            generation: about.generation.map(|generation| generation.0),
            text: shortened(text),
            detail: detail.iter().map(|line| shortened(line)).collect(),
            rollout: about.rollout,
            scaling: about.scaling,
        };
        self.text += length(&event);
        self.events.push_back(event);
        while self.events.len() > MAX_EVENTS || (self.text > MAX_TEXT && self.events.len() > 1) {
            let forgotten = self.events.pop_front();
            self.text -= forgotten.as_ref().map_or(0, length);
        }
    }

    /// The number of the last event; 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// What is remembered of the events behind this number.
    pub(crate) fn since(&self, number: u64) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.number > number)
    }
}

fn length(event: &Event) -> usize {
    event.text.len() + event.detail.iter().map(String::len).sum::<usize>()
}

fn shortened(line: &str) -> String {
    if line.len() <= MAX_LINE {
        return line.to_owned();
    }
    let end = (0..=MAX_LINE).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(history: &History, since: u64) -> Vec<u64> {
        history.since(since).map(|event| event.number).collect()
    }

    #[test]
    fn the_last_are_remembered() {
        let mut history = History::default();
        for _ in 0..=MAX_EVENTS {
            history.note(About::of("note"), "x", &[]);
        }
        assert_eq!(history.last(), 1001);
        assert_eq!(numbers(&history, 0).len(), MAX_EVENTS);
        assert_eq!(numbers(&history, 999), [1000, 1001]);
        assert_eq!(numbers(&history, 1001), [0; 0]);
    }

    #[test]
    fn long_ones_are_shortened_and_fewer() {
        let mut history = History::default();
        let long = "ä".repeat(MAX_LINE);
        for _ in 0..200 {
            history.note(About::of("note"), &long, std::slice::from_ref(&long));
        }
        let event = history.since(199).next().unwrap();
        assert_eq!(event.text, format!("{}…", "ä".repeat(MAX_LINE / 2)));
        let count = numbers(&history, 0).len();
        assert!((60..70).contains(&count), "{count}");
        let text: usize = history.since(0).map(length).sum();
        assert_eq!(text, history.text);
    }
}
