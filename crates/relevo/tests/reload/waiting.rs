//! What a rollout waits for, and what it does not.

use std::time::{Duration, Instant};

use crate::support::client::{Connection, Lost};
use crate::support::fixture;
use crate::support::ports::port;
use crate::support::service::{Service, Setup};
use crate::support::traffic::Traffic;

fn worker_states(service: &Service) -> Vec<String> {
    let status = service.status();
    let slots = status["slots"].as_array().expect("slots");
    let workers = slots.iter().flat_map(|slot| slot["workers"].as_array().expect("workers"));
    workers.map(|worker| worker["state"].as_str().expect("a word").to_owned()).collect()
}

#[test]
fn idle_connections_that_stay_do_not_hold_up_a_rollout() {
    let port = port();
    let service = Setup::new(22, fixture("kitchen.js"))
        .options("-w 2 --handover off")
        .env("PORT", port)
        .env("KEEPALIVE_MS", 60_000)
        .start();
    let mut idle: Vec<Connection> =
        (0..20).map(|_| Connection::open(port).expect("a connection")).collect();
    for connection in &mut idle {
        assert_eq!(connection.get("/").map(|response| response.status), Ok(200));
    }
    let began = Instant::now();
    let rollout = service.reload();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "the rollout took {took:?}: {}", service.log());
    assert_eq!(rollout["cut"]["request"], 0);
    let lingering = worker_states(&service).iter().filter(|state| *state == "lingering").count();
    assert_eq!(lingering, 2, "{:?}", worker_states(&service));
    // They are told with their next response, and the old workers go when all are.
    for connection in &mut idle {
        let last = connection.get("/").expect("an answer on an idle connection");
        assert!(last.says_close(), "{last:?}");
        assert_eq!(last.json()["generation"], 1);
    }
    service.wait_until_calm();
}

#[test]
fn a_stuck_request_holds_the_rollout_until_the_drain_timeout_and_is_named() {
    let port = port();
    let service = Setup::new(22, fixture("kitchen.js"))
        .options("-w 1 --drain-timeout 4s")
        .env("PORT", port)
        .start();
    let traffic = Traffic::begin(port);
    let mut stuck = Connection::open(port).expect("a connection");
    stuck.send_get("/stream?ms=60000&chunks=60").expect("a request");
    stuck.stream.peek(&mut [0]).expect("the beginning of a response");
    let mut events = Connection::open(port).expect("a connection");
    events.send_get("/events?ms=50").expect("a request");
    events.stream.peek(&mut [0]).expect("the first event");

    let began = Instant::now();
    let rollout = service.reload();
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(4), "the rollout took only {took:?}");
    assert!(took < Duration::from_secs(4 + 4), "the rollout took {took:?}");
    assert_eq!(rollout["cut"]["request"], 1, "{rollout}");
    assert_eq!(rollout["cut"]["event_stream"], 1, "{rollout}");
    assert_eq!(rollout["cut"]["upload"], 0, "{rollout}");
    let end = stuck.receive().map(|response| response.status);
    assert!(matches!(end, Err(Lost::Closed | Lost::Reset)), "{end:?}");
    let log = service.log();
    assert!(log.contains("did not finish in time; ending"), "{log}");
    assert!(log.contains("1 event stream") && log.contains("1 request"), "{log}");
    assert_eq!(service.status()["rollout"]["cut"], rollout["cut"]);
    traffic.end("a stuck request");
}
