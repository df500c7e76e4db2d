//! Clients that ask on and on while a test does something to the service, and account for every
//! request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::{Connection, Lost, get};
use super::eventually;

/// What became of all requests.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Requests that were answered.
    pub(crate) answered: u64,
    /// Requests that were lost although the server had no reason to end the connection, by kind.
    pub(crate) lost: BTreeMap<Lost, u64>,
    /// Requests that met the server's own ending of an idle connection: the race that closing idle
    /// connections always has. Counted apart, and not asserted here.
    pub(crate) raced: u64,
    /// Idle connections that were found closed before anything was asked on them.
    pub(crate) closed_idle: u64,
    /// The first few losses, in words.
    pub(crate) examples: Vec<String>,
}

impl Account {
    /// Panics unless nothing was lost, and says what was.
    pub(crate) fn assert_nothing_lost(&self) {
        let lost: u64 = self.lost.values().sum();
        assert_eq!(lost, 0, "{self:#?}");
        assert!(self.answered > 0, "no request was answered: {self:#?}");
    }

    /// The same, and nobody closed an idle connection either. `more` is told with a failure.
    pub(crate) fn assert_unnoticed(&self, more: &str) {
        self.assert_nothing_lost();
        assert_eq!((self.raced, self.closed_idle), (0, 0), "{self:#?}\n{more}");
    }

    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        for (kind, count) in other.lost {
            *self.lost.entry(kind).or_default() += count;
        }
        self.raced += other.raced;
        self.closed_idle += other.closed_idle;
        self.examples.extend(other.examples);
        self.examples.truncate(10);
    }

    fn lose(&mut self, lost: Lost, what: String) {
        *self.lost.entry(lost).or_default() += 1;
        if self.examples.len() < 5 {
            self.examples.push(what);
        }
    }
}

/// Running clients.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    /// How many clients that keep their connection there are, and how many have had an answer on it.
    keeping: usize,
    answered: Arc<AtomicUsize>,
    host: String,
    threads: Vec<JoinHandle<Account>>,
}

impl Load {
    pub(crate) fn new() -> Self {
        Self {
            stop: Arc::new(AtomicBool::new(false)),
            keeping: 0,
            answered: Arc::default(),
            host: "127.0.0.1".to_owned(),
            threads: Vec::new(),
        }
    }

    /// Adds clients of a kind: `client` is called until the load stops, and counts for itself.
    pub(crate) fn add(
        mut self,
        clients: usize,
        client: impl Fn(&AtomicBool) -> Account + Clone + Send + 'static,
    ) -> Self {
        for _ in 0..clients {
            let (stop, client) = (Arc::clone(&self.stop), client.clone());
            self.threads.push(std::thread::spawn(move || client(&stop)));
        }
        self
    }

    /// Clients that open a connection for each request.
    pub(crate) fn connection_per_request(
        self,
        clients: usize,
        port: u16,
        path: &'static str,
    ) -> Self {
        self.add(clients, move |stop| {
            let mut account = Account::default();
            while !stop.load(Ordering::Relaxed) {
                match get(port, path) {
                    Ok(response) if response.status == 200 => account.answered += 1,
                    Ok(response) => {
                        account.lose(Lost::Wrong, format!("status {}", response.status));
                    }
                    Err(lost) => account.lose(lost, format!("{lost:?} on a new connection")),
                }
            }
            account
        })
    }

    /// Where clients that keep their connection connect to, from now on.
    pub(crate) fn at(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// Clients that keep their connection, and think for a moment between requests.
    pub(crate) fn keep_alive(self, clients: usize, port: u16, path: &'static str) -> Self {
        self.keeping(clients, port, path, 1)
    }

    /// The same, with pauses of up to a fifth of a second, so that many do not take the whole machine.
    pub(crate) fn keep_alive_unhurried(
        self,
        clients: usize,
        port: u16,
        path: &'static str,
    ) -> Self {
        self.keeping(clients, port, path, 8)
    }

    fn keeping(mut self, clients: usize, port: u16, path: &'static str, leisure: u64) -> Self {
        self.keeping += clients;
        let answered = Arc::clone(&self.answered);
        let host = self.host.clone();
        self.add(clients, move |stop| {
            keep_alive_client(stop, (&host, port), path, leisure, &answered)
        })
    }

    /// Waits until every client that keeps its connection has one.
    pub(crate) fn settled(self) -> Self {
        eventually("an answer for every client", || {
            let answered = self.answered.load(Ordering::Relaxed);
            if answered >= self.keeping { Ok(()) } else { Err((answered, self.keeping)) }
        });
        self
    }

    /// Lets the clients finish what they have begun, and adds up.
    pub(crate) fn stop(mut self) -> Account {
        self.stop.store(true, Ordering::Relaxed);
        let mut account = Account::default();
        for thread in std::mem::take(&mut self.threads) {
            account.add(thread.join().expect("a client does not panic"));
        }
        account
    }
}

impl Drop for Load {
    /// A test that has failed leaves no clients to those that still run.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A request that fails at once on a connection that was idle before it met its being closed:
/// that race is counted apart. One that fails after it was in flight for longer is lost.
fn keep_alive_client(
    stop: &AtomicBool,
    (host, port): (&str, u16),
    path: &str,
    leisure: u64,
    answered: &AtomicUsize,
) -> Account {
    const RACE: Duration = Duration::from_millis(50);
    let mut account = Account::default();
    let mut connection: Option<Connection> = None;
    let mut think = 1;
    while !stop.load(Ordering::Relaxed) {
        if connection.as_mut().is_some_and(Connection::is_closed) {
            account.closed_idle += 1;
            connection = None;
        }
        let reused = connection.is_some();
        let mut open = match connection.take().map_or_else(|| Connection::open_at(host, port), Ok) {
            Ok(open) => open,
            Err(lost) => {
                account.lose(lost, format!("{lost:?} at connecting"));
                continue;
            }
        };
        let asked = Instant::now();
        match open.get(path) {
            Ok(response) if response.status == 200 => {
                account.answered += 1;
                if account.answered == 1 {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                if !response.says_close() {
                    connection = Some(open);
                }
            }
            Ok(response) => account.lose(Lost::Wrong, format!("status {}", response.status)),
            Err(Lost::Closed | Lost::Reset) if reused && asked.elapsed() < RACE => {
                account.raced += 1;
            }
            Err(lost) => account.lose(lost, format!("{lost:?}, reused: {reused}")),
        }
        // Different for each request, so that clients do not fall into step.
        think = (think * 7 + 3) % 23;
        std::thread::sleep(Duration::from_millis(think * leisure));
    }
    account
}
