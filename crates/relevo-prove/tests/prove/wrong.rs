//! One fault each.

use relevo_wire::prove::{Outcomes, Report};

use crate::server::{Reply, Request, ok, plan, serve, trial};

/// A server that does its one fault with every so many requests, after the rehearsal's.
fn faulty(
    every: u64,
    fault: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Request) -> Reply {
    move |request| match request.number {
        number if number >= 20 && number.is_multiple_of(every) => fault(request),
        _ => Reply::Bytes(ok("hello")),
    }
}

/// The trial fails by this end and no other.
#[track_caller]
fn check_only(report: &Report, end: fn(&Outcomes) -> u64, words: &str) {
    let requests = &report.requests;
    assert!(end(requests) > 0, "{report:#?}");
    assert_eq!(requests.lost(), end(requests), "{report:#?}");
    assert!(!report.passed && report.verdict.contains(words), "{}", report.verdict);
    assert_eq!(report.lost.len() as u64 + report.lost_unlisted, requests.lost());
}

const ALL: &str = "new=2,keep-alive=4,pipelined=1,slow-upload=1,slow-response=1,large-response=1";

#[test]
fn a_good_server_passes_with_every_kind() {
    let report = trial(plan(serve(|_| Reply::Bytes(ok("hello"))), ALL));
    assert!(report.passed, "{report:#?}");
    assert_eq!(report.kinds.len(), 6);
    for kind in &report.kinds {
        assert!(kind.requests.answered > 0, "{kind:?}");
    }
    assert_eq!(report.connections.closed_idle, 0);
}

#[test]
fn another_status() {
    let answer = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let report = trial(plan(serve(faulty(7, |_| Reply::Bytes(answer.to_owned()))), ALL));
    check_only(&report, |it| it.wrong, "wrong");
    assert!(report.lost[0].what.contains("status 503"), "{:?}", report.lost[0]);
}

#[test]
fn the_answer_to_another_request() {
    let echo = |request: &Request| {
        let id = if request.number == 30 { "prove-00000000ffff" } else { &request.id };
        let answer = ok("hello").replace("\r\n\r\n", &format!("\r\nX-Request-Id: {id}\r\n\r\n"));
        Reply::Bytes(answer)
    };
    let report = trial(plan(serve(echo), "keep-alive=4"));
    check_only(&report, |it| it.wrong, "1 wrong");
    assert!(report.lost[0].what.contains("another request: `prove-00000000ffff`"));
    // In the body it is found as well.
    let echo =
        |request: &Request| Reply::Bytes(ok(if request.number == 30 { "" } else { &request.id }));
    let report = trial(plan(serve(echo), "keep-alive=4"));
    check_only(&report, |it| it.wrong, "1 wrong");
}

#[test]
fn what_is_no_http() {
    let report = trial(plan(
        serve(faulty(9, |_| Reply::BytesAndClose("hello\r\n\r\n".to_owned()))),
        "keep-alive=4",
    ));
    check_only(&report, |it| it.wrong, "wrong");
}

#[test]
fn a_closed_connection() {
    let report = trial(plan(serve(faulty(9, |_| Reply::Close)), "keep-alive=4,new=1"));
    check_only(&report, |it| it.closed, "closed before the answer");
    assert!(report.requests.raced > 0, "{report:#?}");
    // In the middle of an answer that says how long it is, and of one in chunks.
    for beginning in
        ["Content-Length: 9\r\n\r\nhell", "Transfer-Encoding: chunked\r\n\r\n9\r\nhell"]
    {
        let answer = format!("HTTP/1.1 200 OK\r\n{beginning}");
        let report = trial(plan(
            serve(faulty(9, move |_| Reply::BytesAndClose(answer.clone()))),
            "keep-alive=4",
        ));
        check_only(&report, |it| it.closed, "closed before the answer");
        assert_eq!(report.requests.raced, 0, "its answer had begun: {report:#?}");
    }
}

#[test]
fn a_reset_connection() {
    let report = trial(plan(serve(faulty(9, |_| Reply::Reset)), "keep-alive=4,new=1"));
    check_only(&report, |it| it.reset, "reset");
}

#[test]
fn no_answer() {
    let report = trial(plan(serve(faulty(9, |_| Reply::Silence)), "keep-alive=8,pipelined=2"));
    check_only(&report, |it| it.late, "without an answer in time");
}

#[test]
fn an_idle_connection_that_is_closed_without_a_word() {
    let rude = |request: &Request| match request.before {
        2 => Reply::BytesAndClose(ok("hello")),
        _ => Reply::Bytes(ok("hello")),
    };
    let mut wish = plan(serve(rude), "keep-alive=4");
    // Long enough that no request goes out just then.
    wish.think = std::time::Duration::from_millis(50);
    wish.strict = true;
    let report = trial(wish);
    assert!(report.connections.closed_idle > 0, "{report:#?}");
    assert!(!report.passed, "{}", report.verdict);
}

#[test]
fn a_connection_that_is_closed_as_announced_is_no_loss() {
    let polite = |request: &Request| match request.before {
        2 => Reply::BytesAndClose(ok("hello").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")),
        _ => Reply::Bytes(ok("hello")),
    };
    let report = trial(plan(serve(polite), "keep-alive=4,pipelined=2"));
    assert!(report.passed, "{report:#?}");
    assert!(report.connections.announced > 0 && report.connections.closed_idle == 0);
    // What was pipelined behind such an answer was not begun, and is sent again.
    assert!(report.requests.repeated > 0, "{report:#?}");
}

#[test]
fn an_idle_time_that_was_announced_is_no_loss() {
    let patient = |request: &Request| {
        let answer = ok("hello").replace("\r\n\r\n", "\r\nKeep-Alive: timeout=1\r\n\r\n");
        // It closes at once what it said would be open for a second.
        if request.before == 1 { Reply::BytesAndClose(answer) } else { Reply::Bytes(answer) }
    };
    let report = trial(plan(serve(patient), "keep-alive=4"));
    assert_eq!(report.connections.expired, 0, "{report:#?}");
    assert!(report.connections.closed_idle > 0, "{report:#?}");
}
