//! The life of a channel as a text tells it: what a worker writes, and between that what its
//! primary does. The fuzz target makes up such texts, and `corpus.rs` replays those that are kept.
//!
//! Whatever is said, the promises of [`Decoder`] and [`Channel`] are checked against an account of
//! its own. Bytes are the worker's, but for 0xff and what follows it:
//!
//! | byte | what happens |
//! | --- | --- |
//! | `\|` | a read ends |
//! | `d`, `D` | a read ends with which one descriptor came, or three |
//! | `*` | the worker has written what the next read is to bring twice |
//! | `k`, `m` | the worker writes that a descriptor of ours has arrived, or is missing |
//! | `y`, `n` | the worker writes that it accepts the oldest connection it has, or does not |
//! | `s`, `S` | the oldest query is answered by a shared socket, on its port or on any |
//! | `e` | the oldest query is answered, for connections to be dealt |
//! | `x` | the oldest query is refused |
//! | `c` | a connection is dealt, to one server after the other |
//! | `w`, `W` | one frame is written, or all are |
//! | `t` | the agent is told something |
//! | `p` | the worker is wished to leave |
//! | `l` | the worker may leave as it asked to |
//! | `z` | the channel ends |
//! | 0xff | the worker writes 0xff |
//! | others | nothing |

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::rc::Rc;

use relevo_node::limits::{
    MAX_DATA, MAX_DESCRIPTORS, MAX_KEY, MAX_KEYS, MAX_LINE, MAX_QUEUED, MAX_UNACKNOWLEDGED,
    MAX_UNANSWERED,
};
use relevo_node::{
    Attachment, Channel, Decoder, Frame, FromWorker, Happened, Incoming, Key, NotAnswered,
    NotDealt, PendingLeave, PendingQuery, PortCheck, RawValue, RefusedBecause, SockName, ToAgent,
    Violation,
};
use serde::Deserialize;

const STEP: u8 = 0xff;

/// How much a read brings at most.
const READ: usize = 64 << 10;

/// How much a worker writes at most: enough for a line that is too long to be kept.
const MOST_WRITTEN: usize = MAX_LINE + MAX_LINE / 2;

/// How far `*` goes with whole lines, which take longer: enough to ask too often.
const MOST_LINES: usize = 256 << 10;

/// Up to here the stream is decoded once more in one piece, for comparison.
const MOST_COMPARED: usize = 256 << 10;

/// How many frames can wait: a worker that asks too much is ended, but what it had asked before may
/// still be answered, and be followed by the parting word.
const MOST_FRAMES: usize = MAX_QUEUED + MAX_UNANSWERED + 1;

/// A frame repeats no more of what a worker wrote than a query's data or a key, of whose bytes JSON
/// makes six each at worst.
const LONGEST_FRAME: usize = MAX_DATA + 6 * MAX_KEY + 1024;

/// Replays the text, and tells which messages, outcomes and violations there were.
pub(crate) fn replay(text: &[u8]) -> BTreeSet<String> {
    let mut life = Life::default();
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            STEP => match bytes.next() {
                Some(&step) => life.take(step),
                None => break,
            },
            byte => life.writes(&[byte]),
        }
    }
    life.finish();
    life.seen
}

/// Counts those that are not dropped.
#[derive(Debug)]
struct Descriptor(Rc<Cell<usize>>);

impl Descriptor {
    fn new(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(Rc::clone(open))
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[derive(Default)]
struct Life {
    decoder: Decoder<Descriptor>,
    channel: Channel,
    seen: BTreeSet<String>,
    open_descriptors: Rc<Cell<usize>>,
    /// Written by the worker and not read.
    unread: Vec<u8>,
    written: usize,
    /// All that was read, and what it was understood as, while it is short enough to compare.
    stream: Vec<u8>,
    understood: Vec<FromWorker>,
    violation: Option<Violation>,

    queries: VecDeque<PendingQuery>,
    leaves: Vec<PendingLeave>,
    /// What the answers that are on their way must repeat, in their order.
    echoes: VecDeque<Option<String>>,
    keys: BTreeSet<Key>,
    keys_made: u64,
    /// Dealt, and not heard of since.
    ours: BTreeSet<u64>,
    dealt: u64,
    /// Of those, what was written, by the number of its message.
    written_deals: BTreeMap<u64, u64>,
    /// Descriptors that the worker has not acknowledged: the number of the deal, if it is one.
    unacknowledged: VecDeque<Option<u64>>,
    next_seq: u64,
    /// Of the worker's messages that Node wants an answer to, how many have none.
    owed: usize,
    is_parting: bool,
    has_parted: bool,
    has_ended: bool,
}

impl Life {
    fn take(&mut self, step: u8) {
        match step {
            STEP => self.writes(&[STEP]),
            b'|' => self.reads(0),
            b'd' => self.reads(1),
            b'D' => self.reads(3),
            b'*' => self.writes_again(),
            b'k' => self.writes(b"{\"cmd\":\"NODE_HANDLE_ACK\"}\n"),
            b'm' => self.writes(b"{\"cmd\":\"NODE_HANDLE_NACK\"}\n"),
            b'y' => self.writes_reply(true),
            b'n' => self.writes_reply(false),
            b's' => self.answers_shared(PortCheck::Check),
            b'S' => self.answers_shared(PortCheck::Skip),
            b'e' => self.answers_dealt(),
            b'x' => self.refuses(),
            b'c' => self.deals(),
            b'w' => drop(self.sends()),
            b'W' => drop(self.sends_all()),
            b't' => {
                let told = self.channel.tell_agent(ToAgent::Count { every_ms: 100 });
                assert!(!told || !self.has_parted && !self.has_ended);
            }
            b'p' => {
                self.channel.disconnect();
                self.is_parting = true;
            }
            b'l' => {
                if let Some(leave) = self.leaves.pop() {
                    self.channel.acknowledge_leave(leave);
                    self.is_parting = true;
                }
            }
            b'z' => self.ends(),
            _ => {}
        }
        self.check();
    }

    fn check(&self) {
        assert_eq!(self.channel.in_flight(), self.ours.len());
        assert!(self.ours.len() <= MAX_UNACKNOWLEDGED);
        assert!(self.unacknowledged.len() <= MAX_UNACKNOWLEDGED + MAX_KEYS);
        assert!(self.queries.len() <= MAX_UNANSWERED);
        assert!(self.keys.len() <= MAX_KEYS);
        assert!(self.channel.keys().eq(self.keys.iter()));
        assert!(self.open_descriptors.get() <= MAX_DESCRIPTORS);
        assert!(self.has_ended || !self.has_parted || self.channel.is_disconnected());
    }

    fn is_open(&self) -> bool {
        !self.is_parting && !self.has_ended
    }

    fn writes(&mut self, bytes: &[u8]) {
        if self.written + bytes.len() <= MOST_WRITTEN {
            self.written += bytes.len();
            self.unread.extend_from_slice(bytes);
        }
    }

    fn writes_again(&mut self) {
        if !self.unread.contains(&b'\n') || 2 * self.unread.len() <= MOST_LINES {
            self.writes(&self.unread.clone());
        }
    }

    fn writes_reply(&mut self, accepted: bool) {
        if let Some(ack) = self.written_deals.keys().next() {
            let line =
                format!(r#"{{"cmd":"NODE_CLUSTER","ack":{ack},"accepted":{accepted},"seq":0}}"#);
            self.writes(line.as_bytes());
            self.writes(b"\n");
        }
    }

    /// All that was written is read. The descriptors come with the first of it.
    fn reads(&mut self, descriptors: usize) {
        let unread = std::mem::take(&mut self.unread);
        let mut came: Vec<_> =
            (0..descriptors).map(|_| Descriptor::new(&self.open_descriptors)).collect();
        if unread.is_empty() {
            return; // a descriptor needs a byte
        }
        for bytes in unread.chunks(READ) {
            if self.stream.len() <= MOST_COMPARED {
                self.stream.extend_from_slice(bytes);
            }
            let had_failed = self.violation.is_some();
            if let Err(violation) = self.decoder.push(bytes, std::mem::take(&mut came)) {
                assert!(!had_failed);
                self.fails(violation);
            }
            while let Some(item) = self.decoder.next() {
                assert!(self.violation.is_none(), "{item:?} follows a violation");
                match item {
                    Ok(incoming) => self.hears(incoming),
                    Err(violation) => self.fails(violation),
                }
            }
            self.check_decoder();
        }
    }

    /// What the decoder found ends the worker.
    fn fails(&mut self, violation: Violation) {
        self.saw(&violation);
        assert!(violation.to_string().chars().count() < 400, "{violation}");
        self.violation = Some(violation);
        self.ends();
    }

    fn check_decoder(&self) {
        let capacity = self.decoder.capacity();
        assert!(capacity <= 4 * (MAX_LINE + READ), "{capacity} bytes");
        assert!(self.decoder.is_mid_line() || capacity <= READ, "{capacity} bytes");
        if self.violation.is_some() {
            assert_eq!((capacity, self.open_descriptors.get()), (0, 0));
        }
    }

    fn hears(&mut self, incoming: Incoming<Descriptor>) {
        let Incoming { message, descriptor } = incoming;
        self.saw(&message);
        if self.stream.len() <= MOST_COMPARED {
            self.understood.push(message.clone());
        }
        let claims = matches!(message, FromWorker::UserHandle { .. });
        assert_eq!(descriptor.is_some(), claims && self.open_descriptors.get() > 0);
        let was_open = self.is_open();
        let outcome = self.channel.receive(message.clone(), descriptor.is_some());
        if self.has_ended {
            assert_eq!(outcome, Ok(None));
            return;
        }
        match outcome {
            Ok(happened) => {
                if let Some(happened) = &happened {
                    self.saw(happened);
                }
                self.notes(message, descriptor.is_some(), was_open, happened);
            }
            Err(violation) => {
                self.saw(&violation);
                self.checks_violation(&message, &violation);
                self.ends();
            }
        }
        self.check();
    }

    /// What must come of a message that was no violation.
    fn notes(
        &mut self,
        message: FromWorker,
        with_descriptor: bool,
        was_open: bool,
        happened: Option<Happened>,
    ) {
        match message {
            FromWorker::Online => assert_eq!(happened, Some(Happened::Online)),
            FromWorker::QueryServer(query) => match happened {
                Some(Happened::Asked(pending)) => {
                    assert!(was_open);
                    assert_eq!(*pending.query(), query);
                    self.queries.push_back(pending);
                }
                other => {
                    assert_eq!(other, None);
                    if was_open {
                        // It was refused, for it asks and asks.
                        assert_eq!(self.queries.len(), MAX_UNANSWERED);
                        self.echoes.push_back(echo_of(query.data.as_deref()));
                    }
                }
            },
            FromWorker::Listening(_) => {
                if let Some(happened) = happened {
                    let Happened::Listening { key } = happened else { panic!("{happened:?}") };
                    assert!(self.channel.is_listening(&key));
                }
            }
            FromWorker::Close { key } => {
                let was_there = self.keys.remove(&key);
                assert_eq!(happened, was_there.then_some(Happened::Closed { key }));
            }
            FromWorker::ExitedAfterDisconnect { .. } => match happened {
                Some(Happened::LeaveAsked(leave)) => self.leaves.push(leave),
                other => panic!("{other:?}"),
            },
            FromWorker::Reply { ack, accepted } => {
                let connection = self.written_deals.remove(&ack).expect("it was dealt");
                assert!(self.ours.remove(&connection));
                let refused = Happened::Refused { connection, why: RefusedBecause::NotAccepted };
                let placed = Happened::Placed { connection };
                let expect = if accepted == Some(true) { placed } else { refused };
                assert_eq!(happened, Some(expect));
            }
            FromWorker::HandleAck => {
                self.unacknowledged.pop_front().expect("a descriptor was out");
                assert_eq!(happened, None);
            }
            FromWorker::HandleNack => {
                let missed = self.unacknowledged.pop_front().expect("a descriptor was out");
                self.notes_missed(missed, happened);
            }
            FromWorker::UserHandle { .. } => {
                self.owed += 1;
                assert_eq!(happened, with_descriptor.then_some(Happened::PassedHandle));
            }
            FromWorker::SocketNotifyClose { .. } | FromWorker::SocketGetCount { .. } => {
                self.owed += 1;
                assert_eq!(happened, None);
            }
            FromWorker::Agent(said) => assert_eq!(happened, Some(Happened::Agent(said))),
            FromWorker::User(said) => assert_eq!(happened, Some(Happened::User(said))),
            FromWorker::Unknown => assert_eq!(happened, None),
        }
    }

    fn notes_missed(&mut self, missed: Option<u64>, happened: Option<Happened>) {
        match missed {
            // It may have been replied to before.
            Some(seq) => {
                let why = RefusedBecause::NoDescriptor;
                let lost = self.written_deals.remove(&seq);
                assert!(lost.is_none_or(|connection| self.ours.remove(&connection)));
                let refused = lost.map(|connection| Happened::Refused { connection, why });
                assert_eq!(happened, refused);
            }
            // It may have been closed before.
            None => {
                if let Some(happened) = happened {
                    let Happened::ListenerNotTaken { key } = happened else {
                        panic!("{happened:?}")
                    };
                    assert!(self.keys.remove(&key));
                }
            }
        }
    }

    fn checks_violation(&self, message: &FromWorker, violation: &Violation) {
        match violation {
            Violation::UnaskedAcknowledgement => {
                assert!(matches!(message, FromWorker::HandleAck | FromWorker::HandleNack));
                assert!(self.unacknowledged.is_empty());
            }
            Violation::UnaskedReply { ack } => assert!(!self.written_deals.contains_key(ack)),
            Violation::NotReading { queued } => {
                assert!((MAX_QUEUED..=MOST_FRAMES).contains(queued));
            }
            Violation::Bun
            | Violation::TooManyDescriptors
            | Violation::LineTooLong
            | Violation::LongLineWithDescriptor
            | Violation::LongInternalLine
            | Violation::NotUtf8
            | Violation::NotJson { .. }
            | Violation::TooDeep
            | Violation::Malformed { .. } => panic!("{violation} is the decoder's to find"),
        }
    }

    fn key(&mut self) -> Key {
        self.keys_made += 1;
        Key(format!("L0#{}", self.keys_made))
    }

    fn answers_shared(&mut self, port: PortCheck) {
        let Some(query) = self.queries.pop_front() else { return };
        let key = self.key();
        let echo = echo_of(query.query().data.as_deref());
        let outcome = self.channel.answer_shared(query, key.clone(), port, self.keys_made, None);
        self.notes_answer(key, echo, outcome);
    }

    fn answers_dealt(&mut self) {
        // To deal datagrams would be our mistake.
        let is_datagram = |query: &PendingQuery| query.query().address.is_datagram();
        if self.queries.front().is_some_and(is_datagram) {
            return;
        }
        let Some(query) = self.queries.pop_front() else { return };
        let key = self.key();
        let echo = echo_of(query.query().data.as_deref());
        let sockname = SockName { address: [127, 0, 0, 1].into(), port: 80 };
        let outcome = self.channel.answer_dealt(query, key.clone(), Some(sockname), None);
        self.notes_answer(key, echo, outcome);
    }

    fn notes_answer(&mut self, key: Key, echo: Option<String>, outcome: Result<(), NotAnswered>) {
        match outcome {
            Ok(()) => {
                assert!(self.is_open());
                self.keys.insert(key);
                self.echoes.push_back(echo);
            }
            Err(NotAnswered::Leaving) => assert!(!self.is_open()),
            Err(NotAnswered::TooManyKeys) => {
                assert!(self.keys.len() == MAX_KEYS || self.unacknowledged.len() >= MAX_KEYS);
                self.echoes.push_back(echo);
            }
            Err(mistake @ (NotAnswered::BadKey | NotAnswered::Datagram)) => panic!("{mistake}"),
        }
    }

    fn refuses(&mut self) {
        let Some(query) = self.queries.pop_front() else { return };
        let echo = echo_of(query.query().data.as_deref());
        let was_told = self.channel.refuse(query, 98, None);
        assert_eq!(was_told, self.is_open());
        if was_told {
            self.echoes.push_back(echo);
        }
    }

    fn deals(&mut self) {
        let Some(turn) = self.dealt.checked_rem(self.keys.len() as u64) else { return };
        let key = self.keys.iter().nth(turn as usize).expect("so many there are");
        let connection = self.dealt;
        self.dealt += 1;
        match self.channel.deal(key, connection, None) {
            Ok(()) => {
                assert!(self.is_open());
                self.ours.insert(connection);
            }
            Err(NotDealt::Leaving) => assert!(!self.is_open()),
            Err(NotDealt::Busy | NotDealt::QueueFull) => {}
            Err(NotDealt::UnknownKey) => panic!("{key} is open"),
        }
    }

    fn sends_all(&mut self) -> usize {
        std::iter::from_fn(|| self.sends()).count()
    }

    fn sends(&mut self) -> Option<()> {
        let had_frames = self.channel.has_frames();
        let frame = self.channel.next_frame();
        assert_eq!(frame.is_some(), had_frames);
        self.checks_frame(&frame?);
        Some(())
    }

    /// What would crash Node, strand it, or lead it astray.
    fn checks_frame(&mut self, frame: &Frame) {
        assert!(!self.has_ended);
        let text = str::from_utf8(&frame.bytes).expect("a frame is text");
        assert!(text.len() <= LONGEST_FRAME, "{} bytes", text.len());
        assert_eq!(text.find('\n'), Some(text.len() - 1), "{text}");
        let line: Line<'_> = serde_json::from_str(text).expect("a frame is JSON");
        assert_eq!(frame.attachment.is_some(), line.cmd == "NODE_HANDLE", "{text}");
        match line.cmd {
            "NODE_HANDLE_ACK"
            | "NODE_HANDLE_NACK"
            | "NODE_SOCKET_ALL_CLOSED"
            | "NODE_SOCKET_COUNT" => {
                self.owed = self.owed.checked_sub(1).expect("this kills a worker");
                return;
            }
            _ => {}
        }
        assert!(!self.has_parted, "{text} follows the parting word");
        let message = match line.cmd {
            "NODE_RELEVO" => return,
            "NODE_CLUSTER" => line,
            "NODE_HANDLE" => serde_json::from_str(line.msg.expect("a message").get())
                .expect("a message is an object"),
            other => panic!("{other}"),
        };
        assert_eq!(message.seq, Some(self.next_seq), "{text}");
        self.next_seq += 1;
        match (frame.attachment, message.act, message.key) {
            (Some(Attachment::Connection(connection)), Some("newconn"), Some(_)) => {
                assert!(self.ours.contains(&connection), "{connection} is given away twice");
                self.written_deals.insert(message.seq.unwrap_or_default(), connection);
                self.unacknowledged.push_back(message.seq);
            }
            (attachment, None, Some(_)) => {
                let echo = self.echoes.pop_front().expect("an answer");
                assert_eq!(echo_of(message.data), echo, "{text}");
                if message.errno.is_some_and(|errno| errno != 0) {
                    assert!(message.errno < Some(0) && attachment.is_none(), "{text}");
                }
                if let Some(Attachment::Listener(_)) = attachment {
                    self.unacknowledged.push_back(None);
                } else {
                    assert_eq!(attachment, None);
                }
            }
            (None, Some("disconnect"), None) | (None, None, None) => {
                assert!(self.is_parting);
                assert!(self.unacknowledged.is_empty(), "{text} overtakes a descriptor");
                self.has_parted = true;
            }
            other => panic!("{other:?}: {text}"),
        }
    }

    fn ends(&mut self) {
        let returned = self.channel.end();
        assert!(returned.iter().eq(self.ours.iter()), "{returned:?} is not {:?}", self.ours);
        self.has_ended = true;
        self.ours.clear();
        self.keys.clear();
        self.written_deals.clear();
        assert!(!self.channel.has_frames());
    }

    /// What was not read is read, what is to be written is written, and the channel ends.
    fn finish(&mut self) {
        self.reads(0);
        let waited = self.sends_all();
        assert!(waited <= MOST_FRAMES, "{waited} frames");
        if !self.has_ended {
            assert_eq!((self.owed, self.echoes.len()), (0, 0));
            let may_leave = self.unacknowledged.is_empty() && self.ours.is_empty();
            assert!(!may_leave || self.has_parted == self.is_parting);
        }
        self.ends();
        self.compare();
        self.decoder = Decoder::new();
        assert_eq!(self.open_descriptors.get(), 0);
    }

    /// However it was cut, and whatever came along, the stream means the same.
    fn compare(&self) {
        let about_descriptors = [Violation::TooManyDescriptors, Violation::LongLineWithDescriptor];
        if self.stream.len() > MOST_COMPARED
            || self.violation.as_ref().is_some_and(|found| about_descriptors.contains(found))
        {
            return;
        }
        let mut decoder = Decoder::<()>::new();
        assert_eq!(decoder.push(&self.stream, []), Ok(()));
        let mut understood = self.understood.iter();
        for item in &mut decoder {
            match item {
                Ok(incoming) => assert_eq!(Some(&incoming.message), understood.next()),
                Err(violation) => assert_eq!(Some(&violation), self.violation.as_ref()),
            }
        }
        assert_eq!(understood.next(), None);
    }

    /// Notes the name of what was seen: of `Agent(Hello { … })`, both.
    fn saw(&mut self, what: &impl std::fmt::Debug) {
        let mut start = Start(String::new());
        // It fails when it has enough.
        let _enough = write!(start, "{what:?}");
        let end = |text: &str| text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
        let (name, within) = start.0.split_at(end(&start.0));
        let within = within.strip_prefix('(').unwrap_or_default();
        let within = &within[..end(within)];
        let seen = [name, within].join(" ");
        if !self.seen.contains(seen.trim_end()) {
            self.seen.insert(seen.trim_end().to_owned());
        }
    }
}

/// The start of a text that can be long.
struct Start(String);

impl Write for Start {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() > 50 {
            return Err(std::fmt::Error);
        }
        self.0.extend(text.chars().take(50));
        Ok(())
    }
}

/// A line of ours.
#[derive(Deserialize)]
struct Line<'a> {
    cmd: &'a str,
    #[serde(borrow)]
    msg: Option<&'a RawValue>,
    act: Option<&'a str>,
    key: Option<String>,
    seq: Option<u64>,
    errno: Option<i64>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// A query's data as it stands in a frame.
fn echo_of(data: Option<&RawValue>) -> Option<String> {
    data.map(|data| data.get().replace('\n', " "))
}
