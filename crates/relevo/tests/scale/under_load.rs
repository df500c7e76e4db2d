//! Up and down again and again, and no client notices.

use crate::support::fixture;
use crate::support::load::Load;
use crate::support::ports::port;
use crate::support::service::Setup;
use crate::support::traffic::{slow_response, slow_upload};
use crate::{scale, slots};

fn loses_nothing(balance: &str) {
    let port = port();
    let service = Setup::new(22, fixture("kitchen.js"))
        .options(&format!("-w 2 --balance {balance}"))
        .env("PORT", port)
        .start();
    let load = Load::new().connection_per_request(16, port, "/").keep_alive(4, port, "/");
    for _ in 0..6 {
        let up = scale(&service, "4");
        assert_eq!((&up["from"], &up["to"], &up["ready"]), (&2.into(), &4.into(), &4.into()));
        assert_eq!(service.worker_pids().len(), 4);
        // Some of them in the slots that leave.
        let long: Vec<_> = (0..4).map(|_| slow_response(port, 700)).collect();
        let upload = slow_upload(port, 5);
        let down = scale(&service, "-2");
        assert_eq!((&down["to"], &down["ready"]), (&2.into(), &2.into()));
        assert_eq!((&down["cut"]["request"], &down["cut"]["upload"]), (&0.into(), &0.into()));
        for request in long {
            assert!(request.join().expect("no panic").is_ok(), "a response was lost");
        }
        assert!(upload.join().expect("no panic").is_ok(), "an upload was lost");
    }
    let account = load.stop();
    println!("{balance}: answered {}, raced {}", account.answered, account.raced);
    account.assert_nothing_lost();
    let status = service.wait_for_status("the surplus workers' end", |status| {
        slots(status) == [0, 1] && status["state"] == "running"
    });
    // What the kernel still chooses them for is dealt to the others.
    let covering = &status["listeners"][0]["covering"];
    let kept = if balance == "kernel" { serde_json::json!([2, 3]) } else { serde_json::json!([]) };
    assert_eq!(*covering, kept, "{status}");
    let (ended, log) = service.stop();
    assert!(ended.success(), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("bug in Relevo")), "{log:?}");
}

#[test]
fn sockets_of_each_slot_lose_nothing() {
    loses_nothing("kernel");
}

#[test]
fn dealt_connections_are_not_lost() {
    loses_nothing("round-robin");
}

#[test]
fn one_shared_socket_loses_nothing() {
    loses_nothing("shared");
}

/// A rollout goes on while slots come and go.
#[test]
fn a_reload_meanwhile_loses_nothing_either() {
    let port = port();
    let service = Setup::new(22, fixture("kitchen.js")).options("-w 2").env("PORT", port).start();
    let load = Load::new().connection_per_request(8, port, "/");
    for _ in 0..4 {
        let accepted = service.ask("reload", &["--no-wait"]);
        assert!(accepted.status.success(), "{accepted:?}");
        scale(&service, "4");
        let accepted = service.ask("reload", &["--no-wait"]);
        assert!(accepted.status.success(), "{accepted:?}");
        scale(&service, "1");
        scale(&service, "2");
    }
    let rollout = service.reload();
    assert_eq!(rollout["outcome"], "succeeded", "{rollout}");
    load.stop().assert_nothing_lost();
    let status = service.wait_until_calm();
    assert_eq!(slots(&status), [0, 1]);
    let generation = status["generation"].as_u64().expect("a number");
    for slot in status["slots"].as_array().expect("slots") {
        assert_eq!(slot["workers"][0]["generation"], generation, "{status}");
    }
}
