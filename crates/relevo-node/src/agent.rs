//! The primary's and the agent's words to each other, `NODE_RELEVO`.
//!
//! Node keeps what begins with `NODE_` from the app, and ignores it where no agent is loaded. But
//! an app can forge it: nothing said here is believed about any worker but the one that said it.

use serde::{Deserialize, Deserializer, Serialize};
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
    /// What the worker carries: the answer to [`ToAgent::Count`], and later changes.
    Load(Load),
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

/// What a worker carries. Numbers too large for their field are taken as the largest that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Load {
    /// Open now, on the servers that listen or have listened through the primary.
    #[serde(deserialize_with = "saturating")]
    pub connections: u32,
    /// Those that these servers got since the first `count`.
    pub accepted: u64,
    /// How busy the event loop has been since the last such report, per mille: 1000 at most.
    /// `None` where node does not tell.
    #[serde(default, deserialize_with = "per_mille")]
    pub utilization: Option<u16>,
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
    /// Report the load now, and from now on when the connections change.
    Count {
        /// At most once in so many milliseconds, up to 60000; 0: only now.
        every_ms: u64,
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
        Some("load") => Ok(FromAgent::Load(read("load", line)?)),
        Some(_) | None => Ok(FromAgent::Unknown),
    }
}

fn read<'a, T: Deserialize<'a>>(message: &'static str, line: &'a str) -> Result<T, Violation> {
    serde_json::from_str(line).map_err(|why| Violation::malformed(message, why))
}

fn saturating<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(u32::try_from(u64::deserialize(deserializer)?).unwrap_or(u32::MAX))
}

fn per_mille<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let told = Option::<u64>::deserialize(deserializer)?;
    Ok(told.map(|told| u16::try_from(told).unwrap_or(1000).min(1000)))
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
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"load","connections":3,"accepted":40,"utilization":125}"#,
            FromAgent::Load(Load { connections: 3, accepted: 40, utilization: Some(125) }),
        );
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"load","connections":0,"accepted":0,"utilization":null}"#,
            FromAgent::Load(Load { connections: 0, accepted: 0, utilization: None }),
        );
    }

    #[test]
    fn a_load_has_limits() {
        let check = |fields: &str, connections, accepted, utilization| {
            let line = format!(r#"{{"cmd":"NODE_RELEVO","v":1,"act":"load",{fields}}}"#);
            let load = Load { connections, accepted, utilization };
            assert_eq!(parse(&line), Ok(FromAgent::Load(load)), "{line}");
        };
        check(r#""connections":4294967295,"accepted":1"#, u32::MAX, 1, None);
        check(r#""connections":4294967296,"accepted":1"#, u32::MAX, 1, None);
        check(r#""connections":1,"accepted":18446744073709551615"#, 1, u64::MAX, None);
        check(r#""connections":1,"accepted":1,"utilization":1000"#, 1, 1, Some(1000));
        check(r#""connections":1,"accepted":1,"utilization":1001"#, 1, 1, Some(1000));
        check(r#""connections":1,"accepted":1,"utilization":65536"#, 1, 1, Some(1000));
        check(r#""connections":1,"accepted":1,"new":{}"#, 1, 1, None);
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
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"load"}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"load","connections":1}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"load","connections":-1,"accepted":1}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"load","connections":"1","accepted":1}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"load","connections":1,"accepted":0.5}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"load","connections":1,"accepted":18446744073709551616}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"load","connections":1,"accepted":1,"utilization":-1}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"load","connections":1,"accepted":1,"utilization":"1"}"#,
        ] {
            let outcome = parse(line);
            assert!(matches!(outcome, Err(Violation::Malformed { .. })), "{line}: {outcome:?}");
        }
    }
}
