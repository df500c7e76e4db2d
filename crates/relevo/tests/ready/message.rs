//! `--ready message`.

use crate::support::client::get;
use crate::support::load::Load;
use crate::support::ports::port;
use crate::{Steps, assert_refused, assert_reloaded, wait_for_workers};

fn listen(port: u16) -> String {
    format!("listen {port}")
}

#[test]
fn it_may_be_said_in_several_ways() {
    for say in [r#"message "ready""#, r#"message "online""#, r#"message {"cmd":"ready"}"#, "ready"]
    {
        println!("{say}");
        let port = port();
        let steps = Steps::new(&[&listen(port), say]);
        let service = steps.service("-w 1 --ready message --probation 0s").start();
        service.reload();
        service.wait_until_calm();
    }
}

/// A worker that listens and has not said that it is ready is dealt nothing.
#[test]
fn who_says_it_late_gets_no_connection_before() {
    for balance in ["auto", "round-robin"] {
        println!("--balance {balance}");
        let port = port();
        let steps = Steps::new(&[&listen(port), "ready"]);
        let options = format!("-w 2 --ready message --probation 100ms --balance {balance}");
        let service = steps.service(&options).start();
        let load = Load::new().keep_alive(10, port, "/").settled();
        let load = load.connection_per_request(4, port, "/");
        steps.set(&[&listen(port), &steps.until_go(), "ready"]);
        let reload = service.begin_reload(&[]);
        service.wait_for_line(&format!("listening on {port} in generation 2"));
        wait_for_workers(&service, &[("ready", 1), ("starting", 2), ("ready", 1)]);
        for _ in 0..if balance == "round-robin" { 40 } else { 0 } {
            let response = get(port, "/").expect("an answer");
            assert_eq!(response.json()["generation"], 1, "{}", service.log());
        }
        steps.go();
        assert_reloaded(reload, &service);
        let account = load.stop();
        account.assert_nothing_lost();
        service.wait_until_calm();
    }
}

#[test]
fn who_never_says_it_is_refused_and_nothing_is_lost() {
    let port = port();
    let steps = Steps::new(&[&listen(port), "ready"]);
    let service = steps.service("-w 2 --ready message --ready-timeout 3s").start();
    let load = Load::new().keep_alive(10, port, "/").settled();
    let load = load.connection_per_request(4, port, "/");
    steps.set(&[&listen(port), "message \"steady\""]);
    let sentence = "did not say that it is ready within 3.0 s (--ready-timeout): under --ready message an app calls `process.send('ready')`";
    assert_refused(&service, &[], sentence);
    steps.set(&[&listen(port), "ready"]);
    service.reload();
    load.stop().assert_nothing_lost();
    service.wait_until_calm();
}

/// Who says it before it listens is ready when it listens on all that the one before it did.
#[test]
fn saying_it_is_not_enough_where_the_old_one_listens() {
    let port = port();
    let steps = Steps::new(&[&listen(port), "ready"]);
    let service = steps.service("-w 1 --ready message --probation 0s").start();
    steps.set(&["ready", &steps.until_go(), &listen(port)]);
    let reload = service.begin_reload(&[]);
    wait_for_workers(&service, &[("ready", 1), ("starting", 2)]);
    steps.go();
    assert_reloaded(reload, &service);
}

/// An app without a port may say it, too.
#[test]
fn saying_it_is_enough_where_nothing_listens() {
    let steps = Steps::new(&["ready"]);
    let service = steps.service("-w 1 --ready message --probation 0s").start();
    let before = service.worker_pids();
    service.reload();
    service.wait_until_calm();
    assert_ne!(service.worker_pids(), before);
}
