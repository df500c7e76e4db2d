//! New workers whose event loop stands still.

use serde_json::Value;

use crate::support::BALANCES;
use crate::support::load::Load;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::{assert_refused, load};

#[test]
fn at_boot_it_is_never_ready_and_refused() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2 --ready-timeout 1s").start();
    let before = service.worker_pids();
    let load = load(port);
    mood.set("stuck");
    assert_refused(&service.ask("reload", &[]), "within 1.0 s (--ready-timeout)", &service);
    mood.set("well");
    service.reload();
    load.stop().assert_unnoticed(&service.log());
    let status = service.wait_until_calm();
    assert_eq!(status["state"], "running");
    assert!(service.worker_pids().iter().all(|pid| !before.contains(pid)), "{}", service.log());
}

/// It does so when it has no connection: what waits for it then is answered by others.
#[test]
fn later_it_is_undone_under_every_balance() {
    for balance in BALANCES {
        println!("--balance {balance}");
        let mood = Mood::new();
        let port = port();
        let options = format!("-w 2 --probation 20s --hang-timeout 1s --balance {balance}");
        let service = mood.service(port, &options).start();
        let before = service.worker_pids();
        let load = Load::new().keep_alive(10, port, "/").settled();
        let load = load.connection_per_request(1, port, "/");
        mood.set("stuck 300");
        let output = service.ask("reload", &[]);
        assert_refused(&output, "hung, no answer for", &service);
        assert_refused(&output, "generation 1 serves again on all slots", &service);
        assert_eq!(service.worker_pids(), before, "{}", service.log());
        load.stop().assert_unnoticed(&service.log());
        let ready = |status: &Value| {
            let slots = status["slots"].as_array().expect("slots");
            slots.iter().all(|slot| slot["state"] == "ready" && slot["workers"][1].is_null())
        };
        service.wait_for_status("both slots are ready, and nobody else is there", ready);
    }
}
