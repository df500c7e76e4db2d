//! What `relevo events --json` prints, an object a line.

use serde::{Deserialize, Serialize};

use crate::status::{Rollout, Scaling};

/// Something that happened to a service. What does not apply, or is not known, is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts from 1, from the primary's start. Where one is missing, it has been forgotten.
    pub number: u64,
    /// When: RFC 3339, in UTC, with milliseconds.
    pub at: String,
    /// What kind of thing: a word that is never changed; there may be new ones.
    pub kind: String,
    /// Where.
    pub slot: Option<u32>,
    /// Which worker it is about.
    pub worker: Option<u64>,
    /// Its process.
    pub pid: Option<u32>,
    /// Which generation it is about.
    pub generation: Option<u64>,
    /// The log's line.
    pub text: String,
    /// More lines, such as the last words of the worker.
    #[serde(default)]
    pub detail: Vec<String>,
    /// The whole report, where a rollout is over.
    pub rollout: Option<Box<Rollout>>,
    /// The whole report, where a scaling is over.
    pub scaling: Option<Box<Scaling>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_apply_is_null() {
        let event = Event {
            number: 7,
            at: "2026-11-27T10:00:00.000Z".to_owned(),
            kind: "worker_ready".to_owned(),
            slot: Some(0),
            worker: Some(1),
            pid: None,
            generation: None,
            text: "slot 0: worker 1 ready".to_owned(),
            detail: Vec::new(),
            rollout: None,
            scaling: None,
        };
        let text = r#"{"number":7,"at":"2026-11-27T10:00:00.000Z","kind":"worker_ready","slot":0,"worker":1,"pid":null,"generation":null,"text":"slot 0: worker 1 ready","detail":[],"rollout":null,"scaling":null}"#;
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        let newer = text.replace("\"kind\"", "\"new\":1,\"kind\"");
        assert_eq!(serde_json::from_str::<Event>(&newer).unwrap(), event);
    }
}
