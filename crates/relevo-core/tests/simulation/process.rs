//! One worker's process, and what it has in mind.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use relevo_core::{ConnectionId, Given, ListenerId, Member, QueryId};

use crate::agent::Agent;
use crate::random::Random;

pub(crate) struct Process {
    pub(crate) alive: bool,
    pub(crate) booted: bool,
    /// Its event loop stands still: what it was to do waits in `postponed`.
    pub(crate) hung: bool,
    pub(crate) postponed: Vec<Deed>,
    /// When it went on after it had stood still.
    pub(crate) thawed: Option<Duration>,
    /// It has said that it has no connection, and will say so when one comes.
    pub(crate) tells_of_next: bool,
    /// Its end of the channel is open.
    pub(crate) channel: bool,
    /// The primary reads from its channel.
    pub(crate) heard: bool,
    /// The dealer has been told that it is gone.
    pub(crate) dealer_knows: bool,
    pub(crate) inbox: VecDeque<Message>,
    /// When the last message that it sent arrives: none overtakes another.
    pub(crate) last_word: Duration,
    pub(crate) asked: BTreeMap<QueryId, usize>,
    pub(crate) listens: BTreeMap<ListenerId, Door>,
    pub(crate) holds: BTreeSet<ConnectionId>,
    /// What it is giving away, by the copy that the primary has; and what nobody took.
    pub(crate) transit: BTreeMap<ConnectionId, ConnectionId>,
    pub(crate) stays: BTreeSet<ConnectionId>,
    pub(crate) draining: bool,
    /// It has stopped accepting, and these ports are to be opened again if it is called back.
    pub(crate) parked: Option<Vec<usize>>,
    /// It has closed its listeners for good and exits when its connections have ended.
    pub(crate) leaving: bool,
    pub(crate) agent: Agent,
    pub(crate) character: Character,
}

/// What it has of a listener.
#[derive(Clone, Copy)]
pub(crate) struct Door {
    pub(crate) member: Member,
    pub(crate) given: Given,
    pub(crate) accepting: bool,
    /// Which of the app's ports it is.
    pub(crate) port: usize,
}

/// What it will do at some moment.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Boots,
    SaysReady,
    Asks(usize),
    /// It takes the next message from its channel.
    Receives,
    SaysListening(ListenerId),
    /// It accepts from the socket that it works on.
    Accepts(ListenerId),
    Finishes(ConnectionId),
    SaysLoad,
    ReachesRequests,
    SaysTally,
    Misdeed(Misdeed),
    Signalled,
    Dies(i32),
}

/// What it does of its own accord, while the world is unkind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Misdeed {
    Crashes,
    Hangs,
    /// It is stopped, and goes on after some time.
    StandsStill,
    LosesChannel,
    Misbehaves,
    AsksToLeave,
    Closes,
    ClosesAndOpensAgain,
}

/// What it is told.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Answered(QueryId, Member, Given),
    Refused(QueryId),
    Connection(ConnectionId, ListenerId),
    Count,
    /// Whether to tell again and again.
    Tally(bool),
    Credit(ListenerId, u32),
    Taken(ConnectionId),
    Back(ConnectionId),
    LimitRequests,
    Ping,
    Park,
    Unpark,
    Drain,
    Disconnect,
    AllowedToLeave,
}

/// How it is different from one that does everything right.
#[derive(Default)]
pub(crate) struct Character {
    pub(crate) boots_after: Duration,
    pub(crate) has_agent: bool,
    /// Its agent can hand connections over.
    pub(crate) hands_over: bool,
    /// It gives away what nobody asked for.
    pub(crate) gives_unasked: bool,
    /// A port that it does not open although the others do.
    pub(crate) omits: Option<usize>,
    /// It does not say that it is ready.
    pub(crate) is_mute: bool,
    /// It asks for so much more time to become ready.
    pub(crate) extends: Option<Duration>,
    pub(crate) ignores_drain: bool,
    pub(crate) ignores_disconnect: bool,
    pub(crate) ignores_signal: bool,
    /// It goes on running when its channel has ended.
    pub(crate) stubborn: bool,
    pub(crate) survives_refusal: bool,
    pub(crate) max_connections: usize,
    /// It says what it likes about its load.
    pub(crate) lies: bool,
    /// How many of a hundred requests it answers with an error.
    pub(crate) errs: u64,
    /// How busy it is at least, per mille, if it can say so.
    pub(crate) busy: Option<u16>,
    pub(crate) misdeeds: Vec<(Duration, Misdeed)>,
}

impl Process {
    pub(crate) fn new(character: Character) -> Self {
        Self {
            alive: true,
            booted: false,
            hung: false,
            postponed: Vec::new(),
            thawed: None,
            tells_of_next: false,
            channel: true,
            heard: true,
            dealer_knows: false,
            inbox: VecDeque::new(),
            last_word: Duration::ZERO,
            asked: BTreeMap::new(),
            listens: BTreeMap::new(),
            holds: BTreeSet::new(),
            transit: BTreeMap::new(),
            stays: BTreeSet::new(),
            draining: false,
            parked: None,
            leaving: false,
            agent: Agent::default(),
            character,
        }
    }

    pub(crate) fn accepts_on(&self, listener: ListenerId) -> bool {
        self.alive && self.listens.get(&listener).is_some_and(|door| door.accepting)
    }

    pub(crate) fn stops_accepting(&mut self) {
        for door in self.listens.values_mut() {
            door.accepting = false;
        }
    }
}

impl Character {
    pub(crate) fn kind(agent: bool, random: &mut Random) -> Self {
        Self {
            boots_after: random.millis(300),
            has_agent: agent,
            hands_over: agent,
            max_connections: usize::MAX,
            busy: Some(random.below(900) as u16),
            ..Self::default()
        }
    }

    pub(crate) fn any(agent: bool, ports: usize, random: &mut Random) -> Self {
        if random.percent(30) {
            return Self::kind(agent, random);
        }
        let omits = random.percent(6).then(|| random.below(ports as u64) as usize);
        let boots_after =
            if random.percent(8) { random.millis(20_000) } else { random.millis(500) };
        Self {
            boots_after,
            has_agent: agent && random.percent(80),
            hands_over: random.percent(80),
            gives_unasked: random.percent(10),
            omits,
            is_mute: random.percent(5),
            extends: random.percent(10).then(|| random.millis(60_000)),
            ignores_drain: random.percent(15),
            ignores_disconnect: random.percent(15),
            ignores_signal: random.percent(15),
            stubborn: random.percent(15),
            survives_refusal: random.percent(30),
            max_connections: if random.percent(15) { 3 } else { usize::MAX },
            lies: random.percent(10),
            errs: [0, 0, 0, 0, 10, 100][random.below(6) as usize],
            busy: random.percent(80).then(|| random.below(900) as u16),
            misdeeds: misdeeds(random),
        }
    }
}

fn misdeeds(random: &mut Random) -> Vec<(Duration, Misdeed)> {
    let mut misdeeds = Vec::new();
    while random.percent(60) {
        let misdeed = match random.below(23) {
            0..7 => Misdeed::Crashes,
            7..10 => Misdeed::Hangs,
            10..12 => Misdeed::LosesChannel,
            12..14 => Misdeed::Misbehaves,
            14..17 => Misdeed::AsksToLeave,
            17..18 => Misdeed::Closes,
            18..21 => Misdeed::StandsStill,
            21.. => Misdeed::ClosesAndOpensAgain,
        };
        let after = if random.percent(30) { random.millis(600) } else { random.millis(40_000) };
        misdeeds.push((after, misdeed));
    }
    misdeeds
}
