//! Trials that do not begin: the question is wrong, and the answer says so.

use std::net::TcpListener;

use crate::server::{Reply, ok, plan, run, serve};

#[track_caller]
fn check(plan: relevo_prove::Plan, expected: &[&str]) {
    let refusal = run(plan, None).expect_err("a refusal").to_string();
    for words in expected {
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[test]
fn nobody_there() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    check(plan(address, "new=1"), &["nobody answers at 127.0.0.1:", "refused", "relevo status"]);
    let mut wish = plan(address, "new=1");
    wish.target.unix_socket = Some("/nowhere/web.sock".into());
    check(wish, &["nobody answers at /nowhere/web.sock", "No such file"]);
    let wish = relevo_prove::Plan {
        target: "http://no-such-host.invalid/".parse().unwrap(),
        ..plan(address, "new=1")
    };
    check(wish, &["`no-such-host.invalid` stands for no address"]);
}

#[test]
fn not_http() {
    let ssh = serve(|_| Reply::Bytes("SSH-2.0-OpenSSH_9.2\r\n".to_owned()));
    check(plan(ssh, "new=1"), &["SSH-2.0", "it does not speak HTTP: is it the right port?"]);
    // A server of TLS says by an alert that it was not spoken to in TLS.
    let tls = serve(|_| Reply::Bytes("\u{15}\u{3}\u{1}\0\u{2}\u{2}F".to_owned()));
    check(plan(tls, "new=1"), &["it speaks TLS: use https://"]);
    let mut wish = plan(serve(|_| Reply::Bytes(ok("hello"))), "new=1");
    wish.target = wish.target.url.replace("http:", "https:").parse().unwrap();
    wish.trust = relevo_prove::Trust::Anybody;
    wish.timeout = std::time::Duration::from_secs(2);
    // A server of HTTP waits for the end of a head that never comes, or says in HTTP that it is bad.
    check(wish, &["gets no answer"]);
}

#[test]
fn statuses_that_prove_nothing() {
    let broken =
        || serve(|_| Reply::Bytes("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n".to_owned()));
    check(plan(broken(), "new=1"), &["GET / is answered with 500", "--path", "--expect 500"]);
    let mut wish = plan(broken(), "new=1");
    wish.expect = Some("200".parse().unwrap());
    check(wish, &["GET / is answered with 500, which --expect does not name"]);
    let mut wish = plan(broken(), "new=1");
    wish.expect = Some("500".parse().unwrap());
    assert!(run(wish, None).unwrap().passed);
    let fickle = serve(|request| match request.number % 2 {
        0 => Reply::Bytes(ok("")),
        _ => Reply::Bytes("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_owned()),
    });
    check(plan(fickle, "new=1"), &["answered with 200, then with 404", "--expect 200,404"]);
}

#[test]
fn no_answer_and_no_websocket() {
    let silent = serve(|_| Reply::Silence);
    check(plan(silent, "new=1"), &["no answer within 500ms", "is it the right path?"]);
    let plain = serve(|_| Reply::Bytes(ok("hello")));
    check(
        plan(plain, "websocket=1"),
        &["/ does not become a WebSocket (status 200)", "--path websocket="],
    );
    check(plan(plain, "http2=1"), &["GET / at 127.0.0.1:", "gets no answer"]);
}

#[test]
fn uploads_that_nobody_asked_for_are_left_out_where_they_do_not_work() {
    let address = serve(|request| match request.method.as_str() {
        "GET" => Reply::Bytes(ok("hello")),
        _ => Reply::Bytes("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n".to_owned()),
    });
    let mut wish = plan(address, "new=1");
    wish.mix = None;
    let report = run(wish, None).unwrap();
    assert!(report.passed, "{report:#?}");
    assert!(report.remarks[0].starts_with("slow-upload left out: POST / is answered with 500"));
    check(plan(address, "slow-upload=1"), &["POST / is answered with 500"]);
}
