//! A stop that does not wait.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::ask_all;
use crate::support::fixture;
use crate::support::ports::port;
use crate::support::service::{Service, Setup, is_alive};

const AT_ONCE: Duration = Duration::from_secs(3);

fn busy_service() -> (Service, Vec<u32>) {
    let port = port();
    let service = Setup::new(22, fixture("kitchen.js"))
        .options("-w 2")
        .env("PORT", port)
        .env("IGNORE_TERM", 1)
        .start();
    let workers = service.worker_pids();
    // The clients stay for the rest of the test's life.
    for connection in ask_all(port, 4, "/stream?ms=60000&chunks=60") {
        connection.stream.peek(&mut [0]).expect("the beginning of a response");
        std::mem::forget(connection);
    }
    (service, workers)
}

fn assert_over_at_once(mut service: Service, workers: &[u32]) {
    let began = Instant::now();
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    let took = began.elapsed();
    assert!(took < AT_ONCE, "it took {took:?}: {}", service.log());
    for worker in workers {
        assert!(!is_alive(*worker), "worker {worker} is there");
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::INT)] {
        let (service, workers) = busy_service();
        service.signal(first);
        service.wait_for_line("relevo: no longer listening");
        service.signal(second);
        assert_over_at_once(service, &workers);
    }
}

#[test]
fn quit_does_not_wait() {
    let (service, workers) = busy_service();
    service.signal(Signal::QUIT);
    assert_over_at_once(service, &workers);
}

#[test]
fn a_second_stop_command_only_waits_for_the_first() {
    let port = port();
    let mut service =
        Setup::new(22, fixture("kitchen.js")).options("-w 1").env("PORT", port).start();
    let requests = ask_all(port, 3, "/stream?ms=1500&chunks=5");
    for connection in &requests {
        connection.stream.peek(&mut [0]).expect("the beginning of a response");
    }
    service.signal(Signal::TERM);
    service.wait_for_line("relevo: no longer listening");
    let output = service.ask("stop", &[]);
    assert!(output.status.success(), "{output:?}");
    let answers = crate::answers(requests);
    assert_eq!(crate::lost(&answers), 0, "{answers:?}\n{}", service.log());
    assert_eq!(service.wait().code(), Some(0));
}
