//! Clients at work beside each other while a trial goes on.

use std::thread::JoinHandle;

use crate::account::{Account, Tally};
use crate::clients::{Kind, Pace, Site, User};
use crate::foreign::Foreign;
use crate::support::eventually;

/// Clients that are going to ask.
pub(crate) struct Crowd {
    site: Site,
    kinds: Vec<(Kind, usize)>,
    foreign: Option<(u16, Vec<String>)>,
}

/// Clients that ask. Dropping them lets them stop.
pub(crate) struct Asking {
    clients: Vec<Client>,
    foreign: Option<Foreign>,
    pace: Pace,
}

struct Client {
    kind: Kind,
    pace: Pace,
    thread: JoinHandle<Tally>,
}

impl Crowd {
    pub(crate) fn at(site: Site) -> Self {
        Self { site, kinds: Vec::new(), foreign: None }
    }

    pub(crate) fn with(mut self, count: usize, kind: Kind) -> Self {
        self.kinds.push((kind, count));
        self
    }

    /// Clients of `fixtures/frameworks/client`: `https-kept=4` and the like.
    pub(crate) fn foreign(mut self, port: u16, wishes: &str) -> Self {
        self.foreign = Some((port, wishes.split_whitespace().map(str::to_owned).collect()));
        self
    }

    /// Returns when every client has had its first answer.
    pub(crate) fn begin(self) -> Asking {
        let pace = Pace::default();
        let mut clients = Vec::new();
        for (kind, count) in self.kinds {
            for _ in 0..count {
                let (site, own) = (self.site.clone(), pace.beside());
                let seed = clients.len() as u64 * 7919 + 1;
                let thread = std::thread::spawn({
                    let own = own.clone();
                    move || {
                        let mut user = User::new(&site, &own, seed);
                        (kind.act)(&mut user);
                        own.finish();
                        user.into_tally()
                    }
                });
                clients.push(Client { kind, pace: own, thread });
            }
        }
        let mut foreign = self.foreign.map(|(port, wishes)| Foreign::start(port, &wishes));
        if let Some(foreign) = &mut foreign {
            foreign.begun();
        }
        let asking = Asking { clients, foreign, pace };
        asking.wait_for("a first answer for everybody", |_| true, |_| 1);
        asking
    }
}

impl Asking {
    /// Returns when every client that does not pause for long has done once more what it does, from its beginning to
    /// its end.
    pub(crate) fn round(&mut self) {
        let before: Vec<u64> = self.clients.iter().map(|client| client.pace.rounds()).collect();
        // The next to end may have begun before.
        self.wait_for("another round", |client| client.kind.hurried, |index| before[index] + 2);
        if let Some(foreign) = &mut self.foreign {
            foreign.round();
        }
    }

    /// Lets everybody finish what they have begun, and adds up.
    pub(crate) fn end(mut self) -> Account {
        self.pace.stop();
        let mut account = Account::default();
        for client in std::mem::take(&mut self.clients) {
            let tally = client.thread.join().expect("a client does not panic");
            account.add(client.kind.name, tally);
        }
        if let Some(foreign) = self.foreign.take() {
            account.add_told(&foreign.end());
        }
        account
    }

    fn wait_for(&self, what: &str, whom: impl Fn(&Client) -> bool, rounds: impl Fn(usize) -> u64) {
        eventually(what, || {
            let missing: Vec<&str> = self
                .clients
                .iter()
                .enumerate()
                .filter(|(_, client)| whom(client) && !client.pace.has_finished())
                .filter(|(index, client)| client.pace.rounds() < rounds(*index))
                .map(|(_, client)| client.kind.name)
                .collect();
            if missing.is_empty() { Ok(()) } else { Err(missing) }
        });
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.pace.stop();
    }
}
