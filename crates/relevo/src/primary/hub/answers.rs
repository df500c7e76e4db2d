//! What the supervisor has said to a worker.

use std::sync::Arc;
use std::time::Duration;

use relevo_core::{Given, Member, QueryId, Wish, WorkerId};
use relevo_node::{HandoverMode, Key, ListenAddress, PortCheck, SockName, ToAgent};

use super::{DrainWords, Hub};

impl Hub {
    /// Answers a request to listen.
    pub(super) fn answer(
        &mut self,
        worker: WorkerId,
        query: QueryId,
        member: Member,
        given: Given,
    ) {
        let Some(pending) = self.queries.remove(&query) else { return };
        let data = self.ticket_data(pending.query.query().data.as_deref());
        let (Some(wire), Some(socket)) = (self.wires.get_mut(&worker), self.members.get(&member))
        else {
            return;
        };
        self.talked_to.insert(worker);
        let key = Key(format!("{}#{query}", member.listener));
        let number = wire.next_attachment;
        wire.next_attachment += 1;
        // What is made aside has another one.
        let port = if self.aside { PortCheck::Skip } else { PortCheck::Check };
        let answered = match given {
            Given::Socket => {
                wire.listeners.insert(number, Arc::clone(&socket.socket));
                let data = data.as_deref();
                wire.channel.answer_shared(pending.query, key.clone(), port, number, data)
            }
            Given::Connections => {
                let name = socket.address().map(SockName::from);
                wire.channel.answer_dealt(pending.query, key.clone(), name, data.as_deref())
            }
        };
        match answered {
            Ok(()) => {
                wire.listener_of.insert(key.clone(), member.listener);
                wire.key_of.insert(member.listener, key);
            }
            // It has not taken what it was given before, and was refused: nothing rides along.
            Err(_) => {
                wire.listeners.remove(&number);
            }
        }
    }

    pub(super) fn refuse(&mut self, worker: WorkerId, query: QueryId, errno: i32) {
        if let (Some(pending), Some(wire)) = (self.queries.remove(&query), self.talk_to(worker)) {
            wire.channel.refuse(pending.query, errno, None);
        }
    }

    pub(super) fn drain(&mut self, worker: WorkerId, within: Duration, hand_over: bool) {
        let words = self.drain_words;
        if let Some(wire) = self.talk_to(worker) {
            let deadline_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
            let DrainWords { linger_ms, spread_ms, handover } = words;
            let handover = if hand_over { handover } else { HandoverMode::Off };
            let drain = ToAgent::Drain { deadline_ms, linger_ms, spread_ms, handover };
            wire.channel.tell_agent(drain);
        }
    }

    pub(super) fn tell_agent(&mut self, worker: WorkerId, word: ToAgent) {
        if let Some(wire) = self.talk_to(worker) {
            wire.channel.tell_agent(word);
        }
    }

    pub(super) fn disconnect(&mut self, worker: WorkerId) {
        if let Some(wire) = self.talk_to(worker) {
            wire.channel.disconnect();
        }
    }

    pub(super) fn allow_leave(&mut self, worker: WorkerId) {
        if let (Some(leave), Some(wire)) = (self.leaves.remove(&worker), self.talk_to(worker)) {
            wire.channel.acknowledge_leave(leave);
        }
    }

    /// The address that somebody wishes for right now.
    pub(super) fn address_of(&self, wish: &Wish) -> Option<ListenAddress> {
        let pending = self.queries.values().find(|pending| pending.wish == *wish)?;
        Some(pending.query.query().address.clone())
    }
}
