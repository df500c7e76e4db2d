//! More time to become ready.

use crate::support::ports::port;
use crate::support::service::Service;
use crate::{Steps, assert_reloaded};

/// Waits until the new worker has lived for longer than it was given at first.
fn wait_until_late(service: &Service) {
    service.wait_for_status("a starting worker after its time", |status| {
        let worker = &status["slots"][0]["workers"][1];
        worker["state"] == "starting" && worker["uptime_ms"].as_u64().is_some_and(|ms| ms > 2300)
    });
}

#[test]
fn who_asks_for_it_has_more_time() {
    let cases = [
        ("listening", "extend 20000", "wait 0"),
        ("notify", "notify EXTEND_TIMEOUT_USEC=20000000", "notify READY=1"),
    ];
    for (ready, extend, says_it) in cases {
        println!("--ready {ready}");
        let port = port();
        let listen = format!("listen {port}");
        let steps = Steps::new(&[&listen, says_it]);
        let options = format!("-w 1 --ready {ready} --ready-timeout 2s --probation 0s");
        let service = steps.service(&options).start();
        steps.set(&[extend, &steps.until_go(), &listen, says_it]);
        let reload = service.begin_reload(&[]);
        service.wait_for_line("asks for more time: it may take");
        wait_until_late(&service);
        steps.go();
        assert_reloaded(reload, &service);
    }
}

/// Ten times `--ready-timeout` at most.
#[test]
fn there_is_an_end_to_it() {
    let port = port();
    let listen = format!("listen {port}");
    let steps = Steps::new(&[&listen]);
    let service = steps.service("-w 1 --ready-timeout 10s --probation 0s").start();
    steps.set(&["extend 3600000", &steps.until_go(), &listen]);
    let reload = service.begin_reload(&[]);
    service.wait_for_line("it may take 100.0 s to be ready, and no longer");
    steps.go();
    assert_reloaded(reload, &service);
}
