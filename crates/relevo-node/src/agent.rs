//! The primary's and the agent's words to each other, `NODE_RELEVO`.
//!
//! Node keeps what begins with `NODE_` from the app, and ignores it where no agent is loaded. But
//! an app can forge it: nothing said here is believed about any worker but the one that said it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::channel::MAX_KEYS;
use crate::message::Key;
use crate::violation::Violation;

/// The longest string of the agent that is taken, in bytes.
pub const MAX_AGENT_TEXT: usize = 64;

/// The longest path of the agent's that is taken, in bytes: Linux's `PATH_MAX`.
pub const MAX_AGENT_PATH: usize = 4096;

/// The longest message that a worker may have passed on to the others, in bytes of JSON.
pub const MAX_BROADCAST: usize = 64 << 10;

/// The version of these messages.
const VERSION: &str = "1";

/// What the agent says.
#[derive(Clone, Debug, PartialEq)]
pub enum FromAgent {
    /// Loaded; sent once, before user code.
    Hello {
        /// `process.version`.
        node: String,
        /// Whether it can hand connections over, and treats arrivals as what they are.
        hands_over: bool,
    },
    /// The worker accepts nothing new any more: it drains, or is parked.
    Stopped,
    /// What is still open, and what has become of the rest.
    Left {
        /// What is open.
        left: Left,
        /// Idle connections that the worker's side has closed since the drain began.
        closed_idle: u32,
        /// Open idle connections whose keep-alive timeout is longer than the worker may linger.
        not_zero: u32,
    },
    /// What the worker could hand over.
    Offer(Offer),
    /// A connection, whose descriptor comes with this very line; see [`Incoming`](crate::Incoming).
    Handover(Handover),
    /// A message of the app's for all other workers, as JSON: [`MAX_BROADCAST`] at most.
    Broadcast {
        /// The message.
        message: Json,
    },
    /// Nothing is open any more.
    Drained,
    /// The app says that it is ready.
    Ready,
    /// The app asks for more time until it must be ready.
    Extend {
        /// How much from now on, in milliseconds.
        ms: u64,
    },
    /// A file of the app's asks whether it runs in the cluster's primary, and would fork there.
    PrimaryBranch {
        /// Its path.
        file: String,
    },
    /// The worker has been asked as many requests as [`ToAgent::LimitRequests`] said; sent once.
    RequestsReached,
    /// A sign of life: the answer to [`ToAgent::Ping`], and once more when a connection comes after it was
    /// that there is none.
    Pong {
        /// How many connections are open, as in [`Load`].
        connections: u32,
    },
    /// What the worker carries: the answer to [`ToAgent::Count`], and later changes.
    Load(Load),
    /// What the worker has answered: the answer to [`ToAgent::Tally`], and later changes.
    Tally(Tally),
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
    /// The same over TLS.
    pub idle_tls: u32,
    /// Idle, and being handed over or about to be.
    pub moving: u32,
    /// None of these.
    pub unknown: u32,
}

/// What a worker could hand over now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Offer {
    /// How many connections of each server, beyond those there is credit for.
    pub listeners: BTreeMap<String, u32>,
    /// Whether what is left of its credit is void.
    pub spent: bool,
    /// Open connections that may not be handed over.
    pub not_movable: NotMovable,
}

/// How many connections may not be handed over, by the reason (`docs/drain.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NotMovable {
    /// TLS.
    pub tls: u32,
    /// HTTP/2 without TLS.
    pub http2: u32,
    /// An upgraded connection.
    pub upgraded: u32,
    /// Not taken by Node's HTTP server at once.
    pub late: u32,
    /// The app keeps something on the socket.
    pub touched: u32,
    /// The app asked for it.
    pub kept: u32,
    /// Node does not tell whether it is idle.
    pub unlisted: u32,
    /// A response without an end is under way.
    pub busy_stream: u32,
}

/// A connection that a worker gives away.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Handover {
    /// The agent's own number for it.
    pub id: u64,
    /// Of which server it is.
    pub key: String,
    /// How long nothing has come on it, in milliseconds.
    pub idle_ms: u64,
    /// How many requests it has had.
    pub requests: u64,
}

/// JSON that is passed on as it is.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Json(pub Box<RawValue>);

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
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

/// What a worker has answered, since the first [`ToAgent::Tally`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Requests whose response was sent to its end.
    pub answered: u64,
    /// Those of them with a status of 500 or more.
    pub failed: u64,
    /// Responses that the worker broke off.
    pub aborted: u64,
    /// Exceptions that nobody caught.
    pub uncaught: u64,
}

/// What the primary says to the agent.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum ToAgent {
    /// Accept nothing new, hand over what is idle, finish the rest.
    Drain {
        /// How long it may take, in milliseconds.
        deadline_ms: u64,
        /// How long it may go on for idle connections only, in milliseconds.
        linger_ms: u64,
        /// Over how long WebSockets and event streams are told to go, in milliseconds.
        spread_ms: u64,
        /// Which connections may be handed over.
        handover: HandoverMode,
    },
    /// Serve on; each response is to be the last on its connection.
    LameDuck {},
    /// Say when so many requests have been asked, from now on.
    LimitRequests {
        /// How many.
        n: u64,
    },
    /// Accept nothing new, in such a way that it can be taken back; finish nothing.
    Park {},
    /// Listen again on all that the worker has stopped to listen on since it was told to.
    Unpark {},
    /// The worker, which was a spare one, works in another slot than the one that it was started for.
    Slot {
        /// The slot.
        slot: u32,
    },
    /// So many connections more may be handed over.
    Credit {
        /// Of which server.
        key: Key,
        /// How many.
        n: u32,
    },
    /// These have been taken by another worker: the copies are to be closed.
    Taken {
        /// The agent's numbers.
        ids: Vec<u64>,
    },
    /// Nobody takes these: they are the worker's again.
    Back {
        /// The agent's numbers.
        ids: Vec<u64>,
    },
    /// From now on TLS sessions are to be resumable by these keys.
    Tickets {
        /// What is used from then on.
        keys: TicketKeys,
    },
    /// Another worker's message to all.
    Broadcast {
        /// The worker.
        from: u64,
        /// What it said.
        message: Json,
    },
    /// Give a sign of life.
    Ping {},
    /// Report the load now, and from now on when the connections change.
    Count {
        /// At most once in so many milliseconds, up to 60000; 0: only now.
        every_ms: u64,
    },
    /// Count what is answered from now on, and report it now and when it changes.
    Tally {
        /// At most once in so many milliseconds, up to 60000; 0: only now.
        every_ms: u64,
    },
}

/// The keys of TLS tickets: 48 bytes, in hexadecimal. They show up nowhere but on the channel.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TicketKeys(String);

impl TicketKeys {
    /// Of what the digits say.
    pub fn new(digits: String) -> Self {
        Self(digits)
    }

    /// The digits, for a worker's ears only.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys(…)")
    }
}

/// Which connections a draining worker may hand over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HandoverMode {
    /// Those that remember nothing.
    #[default]
    Auto,
    /// Also those that the app has put something on.
    All,
    /// None.
    Off,
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
    #[serde(default)]
    handover: bool,
}

#[derive(Deserialize)]
struct Extend {
    ms: u64,
}

#[derive(Deserialize)]
struct Pong {
    #[serde(deserialize_with = "saturating")]
    connections: u32,
}

#[derive(Deserialize)]
struct PrimaryBranch {
    file: String,
}

#[derive(Deserialize)]
struct Kinds {
    kinds: Left,
    #[serde(default)]
    closed_idle: u32,
    #[serde(default)]
    not_zero: u32,
}

#[derive(Deserialize)]
struct Broadcast<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
}

/// Reads a line whose `cmd` is `NODE_RELEVO`.
pub(crate) fn parse(line: &str) -> Result<FromAgent, Violation> {
    let envelope: Envelope<'_> = read("NODE_RELEVO", line)?;
    if envelope.v.map(RawValue::get) != Some(VERSION) {
        return Ok(FromAgent::Unknown);
    }
    match envelope.act.as_deref() {
        Some("hello") => {
            let Hello { node, handover: hands_over } = read("hello", line)?;
            let fits = node.len() <= MAX_AGENT_TEXT;
            Ok(if fits { FromAgent::Hello { node, hands_over } } else { FromAgent::Unknown })
        }
        Some("stopped") => Ok(FromAgent::Stopped),
        Some("left") => {
            let Kinds { kinds: left, closed_idle, not_zero } = read("left", line)?;
            Ok(FromAgent::Left { left, closed_idle, not_zero })
        }
        Some("offer") => {
            let offer: Offer = read("offer", line)?;
            let fits = offer.listeners.len() <= MAX_KEYS;
            Ok(if fits { FromAgent::Offer(offer) } else { FromAgent::Unknown })
        }
        Some("handover") => Ok(FromAgent::Handover(read("handover", line)?)),
        Some("broadcast") => {
            let Broadcast { message } = read("broadcast", line)?;
            let fits = message.get().len() <= MAX_BROADCAST;
            let message = Json(message.to_owned());
            Ok(if fits { FromAgent::Broadcast { message } } else { FromAgent::Unknown })
        }
        Some("drained") => Ok(FromAgent::Drained),
        Some("ready") => Ok(FromAgent::Ready),
        Some("extend") => {
            let Extend { ms } = read("extend", line)?;
            Ok(FromAgent::Extend { ms })
        }
        Some("primary_branch") => {
            let PrimaryBranch { file } = read("primary_branch", line)?;
            let fits = file.len() <= MAX_AGENT_PATH;
            Ok(if fits { FromAgent::PrimaryBranch { file } } else { FromAgent::Unknown })
        }
        Some("requests_reached") => Ok(FromAgent::RequestsReached),
        Some("pong") => {
            let Pong { connections } = read("pong", line)?;
            Ok(FromAgent::Pong { connections })
        }
        Some("tally") => Ok(FromAgent::Tally(read("tally", line)?)),
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
            FromAgent::Hello { node: node.clone(), hands_over: false },
        );
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"hello","node":"v22.1.0","handover":true}"#,
            FromAgent::Hello { node, hands_over: true },
        );
        check(r#"{"cmd":"NODE_RELEVO","v":1,"act":"stopped"}"#, FromAgent::Stopped);
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"pong","connections":7}"#,
            FromAgent::Pong { connections: 7 },
        );
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"left","kinds":{"request":2,"idle":3,"new":9}}"#,
            FromAgent::Left {
                left: Left { requests: 2, idle: 3, ..Left::default() },
                closed_idle: 0,
                not_zero: 0,
            },
        );
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"left","kinds":{"request":1,"upload":2,"event_stream":3,"websocket":4,"idle":5,"unknown":6,"idle_tls":7,"moving":8},"closed_idle":9,"not_zero":10}"#,
            FromAgent::Left {
                left: Left {
                    requests: 1,
                    uploads: 2,
                    event_streams: 3,
                    websockets: 4,
                    idle: 5,
                    idle_tls: 7,
                    moving: 8,
                    unknown: 6,
                },
                closed_idle: 9,
                not_zero: 10,
            },
        );
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"offer","listeners":{"1#2":3},"not_movable":{"tls":4,"new":5}}"#,
            FromAgent::Offer(Offer {
                listeners: BTreeMap::from([("1#2".to_owned(), 3)]),
                spent: false,
                not_movable: NotMovable { tls: 4, ..NotMovable::default() },
            }),
        );
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"handover","id":1,"key":"1#2","idle_ms":3,"requests":4}"#,
            FromAgent::Handover(Handover { id: 1, key: "1#2".to_owned(), idle_ms: 3, requests: 4 }),
        );
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"broadcast","message":{"a": [1]}}"#,
            FromAgent::Broadcast {
                message: Json(RawValue::from_string(r#"{"a": [1]}"#.to_owned()).unwrap()),
            },
        );
        check(r#"{"cmd":"NODE_RELEVO","v":1,"act":"drained"}"#, FromAgent::Drained);
        check(r#"{"cmd":"NODE_RELEVO","v":1,"act":"ready"}"#, FromAgent::Ready);
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"extend","ms":5000}"#,
            FromAgent::Extend { ms: 5000 },
        );
        check(
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"requests_reached","n":9}"#,
            FromAgent::RequestsReached,
        );
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
    fn a_tally_has_limits() {
        let line = |fields: &str| format!(r#"{{"cmd":"NODE_RELEVO","v":1,"act":"tally"{fields}}}"#);
        let check = |fields: &str, tally| {
            let line = line(fields);
            assert_eq!(parse(&line), Ok(FromAgent::Tally(tally)), "{line}");
        };
        check("", Tally::default());
        check(
            r#","answered":4,"failed":3,"aborted":2,"uncaught":1,"new":9"#,
            Tally { answered: 4, failed: 3, aborted: 2, uncaught: 1 },
        );
        let most = Tally { answered: u64::MAX, ..Tally::default() };
        check(r#","answered":18446744073709551615"#, most);
        for wrong in [
            r#","answered":-1"#,
            r#","failed":0.5"#,
            r#","aborted":18446744073709551616"#,
            r#","uncaught":"1""#,
            r#","answered":null"#,
        ] {
            let outcome = parse(&line(wrong));
            assert!(matches!(outcome, Err(Violation::Malformed { .. })), "{wrong}: {outcome:?}");
        }
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
        let message = "x".repeat(MAX_BROADCAST - 1);
        let long =
            format!(r#"{{"cmd":"NODE_RELEVO","v":1,"act":"broadcast","message":"{message}"}}"#);
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
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"left","kinds":{},"closed_idle":-1}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"offer","listeners":{"k":-1}}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"offer","listeners":5}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"handover","id":1,"key":"k","idle_ms":1}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"handover","id":-1,"key":"k","idle_ms":1,"requests":1}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"broadcast"}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"extend"}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"extend","ms":-1}"#,
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"extend","ms":0.5}"#,
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
