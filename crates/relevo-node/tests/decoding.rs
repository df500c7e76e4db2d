//! The decoder against streams cut anywhere, and against workers that mean harm.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;
use relevo_node::limits::{MAX_DESCRIPTORS, MAX_LINE, MAX_SKIPPED};
use relevo_node::{Decoder, FromWorker, Key, UserMessage, Violation};

const CHUNK: usize = 64 << 10;

/// Says when it is dropped.
#[derive(Debug)]
struct Token(Rc<Cell<usize>>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn token(alive: &Rc<Cell<usize>>) -> Token {
    alive.set(alive.get() + 1);
    Token(Rc::clone(alive))
}

fn drain<D>(decoder: &mut Decoder<D>) -> Vec<Result<(FromWorker, Option<D>), Violation>> {
    decoder.map(|item| item.map(|incoming| (incoming.message, incoming.descriptor))).collect()
}

fn one(bytes: &[u8]) -> Result<FromWorker, Violation> {
    let mut decoder = Decoder::<u32>::new();
    decoder.push(bytes, []).expect("no descriptor comes");
    let mut items = drain(&mut decoder);
    assert_eq!(items.len(), 1, "{:?}", String::from_utf8_lossy(bytes));
    items.remove(0).map(|(message, _)| message)
}

const HANDLE: &str = r#"{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{"hi":1},"key":"6::::0"}"#;

#[test]
fn each_message_of_the_protocol() {
    let check = |line: &str, expected| {
        assert_eq!(one(format!("{line}\n").as_bytes()), Ok(expected), "{line}");
    };
    let key = || "L3#17".to_owned();
    check(r#"{"cmd":"NODE_CLUSTER","act":"online","seq":0}"#, FromWorker::Online);
    check(
        r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":3}"#,
        FromWorker::Reply { ack: 1, accepted: Some(true) },
    );
    check(
        r#"{"cmd":"NODE_CLUSTER","ack":1,"seq":3}"#,
        FromWorker::Reply { ack: 1, accepted: None },
    );
    check(
        r#"{"cmd":"NODE_CLUSTER","act":"close","key":"L3#17","seq":4}"#,
        FromWorker::Close { key: Key(key()) },
    );
    check(
        r#"{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":5}"#,
        FromWorker::ExitedAfterDisconnect { seq: 5 },
    );
    check(r#"{"cmd":"NODE_HANDLE_ACK"}"#, FromWorker::HandleAck);
    check(r#"{"cmd":"NODE_HANDLE_NACK"}"#, FromWorker::HandleNack);
    check(HANDLE, FromWorker::UserHandle { key: Some("6::::0".to_owned()) });
    check(
        r#"{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"L3#17"}"#,
        FromWorker::SocketNotifyClose { key: key() },
    );
    check(
        r#"{"cmd":"NODE_SOCKET_GET_COUNT","key":"L3#17"}"#,
        FromWorker::SocketGetCount { key: key() },
    );
    check(r#"{"cmd":"NODE_CLUSTER","act":"danced","seq":4}"#, FromWorker::Unknown);
    check(r#"{"cmd":"NODE_CLUSTER","seq":4}"#, FromWorker::Unknown);
    check(r#"{"cmd":"NODE_DEBUG_ENABLED"}"#, FromWorker::Unknown);
    check(r#"{"watch:require":["/srv/app.js"]}"#, FromWorker::User(UserMessage::Other));
}

#[test]
fn queries_of_old_versions_lack_fields() {
    for line in [
        r#"{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":80,"addressType":4,"seq":1}"#,
        r#"{"cmd":"NODE_CLUSTER","act":"queryServer","address":null,"port":80,"addressType":4,"flags":null,"backlog":null,"seq":1}"#,
    ] {
        let outcome = one(format!("{line}\n").as_bytes());
        let Ok(FromWorker::QueryServer(query)) = outcome else { panic!("{line}: {outcome:?}") };
        assert_eq!((query.seq, query.index, query.backlog), (1, 0, None));
        assert_eq!(query.address.port(), Some(80));
        assert!(query.data.is_none());
    }
}

#[test]
fn internal_messages_must_be_well_formed() {
    let data = "x".repeat(20_000);
    for line in [
        r#"{"cmd":"NODE_CLUSTER","act":7}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","ack":"1"}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","ack":-1,"accepted":true}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":"yes"}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","act":"close"}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","act":"close","key":5}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect"}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","act":"queryServer","port":80,"addressType":4}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","act":"queryServer","address":5,"seq":1}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","act":"queryServer","addressType":{},"seq":1}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","act":"queryServer","index":-1,"seq":1}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","act":"queryServer","fd":"9","seq":1}"#.to_owned(),
        r#"{"cmd":"NODE_CLUSTER","act":"listening","index":"0"}"#.to_owned(),
        r#"{"cmd":"NODE_SOCKET_GET_COUNT"}"#.to_owned(),
        r#"{"cmd":"NODE_HANDLE","key":5}"#.to_owned(),
        format!(r#"{{"cmd":"NODE_CLUSTER","act":"queryServer","data":"{data}","seq":1}}"#),
        format!(r#"{{"cmd":"NODE_CLUSTER","act":"close","key":"{data}"}}"#),
    ] {
        let outcome = one(format!("{line}\n").as_bytes());
        let Err(Violation::Malformed { why, .. }) = outcome else { panic!("{line}: {outcome:?}") };
        assert!(why.len() < 500, "{why}");
    }
}

#[test]
fn nothing_follows_a_violation() {
    for bad in ["\n", "nonsense\n", "\"\\q\"\n"] {
        let mut decoder = Decoder::<u32>::new();
        decoder.push(format!("5\n{bad}6\n").as_bytes(), [1]).unwrap();
        let items = drain(&mut decoder);
        assert_eq!(items.len(), 2, "{items:?}");
        assert!(matches!(items[1], Err(Violation::NotJson { .. })), "{items:?}");
        decoder.push(b"7\n", [2]).unwrap();
        assert!(decoder.next().is_none());
        assert_eq!(decoder.capacity(), 0);
    }
    assert_eq!(one(b"\"\xff\"\n"), Err(Violation::NotUtf8));
}

#[test]
fn bun_is_known_by_its_first_byte() {
    let line = b"\x02{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}\n";
    assert_eq!(one(line), Err(Violation::Bun));
    assert_eq!(one(b"\x02"), Err(Violation::Bun), "there is no need to wait for the line");
    let mut decoder = Decoder::<u32>::new();
    decoder.push(b"5\n\x02\n", []).unwrap();
    let last = drain(&mut decoder).pop();
    assert!(matches!(last, Some(Err(Violation::NotJson { .. }))), "{last:?}");
}

#[test]
fn a_descriptor_waits_for_its_line_and_not_the_other_way_round() {
    let mut decoder = Decoder::<u32>::new();
    let mut descriptors = |chunk: String, came: &[u32]| {
        decoder.push(chunk.as_bytes(), came.iter().copied()).unwrap();
        drain(&mut decoder).into_iter().map(|item| item.unwrap().1).collect::<Vec<_>>()
    };
    let (head, tail) = HANDLE.split_at(20);
    assert_eq!(descriptors("5\n".to_owned(), &[1]), [None], "with an earlier line");
    assert_eq!(descriptors(format!("6\n{HANDLE}\n"), &[]), [None, Some(1)]);
    assert_eq!(descriptors(head.to_owned(), &[2]), [], "with the first byte");
    assert_eq!(descriptors(format!("{tail}\n"), &[]), [Some(2)]);
    assert_eq!(descriptors(HANDLE.to_owned(), &[]), []);
    assert_eq!(descriptors("\n".to_owned(), &[3]), [Some(3)], "with the newline");
    assert_eq!(descriptors(format!("{HANDLE}\n"), &[]), [None], "never");
    assert_eq!(descriptors("7\n".to_owned(), &[4]), [None], "too late");
    assert_eq!(descriptors(format!("{HANDLE}\n{HANDLE}\n"), &[5]), [Some(4), Some(5)]);
}

#[test]
fn a_descriptor_is_not_given_to_a_line_completed_before_it_came() {
    let mut decoder = Decoder::<u32>::new();
    decoder.push(format!("{HANDLE}\n").as_bytes(), []).unwrap();
    decoder.push(format!("{HANDLE}\n").as_bytes(), [1]).unwrap();
    let items: Vec<_> = drain(&mut decoder).into_iter().map(|item| item.unwrap().1).collect();
    assert_eq!(items, [None, Some(1)]);
}

#[test]
fn descriptors_nobody_asked_for_do_not_leak() {
    let alive = Rc::new(Cell::new(0));
    let mut decoder = Decoder::new();
    for _ in 0..MAX_DESCRIPTORS {
        decoder.push(b"5\n", [token(&alive)]).unwrap();
        assert_eq!(drain(&mut decoder).len(), 1);
    }
    assert_eq!(alive.get(), MAX_DESCRIPTORS);
    let two = [token(&alive), token(&alive)];
    assert_eq!(decoder.push(b"5\n", two), Err(Violation::TooManyDescriptors));
    assert_eq!(alive.get(), 0, "a violation drops all of them");
    decoder.push(b"5\n", [token(&alive)]).unwrap();
    assert_eq!(alive.get(), 0, "and all that come later");

    let mut decoder = Decoder::new();
    decoder.push(b"5\n", [token(&alive)]).unwrap();
    drop(decoder);
    assert_eq!(alive.get(), 0, "so does the end of the channel");
}

#[test]
fn a_gigabyte_without_a_newline_is_not_kept() {
    let mut decoder = Decoder::<u32>::new();
    let chunk = vec![b'x'; CHUNK];
    let mut fed = 0;
    let violation = loop {
        assert!(fed < 1 << 30, "a gigabyte was swallowed");
        decoder.push(&chunk, []).unwrap();
        fed += CHUNK;
        if let Some(item) = decoder.next() {
            break item.map(|incoming| incoming.message);
        }
        assert!(decoder.capacity() <= 4 * MAX_LINE, "{} bytes at {fed}", decoder.capacity());
    };
    assert_eq!(violation, Err(Violation::LineTooLong));
    assert!(fed <= MAX_SKIPPED + CHUNK, "{fed}");
    assert_eq!(decoder.capacity(), 0);
}

#[test]
fn a_long_line_is_skipped_as_the_apps_own() {
    for size in [MAX_LINE - 2, MAX_LINE - 1, 3 * MAX_LINE, MAX_SKIPPED - 2] {
        for chunk in [CHUNK, 2 * MAX_SKIPPED] {
            let mut decoder = Decoder::<u32>::new();
            let stream = format!("\"{}\"\n\"ready\"\n", "x".repeat(size));
            let mut items = Vec::new();
            for bytes in stream.as_bytes().chunks(chunk) {
                decoder.push(bytes, []).unwrap();
                items.extend(drain(&mut decoder));
            }
            let user = |said| Ok((FromWorker::User(said), None));
            assert_eq!(items, [user(UserMessage::Other), user(UserMessage::Ready)], "{size}");
            assert!(decoder.capacity() <= CHUNK, "{} bytes are kept", decoder.capacity());
        }
    }
}

#[test]
fn a_long_line_may_not_be_internal_nor_need_a_descriptor() {
    let feed = |start: &str, descriptor: Option<u32>| {
        let mut decoder = Decoder::new();
        decoder.push(start.as_bytes(), descriptor).unwrap();
        for _ in 0..=MAX_LINE / CHUNK {
            decoder.push(&vec![b'x'; CHUNK], []).unwrap();
            if let Some(item) = decoder.next() {
                return item.map(|incoming| incoming.message);
            }
        }
        panic!("nothing came of {start}");
    };
    let internal = r#"{"cmd":"NODE_HANDLE","type":"net.Socket","msg":""#;
    assert_eq!(feed(internal, None), Err(Violation::LongInternalLine));
    let disguised = r#"{"msg":"#;
    assert_eq!(feed(disguised, Some(1)), Err(Violation::LongLineWithDescriptor));
}

#[test]
fn a_descriptor_right_behind_a_long_line_is_its_successors() {
    // The kernel may put what was sent without a descriptor in front of what was sent with one.
    let mut decoder = Decoder::new();
    for _ in 0..=MAX_LINE / CHUNK {
        decoder.push(&vec![b'1'; CHUNK], []).unwrap();
        assert!(decoder.next().is_none());
    }
    decoder.push(format!("11\n{HANDLE}\n").as_bytes(), [1]).unwrap();
    let came: Vec<_> = drain(&mut decoder).into_iter().map(|item| item.unwrap().1).collect();
    assert_eq!(came, [None, Some(1)]);
}

#[test]
fn deep_nesting_is_seen_before_it_is_followed() {
    for open in ["[", r#"{"a":"#] {
        let line = format!("{}\n", open.repeat(MAX_LINE / open.len()));
        assert_eq!(one(line.as_bytes()), Err(Violation::TooDeep));
    }
}

#[test]
fn many_small_messages_cost_no_memory() {
    let mut decoder = Decoder::<u32>::new();
    let line = b"{\"cmd\":\"NODE_HANDLE_ACK\"}\n{\"cmd\":\"NODE_HAN";
    let rest = b"DLE_ACK\"}\n";
    for _ in 0..200_000 {
        decoder.push(line, []).unwrap();
        assert_eq!(drain(&mut decoder).len(), 1);
        decoder.push(rest, []).unwrap();
        assert_eq!(drain(&mut decoder).len(), 1);
    }
    assert!(decoder.capacity() < 1024, "{} bytes", decoder.capacity());
    assert!(!decoder.is_mid_line());
}

#[test]
fn a_line_that_comes_byte_by_byte_is_not_looked_at_twice() {
    // Rescanned or moved from the start each time, this would take minutes.
    let mut decoder = Decoder::<u32>::new();
    let stream = format!("\"{}\"\n", "x".repeat(MAX_LINE - 3));
    for byte in stream.as_bytes().chunks(1) {
        assert!(decoder.next().is_none());
        decoder.push(byte, []).unwrap();
    }
    assert_eq!(drain(&mut decoder).len(), 1);
}

#[test]
fn a_chunk_of_many_lines_is_not_moved_for_each() {
    let mut decoder = Decoder::<u32>::new();
    decoder.push(&b"5\n".repeat(1 << 20), []).unwrap();
    assert_eq!(drain(&mut decoder).len(), 1 << 20);
}

fn lines() -> impl Strategy<Value = Vec<&'static str>> {
    let line = prop::sample::select(vec![
        HANDLE,
        HANDLE,
        r#"{"cmd":"NODE_CLUSTER","act":"online","seq":0}"#,
        r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":3}"#,
        r#"{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":"/srv/ü","port":-1,"addressType":-1,"seq":1}"#,
        r#""ready""#,
        r#"{"text":"ü€🙂 \n \ud800"}"#,
    ]);
    prop::collection::vec(line, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Cut anywhere, with each descriptor on any chunk that the kernel could put it on, the
    /// stream means the same.
    #[test]
    fn any_split_means_the_same(
        lines in lines(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let mut stream = Vec::new();
        // A message with a descriptor is a `sendmsg` of its own, and a read ends before it or
        // holds no other descriptor.
        let mut carrying = Vec::new();
        for line in &lines {
            if *line == HANDLE {
                carrying.push(stream.len());
            }
            stream.extend_from_slice(line.as_bytes());
            stream.push(b'\n');
        }
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        at.extend(carrying.iter().skip(1).map(|start| start.saturating_sub(1)));
        at.extend([0, stream.len()]);
        at.sort_unstable();

        let mut decoder = Decoder::new();
        let mut came = Vec::new();
        for cut in at.windows(2) {
            let chunk = cut[0]..cut[1];
            let descriptors: Vec<_> =
                carrying.iter().copied().filter(|start| chunk.contains(start)).collect();
            decoder.push(&stream[chunk], descriptors).unwrap();
            came.extend(drain(&mut decoder));
        }
        prop_assert_eq!(came.len(), lines.len());
        let mut carrying = carrying.into_iter();
        for (line, item) in lines.iter().zip(came) {
            let (message, descriptor) = item.unwrap();
            prop_assert_eq!(one(format!("{line}\n").as_bytes()), Ok(message));
            prop_assert_eq!(descriptor, if *line == HANDLE { carrying.next() } else { None });
        }
        prop_assert!(!decoder.is_mid_line());
    }

    /// Whatever bytes come, it neither panics nor yields anything after a violation.
    #[test]
    fn noise_is_survived(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20)) {
        let mut decoder = Decoder::new();
        let mut has_failed = false;
        for chunk in chunks {
            has_failed |= decoder.push(&chunk, [0_u8]).is_err();
            for item in &mut decoder {
                prop_assert!(!has_failed);
                has_failed = item.is_err();
            }
        }
    }
}
