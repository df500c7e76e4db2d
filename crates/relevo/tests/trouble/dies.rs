//! New workers that listen, and die with what they have accepted: that is lost, and nothing else.

use crate::support::BALANCES;
use crate::support::client::Lost;
use crate::support::load::Load;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::{assert_refused, load};

/// Each has one request at a time, and so at most one at the worker that dies.
const VISITORS: u64 = 3;

fn undone(bad: &str, balance: &str) {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, &format!("-w 2 --balance {balance}")).start();
    let before = service.worker_pids();
    // They keep the connections that they have to the old workers.
    let kept = Load::new().keep_alive(10, port, "/").settled();
    let visitors = Load::new().connection_per_request(VISITORS as usize, port, "/");
    mood.set(bad);
    let output = service.ask("reload", &[]);
    assert_refused(&output, "exited with code 7", &service);
    assert_refused(&output, "generation 1 serves again on all slots", &service);
    assert_eq!(service.worker_pids(), before, "{}", service.log());
    let kept = kept.stop();
    kept.assert_unnoticed(&service.log());
    let account = visitors.stop();
    let lost: u64 = account.lost.values().sum();
    println!("{bad}, {balance}: answered {}, died with the new worker {lost}", account.answered);
    let with_it = |kind: &&Lost| matches!(kind, Lost::Closed | Lost::Reset);
    assert!(account.lost.keys().all(|kind| with_it(&kind)), "{account:#?}\n{}", service.log());
    assert!(lost <= VISITORS, "{account:#?}\n{}", service.log());
}

#[test]
fn soon_after_it_listens_under_every_balance() {
    for balance in BALANCES {
        undone("brief 200 7", balance);
    }
}

#[test]
fn at_its_first_request_under_every_balance() {
    for balance in BALANCES {
        undone("touchy 7", balance);
    }
}

/// `relevo prove`, with all its kinds of clients, while one bad version after the other is tried.
#[test]
fn nobody_notices_versions_that_never_serve() {
    let mood = Mood::new();
    let port = port();
    let options = "-w 2 --ready-timeout 1s --probation 300ms";
    let service = mood.service(port, options).start();
    let url = format!("http://127.0.0.1:{port}/");
    let words = ["prove", &url, "--reloads", "0", "--seconds", "12", "--strict", "--json"];
    let mut prove = service.command(&words);
    let prove = prove.stdout(std::process::Stdio::piped()).spawn().expect("relevo runs");
    let load = load(port);
    for (bad, reason) in [
        ("exit 3", "exited with code 3 before it listened"),
        ("throw", "exited with code 1 before it listened"),
        ("exit 0", "exited with code 0 before it listened"),
        ("silent", "within 1.0 s (--ready-timeout)"),
        ("stuck", "within 1.0 s (--ready-timeout)"),
    ] {
        mood.set(bad);
        assert_refused(&service.ask("reload", &[]), reason, &service);
    }
    mood.set("well");
    assert_eq!(service.reload()["outcome"], "succeeded");
    load.stop().assert_unnoticed(&service.log());
    let output = prove.wait_with_output().expect("its end");
    let report = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{report}\n{}", service.log());
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert!(report["requests"]["answered"].as_u64() > Some(1000), "{report:#}");
    service.wait_until_calm();
}
