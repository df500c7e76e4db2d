//! `--lame-duck`: before a stop, clients are told to go elsewhere, and are served all the same.

use rustix::process::Signal;

use crate::support::client::{Connection, get};
use crate::support::fixture;
use crate::support::nodes::MAJORS;
use crate::support::ports::port;
use crate::support::service::{Service, Setup};

fn start(major: u32, port: u16, options: &str) -> Service {
    let setup = Setup::new(major, fixture("kitchen.js")).options("-w 2").options(options);
    setup.env("PORT", port).start()
}

#[test]
fn each_answer_is_the_last_of_its_connection_and_the_next_one_is_served() {
    for major in MAJORS {
        let port = port();
        let mut service = start(major, port, "--lame-duck 3s");
        let mut kept = Connection::open(port).expect("a connection");
        assert!(!kept.get("/").expect("an answer").says_close());
        let mut idle = Connection::open(port).expect("a connection");
        assert!(!idle.get("/").expect("an answer").says_close());
        service.signal(Signal::TERM);
        service.wait_for_line("relevo: stopping");
        // The word is on its way to the workers: until it is there, answers are as ever.
        let mut told = false;
        while !told {
            told = kept.get("/").expect("an answer").says_close();
        }
        for _ in 0..20 {
            let mut new = Connection::open(port).expect("a connection");
            let answer = new.get("/").expect("an answer");
            assert_eq!(answer.status, 200, "node {major}");
            assert!(answer.says_close(), "node {major}: {:?}", answer.headers);
        }
        // One that was idle all the time was not closed, but is told, too.
        assert!(idle.get("/").expect("an answer").says_close(), "node {major}");
        assert_eq!(service.status()["state"], "stopping");
        assert_eq!(service.wait().code(), Some(0), "node {major}");
    }
}

#[test]
fn requests_under_way_and_pipelined_ones_are_all_answered() {
    let port = port();
    let mut service = start(22, port, "--lame-duck 1s");
    let mut slow = Connection::open(port).expect("a connection");
    slow.send_get("/slow?ms=1500").expect("a request");
    let mut several = Connection::open(port).expect("a connection");
    several.get("/").expect("an answer");
    service.signal(Signal::TERM);
    service.wait_for_line("relevo: stopping");
    while !get(port, "/").expect("an answer").says_close() {}
    let one = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    several.send(one.repeat(3).as_bytes()).expect("requests");
    let answers = [(); 3].map(|()| several.receive().expect("an answer").says_close());
    assert_eq!(answers, [false, false, true]);
    assert_eq!(slow.receive().expect("an answer").status, 200);
    assert_eq!(service.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_it() {
    let port = port();
    let mut service = start(22, port, "--lame-duck 5m");
    service.signal(Signal::TERM);
    service.wait_for_line("relevo: stopping");
    service.signal(Signal::TERM);
    // Far sooner than five minutes, or this fails.
    service.wait();
}
