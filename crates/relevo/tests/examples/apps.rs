//! The example apps under Relevo, dependencies from the registry as their lock files say.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::support::client::{Connection, get};
use crate::support::load::Load;
use crate::support::ports::port;
use crate::support::relevo::path_with;
use crate::support::root;
use crate::support::service::{Service, Setup};

/// An example's directory, with what it depends on.
fn installed(example: &str, dependency: &str) -> PathBuf {
    let directory = root().join("examples").join(example);
    // Several test programs may get here at once; the others find it done.
    let lock = std::env::temp_dir().join("relevo-examples.lock");
    let lock = File::create(lock).expect("a lock file");
    lock.lock().expect("the lock");
    if !directory.join("node_modules").join(dependency).join("package.json").exists() {
        let npm = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(&directory)
            .env("PATH", path_with(22))
            .output()
            .expect("npm");
        let said = String::from_utf8_lossy(&npm.stderr);
        assert!(npm.status.success(), "`npm ci` in {} failed: {said}", directory.display());
    }
    directory
}

fn start(directory: PathBuf, port: u16) -> Service {
    Setup::new(22, "app.js").directory(directory).options("-w 2").env("PORT", port).start()
}

#[test]
fn hello() {
    let port = port();
    let service = start(root().join("examples/hello"), port);
    let answer = get(port, "/").expect("an answer");
    assert!(answer.text().starts_with("hello from pid "), "{}", answer.text());
    assert!(answer.header("x-served-by").is_some_and(|worker| worker.starts_with("worker ")));
    let load = Load::new().connection_per_request(4, port, "/");
    service.reload();
    load.stop().assert_nothing_lost();
}

#[test]
fn express_and_fastify() {
    for (example, answer) in [("express", "express"), ("fastify", "fastify")] {
        let port = port();
        let service = start(installed(example, example), port);
        assert_eq!(get(port, "/").expect("an answer").json()["hello"], answer);
        let mut client = Connection::open(port).expect("a connection");
        let body = r#"{"text":"hi"}"#;
        let request = format!(
            "POST /notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        client.send(request.as_bytes()).expect("it is sent");
        let stored = client.receive().expect("an answer");
        assert_eq!((stored.status, &stored.json()["stored"]), (201, &json!({"text": "hi"})));
        // As the README has it: begun before the reload, finished by the worker that began it.
        let worker = client.get("/").expect("an answer").json()["pid"].clone();
        client.send_get("/slow?ms=1500").expect("it is sent");
        let load = Load::new().connection_per_request(4, port, "/");
        service.reload();
        load.stop().assert_nothing_lost();
        let slow = client.receive().expect("an answer").json();
        assert_eq!((&slow["pid"], &slow["waited"]), (&worker, &json!(1500)), "{example}");
        let (status, _) = service.stop();
        assert_eq!(status.code(), Some(0), "{example}");
    }
}
