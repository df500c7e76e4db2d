//! The stop signal: when it comes, which it is, and what follows.

use std::net::TcpListener;

use crate::farewell;
use crate::support::client::get;
use crate::support::ports::port;
use crate::support::service::Service;

/// What the old worker said when the stop signal came.
fn farewell_of_the_first(service: &Service) -> String {
    let pid = service.worker_pids()[0];
    service.reload();
    service.wait_for_line(&format!("farewell {pid}: SIG"))
}

/// Handles that a database's pool holds keep it alive, so it needs the signal.
#[test]
fn an_app_that_stays_alive_gets_the_stop_signal_a_second_after_the_disconnect() {
    let database = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let database_port = database.local_addr().expect("its address").port();
    let service = farewell(22, port(), "-w 1")
        .env("ON_SIGNAL", "exit")
        .env("DATABASE_PORT", database_port)
        .start();
    let line = farewell_of_the_first(&service);
    let after = line.split_once("SIGTERM ").map(|(_, after)| after).expect("SIGTERM");
    let ms: u32 = after
        .strip_suffix(" ms after the channel's end")
        .and_then(|ms| ms.parse().ok())
        .unwrap_or_else(|| panic!("{line}"));
    assert!((800..2500).contains(&ms), "{line}");
    service.wait_for_line("gone (exited with code 0)");
    service.wait_until_calm();
}

/// An app with nothing of that kind ends with the channel, and gets no signal.
#[test]
fn an_app_with_nothing_left_ends_before_the_stop_signal() {
    let service = farewell(22, port(), "-w 1").env("ON_SIGNAL", "exit").start();
    service.reload();
    service.wait_for_line("gone (exited with code 0)");
    service.wait_until_calm();
    assert_eq!(service.count_lines("SIGTERM"), 0, "{}", service.log());
}

#[test]
fn another_stop_signal_is_sent_and_a_stop_timeout_later_the_worker_is_killed() {
    let database = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let database_port = database.local_addr().expect("its address").port();
    let service = farewell(22, port(), "-w 1 --stop-signal SIGUSR1 --stop-timeout 1s")
        .env("ON_SIGNAL", "stay")
        .env("SIGNAL", "SIGUSR1")
        .env("DATABASE_PORT", database_port)
        .start();
    let line = farewell_of_the_first(&service);
    assert!(line.contains("SIGUSR1") && line.contains("after the channel's end"), "{line}");
    service.wait_for_line("did not end by the stop signal; killing it");
    service.wait_for_line("gone (was killed by SIGKILL)");
    service.wait_until_calm();
}

/// The rollout does not wait for the end of a worker that has no work left.
#[test]
fn the_rollout_is_over_before_the_stop_timeout_of_a_worker_that_stays() {
    let port = port();
    let database = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let database_port = database.local_addr().expect("its address").port();
    let service = farewell(22, port, "-w 1 --stop-timeout 2s")
        .env("ON_SIGNAL", "stay")
        .env("DATABASE_PORT", database_port)
        .start();
    let rollout = service.reload();
    assert!(rollout["duration_ms"].as_u64().is_some_and(|ms| ms < 3000), "{rollout}");
    let status = service.status();
    assert_eq!(status["slots"][0]["workers"].as_array().map(Vec::len), Some(2), "{status}");
    assert_eq!(get(port, "/").map(|response| response.status), Ok(200));
    // One more has to wait for it, and says so.
    let rollout = service.reload();
    assert_eq!(rollout["outcome"], "succeeded");
    assert_eq!(service.count_lines("waits for workers of earlier reloads to end"), 1);
}
