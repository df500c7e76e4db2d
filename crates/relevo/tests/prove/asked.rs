//! Questions that cannot be answered, and reports that can be read.

use std::net::TcpListener;

use crate::app;
use crate::support::ports::port;
use crate::support::relevo::Relevo;

#[track_caller]
fn check(words: &[&str], code: i32, said: &[&str]) {
    Relevo::new(&[&["prove"], words].concat()).run().assert_code(code).assert_one_sentence(said);
}

#[test]
fn what_cannot_be_asked() {
    check(&[], 2, &["URL"]);
    check(&["127.0.0.1:3000"], 2, &["write it as in `http://127.0.0.1:3000/`"]);
    check(&["ftp://x/"], 2, &["neither http nor https"]);
    let url = "http://127.0.0.1:9/";
    check(&[url, "--mix", "old=1"], 2, &["`old` is no kind of client", "keep-alive"]);
    check(&[url, "--path", "a"], 2, &["does not begin with a slash"]);
    check(&[url, "--header", "a"], 2, &["has no colon"]);
    check(&[url, "--expect", "20"], 2, &["no list of HTTP statuses"]);
    check(&[url, "--method", "CONNECT"], 2, &["no method"]);
    check(&[url, "--id-header", "a b"], 2, &["no header's name"]);
    check(&[url, "--reloads", "1001"], 2, &["1001"]);
    check(&[url, "--kill", "primary"], 2, &["primary"]);
    check(&[url, "--think", "5"], 2, &["5"]);
    check(
        &[url, "--reloads", "0", "--ca", "/nowhere.pem"],
        2,
        &["--ca: /nowhere.pem: No such file"],
    );
    check(&[url, "--reloads", "0", "--body", "@/nowhere"], 2, &["--body: /nowhere: No such file"]);
    check(
        &[url, "--reloads", "0", "--html", "/nowhere/r.html"],
        2,
        &["/nowhere/r.html cannot be written"],
    );
    check(&[url, "--on-reload", "true", "--service", "web"], 2, &["--service"]);
}

#[test]
fn whom_to_ask_is_not_there() {
    // Bound, and so nobody else's, but nobody listens.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let url = format!("http://{address}/");
    check(&[&url, "--reloads", "0"], 2, &["nobody answers at 127.0.0.1:", "refused"]);
    check(&[&url], 2, &["no service listens on port", "--on-reload", "--reloads 0"]);
    check(&[&url, "--service", "nothing-of-that-name"], 3, &["nothing-of-that-name"]);
    check(&["http://192.0.2.1:80/"], 2, &["is not on this machine", "--on-reload"]);
}

#[test]
fn the_wrong_port_and_the_wrong_path() {
    let port = port();
    let service = app("http", port).start();
    let other = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let url = format!("http://{other}/");
    let output = service.command(&["prove", &url]).output().expect("relevo runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let expected = format!("there are `{}` (", service.name);
    assert!(said.contains(&expected) && said.contains(&format!(":{port})")), "{said}");
    let url = format!("http://127.0.0.1:{port}/");
    let words = ["prove", &url, "--mix", "websocket=1"];
    let output = service.command(&words).output().expect("relevo runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("does not become a WebSocket"), "{said}");
}

#[test]
fn a_report_for_people() {
    let port = port();
    let service = app("http", port).start();
    let url = format!("http://127.0.0.1:{port}/");
    let words = ["prove", &url, "--reloads", "1"];
    let output = service.command(&words).output().expect("relevo runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(output.stderr, b"", "progress is for terminals");
    for words in [
        "clients",
        "4 new",
        "32 keep-alive",
        "44 in all",
        "p99 of quick requests",
        "nothing was lost: ",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains(&format!("1 disturbance by `relevo reload {}`", service.name)), "{text}");
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(widest <= 110, "{widest}: {text}");
}
