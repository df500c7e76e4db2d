//! What becomes of the sockets of slots that have left.

use std::process::Command;

use serde_json::{Value, json};

use crate::slots;
use crate::support::fixture;
use crate::support::ports::port;
use crate::support::service::{RELEVO, Service, Setup};

/// A command about a service that has a network of its own.
fn ask(service: &Service, words: &[&str]) -> Value {
    let mut command = Command::new("nsenter");
    command.args(["--preserve-credentials", "--user", "--net", "--target"]);
    command.arg(service.pid().to_string()).args([RELEVO, words[0], &service.name, "--json"]);
    command.args(&words[1..]).env("RELEVO_RUNTIME_DIR", service.runtime.path());
    let output = command.output().expect("nsenter is in the package util-linux");
    assert!(output.status.success(), "{output:?}\n{}", service.log());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Where a SYN-ACK is never repeated, a handshake is over within a second.
#[test]
fn they_close_when_no_handshake_can_end_there_any_more() {
    const ALONE: [&str; 4] = ["unshare", "--map-root-user", "--net", "--"];
    const SET: &str = "echo 0 > /proc/sys/net/ipv4/tcp_synack_retries && exec \"$0\" \"$@\"";
    let through: Vec<&str> = ALONE.into_iter().chain(["sh", "-c", SET]).collect();
    let service = Setup::new(22, fixture("kitchen.js"))
        .through(&through)
        .options("-w 3")
        .env("PORT", port())
        .start();
    ask(&service, &["scale", "1"]);
    let covering = |status: &Value| status["listeners"][0]["covering"].clone();
    assert_eq!(covering(&ask(&service, &["status"])), json!([1, 2]));
    let status = crate::support::eventually("one socket", || {
        let status = ask(&service, &["status"]);
        if covering(&status) == json!([]) { Ok(status) } else { Err(status) }
    });
    assert_eq!(slots(&status), [0]);
    // They are made anew for slots that come back.
    let up = ask(&service, &["scale", "2"]);
    assert_eq!(up["ready"], 2);
    assert_eq!(service.count_lines("no longer listening"), 0);
}
