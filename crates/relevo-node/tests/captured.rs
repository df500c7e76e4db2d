//! Lines that real workers wrote, Node 18 to 26, through decoder and channel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use relevo_node::{
    Channel, Decoder, DescriptorKind, FromWorker, Happened, Key, ListenAddress, PortCheck, Query,
    RawValue, UserMessage,
};

const CAPTURED: &str = include_str!("captured.txt");

struct Case {
    node: &'static str,
    name: &'static str,
    lines: Vec<(&'static str, bool)>,
}

impl Case {
    fn major(&self) -> u32 {
        self.node[1..].split('.').next().and_then(|major| major.parse().ok()).expect("vMAJOR.…")
    }

    fn messages(&self) -> Vec<(FromWorker, bool)> {
        let mut decoder = Decoder::new();
        let mut messages = Vec::new();
        for (line, with_descriptor) in &self.lines {
            let descriptor = with_descriptor.then_some(7_u32);
            decoder.push(format!("{line}\n").as_bytes(), descriptor).expect("few come");
            for incoming in &mut decoder {
                let incoming = incoming
                    .unwrap_or_else(|why| panic!("{} {}: {line}: {why}", self.node, self.name));
                assert_eq!(incoming.descriptor.is_some(), *with_descriptor, "{line}");
                messages.push((incoming.message, *with_descriptor));
            }
        }
        messages
    }

    fn queries(&self) -> Vec<Query> {
        let query = |(message, _)| {
            if let FromWorker::QueryServer(query) = message { Some(query) } else { None }
        };
        self.messages().into_iter().filter_map(query).collect()
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in CAPTURED.lines().filter(|line| !line.starts_with("# ")) {
        if let Some(header) = line.strip_prefix("## ") {
            let (node, name) = header.split_once(' ').expect("a version and a name");
            cases.push(Case { node, name, lines: Vec::new() });
        } else {
            let case = cases.last_mut().expect("lines follow a header");
            case.lines.push(match line.split_once('\t') {
                Some((line, _)) => (line, true),
                None => (line, false),
            });
        }
    }
    cases
}

fn tcp(host: Option<IpAddr>, port: u16, ipv6_only: bool) -> ListenAddress {
    ListenAddress::Tcp { host, port, ipv6_only }
}

fn udp(host: impl Into<IpAddr>, port: u16, ipv6_only: bool, reuse_addr: bool) -> ListenAddress {
    ListenAddress::Udp { host: host.into(), port, ipv6_only, reuse_addr }
}

fn unix(path: &str, readable_all: bool, writable_all: bool) -> ListenAddress {
    ListenAddress::UnixPath { path: path.into(), readable_all, writable_all }
}

/// What each case asks for, per version where it matters; nothing for those that do not ask.
fn asked(name: &str, major: u32) -> Vec<ListenAddress> {
    let loopback = |port| tcp(Some(Ipv6Addr::LOCALHOST.into()), port, true);
    let any = Ipv4Addr::UNSPECIFIED;
    vec![match name {
        "listen(0)" => tcp(None, 0, false),
        "listen()x2" => return vec![tcp(None, 0, false); 2],
        "retry" => return vec![tcp(None, 18123, false), tcp(None, 18124, false)],
        "host" => tcp(Some(Ipv4Addr::LOCALHOST.into()), 18123, false),
        "host::" => tcp(Some(Ipv6Addr::UNSPECIFIED.into()), 18123, false),
        // Without a host the flag does not reach the primary before 22.
        "ipv6only" => tcp(None, 18123, major >= 22),
        "ipv6only::1" => loopback(18123),
        "mapped" => tcp(Some(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()), 18123, false),
        "backlog" | "https" | "close" | "newconn" | "backstr" | "backneg" => {
            tcp(None, 18123, false)
        }
        // The option is new in 22, and makes the worker bind by itself.
        "reuse" if major < 22 => tcp(None, 18123, false),
        "scope" => ListenAddress::Unsupported {
            why: "fe80::1%lo: an IPv6 address with a zone is not supported".to_owned(),
        },
        // From 20 on the worker listens by itself.
        "handle" if major < 20 => ListenAddress::Unsupported {
            why: "listen(handle) does not work in a worker of this Node version".to_owned(),
        },
        "unix" => unix("/srv/app/rel.sock", false, false),
        "unixmode" => unix("/srv/app/abs.sock", true, true),
        "modes" => unix("/srv/app/q.sock", true, false),
        "abstract" => ListenAddress::Abstract { name: b"relevo".to_vec() },
        "fd" => ListenAddress::Descriptor { fd: 9, kind: DescriptorKind::Stream },
        "dgramfd" => ListenAddress::Descriptor { fd: 9, kind: DescriptorKind::Datagram },
        "dgram" | "udpstr" => udp(any, 18123, false, false),
        "dgram0" => udp(any, 0, false, false),
        "dgram6" => udp(Ipv6Addr::UNSPECIFIED, 18123, true, false),
        "dgram6_0" => udp(Ipv6Addr::UNSPECIFIED, 0, false, false),
        "dgramreuse" => udp(Ipv4Addr::LOCALHOST, 18123, false, true),
        "udpconnect" => udp(Ipv6Addr::LOCALHOST, 18125, false, false),
        _ => return Vec::new(),
    }]
}

#[test]
fn every_query_asks_for_what_the_app_wrote() {
    for case in cases() {
        let addresses: Vec<_> = case.queries().into_iter().map(|query| query.address).collect();
        assert_eq!(addresses, asked(case.name, case.major()), "{} {}", case.node, case.name);
        for query in case.queries() {
            let backlog = match case.name {
                "backlog" => Some(77),
                "backstr" => Some(33),
                _ => None,
            };
            assert_eq!(query.backlog, backlog, "{} {}", case.node, case.name);
            let ticket_keys = query.data.as_deref().map(RawValue::get);
            let is_tls = ticket_keys.is_some_and(|data| data.starts_with(r#"{"ticketKeys":""#));
            assert_eq!(is_tls, case.name == "https", "{} {}", case.node, case.name);
        }
    }
}

#[test]
fn everything_else_is_understood() {
    for case in cases() {
        let said: Vec<_> = case.messages().into_iter().map(|(message, _)| message).collect();
        let at = format!("{} {}", case.node, case.name);
        let other = FromWorker::User(UserMessage::Other);
        let ready = FromWorker::User(UserMessage::Ready);
        let server = || "6::::0".to_owned();
        match case.name {
            "send" => {
                assert_eq!(
                    said,
                    [ready.clone(), ready, other.clone(), other.clone(), other],
                    "{at}"
                );
            }
            "surr" => assert_eq!(said, [other], "{at}"),
            "keepmeta" => assert_eq!(said, [other, FromWorker::Unknown], "{at}"),
            "wdisc" => assert_eq!(said, [FromWorker::ExitedAfterDisconnect { seq: 1 }], "{at}"),
            "sendserver" | "senddgram" => {
                assert_eq!(said, [FromWorker::UserHandle { key: None }], "{at}");
            }
            "handlesend" => {
                assert_eq!(said, [FromWorker::UserHandle { key: Some(server()) }], "{at}");
            }
            "notify" => assert_eq!(
                said,
                [
                    FromWorker::UserHandle { key: Some(server()) },
                    FromWorker::SocketGetCount { key: server() },
                    FromWorker::SocketNotifyClose { key: server() },
                ],
                "{at}"
            ),
            "close" => {
                let key = Key("k1".to_owned());
                assert_eq!(said.last(), Some(&FromWorker::Close { key }), "{at}");
            }
            _ => assert!(!said.contains(&FromWorker::Unknown), "{at}: {said:?}"),
        }
    }
}

/// Plays each capture to a channel that answers as the script that made the captures did: keys
/// are `k` and the number of the query, and everything is shared, but for what could not be bound.
#[test]
fn a_channel_follows_each_of_them() {
    let mut cases_seen = 0;
    for case in cases() {
        let at = format!("{} {}", case.node, case.name);
        let mut channel = Channel::new();
        let (mut asked, mut listening) = (0, 0);
        for (message, with_descriptor) in case.messages() {
            let is_listening = matches!(message, FromWorker::Listening(_));
            let happened = channel
                .receive(message, with_descriptor)
                .unwrap_or_else(|why| panic!("{at}: {why}"));
            if let Some(Happened::Asked(query)) = happened {
                asked += 1;
                let key = Key(format!("k{}", query.query().seq));
                if case.name == "scope" {
                    channel.answer_dealt(query, key, None, None).unwrap();
                } else {
                    channel.answer_shared(query, key, PortCheck::Check, asked, None).unwrap();
                }
            } else if let Some(Happened::Listening { key }) = happened {
                listening += 1;
                assert!(channel.is_listening(&key), "{at}");
                if case.name == "newconn" {
                    channel.deal(&key, 1, None).unwrap();
                }
            } else {
                assert!(!is_listening, "{at}: nobody's listening");
            }
            while channel.next_frame().is_some() {}
        }
        let expected = if case.name == "close" { 0 } else { asked };
        assert_eq!(listening, expected, "{at}");
        assert_eq!(channel.in_flight(), 0, "{at}");
        cases_seen += 1;
    }
    assert!(cases_seen > 150, "{cases_seen} cases");
}
