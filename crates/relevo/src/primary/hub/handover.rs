//! Connections that workers hand over. What comes is looked at before it goes anywhere: a worker may
//! send any descriptor at any time.
//!
//! Which of them may come and who gets them is the dealer's business; what is said to the donor
//! afterwards is gathered, so that one message tells of many.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use relevo_config::{HandoverWord, Options, Span};
use relevo_core::{ConnectionId, DealerEvent, ListenerId, NotMovable, Time, WorkerId};
use relevo_node::{Arrival, Handover, HandoverMode, Key, Offer, ToAgent};
use relevo_sys::socket::{
    SocketKind, SocketName, is_connected, local_address, set_nonblocking, socket_inode, socket_type,
};

use super::Hub;

/// How many things that are no connections of its own a worker may hand over before it is ended.
const MAX_FAULTS: u32 = 64;
/// Of how many connections that a worker has given away it is remembered that it has.
const MAX_GIVEN: usize = 1 << 16;

/// How workers are to drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrainWords {
    pub(crate) linger_ms: u64,
    pub(crate) spread_ms: u64,
    pub(crate) handover: HandoverMode,
}

impl DrainWords {
    pub(crate) fn of(options: &Options) -> Self {
        let milliseconds =
            |span: Span| u64::try_from(span.duration().as_millis()).unwrap_or(u64::MAX);
        Self {
            linger_ms: milliseconds(options.linger),
            spread_ms: milliseconds(options.drain_spread),
            handover: match options.handover {
                HandoverWord::Auto => HandoverMode::Auto,
                HandoverWord::All => HandoverMode::All,
                HandoverWord::Off => HandoverMode::Off,
            },
        }
    }
}

/// What is known of a connection that was handed over, until somebody has it.
#[derive(Debug)]
pub(super) struct Arrived {
    donor: WorkerId,
    /// The donor's number for it.
    id: u64,
    idle_ms: u64,
    requests: u64,
    since: Time,
    inode: u64,
}

impl Arrived {
    pub(super) fn arrival(&self, now: Time) -> Arrival {
        let held = u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX);
        Arrival { idle_ms: self.idle_ms.saturating_add(held), requests: self.requests }
    }
}

/// What a worker gave away, and is to be told of it.
#[derive(Debug, Default)]
pub(super) struct Given {
    taken: Vec<u64>,
    back: Vec<u64>,
    /// Its connections that are somebody else's now, by their sockets' numbers.
    inodes: BTreeSet<u64>,
    faults: u32,
    pub(super) handed_over: u32,
    pub(super) not_movable: NotMovable,
}

impl Hub {
    pub(super) fn offered(&mut self, worker: WorkerId, offer: &Offer) {
        let Some(wire) = self.wires.get_mut(&worker) else { return };
        if offer.not_movable != relevo_node::NotMovable::default() {
            wire.given.not_movable = not_movable(offer.not_movable);
        }
        let offered = offer.listeners.iter();
        let offered: Vec<(ListenerId, u32)> = offered
            .filter_map(|(key, count)| Some((wire.ever_listener_of(&Key(key.clone()))?, *count)))
            .collect();
        for (listener, count) in offered {
            self.deal(if offer.spent {
                DealerEvent::Spent { worker, listener }
            } else {
                DealerEvent::Offered { worker, listener, count }
            });
        }
    }

    pub(super) fn handed_over(
        &mut self,
        worker: WorkerId,
        handover: Handover,
        descriptor: Option<OwnedFd>,
    ) {
        let Handover { id, key, idle_ms, requests } = handover;
        let examined = self.examine(worker, &Key(key), descriptor);
        let (listener, inode, descriptor) = match examined {
            Ok(examined) => examined,
            Err(what) => return self.at_fault(worker, what),
        };
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.connections.insert(connection.0, descriptor);
        let arrived = Arrived { donor: worker, id, idle_ms, requests, since: self.now, inode };
        self.arrivals.insert(connection.0, arrived);
        self.deal(DealerEvent::HandedOver { connection, worker, listener });
    }

    /// Which listener's connection it is, and its number; or what else it is.
    fn examine(
        &self,
        worker: WorkerId,
        key: &Key,
        descriptor: Option<OwnedFd>,
    ) -> Result<(ListenerId, u64, OwnedFd), &'static str> {
        let wire = self.wires.get(&worker).ok_or("nothing")?;
        let descriptor = descriptor.ok_or("nothing")?;
        let listener = wire.ever_listener_of(key).ok_or("a connection of no listener")?;
        let of_it = self.members.iter().filter(|(member, _)| member.listener == listener);
        let inode = connection_of(&descriptor, of_it.map(|(_, socket)| &socket.name))?;
        let held = self.arrivals.values().any(|arrived| arrived.inode == inode);
        if held || wire.given.inodes.contains(&inode) {
            return Err("the same connection twice");
        }
        set_nonblocking(&descriptor).map_err(|_| "a socket that cannot be used")?;
        Ok((listener, inode, descriptor))
    }

    /// It has been closed. Only the worker that sent it suffers: its connection is gone, and it is ended
    /// when that happens over and over.
    fn at_fault(&mut self, worker: WorkerId, what: &str) {
        let Some(wire) = self.wires.get_mut(&worker) else { return };
        wire.given.faults += 1;
        let faults = wire.given.faults;
        if faults == 1 {
            self.complain(format!(
                "worker {worker} handed over {what}, which was closed; more of that is not reported"
            ));
        } else if faults == MAX_FAULTS {
            self.condemn(worker, format!("handed over {what}, and {faults} such things in all"));
        }
    }

    /// Another worker has the connection.
    pub(super) fn arrival_placed(&mut self, connection: ConnectionId, taker: WorkerId) {
        let Some(arrived) = self.arrivals.remove(&connection.0) else { return };
        if let Some(taker) = self.wires.get_mut(&taker) {
            // It may give it away in its turn.
            taker.given.inodes.remove(&arrived.inode);
        }
        if let Some(donor) = self.talk_to(arrived.donor) {
            let given = &mut donor.given;
            given.handed_over = given.handed_over.saturating_add(1);
            given.taken.push(arrived.id);
            if given.inodes.len() < MAX_GIVEN {
                given.inodes.insert(arrived.inode);
            }
        }
    }

    /// Nobody takes it.
    pub(super) fn give_back(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection.0);
        let Some(arrived) = self.arrivals.remove(&connection.0) else { return };
        if let Some(donor) = self.talk_to(arrived.donor) {
            donor.given.back.push(arrived.id);
        }
    }

    /// It was closed: the worker had no credit for it, or is gone and nobody serves the listener.
    pub(super) fn arrival_lost(&mut self, connection: ConnectionId) {
        if let Some(arrived) = self.arrivals.remove(&connection.0) {
            self.at_fault(arrived.donor, "a connection that nobody had asked for");
        }
    }

    pub(super) fn credit(&mut self, worker: WorkerId, listener: ListenerId, count: u32) {
        if let Some(wire) = self.talk_to(worker)
            && let Some(key) = wire.ever_key_of(listener)
        {
            wire.channel.tell_agent(ToAgent::Credit { key, n: count });
        }
    }

    /// Tells a donor what has become of its connections.
    pub(super) fn tell_donor(&mut self, worker: WorkerId) {
        let Some(wire) = self.wires.get_mut(&worker) else { return };
        for (ids, say) in [
            (std::mem::take(&mut wire.given.taken), (|ids| ToAgent::Taken { ids }) as fn(_) -> _),
            (std::mem::take(&mut wire.given.back), |ids| ToAgent::Back { ids }),
        ] {
            if !ids.is_empty() {
                wire.channel.tell_agent(say(ids));
            }
        }
    }
}

/// The number of the socket, if it is a connection that came to one of these listeners; or what it is.
fn connection_of<'a>(
    descriptor: &OwnedFd,
    mut listeners: impl Iterator<Item = &'a SocketName>,
) -> Result<u64, &'static str> {
    match socket_type(descriptor) {
        Ok(SocketKind::Stream) => {}
        Ok(SocketKind::Listener) => return Err("a listening socket"),
        Ok(SocketKind::Datagram | SocketKind::Neither) => return Err("another kind of socket"),
        Err(_) => return Err("something that is no socket"),
    }
    if !is_connected(descriptor) {
        return Err("a socket without a connection");
    }
    let local = local_address(descriptor).map_err(|_| "another kind of socket")?;
    if !listeners.any(|listener| is_at(&local, listener)) {
        return Err("a connection of another address");
    }
    socket_inode(descriptor).map_err(|_| "something that is no socket")
}

/// Whether a connection with this local address may have come to a listener of that name.
fn is_at(local: &SocketName, listener: &SocketName) -> bool {
    match (local, listener) {
        (SocketName::Inet(local), SocketName::Inet(listener)) => {
            let (own, bound) = (local.ip().to_canonical(), listener.ip().to_canonical());
            local.port() == listener.port() && (bound.is_unspecified() || own == bound)
        }
        (SocketName::UnixPath(local), SocketName::UnixPath(listener)) => local == listener,
        (SocketName::Abstract(local), SocketName::Abstract(listener)) => local == listener,
        (
            SocketName::Inet(_)
            | SocketName::UnixPath(_)
            | SocketName::Abstract(_)
            | SocketName::Unnamed,
            _,
        ) => false,
    }
}

fn not_movable(told: relevo_node::NotMovable) -> NotMovable {
    NotMovable {
        tls: told.tls,
        http2: told.http2,
        upgraded: told.upgraded,
        late: told.late,
        touched: told.touched,
        kept: told.kept,
        unlisted: told.unlisted,
        busy_stream: told.busy_stream,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn nothing_but_a_connection_of_the_listener_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = |of: &TcpListener| SocketName::Inet(of.local_addr().unwrap());
        let check = |descriptor: OwnedFd, expected: Result<(), &str>| {
            let names = [name(&listener)];
            let found = connection_of(&descriptor, names.iter());
            assert_eq!(found.map(|_| ()), expected);
        };
        let connect = |to: &TcpListener| {
            let client = TcpStream::connect(to.local_addr().unwrap()).unwrap();
            (client, to.accept().unwrap().0)
        };
        let (client, accepted) = connect(&listener);
        check(accepted.into(), Ok(()));
        check(client.into(), Err("a connection of another address"));
        check(connect(&other).1.into(), Err("a connection of another address"));
        check(listener.try_clone().unwrap().into(), Err("a listening socket"));
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        check(datagrams.into(), Err("another kind of socket"));
        let (pair, _peer) = UnixStream::pair().unwrap();
        check(pair.into(), Err("a connection of another address"));
        let (pipe, _writer) = std::io::pipe().unwrap();
        check(pipe.into(), Err("something that is no socket"));
        for path in ["/dev/null", "/dev/ptmx", "/proc/self/stat"] {
            // A sandbox may have no terminals.
            let Ok(file) = std::fs::File::open(path) else { continue };
            check(file.into(), Err("something that is no socket"));
        }
    }

    #[test]
    fn whose_connection_it_is() {
        let inet = |text: &str| SocketName::Inet(text.parse().unwrap());
        let path = |text: &str| SocketName::UnixPath(text.into());
        for (local, listener, same) in [
            (inet("127.0.0.1:80"), inet("127.0.0.1:80"), true),
            (inet("[::ffff:127.0.0.1]:80"), inet("127.0.0.1:80"), true),
            (inet("[::ffff:10.0.0.1]:80"), inet("[::]:80"), true),
            (inet("127.0.0.1:80"), inet("0.0.0.0:80"), true),
            (inet("127.0.0.1:80"), inet("0.0.0.0:81"), false),
            (inet("127.0.0.1:80"), inet("127.0.0.2:80"), false),
            (path("/a"), path("/a"), true),
            (path("/a"), path("/b"), false),
            (SocketName::Unnamed, SocketName::Unnamed, false),
            (path("/a"), inet("127.0.0.1:80"), false),
        ] {
            assert_eq!(is_at(&local, &listener), same, "{local:?} of {listener:?}");
        }
    }
}
