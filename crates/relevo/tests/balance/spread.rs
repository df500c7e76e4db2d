//! How evenly kept connections are spread: those in the pool of a proxy are few and live long.

use std::collections::BTreeMap;

use relevo_sys::process::raise_nofile_limit;
use rustix::net::sockopt::set_socket_linger;

use crate::support::client::Connection;
use crate::support::eventually;
use crate::support::ports::port;
use crate::support::service::Service;
use crate::{QUIET, ask_pid, connect, counted, kitchen};

/// How connections come.
#[derive(Clone, Copy, Debug)]
enum Coming {
    /// Each once the one before has been answered.
    OneByOne,
    /// All before the first is asked anything.
    AtOnce,
}

/// How often connections may come at once until they are spread evenly. A worker that a busy machine
/// keeps from running for some milliseconds is passed over on purpose, and what stays does not
/// wander: such a try says nothing.
const TRIES: usize = 10;

/// Connections, each with the pid of its worker.
type Crowd = Vec<(u32, Connection)>;

fn come(port: u16, count: usize, coming: Coming) -> Crowd {
    match coming {
        Coming::OneByOne => (0..count).map(|_| connect(port)).collect(),
        Coming::AtOnce => {
            let open = |_| Connection::open(port).expect("a connection");
            let mut all: Vec<Connection> = (0..count).map(open).collect();
            for connection in &mut all {
                connection.send_get("/").expect("a request");
            }
            let told = |mut connection: Connection| {
                let answer = connection.receive().expect("an answer").json();
                (answer["pid"].as_u64().expect("a pid") as u32, connection)
            };
            all.into_iter().map(told).collect()
        }
    }
}

/// How many of them each worker has; those without any are not in it.
fn shares(crowd: &Crowd) -> BTreeMap<u32, usize> {
    let mut shares = BTreeMap::new();
    for (pid, _) in crowd {
        *shares.entry(*pid).or_default() += 1;
    }
    shares
}

/// Whether each worker has its share, give or take `within`.
fn is_even(shares: &BTreeMap<u32, usize>, workers: usize, within: usize) -> bool {
    let even = shares.values().sum::<usize>() / workers;
    shares.len() == workers && shares.values().all(|share| share.abs_diff(even) <= within)
}

fn assert_even(crowd: &Crowd, service: &Service, workers: usize, within: usize, what: &str) {
    let shares = shares(crowd);
    let found = is_even(&shares, workers, within);
    assert!(found, "{what}: not within {within} of even: {shares:?}\n{}", service.log());
}

/// What `status` says comes to be what the connections themselves say.
fn assert_status_agrees(crowd: &Crowd, service: &Service, what: &str) {
    let shares = shares(crowd);
    eventually(&format!("{what}: a status that agrees with {shares:?}"), || {
        let counted = counted(&service.status());
        let share = |pid| shares.get(pid).copied().unwrap_or(0) as u64;
        let agrees = counted.iter().all(|(pid, count)| *count == Some(share(pid)));
        if agrees { Ok(()) } else { Err(counted) }
    });
}

fn is_spread(major: u32, balance: &str, workers: usize) {
    let _ = raise_nofile_limit();
    let port = port();
    // Nothing is moved afterwards: this is about dealing alone.
    let options = format!("-w {workers} --balance {balance} --handover off");
    let service = kitchen(major, port, &options).start();
    for (count, within) in [(16, 1), (64, 1), (512, 2)] {
        for (coming, tries) in [(Coming::OneByOne, 1), (Coming::AtOnce, TRIES)] {
            let what = format!("node {major}, {balance}, {count} over {workers}, {coming:?}");
            let mut seen = Vec::new();
            while !seen.last().is_some_and(|shares| is_even(shares, workers, within)) {
                let log = || service.log();
                assert!(seen.len() < tries, "{what}: never within {within}: {seen:?}\n{}", log());
                let crowd = come(port, count, coming);
                assert_status_agrees(&crowd, &service, &what);
                seen.push(shares(&crowd));
                drop(crowd);
                assert_status_agrees(&Vec::new(), &service, &format!("{what}, then none"));
            }
            if seen.len() > 1 {
                println!("{what}: even at try {}: {seen:?}", seen.len());
            }
        }
    }
}

fn is_spread_on(major: u32) {
    let _loud = QUIET.read();
    for balance in ["auto", "least-connections"] {
        for workers in [4, 8] {
            is_spread(major, balance, workers);
        }
    }
}

#[test]
fn kept_connections_are_spread_evenly_by_node_18() {
    is_spread_on(18);
}

#[test]
fn kept_connections_are_spread_evenly_by_node_22() {
    is_spread_on(22);
}

#[test]
fn kept_connections_are_spread_evenly_by_node_26() {
    is_spread_on(26);
}

/// Clients crash, and all of theirs were with half of the workers: the ones that come next go there.
#[test]
fn what_comes_after_many_have_gone_fills_the_gaps() {
    let _loud = QUIET.read();
    for balance in ["auto", "least-connections"] {
        let port = port();
        let options = format!("-w 4 --balance {balance} --handover off");
        let service = kitchen(22, port, &options).start();
        let mut crowd = come(port, 64, Coming::OneByOne);
        assert_even(&crowd, &service, 4, 1, balance);
        let pids: Vec<u32> = shares(&crowd).into_keys().collect();
        let (gone, stay): (Crowd, Crowd) =
            crowd.into_iter().partition(|(pid, _)| pids[..2].contains(pid));
        let many = gone.len();
        assert!((30..=34).contains(&many), "{balance}: {many} of 64 are with half of the workers");
        for (nth, (_, connection)) in gone.into_iter().enumerate() {
            // Some end with a reset, as those of a killed client do that had something unread.
            let linger = (nth % 2 == 0).then_some(std::time::Duration::ZERO);
            set_socket_linger(&connection.stream, linger).expect("an option");
        }
        assert_status_agrees(&stay, &service, &format!("{balance}, half of them gone"));
        crowd = stay;
        crowd.extend(come(port, many, Coming::OneByOne));
        assert_even(&crowd, &service, 4, 1, &format!("{balance}, as many again"));
        assert_status_agrees(&crowd, &service, &format!("{balance}, as many again"));
        for (pid, connection) in &mut crowd {
            assert_eq!(ask_pid(connection), *pid, "{balance}: a connection does not wander");
        }
    }
}

/// Nobody counts, so that nobody can tell who has fewest.
#[test]
fn without_agents_connections_are_dealt_in_turn() {
    let _loud = QUIET.read();
    for major in [18, 22, 26] {
        for balance in ["auto", "least-connections"] {
            let port = port();
            let options = format!("-w 4 --balance {balance} --no-agent");
            let service = kitchen(major, port, &options).start();
            let crowd = come(port, 64, Coming::OneByOne);
            let pids: Vec<u32> = crowd.iter().map(|(pid, _)| *pid).collect();
            let what = format!("node {major}, {balance}: {pids:?}");
            assert_even(&crowd, &service, 4, 0, &what);
            assert!(pids[4..].iter().zip(&pids).all(|(next, before)| next == before), "{what}");
            let counted = counted(&service.status());
            assert!(counted.values().all(Option::is_none), "{what}: {counted:?}");
        }
    }
}
