//! The primary's and the agent's words to each other, `NODE_RELEVO`.
//!
//! Node keeps what begins with `NODE_` from the app, and ignores it where no agent is loaded. But
//! an app can forge it: nothing said here is believed about any worker but the one that said it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::violation::Violation;

/// The longest string of the agent that is taken, in bytes.
pub const MAX_AGENT_TEXT: usize = 64;

/// The longest path of the agent's that is taken, in bytes: Linux's `PATH_MAX`.
pub const MAX_AGENT_PATH: usize = 4096;

/// The version of these messages.
const VERSION: &str = "1";

/// What the agent says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromAgent {
    /// Loaded; sent once, before user code.
    Hello {
        /// `process.version`.
        node: String,
    },
    /// The worker accepts nothing new any more.
    Stopped,
    /// What is still open.
    Left(Left),
    /// Nothing is open any more.
    Drained,
    /// A file of the app's asks whether it runs in the cluster's primary, and would fork there.
    PrimaryBranch {
        /// Its path.
        file: String,
    },
    /// A newer agent's word, or no agent at all.
    Unknown,
}

/// How many of each kind of connection a draining worker still has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Left {
    /// A request being answered.
    #[serde(rename = "request")]
    pub requests: u32,
    /// A request still being sent by its client.
    #[serde(rename = "upload")]
    pub uploads: u32,
    /// An answer without an end, `text/event-stream`.
    #[serde(rename = "event_stream")]
    pub event_streams: u32,
    /// An upgraded connection.
    #[serde(rename = "websocket")]
    pub websockets: u32,
    /// Kept alive between two requests.
    pub idle: u32,
    /// None of these.
    pub unknown: u32,
}

/// What the primary says to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum ToAgent {
    /// Accept nothing new, hand over what is idle, finish the rest.
    Drain {
        /// How long it may take, in milliseconds.
        deadline_ms: u64,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    v: Option<&'a RawValue>,
    act: Option<String>,
}

#[derive(Deserialize)]
struct Hello {
    node: String,
}

#[derive(Deserialize)]
struct PrimaryBranch {
    file: String,
}

#[derive(Deserialize)]
struct Kinds {
    kinds: Left,
}

/// Reads a line whose `cmd` is `NODE_RELEVO`.
pub(crate) fn parse(line: &str) -> Result<FromAgent, Violation> {
    let envelope: Envelope<'_> = read("NODE_RELEVO", line)?;
    if envelope.v.map(RawValue::get) != Some(VERSION) {
        return Ok(FromAgent::Unknown);
    }
    match envelope.act.as_deref() {
        Some("hello") => {
            let Hello { node } = read("hello", line)?;
            let fits = node.len() <= MAX_AGENT_TEXT;
            Ok(if fits { FromAgent::Hello { node } } else { FromAgent::Unknown })
        }
        Some("stopped") => Ok(FromAgent::Stopped),
        Some("left") => Ok(FromAgent::Left(read::<Kinds>("left", line)?.kinds)),
        Some("drained") => Ok(FromAgent::Drained),
        Some("primary_branch") => {
            let PrimaryBranch { file } = read("primary_branch", line)?;
            let fits = file.len() <= MAX_AGENT_PATH;
            Ok(if fits { FromAgent::PrimaryBranch { file } } else { FromAgent::Unknown })
        }
        Some(_) | None => Ok(FromAgent::Unknown),
    }
}

fn read<'a, T: Deserialize<'a>>(message: &'static str, line: &'a str) -> Result<T, Violation> {
    serde_json::from_str(line).map_err(|why| Violation::malformed(message, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_agent() {
        let check = |line, expected| assert_eq!(parse(line), Ok(expected), "{line}");
        let node = "v22.1.0".to_owned();
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"hello","node":"v22.1.0"}"#,
            FromAgent::Hello { node },
        );
        check(r#"{"cmd":"NODE_RELEVO","v":1,"act":"stopped"}"#, FromAgent::Stopped);
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"left","kinds":{"request":2,"idle":3,"new":9}}"#,
            FromAgent::Left(Left { requests: 2, idle: 3, ..Left::default() }),
        );
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"left","kinds":{"request":1,"upload":2,"event_stream":3,"websocket":4,"idle":5,"unknown":6}}"#,
            FromAgent::Left(Left {
                requests: 1,
                uploads: 2,
                event_streams: 3,
                websockets: 4,
                idle: 5,
                unknown: 6,
            }),
        );
        check(r#"{"cmd":"NODE_RELEVO","v":1,"act":"drained"}"#, FromAgent::Drained);
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"primary_branch","file":"/srv/app.js"}"#,
            FromAgent::PrimaryBranch { file: "/srv/app.js".to_owned() },
        );
    }

    #[test]
    fn what_is_not_known_is_tolerated() {
        for line in [
            r#"{"cmd":"NODE_RELEVO"}"#,
            r#"{"cmd":"NODE_RELEVO","v":2,"act":"drained"}"#,
            r#"{"cmd":"NODE_RELEVO","v":"1","act":"drained"}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"dance"}"#,
            r#"{"cmd":"NODE_RELEVO","v":1}"#,
        ] {
            assert_eq!(parse(line), Ok(FromAgent::Unknown), "{line}");
        }
        let node = "x".repeat(MAX_AGENT_TEXT + 1);
        let long = format!(r#"{{"cmd":"NODE_RELEVO","v":1,"act":"hello","node":"{node}"}}"#);
        assert_eq!(parse(&long), Ok(FromAgent::Unknown));
    }

    #[test]
    fn what_is_known_must_be_well_formed() {
        for line in [
            r#"{"cmd":"NODE_RELEVO","v":1,"act":5}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"hello"}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"hello","node":22}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"left"}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"left","kinds":{"idle":-1}}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"left","kinds":{"idle":"3"}}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"left","kinds":{"idle":4294967296}}"#,
        ] {
            let outcome = parse(line);
            assert!(matches!(outcome, Err(Violation::Malformed { .. })), "{line}: {outcome:?}");
        }
    }
}
