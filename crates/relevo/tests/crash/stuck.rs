//! A worker that is stopped (`SIGSTOP`): its socket still listens, and nobody is at home.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::Connection;
use crate::support::ports::port;
use crate::support::service::{Setup, signal_process};
use crate::support::{eventually, fixture, proc};

#[test]
fn a_reload_replaces_a_stopped_worker_within_its_deadlines() {
    for balance in ["auto", "kernel", "least-connections", "round-robin"] {
        let port = port();
        let service = Setup::new(22, fixture("kitchen.js"))
            .options(&format!("-w 2 --drain-timeout 1s --stop-timeout 1s --balance {balance}"))
            .env("PORT", port)
            .start();
        let victim = service.worker_pids()[0];
        signal_process(victim, Signal::STOP);
        // They wait in the slot's queue or are dealt to it: in neither case it accepts them.
        let mut waiting: Vec<Connection> = (0..20)
            .map(|_| {
                let mut connection = Connection::open(port).expect("a connection");
                connection.send_get("/").expect("a request");
                connection
            })
            .collect();
        let began = Instant::now();
        service.reload();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(6), "{balance}: {took:?}\n{}", service.log());
        for connection in &mut waiting {
            let status = connection.receive().map(|response| response.status);
            assert_eq!(status, Ok(200), "{balance}: {}", service.log());
        }
        eventually("its end", || if proc::lives(victim) { Err(service.log()) } else { Ok(()) });
        // The line may be written after the deed.
        service.wait_until_calm();
        service.wait_for_line("did not end by the stop signal; killing it");
        let killed = service.count_lines("did not end by the stop signal; killing it");
        assert_eq!(killed, 1, "{}", service.log());
    }
}
