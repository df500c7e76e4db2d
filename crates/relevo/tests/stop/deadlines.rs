//! A stop whose time runs out: `docs/drain.md`, "Order of a stop".

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::{Connection, Lost};
use crate::support::fixture;
use crate::support::ports::port;
use crate::support::service::Setup;

/// How much later than it should anything may happen on a busy machine.
const SLACK: Duration = Duration::from_millis(1500);

/// Begins a response that takes a minute, stops, and measures when it is cut and when all is over.
fn cut(setup: Setup) -> (Duration, Duration, String) {
    let port = port();
    let mut service = setup.env("PORT", port).start();
    let mut stuck = Connection::open(port).expect("a connection");
    stuck.send_get("/stream?ms=60000&chunks=60").expect("a request");
    stuck.stream.peek(&mut [0]).expect("the beginning of a response");
    let began = Instant::now();
    service.signal(Signal::TERM);
    let end = stuck.receive().map(|response| response.status);
    let cut = began.elapsed();
    assert!(matches!(end, Err(Lost::Closed | Lost::Reset)), "{end:?}");
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    (cut, began.elapsed(), service.log())
}

fn assert_about(what: &str, measured: Duration, expected: Duration) {
    let in_time = measured >= expected && measured < expected + SLACK;
    assert!(in_time, "{what} after {measured:?}, not about {expected:?}");
}

#[test]
fn the_stop_signal_comes_a_stop_timeout_before_the_end() {
    let setup = Setup::new(22, fixture("kitchen.js"))
        .options("-w 1 --shutdown-timeout 3s --stop-timeout 1s");
    let (cut, over, log) = cut(setup);
    assert_about("cut", cut, Duration::from_secs(2));
    assert_about("over", over, Duration::from_secs(2));
    assert!(log.contains("did not finish in time; ending 1 request"), "{log}");
}

#[test]
fn a_stop_timeout_that_is_too_long_gets_half_of_the_time() {
    let setup = Setup::new(22, fixture("kitchen.js"))
        .options("-w 1 --shutdown-timeout 2s --stop-timeout 10s");
    let (cut, over, _) = cut(setup);
    assert_about("cut", cut, Duration::from_secs(1));
    assert_about("over", over, Duration::from_secs(1));
}

#[test]
fn workers_that_ignore_the_stop_signal_are_killed_at_the_end() {
    let setup = Setup::new(22, fixture("kitchen.js"))
        .options("-w 1 --shutdown-timeout 3s --stop-timeout 1s")
        .env("IGNORE_TERM", 1);
    let (cut, over, log) = cut(setup);
    assert_about("cut", cut, Duration::from_secs(3));
    assert_about("over", over, Duration::from_secs(3));
    assert!(log.contains("did not end by the stop signal; killing it"), "{log}");
}
