//! The lines a primary writes, byte for byte as Node's own writes them (section 2.2).

use std::net::{IpAddr, SocketAddr};

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::agent::ToAgent;
use crate::message::Key;

/// What `server.address()` is to say in a worker that connections are dealt to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockName {
    /// The address the primary listens on.
    pub address: IpAddr,
    /// Its port. Must be the one the app asked for, unless that was 0.
    pub port: u16,
}

impl From<SocketAddr> for SockName {
    fn from(of: SocketAddr) -> Self {
        Self { address: of.ip(), port: of.port() }
    }
}

impl Serialize for SockName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields {
            address: IpAddr,
            family: &'static str,
            port: u16,
        }
        let family = if self.address.is_ipv4() { "IPv4" } else { "IPv6" };
        Fields { address: self.address, family, port: self.port }.serialize(serializer)
    }
}

/// What a passed socket becomes in the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum HandleType {
    #[serde(rename = "net.Native")]
    Stream,
    #[serde(rename = "dgram.Native")]
    Datagram,
}

/// The answer to a query. The order of its fields is that of the wire.
#[derive(Serialize)]
pub(crate) struct Reply<'a> {
    cmd: &'static str,
    /// A libuv error number, which is negative; 0 and none are success.
    errno: Option<i32>,
    key: &'a str,
    ack: u64,
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sockname: Option<SockName>,
    seq: u64,
}

#[derive(Serialize)]
struct Act<'a> {
    cmd: &'static str,
    act: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    relevo: Option<Arrival>,
}

#[derive(Serialize)]
struct Acknowledgement {
    cmd: &'static str,
    ack: u64,
    seq: u64,
}

#[derive(Serialize)]
struct WithHandle<M> {
    cmd: &'static str,
    r#type: HandleType,
    msg: M,
}

#[derive(Serialize)]
struct Socket<'a> {
    cmd: &'static str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
}

#[derive(Serialize)]
struct Agent {
    cmd: &'static str,
    v: u32,
    #[serde(flatten)]
    say: ToAgent,
}

const CLUSTER: &str = "NODE_CLUSTER";
const HANDLE: &str = "NODE_HANDLE";

impl<'a> Reply<'a> {
    /// `errno` as the wire has it: negative, 0 or none.
    pub(crate) fn new(
        errno: Option<i32>,
        key: &'a Key,
        ack: u64,
        data: Option<&'a RawValue>,
        seq: u64,
    ) -> Self {
        Self { cmd: CLUSTER, errno, key: &key.0, ack, data, sockname: None, seq }
    }

    pub(crate) fn named(self, sockname: Option<SockName>) -> Self {
        Self { sockname, ..self }
    }

    pub(crate) fn plain(&self) -> Vec<u8> {
        line(self)
    }

    pub(crate) fn with_handle(self, r#type: HandleType) -> Vec<u8> {
        line(&WithHandle { cmd: HANDLE, r#type, msg: self })
    }
}

/// What is said of a connection that another worker handed over. Node ignores it, the agent reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// How long nothing has come on it, in milliseconds.
    pub idle_ms: u64,
    /// How many requests it has had.
    pub requests: u64,
}

pub(crate) fn newconn(key: &Key, seq: u64, arrival: Option<Arrival>) -> Vec<u8> {
    let msg = Act { cmd: CLUSTER, act: "newconn", key: Some(&key.0), seq, relevo: arrival };
    line(&WithHandle { cmd: HANDLE, r#type: HandleType::Stream, msg })
}

pub(crate) fn disconnect(seq: u64) -> Vec<u8> {
    line(&Act { cmd: CLUSTER, act: "disconnect", key: None, seq, relevo: None })
}

/// The answer to `exitedAfterDisconnect`.
pub(crate) fn acknowledge(ack: u64, seq: u64) -> Vec<u8> {
    line(&Acknowledgement { cmd: CLUSTER, ack, seq })
}

pub(crate) fn handle_ack() -> Vec<u8> {
    b"{\"cmd\":\"NODE_HANDLE_ACK\"}\n".to_vec()
}

pub(crate) fn handle_nack() -> Vec<u8> {
    b"{\"cmd\":\"NODE_HANDLE_NACK\"}\n".to_vec()
}

pub(crate) fn socket_all_closed(key: &str) -> Vec<u8> {
    line(&Socket { cmd: "NODE_SOCKET_ALL_CLOSED", key, count: None })
}

/// We never keep a passed connection, so the count is always none.
pub(crate) fn socket_count(key: &str) -> Vec<u8> {
    line(&Socket { cmd: "NODE_SOCKET_COUNT", key, count: Some(0) })
}

pub(crate) fn agent(say: ToAgent) -> Vec<u8> {
    line(&Agent { cmd: "NODE_RELEVO", v: 1, say })
}

fn line(message: &impl Serialize) -> Vec<u8> {
    let mut bytes =
        serde_json::to_vec(message).expect("text, numbers and JSON itself can always be written");
    // A newline can only be white space within `data`, for in strings it is escaped.
    for byte in &mut bytes {
        if *byte == b'\n' {
            *byte = b' ';
        }
    }
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::agent::{HandoverMode, Json, TicketKeys};

    fn check(bytes: Vec<u8>, expected: &str) {
        let text = String::from_utf8(bytes).expect("JSON is UTF-8");
        assert_eq!(text, format!("{expected}\n"));
    }

    fn key() -> Key {
        Key("L3#17".to_owned())
    }

    #[test]
    fn answers_to_queries() {
        let key = key();
        let name = SockName { address: Ipv6Addr::UNSPECIFIED.into(), port: 8123 };
        check(
            Reply::new(None, &key, 1, None, 0).named(Some(name)).plain(),
            r#"{"cmd":"NODE_CLUSTER","errno":null,"key":"L3#17","ack":1,"data":null,"sockname":{"address":"::","family":"IPv6","port":8123},"seq":0}"#,
        );
        check(
            Reply::new(Some(-98), &key, 1, None, 0).plain(),
            r#"{"cmd":"NODE_CLUSTER","errno":-98,"key":"L3#17","ack":1,"data":null,"seq":0}"#,
        );
        let data = RawValue::from_string(r#"{"ticketKeys":"00"}"#.to_owned()).unwrap();
        check(
            Reply::new(Some(0), &key, 1, Some(&data), 0).with_handle(HandleType::Stream),
            r#"{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"L3#17","ack":1,"data":{"ticketKeys":"00"},"seq":0}}"#,
        );
        check(
            Reply::new(None, &key, 1, None, 0).with_handle(HandleType::Datagram),
            r#"{"cmd":"NODE_HANDLE","type":"dgram.Native","msg":{"cmd":"NODE_CLUSTER","errno":null,"key":"L3#17","ack":1,"data":null,"seq":0}}"#,
        );
    }

    #[test]
    fn everything_else() {
        check(
            newconn(&key(), 1, None),
            r#"{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"L3#17","seq":1}}"#,
        );
        check(
            newconn(&key(), 1, Some(Arrival { idle_ms: 1234, requests: 5 })),
            r#"{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"L3#17","seq":1,"relevo":{"idle_ms":1234,"requests":5}}}"#,
        );
        check(disconnect(2), r#"{"cmd":"NODE_CLUSTER","act":"disconnect","seq":2}"#);
        check(acknowledge(5, 3), r#"{"cmd":"NODE_CLUSTER","ack":5,"seq":3}"#);
        check(handle_ack(), r#"{"cmd":"NODE_HANDLE_ACK"}"#);
        check(handle_nack(), r#"{"cmd":"NODE_HANDLE_NACK"}"#);
        check(
            socket_all_closed("4:null:8123"),
            r#"{"cmd":"NODE_SOCKET_ALL_CLOSED","key":"4:null:8123"}"#,
        );
        check(
            socket_count("4:null:8123"),
            r#"{"cmd":"NODE_SOCKET_COUNT","key":"4:null:8123","count":0}"#,
        );
        check(
            agent(ToAgent::Drain {
                deadline_ms: 30_000,
                linger_ms: 120_000,
                spread_ms: 0,
                handover: HandoverMode::Auto,
            }),
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"drain","deadline_ms":30000,"linger_ms":120000,"spread_ms":0,"handover":"auto"}"#,
        );
        check(agent(ToAgent::Park {}), r#"{"cmd":"NODE_RELEVO","v":1,"act":"park"}"#);
        check(agent(ToAgent::Unpark {}), r#"{"cmd":"NODE_RELEVO","v":1,"act":"unpark"}"#);
        check(
            agent(ToAgent::Slot { slot: 3 }),
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"slot","slot":3}"#,
        );
        check(
            agent(ToAgent::Credit { key: key(), n: 32 }),
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"credit","key":"L3#17","n":32}"#,
        );
        check(
            agent(ToAgent::Taken { ids: vec![1, 2] }),
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"taken","ids":[1,2]}"#,
        );
        check(
            agent(ToAgent::Back { ids: vec![3] }),
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"back","ids":[3]}"#,
        );
        check(
            agent(ToAgent::Tickets { keys: TicketKeys::new("00ff".to_owned()) }),
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"tickets","keys":"00ff"}"#,
        );
        let message = Json(RawValue::from_string(r#"{"a":1}"#.to_owned()).unwrap());
        check(
            agent(ToAgent::Broadcast { from: 7, message }),
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"broadcast","from":7,"message":{"a":1}}"#,
        );
        check(
            agent(ToAgent::Count { every_ms: 100 }),
            r#"{"cmd":"NODE_RELEVO","v":1,"act":"count","every_ms":100}"#,
        );
    }

    #[test]
    fn a_line_stays_one_line() {
        let data = RawValue::from_string("{\n  \"ticketKeys\": \"a\\nb\"\n}".to_owned()).unwrap();
        check(
            Reply::new(None, &key(), 1, Some(&data), 0).plain(),
            r#"{"cmd":"NODE_CLUSTER","errno":null,"key":"L3#17","ack":1,"data":{   "ticketKeys": "a\nb" },"seq":0}"#,
        );
    }
}
