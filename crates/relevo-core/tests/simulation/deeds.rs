//! What worker processes do.

use std::time::Duration;

use relevo_core::{
    ConnectionId, DealerEvent, Event, Given, Left, ListenerId, Member, Moved, NotTaken, QueryId,
    ReadyWhen, WorkerId,
};

use crate::process::{Deed, Door, Message, Misdeed, Process};
use crate::shell::exit;
use crate::world::{Happening, World};

impl World {
    pub(crate) fn does(&mut self, worker: WorkerId, deed: Deed) {
        let Some(process) = self.processes.get_mut(&worker).filter(|process| process.alive) else {
            return;
        };
        let of_its_own = !matches!(deed, Deed::Dies(_) | Deed::Signalled | Deed::Misdeed(_));
        if process.hung && of_its_own {
            process.postponed.push(deed);
            return;
        }
        match deed {
            Deed::Boots => self.boots(worker),
            Deed::Asks(port) => self.asks(worker, port),
            Deed::SaysReady => self.says_ready(worker),
            Deed::Receives => self.receives(worker),
            Deed::SaysListening(listener) => {
                if process.listens.contains_key(&listener) {
                    self.says(worker, Event::Listening { worker, listener });
                }
            }
            Deed::Accepts(listener) => self.accepts(worker, listener),
            Deed::Finishes(connection) => self.finishes(worker, connection),
            Deed::SaysTally => self.says_tally_again(worker),
            Deed::SaysLoad => self.says_load_if_changed(worker),
            Deed::ReachesRequests => {
                self.tally.requests_reached += 1;
                self.says(worker, Event::RequestsReached { worker });
            }
            Deed::Misdeed(misdeed) => {
                if self.unkind {
                    self.misdeed(worker, misdeed);
                }
            }
            Deed::Signalled => {
                let deaf = process.hung || (process.character.ignores_signal && self.unkind);
                if !deaf {
                    self.dies(worker, 15);
                }
            }
            Deed::Dies(code) => self.dies(worker, code),
        }
    }

    /// What it was to do while it hung, it does now.
    pub(crate) fn thaws(&mut self, worker: WorkerId) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&worker) else { return };
        process.hung = false;
        process.thawed = Some(now);
        for deed in std::mem::take(&mut process.postponed) {
            self.soon(1, Happening::Does(worker, deed));
        }
    }

    fn boots(&mut self, worker: WorkerId) {
        let process = self.process(worker);
        process.booted = true;
        let (agent, omits) = (process.character.has_agent, process.character.omits);
        if agent {
            self.says(worker, Event::AgentArrived { worker });
            self.agent_arrives(worker);
        }
        self.goes_about_readiness(worker);
        for port in 0..self.ports.len() {
            if omits != Some(port) {
                // One port may come late.
                let millis = if self.random.percent(20) { 700 } else { 10 };
                self.soon(millis, Happening::Does(worker, Deed::Asks(port)));
            }
        }
    }

    /// It may ask for more time, and says that it is ready before or after it listens.
    fn goes_about_readiness(&mut self, worker: WorkerId) {
        let character = &self.process(worker).character;
        let (is_mute, extends) = (character.is_mute, character.extends);
        if let Some(by) = extends {
            self.says(worker, Event::StartExtended { worker, by });
        }
        if !is_mute {
            self.soon(500, Happening::Does(worker, Deed::SaysReady));
        }
    }

    fn says_ready(&mut self, worker: WorkerId) {
        self.tally.said_ready += 1;
        let how = if self.spec.ready == ReadyWhen::Notify {
            ReadyWhen::Notify
        } else {
            ReadyWhen::Message
        };
        self.says(worker, Event::ReadySaid { worker, how });
    }

    fn asks(&mut self, worker: WorkerId, port: usize) {
        if self.process(worker).leaving {
            return;
        }
        let query = QueryId(self.number());
        self.process(worker).asked.insert(query, port);
        let wish = self.ports[port].clone();
        self.says(worker, Event::ListenRequested { worker, query, wish });
    }

    fn receives(&mut self, worker: WorkerId) {
        let process = self.process(worker);
        let Some(message) = process.inbox.pop_front().filter(|_| process.channel) else { return };
        match message {
            Message::Answered(query, member, given) => self.listens(worker, query, member, given),
            Message::Refused(query) => {
                process.asked.remove(&query);
                if !process.character.survives_refusal {
                    self.dies(worker, 1);
                }
            }
            Message::Connection(connection, listener) => {
                self.is_given(worker, connection, listener);
            }
            Message::Count => self.begins_to_count(worker),
            Message::Tally(on) => self.begins_to_tally(worker, on),
            Message::Credit(listener, count) => self.is_credited(worker, listener, count),
            Message::Taken(copy) => self.is_rid_of(worker, copy),
            Message::Back(copy) => self.has_back(worker, copy),
            Message::LimitRequests => {
                self.soon(60_000, Happening::Does(worker, Deed::ReachesRequests));
            }
            Message::Ping => self.is_pinged(worker),
            Message::Park => self.parks(worker),
            Message::Unpark => self.serves_again(worker),
            Message::Drain => self.drains(worker),
            Message::Disconnect => {
                if !(process.character.ignores_disconnect && self.unkind) {
                    self.closes_all(worker);
                    self.leaves_if_done(worker);
                }
            }
            Message::AllowedToLeave => {
                self.closes_all(worker);
                self.leaves_if_done(worker);
            }
        }
    }

    fn listens(&mut self, worker: WorkerId, query: QueryId, member: Member, given: Given) {
        let process = self.process(worker);
        let Some(port) = process.asked.remove(&query) else { return };
        if process.leaving {
            return;
        }
        if let Some(ports) = &mut process.parked {
            // Given back without ever having listened on it.
            ports.push(port);
            let listener = member.listener;
            return self.says(worker, Event::ListenerClosed { worker, listener });
        }
        let door = Door { member, given, accepting: !process.draining, port };
        process.listens.insert(member.listener, door);
        self.kernel.listens(member);
        self.soon(3, Happening::Does(worker, Deed::SaysListening(member.listener)));
        self.soon(3, Happening::Does(worker, Deed::Accepts(member.listener)));
    }

    /// It takes one connection from its socket's queue; with more there, it comes again.
    fn accepts(&mut self, worker: WorkerId, listener: ListenerId) {
        let process = self.process(worker);
        let Some(door) = process.listens.get(&listener).copied() else { return };
        if !door.accepting || door.given == Given::Connections {
            return;
        }
        if let Some(connection) = self.books.worker_accepts(worker, door.member) {
            self.tally.accepted_by_workers += 1;
            self.works_on(worker, connection);
        }
        if self.books.waiting_in(door.member) > 0 {
            self.soon(2, Happening::Does(worker, Deed::Accepts(listener)));
        }
    }

    fn is_given(&mut self, worker: WorkerId, connection: ConnectionId, listener: ListenerId) {
        let process = self.process(worker);
        let full = process.holds.len() >= process.character.max_connections;
        let exhausted = self.unkind && self.random.percent(2);
        let process = self.process(worker);
        if exhausted || !process.accepts_on(listener) || full && self.unkind {
            let why = if exhausted { NotTaken::Exhausted } else { NotTaken::Refused };
            self.answers(worker, DealerEvent::NotTaken { connection, why });
        } else {
            self.books.taken(connection, worker);
            self.works_on(worker, connection);
            self.answers(worker, DealerEvent::Placed { connection });
        }
    }

    fn works_on(&mut self, worker: WorkerId, connection: ConnectionId) {
        self.process(worker).holds.insert(connection);
        self.has_one_more(worker);
        self.tells_of_connection(worker);
        self.goes_on(worker, connection);
    }

    pub(crate) fn goes_on(&mut self, worker: WorkerId, connection: ConnectionId) {
        let millis = if self.unkind && self.random.percent(5) { 40_000 } else { 500 };
        self.soon(millis, Happening::Does(worker, Deed::Finishes(connection)));
    }

    fn finishes(&mut self, worker: WorkerId, connection: ConnectionId) {
        let process = self.process(worker);
        if process.transit.values().any(|own| *own == connection) {
            return; // it is not read from
        }
        if !process.holds.remove(&connection) {
            return;
        }
        self.books.served(connection);
        self.tally.served += 1;
        self.answered_one(worker);
        self.number_changes(worker);
        self.counts_work(worker);
        self.leaves_if_done(worker);
    }

    /// It gives back what it accepts from, as it would for good, and goes on with what it has.
    fn parks(&mut self, worker: WorkerId) {
        let unkind = self.unkind;
        let process = self.process(worker);
        let deaf = process.character.ignores_drain && unkind;
        if deaf || process.draining || process.leaving || process.parked.is_some() {
            return;
        }
        let doors = std::mem::take(&mut process.listens);
        process.parked = Some(doors.values().map(|door| door.port).collect());
        for listener in doors.into_keys() {
            self.says(worker, Event::ListenerClosed { worker, listener });
        }
        self.says(worker, Event::StoppedAccepting { worker });
    }

    fn serves_again(&mut self, worker: WorkerId) {
        let Some(ports) = self.process(worker).parked.take() else { return };
        for port in ports {
            self.asks(worker, port);
        }
    }

    fn drains(&mut self, worker: WorkerId) {
        let unkind = self.unkind;
        let process = self.process(worker);
        if process.character.ignores_drain && unkind {
            return;
        }
        process.draining = true;
        process.parked = None;
        process.stops_accepting();
        self.says(worker, Event::StoppedAccepting { worker });
        self.counts_work(worker);
        self.offers(worker);
    }

    pub(crate) fn counts_work(&mut self, worker: WorkerId) {
        let process = self.process(worker);
        let moving = process.transit.len() as u32;
        let open = process.holds.len() as u32 - moving;
        if !process.draining || process.leaving {
            return;
        }
        // Some of them idle.
        let idle = open / 3;
        let left = Left { requests: open - idle, idle, moving, ..Left::default() };
        self.says(worker, Event::WorkLeft { worker, left, moved: Moved::default() });
        if open + moving == 0 {
            self.says(worker, Event::Drained { worker });
        }
    }

    /// `disconnect`, or its own wish: it accepts nothing more.
    fn closes_all(&mut self, worker: WorkerId) {
        let process = self.process(worker);
        process.leaving = true;
        for listener in std::mem::take(&mut process.listens).into_keys() {
            self.says(worker, Event::ListenerClosed { worker, listener });
        }
    }

    pub(crate) fn leaves_if_done(&mut self, worker: WorkerId) {
        let unkind = self.unkind;
        let process = self.process(worker);
        if !process.leaving || !process.holds.is_empty() {
            return;
        }
        let stays = process.character.stubborn && unkind;
        self.loses_channel(worker);
        if !stays {
            self.soon(5, Happening::Does(worker, Deed::Dies(0)));
        }
    }

    fn misdeed(&mut self, worker: WorkerId, misdeed: Misdeed) {
        let process = self.process(worker);
        match misdeed {
            Misdeed::Crashes => self.dies(worker, 1),
            Misdeed::Hangs => process.hung = true,
            Misdeed::StandsStill => {
                process.hung = true;
                self.tally.stood_still += 1;
                self.soon(5_000, Happening::Thaws(worker));
            }
            Misdeed::LosesChannel => self.loses_channel(worker),
            Misdeed::Misbehaves => {
                let reason = "sent what nobody understands".to_owned();
                self.says(worker, Event::Misbehaved { worker, reason });
            }
            Misdeed::AsksToLeave => {
                // `worker.disconnect()` closes its listeners first, `worker.kill()` does not.
                if self.random.percent(70) {
                    self.closes_all(worker);
                }
                self.says(worker, Event::LeaveRequested { worker });
            }
            Misdeed::Closes | Misdeed::ClosesAndOpensAgain => {
                let Some((listener, door)) = process.listens.pop_first() else { return };
                self.says(worker, Event::ListenerClosed { worker, listener });
                if matches!(misdeed, Misdeed::ClosesAndOpensAgain) {
                    self.soon(500, Happening::Does(worker, Deed::Asks(door.port)));
                }
            }
        }
    }

    fn dies(&mut self, worker: WorkerId, code: i32) {
        let process = self.process(worker);
        process.alive = false;
        let had: Vec<ConnectionId> = std::mem::take(&mut process.holds).into_iter().collect();
        self.tally.lost_with_their_worker += self.books.worker_dies(&had) as u64;
        // Its exit and the end of its channel are seen in any order.
        let exited = Event::Exited { worker, exit: exit(code) };
        let after = self.process(worker).last_word.max(self.now);
        let early = self.random.percent(30) && self.process(worker).booted;
        let lag = self.lag();
        let at = if early { self.now } else { after } + self.random.millis(lag);
        self.at(at, Happening::Told(exited));
        self.loses_channel(worker);
    }

    /// Its end of the channel closes: the primary sees that after all that it said.
    fn loses_channel(&mut self, worker: WorkerId) {
        if std::mem::replace(&mut self.process(worker).channel, false) {
            self.answers(worker, DealerEvent::Gone { worker });
            self.says(worker, Event::ChannelEnded { worker });
        }
    }

    /// It tells the supervisor something.
    pub(crate) fn says(&mut self, worker: WorkerId, event: Event) {
        let over = matches!(event, Event::ChannelEnded { .. });
        if self.process(worker).channel || over {
            let at = self.next_word(worker);
            self.at(at, Happening::Heard(worker, event));
        }
    }

    /// It tells the dealer something.
    pub(crate) fn answers(&mut self, worker: WorkerId, event: DealerEvent) {
        let over = matches!(event, DealerEvent::Gone { .. });
        if self.process(worker).channel || over {
            let at = self.next_word(worker);
            self.at(at, Happening::Answered(worker, event));
        }
    }

    fn next_word(&mut self, worker: WorkerId) -> Duration {
        let lag = self.lag();
        let at = self.now + self.random.millis(lag);
        let process = self.process(worker);
        process.last_word = process.last_word.max(at);
        process.last_word
    }

    pub(crate) fn process(&mut self, worker: WorkerId) -> &mut Process {
        self.processes.get_mut(&worker).expect("a worker that was started")
    }
}
