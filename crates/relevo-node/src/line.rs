//! One line from a worker: whose it is, and what it says.
//!
//! Node's rule decides whose: an object whose `cmd` is a string that begins with `NODE_` and goes
//! on is internal, everything else is the app's. An app's message may hold whatever JavaScript
//! can put into JSON, lone surrogates included, so nothing of it but its `cmd` is decoded.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::address::{AddressType, Fields, Port};
use crate::agent;
use crate::message::{FromWorker, Key, Listening, Query, UserMessage};
use crate::violation::Violation;

/// How deep a message may be nested, which is the app's affair as long as it can be meant: Node up to
/// 25 cannot write more than some 7000 levels itself. Nothing here recurses into what is not ours.
pub const MAX_DEPTH: usize = 10_000;
/// The longest key that is taken from a worker, in bytes.
pub const MAX_KEY: usize = 4096;
/// The longest `data` of a query that is kept for the answer, in bytes. Ticket keys take 115.
pub const MAX_DATA: usize = 16 << 10;

/// Reads one line, without its newline.
pub(crate) fn parse(line: &[u8]) -> Result<FromWorker, Violation> {
    let text = str::from_utf8(line).map_err(|_| Violation::NotUtf8)?;
    if is_too_deep(line) {
        return Err(Violation::TooDeep);
    }
    match Head::read(text).map_err(|why| Violation::not_json(&why))? {
        Head::Object { cmd: Some(cmd) } if is_internal(&cmd) => internal(&cmd, text),
        Head::Object { cmd } => Ok(user(cmd.as_deref() == Some("ready"))),
        Head::Value => Ok(user(matches!(text.trim(), r#""ready""# | r#""online""#))),
    }
}

/// What an internal message begins with when Node's own code has written it.
pub(crate) const INTERNAL_START: &[u8] = br#"{"cmd":"NODE_"#;

fn is_internal(cmd: &str) -> bool {
    cmd.strip_prefix("NODE_").is_some_and(|rest| !rest.is_empty())
}

fn user(ready: bool) -> FromWorker {
    FromWorker::User(if ready { UserMessage::Ready } else { UserMessage::Other })
}

fn internal(cmd: &str, text: &str) -> Result<FromWorker, Violation> {
    match cmd {
        "NODE_CLUSTER" => cluster(text),
        "NODE_HANDLE_ACK" => Ok(FromWorker::HandleAck),
        "NODE_HANDLE_NACK" => Ok(FromWorker::HandleNack),
        "NODE_HANDLE" => {
            let Keyed { key } = read("NODE_HANDLE", text)?;
            Ok(FromWorker::UserHandle { key: key.filter(|key| key.len() <= MAX_KEY) })
        }
        "NODE_SOCKET_NOTIFY_CLOSE" => {
            Ok(FromWorker::SocketNotifyClose { key: key("NODE_SOCKET_NOTIFY_CLOSE", text)? })
        }
        "NODE_SOCKET_GET_COUNT" => {
            Ok(FromWorker::SocketGetCount { key: key("NODE_SOCKET_GET_COUNT", text)? })
        }
        "NODE_RELEVO" => Ok(FromWorker::Agent(agent::parse(text)?)),
        _ => Ok(FromWorker::Unknown),
    }
}

fn cluster(text: &str) -> Result<FromWorker, Violation> {
    let envelope: Envelope = read("NODE_CLUSTER", text)?;
    if let Some(ack) = envelope.ack {
        return Ok(FromWorker::Reply { ack, accepted: envelope.accepted });
    }
    match envelope.act.as_deref() {
        Some("online") => Ok(FromWorker::Online),
        Some("queryServer") => Ok(FromWorker::QueryServer(query(text)?)),
        Some("listening") => {
            let server: Server<'_> = read("listening", text)?;
            let index = server.index;
            Ok(FromWorker::Listening(Listening {
                index,
                address: server.fields("listening")?.resolve(),
            }))
        }
        Some("close") => Ok(FromWorker::Close { key: Key(key("close", text)?) }),
        Some("exitedAfterDisconnect") => Ok(FromWorker::ExitedAfterDisconnect {
            seq: read::<Numbered>("exitedAfterDisconnect", text)?.seq,
        }),
        Some(_) | None => Ok(FromWorker::Unknown),
    }
}

fn query(text: &str) -> Result<Query, Violation> {
    const NAME: &str = "queryServer";
    let Numbered { seq } = read(NAME, text)?;
    let server: Server<'_> = read(NAME, text)?;
    if server.data.is_some_and(|data| data.get().len() > MAX_DATA) {
        return Err(Violation::malformed(NAME, format!("data is longer than {MAX_DATA} bytes")));
    }
    let backlog = server.backlog.and_then(|raw| loose_number(raw.get()));
    Ok(Query {
        seq,
        index: server.index,
        // An `as` from f64 saturates, which is what a backlog beyond u32 should do.
        backlog: backlog.filter(|wished| *wished >= 1.0).map(|wished| wished as u32),
        data: server.data.map(RawValue::to_owned),
        address: server.fields(NAME)?.resolve(),
    })
}

fn key(message: &'static str, text: &str) -> Result<String, Violation> {
    let Keyed { key } = read(message, text)?;
    let key = key.ok_or_else(|| Violation::malformed(message, "missing field `key`"))?;
    if key.len() > MAX_KEY {
        return Err(Violation::malformed(message, format!("key is longer than {MAX_KEY} bytes")));
    }
    Ok(key)
}

fn read<'a, T: Deserialize<'a>>(message: &'static str, text: &'a str) -> Result<T, Violation> {
    serde_json::from_str(text).map_err(|why| Violation::malformed(message, why))
}

#[derive(Deserialize)]
struct Envelope {
    act: Option<String>,
    ack: Option<u64>,
    accepted: Option<bool>,
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

#[derive(Deserialize)]
struct Keyed {
    key: Option<String>,
}

/// `queryServer` and `listening`. Some fields are the app's arguments as it wrote them, which Node
/// converts only where it uses them; these are read as loosely as Node does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Server<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    address: Option<String>,
    #[serde(borrow)]
    port: Option<&'a RawValue>,
    #[serde(borrow)]
    address_type: Option<&'a RawValue>,
    fd: Option<i32>,
    flags: Option<u32>,
    #[serde(borrow)]
    backlog: Option<&'a RawValue>,
    #[serde(borrow)]
    readable_all: Option<&'a RawValue>,
    #[serde(borrow)]
    writable_all: Option<&'a RawValue>,
}

impl Server<'_> {
    fn fields(self, message: &'static str) -> Result<Fields, Violation> {
        let kind = match self.address_type.map(RawValue::get) {
            None => None,
            Some(raw) if raw.starts_with('"') => Some(AddressType::Name(read(message, raw)?)),
            Some(raw) => Some(AddressType::Number(raw.parse().map_err(|_| {
                Violation::malformed(message, "addressType is neither a whole number nor a string")
            })?)),
        };
        let port = self
            .port
            .map(RawValue::get)
            .map(|raw| loose_number(raw).map_or_else(|| Port::Other(raw.to_owned()), Port::Number));
        Ok(Fields {
            address: self.address,
            port,
            kind,
            fd: self.fd,
            flags: self.flags.unwrap_or(0),
            readable_all: self.readable_all.is_some_and(|raw| is_truthy(raw.get())),
            writable_all: self.writable_all.is_some_and(|raw| is_truthy(raw.get())),
        })
    }
}

/// A number, or a string that is one, as in `bind(process.env.PORT)`.
fn loose_number(raw: &str) -> Option<f64> {
    raw.trim_matches('"').trim().parse().ok().filter(|number: &f64| number.is_finite())
}

fn is_truthy(raw: &str) -> bool {
    !matches!(raw, "false" | "0" | r#""""#)
}

/// Brackets are counted ahead of parsing, in one pass and without recursion.
fn is_too_deep(line: &[u8]) -> bool {
    if line.len() <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// As much of a message as tells whose it is. Reading it also proves that the line is JSON.
enum Head {
    /// An object, and its `cmd` if that is a string.
    Object { cmd: Option<String> },
    /// Anything else.
    Value,
}

impl Head {
    fn read(text: &str) -> serde_json::Result<Self> {
        if text.trim_start().starts_with('{') {
            serde_json::from_str(text)
        } else {
            serde_json::from_str(text).map(|IgnoredAny| Self::Value)
        }
    }
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// Of a key that is there twice the last counts, as for `JSON.parse`.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
        let mut cmd = None;
        while let Some(IsCmd(is_cmd)) = map.next_key()? {
            if is_cmd {
                let raw: &RawValue = map.next_value()?;
                // Not a string, or one with a lone surrogate: no command that anybody knows.
                cmd = serde_json::from_str(raw.get()).ok();
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Head::Object { cmd })
    }
}

/// Whether a key is `cmd`. Read as bytes: only so does serde_json let lone surrogates pass.
struct IsCmd(bool);

impl<'de> Deserialize<'de> for IsCmd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(IsCmdVisitor)
    }
}

struct IsCmdVisitor;

impl<'de> Visitor<'de> for IsCmdVisitor {
    type Value = IsCmd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E: de::Error>(self, key: &[u8]) -> Result<IsCmd, E> {
        Ok(IsCmd(key == b"cmd"))
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<IsCmd, E> {
        Ok(IsCmd(key == "cmd"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> FromWorker {
        parse(line.as_bytes()).unwrap_or_else(|why| panic!("{line}: {why}"))
    }

    #[test]
    fn whose_a_line_is() {
        let other = FromWorker::User(UserMessage::Other);
        for line in [
            "5",
            "null",
            "true",
            "[]",
            r#"["NODE_CLUSTER"]"#,
            r#""NODE_CLUSTER""#,
            "{}",
            r#"{"cmd":"NODE_"}"#,
            r#"{"cmd":"node_cluster"}"#,
            r#"{"cmd":5}"#,
            r#"{"cmd":{"cmd":"NODE_CLUSTER"}}"#,
            r#"{"a":{"cmd":"NODE_HANDLE_ACK"}}"#,
            r#"{"cmd":"NODE_HANDLE_ACK","cmd":"x"}"#,
            // JSON.stringify writes lone surrogates so, and an app may send them.
            r#"{"\ud800":"\udc00"}"#,
            r#"{"cmd":"\ud800"}"#,
            r#""\ud800""#,
        ] {
            assert_eq!(parsed(line), other, "{line}");
        }
        for line in [r#"{"cmd":"NODE_FOO","x":1}"#, r#"{"x":1,"cmd":"NODE_DEBUG_ENABLED"}"#] {
            assert_eq!(parsed(line), FromWorker::Unknown, "{line}");
        }
        for line in [r#""ready""#, r#""online""#, r#"{"cmd":"ready"}"#, r#"{"a":1,"cmd":"ready"}"#]
        {
            assert_eq!(parsed(line), FromWorker::User(UserMessage::Ready), "{line}");
        }
    }

    #[test]
    fn depth_is_bounded_outside_of_strings_only() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(parse(nested(MAX_DEPTH).as_bytes()), Ok(user(false)));
        assert_eq!(parse(nested(MAX_DEPTH + 1).as_bytes()), Err(Violation::TooDeep));
        let text = format!(r#"{{"a":"\"{}"}}"#, "[".repeat(1000));
        assert_eq!(parse(text.as_bytes()), Ok(user(false)));
        let flat = format!("[{}0]", "{},[],".repeat(1000));
        assert_eq!(parse(flat.as_bytes()), Ok(user(false)));
    }

    #[test]
    fn what_is_not_json_is_a_violation() {
        for line in
            ["", " ", "{", "hello", "{}{}", r#"{"cmd":"NODE_CLUSTER"},"#, "{'a':1}", "\u{1}"]
        {
            let outcome = parse(line.as_bytes());
            assert!(matches!(outcome, Err(Violation::NotJson { .. })), "{line}: {outcome:?}");
        }
        assert_eq!(parse(b"\"\xff\""), Err(Violation::NotUtf8));
    }
}
