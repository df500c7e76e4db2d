//! What workers say, and whom it concerns.

use std::time::Duration;

use relevo_core::{DealerEvent, Event, Left, Moved, NotTaken, QueryId, ReadyWhen, WorkerId};
use relevo_node::{
    FromAgent, HandoverMode, Happened, Json, Key, PendingQuery, RefusedBecause, ToAgent,
    UserMessage,
};
use relevo_sys::listen::relisten;

use super::{Hub, Pending, wishes};

/// How many messages may wait for a worker before it misses what others broadcast: 4 MiB at most.
const BROADCASTS_QUEUED: usize = 64;

impl Hub {
    /// Goes through what was read. `false`: there is nothing more to read from this worker.
    pub(super) fn handle_messages(&mut self, worker: WorkerId) -> bool {
        loop {
            let Some(wire) = self.wires.get_mut(&worker) else { return false };
            let incoming = match wire.next_message() {
                None => return true,
                Some(Ok(incoming)) => incoming,
                Some(Err(violation)) => {
                    self.condemn(worker, violation.to_string());
                    return false;
                }
            };
            // What an app passes on has no taker: its descriptor is closed here.
            let descriptor = incoming.descriptor;
            match wire.channel.receive(incoming.message, descriptor.is_some()) {
                Ok(Some(Happened::Agent(FromAgent::Handover(handover)))) => {
                    self.handed_over(worker, handover, descriptor);
                }
                Ok(Some(happened)) => self.happened(worker, happened),
                Ok(None) => {}
                Err(violation) => {
                    self.condemn(worker, violation.to_string());
                    return false;
                }
            }
        }
    }

    fn happened(&mut self, worker: WorkerId, happened: Happened) {
        match happened {
            Happened::User(UserMessage::Ready) => self.said_ready(worker),
            Happened::Online | Happened::User(UserMessage::Other) | Happened::PassedHandle => {}
            Happened::Asked(query) => self.asked(worker, query),
            Happened::Listening { key } => self.listening(worker, &key),
            Happened::Closed { key } | Happened::ListenerNotTaken { key } => {
                self.server_closed(worker, &key);
            }
            Happened::LeaveAsked(leave) => {
                self.leaves.insert(worker, leave);
                self.report(worker, Event::LeaveRequested { worker });
            }
            Happened::Placed { connection } | Happened::Refused { connection, .. }
                if self.probe_is_over(connection) => {}
            Happened::Placed { connection } => {
                let connection = relevo_core::ConnectionId(connection);
                self.deal(DealerEvent::Placed { connection });
            }
            Happened::Refused { connection, why } => {
                let connection = relevo_core::ConnectionId(connection);
                let why = match why {
                    RefusedBecause::NotAccepted => NotTaken::Refused,
                    RefusedBecause::NoDescriptor => NotTaken::Exhausted,
                };
                self.deal(DealerEvent::NotTaken { connection, why });
            }
            Happened::Agent(said) => self.agent_said(worker, said),
        }
    }

    fn asked(&mut self, worker: WorkerId, query: PendingQuery) {
        match wishes::wish(query.query(), &self.inherited) {
            Ok(wish) => {
                let id = QueryId(self.next_query);
                self.next_query += 1;
                let event = Event::ListenRequested { worker, query: id, wish: wish.clone() };
                self.queries.insert(id, Pending { worker, query, wish });
                self.report(worker, event);
            }
            Err(unwishable) => {
                self.complain(format!("worker {worker}: {}", unwishable.why));
                if let Some(wire) = self.wires.get_mut(&worker) {
                    wire.channel.refuse(query, unwishable.errno, None);
                }
            }
        }
    }

    /// The worker's own `listen(2)` has set the backlog of the socket it shares with us to what Node
    /// takes: it is set back (`docs/node-channel.md`, the third of its five).
    fn listening(&mut self, worker: WorkerId, key: &Key) {
        let Some(wire) = self.wires.get(&worker) else { return };
        let Some(listener) = wire.listener_of.get(key).copied() else { return };
        for (member, socket) in &self.members {
            if member.listener == listener && socket.is_stream {
                // Fails only on a socket that does not listen any more, which others will notice.
                let _ = relisten(&socket.socket, self.backlog);
            }
        }
        self.report(worker, Event::Listening { worker, listener });
    }

    fn server_closed(&mut self, worker: WorkerId, key: &Key) {
        let Some(wire) = self.wires.get_mut(&worker) else { return };
        if let Some(listener) = wire.listener_of.remove(key) {
            if wire.key_of.get(&listener) == Some(key) {
                wire.key_of.remove(&listener);
            }
            wire.remember_key(key.clone(), listener);
            self.report(worker, Event::ListenerClosed { worker, listener });
        }
    }

    fn said_ready(&mut self, worker: WorkerId) {
        self.report(worker, Event::ReadySaid { worker, how: ReadyWhen::Message });
    }

    fn agent_said(&mut self, worker: WorkerId, said: FromAgent) {
        let event = match said {
            FromAgent::Hello { hands_over, .. } => {
                let hands_over = hands_over && self.drain_words.handover != HandoverMode::Off;
                self.deal(DealerEvent::Agent { worker, hands_over });
                Event::AgentArrived { worker }
            }
            FromAgent::Offer(offer) => return self.offered(worker, &offer),
            // It came without a descriptor, or it would have been taken out before.
            FromAgent::Handover(handover) => return self.handed_over(worker, handover, None),
            FromAgent::Broadcast { message } => return self.broadcast(worker, &message),
            FromAgent::Load(load) => {
                let load = relevo_core::Load {
                    connections: load.connections,
                    accepted: load.accepted,
                    utilization: load.utilization,
                };
                return self.deal(DealerEvent::Load { worker, load });
            }
            FromAgent::Tally(tally) => {
                let tally = relevo_core::Tally {
                    answered: tally.answered,
                    failed: tally.failed,
                    aborted: tally.aborted,
                    uncaught: tally.uncaught,
                };
                Event::Tallied { worker, tally }
            }
            FromAgent::Stopped => Event::StoppedAccepting { worker },
            FromAgent::Left { left, closed_idle, not_zero } => {
                let Some(wire) = self.wires.get(&worker) else { return };
                let (handed_over, not_movable) = (wire.given.handed_over, wire.given.not_movable);
                let moved = Moved { handed_over, closed_idle, not_zero, not_movable };
                Event::WorkLeft { worker, left: count(left), moved }
            }
            FromAgent::RequestsReached => Event::RequestsReached { worker },
            FromAgent::Pong { connections } => Event::Answered { worker, connections },
            FromAgent::Drained => Event::Drained { worker },
            FromAgent::Ready => return self.said_ready(worker),
            FromAgent::Extend { ms } => {
                Event::StartExtended { worker, by: Duration::from_millis(ms) }
            }
            FromAgent::PrimaryBranch { file } => return self.primary_branch(&file),
            FromAgent::Unknown => return,
        };
        self.report(worker, event);
    }

    /// Passes an app's message on to all other workers; to one that does not read its channel, it is not.
    fn broadcast(&mut self, from: WorkerId, message: &Json) {
        let others: Vec<WorkerId> =
            self.wires.keys().copied().filter(|other| *other != from).collect();
        let mut dropped = false;
        for other in others {
            let Some(wire) = self.talk_to(other) else { continue };
            let say = || ToAgent::Broadcast { from: from.0, message: message.clone() };
            dropped |=
                wire.channel.queued() >= BROADCASTS_QUEUED || !wire.channel.tell_agent(say());
        }
        if dropped && !std::mem::replace(&mut self.told_of_dropped_broadcast, true) {
            self.complain(format!(
                "a broadcast did not reach every worker: {BROADCASTS_QUEUED} messages wait for one that does not read; more of that is not reported"
            ));
        }
    }

    /// Said once: all workers run the same program.
    fn primary_branch(&mut self, file: &str) {
        if !std::mem::replace(&mut self.told_of_primary_branch, true) {
            let file = file.escape_debug();
            self.complain(format!(
                "{file} forks workers of its own where it is the cluster's primary, which is Relevo here: only its worker branch runs, and what its primary branch does was not done"
            ));
        }
    }
}

fn count(left: relevo_node::Left) -> Left {
    Left {
        requests: left.requests,
        uploads: left.uploads,
        event_streams: left.event_streams,
        websockets: left.websockets,
        unknown: left.unknown,
        idle: left.idle,
        idle_tls: left.idle_tls,
        moving: left.moving,
    }
}
