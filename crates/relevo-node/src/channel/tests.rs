//! The rules of the order, one by one. `tests/channel_model.rs` tries them all at once.

use std::net::Ipv4Addr;

use serde_json::value::RawValue;

use super::*;
use crate::address::ListenAddress;
use crate::encode::SockName;
use crate::message::{FromWorker, Listening, UserMessage};
use crate::violation::Violation;

fn key(name: &str) -> Key {
    Key(name.to_owned())
}

fn tcp(port: u16) -> ListenAddress {
    ListenAddress::Tcp { host: None, port, ipv6_only: false }
}

fn ask(channel: &mut Channel, seq: u64, address: ListenAddress) -> Option<PendingQuery> {
    let query = Query { seq, index: 0, address, backlog: None, data: None };
    match channel.receive(FromWorker::QueryServer(query), false) {
        Ok(Some(Happened::Asked(query))) => Some(query),
        Ok(None) => None,
        other => panic!("{other:?}"),
    }
}

/// A channel whose worker has a shared server `a`, acknowledged.
fn serving() -> Channel {
    let mut channel = Channel::new();
    let query = ask(&mut channel, 1, tcp(80)).expect("it is open");
    channel.answer_shared(query, key("a"), PortCheck::Check, 1, None).unwrap();
    assert_eq!(sent(&mut channel).len(), 1);
    assert_eq!(channel.receive(FromWorker::HandleAck, false), Ok(None));
    channel
}

/// All that is to be written now, without its newlines.
fn sent(channel: &mut Channel) -> Vec<String> {
    std::iter::from_fn(|| channel.next_frame())
        .map(|frame| String::from_utf8(frame.bytes).unwrap().trim_end().to_owned())
        .collect()
}

fn reply(channel: &mut Channel, ack: u64, accepted: bool) -> Result<Option<Happened>, Violation> {
    channel.receive(FromWorker::Reply { ack, accepted: Some(accepted) }, false)
}

fn leave(channel: &mut Channel, seq: u64) -> PendingLeave {
    match channel.receive(FromWorker::ExitedAfterDisconnect { seq }, false) {
        Ok(Some(Happened::LeaveAsked(leave))) => leave,
        other => panic!("{other:?}"),
    }
}

const DISCONNECT_2: &str = r#"{"cmd":"NODE_CLUSTER","act":"disconnect","seq":2}"#;

#[test]
fn a_dealt_connection_is_placed_once() {
    let mut channel = serving();
    channel.deal(&key("a"), 7, None).unwrap();
    assert_eq!(reply(&mut channel, 1, true), Err(Violation::UnaskedReply { ack: 1 }), "not sent");
    let frame = channel.next_frame().unwrap();
    assert_eq!(frame.attachment, Some(Attachment::Connection(7)));
    assert_eq!(channel.receive(FromWorker::HandleAck, false), Ok(None));
    assert_eq!(channel.in_flight(), 1, "acknowledged is not accepted");
    assert_eq!(reply(&mut channel, 1, true), Ok(Some(Happened::Placed { connection: 7 })));
    assert_eq!(channel.in_flight(), 0);
    assert_eq!(reply(&mut channel, 1, true), Err(Violation::UnaskedReply { ack: 1 }));
    assert!(channel.end().is_empty());
}

#[test]
fn a_refused_connection_comes_back_with_the_reason() {
    let mut channel = serving();
    for connection in [7, 8] {
        channel.deal(&key("a"), connection, None).unwrap();
    }
    sent(&mut channel);
    let refused = |connection, why| Ok(Some(Happened::Refused { connection, why }));
    assert_eq!(
        channel.receive(FromWorker::HandleNack, false),
        refused(7, RefusedBecause::NoDescriptor)
    );
    channel.receive(FromWorker::HandleAck, false).unwrap();
    assert_eq!(reply(&mut channel, 2, false), refused(8, RefusedBecause::NotAccepted));
    assert!(channel.end().is_empty());
}

#[test]
fn what_was_not_asked_for_is_a_violation() {
    let mut channel = serving();
    for message in [FromWorker::HandleAck, FromWorker::HandleNack] {
        let outcome = channel.receive(message, false);
        assert_eq!(outcome, Err(Violation::UnaskedAcknowledgement));
    }
    channel.deal(&key("a"), 7, None).unwrap();
    let outcome = channel.receive(FromWorker::HandleAck, false);
    assert_eq!(outcome, Err(Violation::UnaskedAcknowledgement), "it was not sent yet");
    assert_eq!(reply(&mut channel, 99, true), Err(Violation::UnaskedReply { ack: 99 }));
    assert_eq!(channel.end(), [7], "nothing is lost by it");
}

#[test]
fn disconnect_waits_for_descriptors_and_replies() {
    let mut channel = serving();
    channel.deal(&key("a"), 7, None).unwrap();
    channel.disconnect();
    channel.disconnect();
    assert_eq!(channel.deal(&key("a"), 8, None), Err(NotDealt::Leaving));
    assert_eq!(sent(&mut channel).len(), 1, "what was dealt before still goes out");
    channel.receive(FromWorker::HandleAck, false).unwrap();
    assert!(!channel.is_disconnected(), "its reply is not here");
    reply(&mut channel, 1, true).unwrap();
    assert!(channel.is_disconnected());
    channel.disconnect();
    assert_eq!(sent(&mut channel), [DISCONNECT_2]);
    assert!(!channel.tell_agent(ToAgent::Count { every_ms: 100 }));
    channel.receive(FromWorker::UserHandle { key: None }, true).unwrap();
    assert_eq!(sent(&mut channel), [r#"{"cmd":"NODE_HANDLE_ACK"}"#], "acknowledgements still go");
}

#[test]
fn disconnect_does_not_wait_for_a_closed_server() {
    let mut channel = serving();
    channel.deal(&key("a"), 7, None).unwrap();
    channel.disconnect();
    sent(&mut channel);
    let closed = channel.receive(FromWorker::Close { key: key("a") }, false);
    assert_eq!(closed, Ok(Some(Happened::Closed { key: key("a") })));
    assert!(!channel.is_disconnected(), "the descriptor is not acknowledged");
    channel.receive(FromWorker::HandleAck, false).unwrap();
    assert_eq!(sent(&mut channel), [DISCONNECT_2]);
    let refused = reply(&mut channel, 1, false);
    assert!(matches!(refused, Ok(Some(Happened::Refused { connection: 7, .. }))), "{refused:?}");
}

#[test]
fn disconnect_waits_for_a_shared_listener() {
    let mut channel = Channel::new();
    let query = ask(&mut channel, 1, tcp(80)).unwrap();
    channel.answer_shared(query, key("a"), PortCheck::Check, 5, None).unwrap();
    channel.disconnect();
    let frame = channel.next_frame().unwrap();
    assert_eq!(frame.attachment, Some(Attachment::Listener(5)));
    assert!(sent(&mut channel).is_empty());
    channel.receive(FromWorker::HandleAck, false).unwrap();
    assert_eq!(sent(&mut channel), [r#"{"cmd":"NODE_CLUSTER","act":"disconnect","seq":1}"#]);
}

#[test]
fn a_worker_gets_one_parting_word() {
    // It leaves: no `disconnect` follows the acknowledgement.
    let mut channel = serving();
    let asked = leave(&mut channel, 5);
    channel.acknowledge_leave(asked);
    channel.disconnect();
    assert_eq!(sent(&mut channel), [r#"{"cmd":"NODE_CLUSTER","ack":5,"seq":1}"#]);
    assert!(channel.is_disconnected());
    let again = leave(&mut channel, 6);
    channel.acknowledge_leave(again);
    assert!(sent(&mut channel).is_empty());

    // It was told to: acknowledging as well would make it close its channel twice.
    let mut channel = serving();
    channel.disconnect();
    let asked = leave(&mut channel, 5);
    channel.acknowledge_leave(asked);
    assert_eq!(sent(&mut channel), [r#"{"cmd":"NODE_CLUSTER","act":"disconnect","seq":1}"#]);

    // It was about to be told to: the acknowledgement does as well.
    let mut channel = serving();
    channel.deal(&key("a"), 7, None).unwrap();
    channel.disconnect();
    sent(&mut channel);
    let asked = leave(&mut channel, 5);
    channel.acknowledge_leave(asked);
    assert!(sent(&mut channel).is_empty(), "it waits like disconnect");
    channel.receive(FromWorker::HandleAck, false).unwrap();
    reply(&mut channel, 1, true).unwrap();
    assert_eq!(sent(&mut channel), [r#"{"cmd":"NODE_CLUSTER","ack":5,"seq":2}"#]);
}

#[test]
fn whoever_leaves_is_not_answered() {
    let mut channel = Channel::new();
    let (a, b, c) = (
        ask(&mut channel, 1, tcp(80)).unwrap(),
        ask(&mut channel, 2, tcp(81)).unwrap(),
        ask(&mut channel, 3, tcp(82)).unwrap(),
    );
    channel.disconnect();
    let shared = channel.answer_shared(a, key("a"), PortCheck::Check, 5, None);
    assert_eq!(shared, Err(NotAnswered::Leaving));
    assert_eq!(channel.answer_dealt(b, key("b"), None, None), Err(NotAnswered::Leaving));
    assert!(!channel.refuse(c, 98, None));
    assert!(ask(&mut channel, 4, tcp(83)).is_none());
    assert_eq!(sent(&mut channel), [r#"{"cmd":"NODE_CLUSTER","act":"disconnect","seq":0}"#]);
}

#[test]
fn answers_echo_the_data_of_a_tls_server() {
    let own = RawValue::from_string(r#"{"ticketKeys":"00"}"#.to_owned()).unwrap();
    let first = RawValue::from_string(r#"{"ticketKeys":"11"}"#.to_owned()).unwrap();
    let null = RawValue::from_string("null".to_owned()).unwrap();
    let mut channel = Channel::new();
    let check = |channel: &mut Channel, data: Option<&RawValue>, expected: &str| {
        let query = Query { data: Some(own.clone()), ..query(1) };
        let Ok(Some(Happened::Asked(query))) =
            channel.receive(FromWorker::QueryServer(query), false)
        else {
            panic!("it is open")
        };
        assert!(channel.refuse(query, 98, data));
        let line = sent(channel).pop().unwrap();
        assert!(
            line.contains(&format!(r#""errno":-98,"key":"refused","ack":1,"data":{expected}"#))
        );
    };
    check(&mut channel, None, own.get());
    check(&mut channel, Some(&null), own.get());
    check(&mut channel, Some(&first), first.get());
}

fn query(seq: u64) -> Query {
    Query { seq, index: 0, address: tcp(80), backlog: None, data: None }
}

#[test]
fn answers_are_of_the_kind_that_was_asked_for() {
    let mut channel = Channel::new();
    let host = Ipv4Addr::UNSPECIFIED.into();
    let udp = ListenAddress::Udp { host, port: 53, ipv6_only: false, reuse_addr: false };
    let asked = ask(&mut channel, 1, udp).unwrap();
    channel.answer_shared(asked, key("u"), PortCheck::Check, 1, None).unwrap();
    let asked = ask(&mut channel, 2, tcp(0)).unwrap();
    let name = SockName { address: Ipv4Addr::LOCALHOST.into(), port: 4444 };
    channel.answer_dealt(asked, key("t"), Some(name), None).unwrap();
    assert_eq!(
        sent(&mut channel),
        [
            r#"{"cmd":"NODE_HANDLE","type":"dgram.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"u","ack":1,"data":null,"seq":0}}"#,
            r#"{"cmd":"NODE_CLUSTER","errno":null,"key":"t","ack":2,"data":null,"sockname":{"address":"127.0.0.1","family":"IPv4","port":4444},"seq":1}"#,
        ]
    );
    assert_eq!(channel.keys().collect::<Vec<_>>(), [&key("t"), &key("u")]);
}

#[test]
fn a_listening_finds_its_key() {
    let mut channel = Channel::new();
    for (seq, name) in [(1, "old"), (2, "new")] {
        let asked = ask(&mut channel, seq, tcp(80)).unwrap();
        channel.answer_dealt(asked, key(name), None, None).unwrap();
    }
    let asked = ask(&mut channel, 3, tcp(90)).unwrap();
    channel.answer_shared(asked, key("moved"), PortCheck::Skip, 1, None).unwrap();
    let mut listening = |port| {
        let said = FromWorker::Listening(Listening { index: 0, address: tcp(port) });
        match channel.receive(said, false) {
            Ok(Some(Happened::Listening { key })) => Some(key.0),
            Ok(None) => None,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(listening(80).as_deref(), Some("moved"), "any port will do for the latest");
    assert_eq!(listening(80).as_deref(), Some("new"));
    assert_eq!(listening(81), None);
    assert_eq!(listening(80).as_deref(), Some("old"));
    assert_eq!(listening(80), None, "each only once");
}

#[test]
fn a_listener_that_was_not_taken_frees_its_key() {
    let mut channel = Channel::new();
    let asked = ask(&mut channel, 1, tcp(80)).unwrap();
    channel.answer_shared(asked, key("a"), PortCheck::Check, 1, None).unwrap();
    channel.deal(&key("a"), 7, None).unwrap();
    sent(&mut channel);
    let lost = channel.receive(FromWorker::HandleNack, false);
    assert_eq!(lost, Ok(Some(Happened::ListenerNotTaken { key: key("a") })));
    assert_eq!(channel.keys().count(), 0);
    assert_eq!(channel.deal(&key("a"), 8, None), Err(NotDealt::UnknownKey));
    assert_eq!(channel.end(), [7]);
}

#[test]
fn every_passed_handle_is_acknowledged_once() {
    let mut channel = Channel::new();
    let handle = || FromWorker::UserHandle { key: None };
    assert_eq!(channel.receive(handle(), true), Ok(Some(Happened::PassedHandle)));
    assert_eq!(channel.receive(handle(), false), Ok(None));
    let named = "6::::0".to_owned();
    channel.receive(FromWorker::SocketGetCount { key: named.clone() }, false).unwrap();
    channel.receive(FromWorker::SocketNotifyClose { key: named }, false).unwrap();
    assert_eq!(
        sent(&mut channel),
        [
            r#"{"cmd":"NODE_HANDLE_ACK"}"#,
            r#"{"cmd":"NODE_HANDLE_NACK"}"#,
            r#"{"cmd":"NODE_SOCKET_COUNT","key":"6::::0","count":0}"#,
            r#"{"cmd":"NODE_SOCKET_ALL_CLOSED","key":"6::::0"}"#,
        ]
    );
}

#[test]
fn a_worker_that_asks_and_does_not_read_is_a_violation() {
    let mut channel = Channel::new();
    let outcome = (0..2 * MAX_QUEUED)
        .find_map(|_| channel.receive(FromWorker::UserHandle { key: None }, true).err());
    assert_eq!(outcome, Some(Violation::NotReading { queued: MAX_QUEUED }));
    // Refused queries fill the queue just so, beyond those that the caller holds.
    let mut channel = Channel::new();
    let mut held = Vec::new();
    let outcome = (0..=(MAX_UNANSWERED + MAX_QUEUED) as u64).find_map(|seq| {
        match channel.receive(FromWorker::QueryServer(query(seq)), false) {
            Ok(happened) => {
                held.extend(happened);
                None
            }
            Err(violation) => Some(violation),
        }
    });
    assert_eq!(held.len(), MAX_UNANSWERED);
    assert_eq!(outcome, Some(Violation::NotReading { queued: MAX_QUEUED }));
}

#[test]
fn deals_are_bounded() {
    let mut channel = serving();
    for connection in 0..MAX_UNACKNOWLEDGED as u64 {
        channel.deal(&key("a"), connection, None).unwrap();
    }
    assert_eq!(channel.deal(&key("a"), 1000, None), Err(NotDealt::Busy));
    sent(&mut channel);
    channel.receive(FromWorker::HandleAck, false).unwrap();
    assert_eq!(channel.deal(&key("a"), 1000, None), Err(NotDealt::Busy), "it is not replied to");
    reply(&mut channel, 1, true).unwrap();
    assert_eq!(channel.deal(&key("a"), 1000, None), Ok(()));
    assert_eq!(channel.deal(&key("b"), 1001, None), Err(NotDealt::UnknownKey));
}

#[test]
fn keys_are_bounded() {
    let mut channel = Channel::new();
    for seq in 0..MAX_KEYS as u64 {
        let asked = ask(&mut channel, seq, tcp(0)).unwrap();
        channel.answer_dealt(asked, Key(format!("L{seq}")), None, None).unwrap();
        sent(&mut channel);
    }
    let asked = ask(&mut channel, 9999, tcp(0)).unwrap();
    let outcome = channel.answer_dealt(asked, key("more"), None, None);
    assert_eq!(outcome, Err(NotAnswered::TooManyKeys));
    assert!(sent(&mut channel)[0].contains(r#""errno":-24"#));
}

#[test]
fn sockets_that_a_worker_never_acknowledges_are_bounded() {
    let mut channel = Channel::new();
    let mut open_and_close = |seq: u64| {
        let asked = ask(&mut channel, seq, tcp(0)).unwrap();
        let key = Key(format!("L{seq}"));
        let outcome = channel.answer_shared(asked, key.clone(), PortCheck::Check, seq, None);
        let sent = sent(&mut channel).remove(0);
        channel.receive(FromWorker::Close { key }, false).unwrap();
        (outcome, sent)
    };
    for seq in 0..(MAX_KEYS + MAX_UNACKNOWLEDGED) as u64 {
        assert_eq!(open_and_close(seq).0, Ok(()));
    }
    let (outcome, sent) = open_and_close(9999);
    assert_eq!(outcome, Err(NotAnswered::TooManyKeys));
    assert!(sent.contains(r#""errno":-24"#));
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "cannot name another server"))]
fn a_key_that_is_there_is_a_bug_that_the_worker_survives() {
    let mut channel = serving();
    let asked = ask(&mut channel, 2, tcp(81)).unwrap();
    let outcome = channel.answer_dealt(asked, key("a"), None, None);
    assert_eq!(outcome, Err(NotAnswered::BadKey));
    assert!(sent(&mut channel)[0].contains(r#""errno":-22"#));
}

#[test]
fn the_end_gives_back_what_was_not_accepted() {
    let mut channel = serving();
    for connection in [9, 7, 8] {
        channel.deal(&key("a"), connection, None).unwrap();
    }
    channel.next_frame();
    channel.receive(FromWorker::HandleAck, false).unwrap();
    channel.next_frame();
    assert_eq!(channel.end(), [9, 7, 8], "sent or not, in the order of dealing");
    assert!(channel.end().is_empty(), "each once");
    assert_eq!(channel.next_frame(), None);
    assert_eq!(channel.deal(&key("a"), 1, None), Err(NotDealt::Leaving));
    assert_eq!(channel.receive(FromWorker::HandleAck, false), Ok(None), "what was read too late");
    channel.disconnect();
    assert_eq!(channel.next_frame(), None);
}

#[test]
fn words_that_change_nothing_are_passed_on() {
    let mut channel = Channel::new();
    let mut check = |message, expected| assert_eq!(channel.receive(message, false), Ok(expected));
    check(FromWorker::Online, Some(Happened::Online));
    check(FromWorker::User(UserMessage::Ready), Some(Happened::User(UserMessage::Ready)));
    let stopped = crate::agent::FromAgent::Stopped;
    check(FromWorker::Agent(stopped.clone()), Some(Happened::Agent(stopped)));
    check(FromWorker::Unknown, None);
    check(FromWorker::Close { key: key("never") }, None);
    assert!(channel.tell_agent(ToAgent::Count { every_ms: 100 }));
    assert_eq!(sent(&mut channel), [r#"{"cmd":"NODE_RELEVO","v":1,"act":"count","every_ms":100}"#]);
}
