//! What Relevo replaces loses nothing, by every kind of client.

use crate::support::TempDir;
use crate::support::fixture;
use crate::support::ports::port;
use crate::support::service::Setup;
use crate::{app, assert_passed, prove};

#[test]
fn plain_http_with_every_kind() {
    let port = port();
    let service = app("http", port).start();
    let files = TempDir::new("reports");
    let (html, junit) = (files.join("r.html"), files.join("r.xml"));
    let more = format!(
        "--reloads 4 --strict --path slow-response=/slow?ms=700 --path large-response=/large \
         --path slow-upload=/upload --html {} --junit {}",
        html.display(),
        junit.display()
    );
    let trial = prove(&service, &format!("http://127.0.0.1:{port}/"), &more);
    assert_passed(&service, &trial);
    let (_, report) = trial;
    assert_eq!(report["connections"]["closed_idle"], 0, "{report:#}");
    assert_eq!(report["requests"]["repeated"], 0, "pipelined ones were refused: {report:#}");
    assert_eq!(report["disturbances"].as_array().map(Vec::len), Some(4), "{report:#}");
    assert_eq!(report["disturbance"], format!("relevo reload {}", service.name));
    assert!(std::fs::read_to_string(html).expect("a page").contains("<svg "));
    assert!(std::fs::read_to_string(junit).expect("XML").contains("failures=\"0\""));
}

#[test]
fn tls_and_http2() {
    let port = port();
    let service = app("http2", port).start();
    // Node's HTTP/2 server speaks nothing else unless it is told to.
    let url = format!("https://127.0.0.1:{port}/");
    let trial = prove(&service, &url, "--insecure --reloads 3 --mix http2=8");
    assert_passed(&service, &trial);
    let certificate = fixture("tls/cert.pem");
    let port = crate::support::ports::port();
    let service = app("https", port).start();
    let url = format!("https://127.0.0.1:{port}/");
    let trial = prove(&service, &url, "--insecure --reloads 3 --mix new=8,keep-alive=8");
    assert_passed(&service, &trial);
    // Sessions go on over reloads: all workers of all generations have the same keys for them.
    let tls = &trial.1["tls"];
    assert!(tls["offered"].as_u64() > Some(50), "{tls}");
    assert_eq!(tls["resumed"], tls["offered"], "{tls}");
    // Whom to trust is asked before anything is tried.
    let (output, report) =
        prove(&service, &url, &format!("--reloads 0 --ca {}", certificate.display()));
    let reason = report["error"]["reason"].as_str().unwrap_or_default();
    assert_eq!(output.status.code(), Some(2), "{report:#}");
    assert!(reason.contains("--insecure"), "{reason}");
}

#[test]
fn clear_http2_and_websockets() {
    let port = port();
    let service = app("http2", port).env("CLEAR", 1).start();
    let url = format!("http://127.0.0.1:{port}/");
    let trial = prove(&service, &url, "--reloads 3 --mix http2=8");
    assert_passed(&service, &trial);
    let port = crate::support::ports::port();
    let service = app("ws", port).start();
    let url = format!("http://127.0.0.1:{port}/");
    let more = "--reloads 3 --mix websocket=16,keep-alive=4 --path websocket=/ws";
    let (output, report) = prove(&service, &url, more);
    assert_eq!(output.status.code(), Some(0), "{report:#}\n{}", service.log());
    // What is on its way when a WebSocket is told to go gets no answer; nothing else may be without.
    let requests = &report["requests"];
    let ended = requests["answered"].as_u64().zip(requests["unanswered"].as_u64());
    assert_eq!(ended.map(|(a, b)| a + b), requests["begun"].as_u64(), "{report:#}");
    assert!(report["connections"]["announced"].as_u64() >= Some(16), "{report:#}");
}

#[test]
fn a_unix_socket() {
    let directory = TempDir::new("socket");
    let path = directory.join("web.sock");
    let service = Setup::new(22, fixture("kitchen.js"))
        .options("-w 2")
        .env("LISTEN_PATH", path.display())
        .start();
    let more =
        format!("--reloads 2 --strict --mix keep-alive=8,new=2 --unix-socket {}", path.display());
    assert_passed(&service, &prove(&service, "http://web/", &more));
}

#[test]
fn killed_workers_lose_what_they_had_and_nothing_else() {
    let port = port();
    let service = app("http", port).start();
    let url = format!("http://127.0.0.1:{port}/slow?ms=30");
    let (output, report) =
        prove(&service, &url, "--kill worker --reloads 3 --mix keep-alive=32,new=8 --think 20ms");
    assert_eq!(output.status.code(), Some(0), "{report:#}\n{}", service.log());
    let requests = &report["requests"];
    assert!(requests["killed"].as_u64() > Some(0), "nothing was under way: {report:#}");
    let ended = requests["answered"].as_u64().zip(requests["killed"].as_u64());
    assert_eq!(ended.map(|(a, b)| a + b), requests["begun"].as_u64(), "{report:#}");
    for one in report["disturbances"].as_array().expect("disturbances") {
        assert!(one["said"].as_str().is_some_and(|said| said.contains("ready again")), "{one}");
    }
}
