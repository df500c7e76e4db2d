//! Random lives of a channel, with a simulated worker at the other end that does what Node does,
//! in any order Node may do it in, against the few sentences that must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use relevo_node::{
    Attachment, Channel, Decoder, FromWorker, Happened, Key, NotDealt, PendingLeave, PendingQuery,
    PortCheck, ToAgent,
};
use serde_json::Value;

#[derive(Clone, Debug)]
enum Step {
    /// The app listens.
    Ask,
    /// We answer its oldest query, or refuse it.
    AnswerShared,
    AnswerDealt,
    Refuse,
    Deal(prop::sample::Index),
    /// One frame is written and read.
    Write,
    /// The worker acknowledges the oldest descriptor it has, or misses it.
    Ack,
    Nack,
    /// The worker replies to the oldest deal it has acknowledged.
    Reply(bool),
    /// The app closes a server.
    Close(prop::sample::Index),
    /// The app passes us a handle, and the descriptor comes or does not.
    Pass(bool),
    AskLeave,
    AllowLeave,
    TellAgent,
    Disconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Ask),
        2 => Just(Step::AnswerShared),
        1 => Just(Step::AnswerDealt),
        1 => Just(Step::Refuse),
        8 => any::<prop::sample::Index>().prop_map(Step::Deal),
        12 => Just(Step::Write),
        8 => Just(Step::Ack),
        1 => Just(Step::Nack),
        8 => any::<bool>().prop_map(Step::Reply),
        1 => any::<prop::sample::Index>().prop_map(Step::Close),
        1 => any::<bool>().prop_map(Step::Pass),
        1 => prop_oneof![Just(Step::AskLeave), Just(Step::AllowLeave), Just(Step::Disconnect)],
        1 => Just(Step::TellAgent),
    ]
}

/// What we promised, kept beside the channel in the plainest way.
#[derive(Default)]
struct World {
    channel: Channel,
    queries: VecDeque<PendingQuery>,
    leaves: Vec<PendingLeave>,
    /// Dealt, and not heard of since.
    ours: BTreeSet<u64>,
    next_connection: u64,
    next_key: u64,
    next_seq_of_ours: u64,
    wishes_to_part: bool,
    worker: Worker,
}

#[derive(Default)]
struct Worker {
    seq: u64,
    /// Descriptors that arrived and are not acknowledged: the number of the deal, if it is one.
    descriptors: VecDeque<Option<u64>>,
    /// Deals acknowledged and not replied to.
    taken: VecDeque<u64>,
    /// The server each deal came for.
    deals: BTreeMap<u64, String>,
    servers: BTreeSet<String>,
    owed_acknowledgements: i64,
    parting_words: u32,
}

impl World {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Ask => {
                let seq = self.worker.number();
                self.say(&format!(
                    r#"{{"cmd":"NODE_CLUSTER","act":"queryServer","index":{seq},"data":null,"address":null,"port":0,"addressType":4,"seq":{seq}}}"#
                ), false);
            }
            Step::AnswerShared => {
                if let Some(query) = self.queries.pop_front() {
                    let key = self.key();
                    let outcome = self.channel.answer_shared(query, key, PortCheck::Check, 0, None);
                    assert_eq!(outcome.is_ok(), !self.wishes_to_part);
                }
            }
            Step::AnswerDealt => {
                if let Some(query) = self.queries.pop_front() {
                    let key = self.key();
                    let outcome = self.channel.answer_dealt(query, key, None, None);
                    assert_eq!(outcome.is_ok(), !self.wishes_to_part);
                }
            }
            Step::Refuse => {
                if let Some(query) = self.queries.pop_front() {
                    assert_eq!(self.channel.refuse(query, 98, None), !self.wishes_to_part);
                }
            }
            Step::Deal(which) => self.deal(which),
            Step::Write => self.write(),
            Step::Ack => {
                if let Some(deal) = self.worker.descriptors.pop_front() {
                    self.worker.taken.extend(deal);
                    self.say(r#"{"cmd":"NODE_HANDLE_ACK"}"#, false);
                }
            }
            Step::Nack => {
                if self.worker.descriptors.pop_front().is_some() {
                    self.say(r#"{"cmd":"NODE_HANDLE_NACK"}"#, false);
                }
            }
            Step::Reply(accepts) => {
                if let Some(ack) = self.worker.taken.pop_front() {
                    let accepted =
                        *accepts && self.worker.servers.contains(&self.worker.deals[&ack]);
                    self.say(
                        &format!(
                            r#"{{"cmd":"NODE_CLUSTER","ack":{ack},"accepted":{accepted},"seq":0}}"#
                        ),
                        false,
                    );
                }
            }
            Step::Close(which) => {
                let servers: Vec<_> = self.worker.servers.iter().cloned().collect();
                if !servers.is_empty() {
                    let key = which.get(&servers);
                    self.worker.servers.remove(key);
                    self.say(
                        &format!(r#"{{"cmd":"NODE_CLUSTER","act":"close","key":"{key}","seq":0}}"#),
                        false,
                    );
                }
            }
            Step::Pass(arrives) => {
                self.worker.owed_acknowledgements += 1;
                self.say(r#"{"cmd":"NODE_HANDLE","type":"net.Socket","msg":1}"#, *arrives);
            }
            Step::AskLeave => {
                let seq = self.worker.number();
                self.say(
                    &format!(
                        r#"{{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":{seq}}}"#
                    ),
                    false,
                );
            }
            Step::AllowLeave => {
                if let Some(leave) = self.leaves.pop() {
                    self.channel.acknowledge_leave(leave);
                    self.wishes_to_part = true;
                }
            }
            Step::TellAgent => {
                let told = self.channel.tell_agent(ToAgent::Count { every_ms: 100 });
                assert_eq!(told, !self.channel.is_disconnected());
            }
            Step::Disconnect => {
                self.channel.disconnect();
                self.wishes_to_part = true;
            }
        }
    }

    fn deal(&mut self, which: &prop::sample::Index) {
        let keys: Vec<_> = self.channel.keys().cloned().collect();
        if keys.is_empty() {
            return;
        }
        let connection = self.next_connection;
        self.next_connection += 1;
        match self.channel.deal(which.get(&keys), connection, None) {
            Ok(()) => {
                assert!(!self.wishes_to_part);
                assert!(self.ours.insert(connection));
            }
            Err(NotDealt::Leaving) => assert!(self.wishes_to_part),
            Err(NotDealt::Busy) => assert!(self.channel.in_flight() > 0),
            Err(NotDealt::QueueFull | NotDealt::UnknownKey) => panic!("neither can be here"),
        }
    }

    /// The worker reads a frame, and checks what would crash Node or strand it.
    fn write(&mut self) {
        let Some(frame) = self.channel.next_frame() else { return };
        assert_eq!(frame.bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(frame.bytes.last(), Some(&b'\n'));
        let line: Value = serde_json::from_slice(&frame.bytes).expect("a frame is a line of JSON");
        let cmd = line["cmd"].as_str().expect("a command");
        assert_eq!(frame.attachment.is_some(), cmd == "NODE_HANDLE", "{line}");
        if cmd == "NODE_HANDLE_ACK" || cmd == "NODE_HANDLE_NACK" {
            self.worker.owed_acknowledgements -= 1;
            assert!(self.worker.owed_acknowledgements >= 0, "this kills a worker");
            return;
        }
        assert_eq!(self.worker.parting_words, 0, "{line} follows the parting word");
        if cmd == "NODE_RELEVO" {
            return;
        }
        let message = if cmd == "NODE_HANDLE" { &line["msg"] } else { &line };
        assert_eq!(message["seq"].as_u64(), Some(self.next_seq_of_ours), "{line}");
        self.next_seq_of_ours += 1;
        let key = || message["key"].as_str().expect("a key").to_owned();
        match (frame.attachment, message["act"].as_str()) {
            (Some(Attachment::Connection(connection)), Some("newconn")) => {
                assert!(self.ours.contains(&connection), "{connection} is given away twice");
                let seq = message["seq"].as_u64().expect("a number");
                self.worker.deals.insert(seq, key());
                self.worker.descriptors.push_back(Some(seq));
            }
            (Some(Attachment::Listener(_)), None) => {
                assert!(self.worker.servers.insert(key()), "a key twice kills a worker");
                self.worker.descriptors.push_back(None);
            }
            (None, Some("disconnect")) => self.worker.part(),
            (None, None) if message["errno"].is_i64() => {
                assert!(message["errno"].as_i64() < Some(0), "{line}");
            }
            (None, None) if message["key"].is_string() => {
                assert!(self.worker.servers.insert(key()), "a key twice kills a worker");
            }
            (None, None) => self.worker.part(),
            other => panic!("{other:?}: {line}"),
        }
    }

    /// The worker writes a line, which goes through a decoder as well.
    fn say(&mut self, line: &str, with_descriptor: bool) {
        let mut decoder = Decoder::new();
        decoder
            .push(format!("{line}\n").as_bytes(), with_descriptor.then_some(0_u8))
            .expect("few come");
        let incoming = decoder.next().expect("a line").expect("a good one");
        let is_handle = matches!(incoming.message, FromWorker::UserHandle { .. });
        let happened = self
            .channel
            .receive(incoming.message, incoming.descriptor.is_some())
            .unwrap_or_else(|why| panic!("{line}: {why}"));
        assert_eq!(matches!(happened, Some(Happened::PassedHandle)), is_handle && with_descriptor);
        match happened {
            Some(Happened::Asked(query)) => self.queries.push_back(query),
            Some(Happened::LeaveAsked(leave)) => self.leaves.push(leave),
            Some(Happened::Placed { connection } | Happened::Refused { connection, .. }) => {
                assert!(self.ours.remove(&connection), "{connection} was not the worker's");
            }
            Some(Happened::ListenerNotTaken { key }) => {
                self.worker.servers.remove(&key.0);
            }
            Some(
                Happened::Online
                | Happened::Listening { .. }
                | Happened::Closed { .. }
                | Happened::Agent(_)
                | Happened::User(_)
                | Happened::PassedHandle,
            )
            | None => {}
        }
    }

    fn key(&mut self) -> Key {
        self.next_key += 1;
        Key(format!("L0#{}", self.next_key))
    }

    fn check(&self) {
        assert_eq!(self.channel.in_flight(), self.ours.len());
    }

    /// An attentive worker lets every wish come true.
    fn settle(&mut self) {
        while self.channel.has_frames() {
            self.write();
            self.take(&Step::Ack);
            self.take(&Step::Reply(true));
        }
        while !self.worker.descriptors.is_empty() || !self.worker.taken.is_empty() {
            self.take(&Step::Ack);
            self.take(&Step::Reply(true));
        }
        while self.channel.has_frames() {
            self.write();
        }
    }
}

impl Worker {
    fn number(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    fn part(&mut self) {
        assert!(self.descriptors.is_empty(), "a descriptor is overtaken by the parting word");
        let waits = |ack: &u64| self.servers.contains(&self.deals[ack]);
        assert!(!self.taken.iter().any(waits), "a connection is not replied to");
        self.parting_words += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_order_of_events_breaks_a_promise(
        steps in prop::collection::vec(step(), 0..200),
        is_cut_off in any::<bool>(),
    ) {
        let mut world = World::default();
        for step in &steps {
            world.take(step);
            world.check();
        }
        if !is_cut_off {
            world.settle();
            prop_assert_eq!(world.worker.parting_words, u32::from(world.wishes_to_part));
            prop_assert_eq!(world.worker.owed_acknowledgements, 0);
            prop_assert!(world.ours.is_empty());
        }
        let returned = world.channel.end();
        let distinct: BTreeSet<_> = returned.iter().copied().collect();
        prop_assert_eq!(distinct.len(), returned.len());
        prop_assert_eq!(distinct, world.ours);
    }
}
