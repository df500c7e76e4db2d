//! What a rollout waits for is said.

use crate::support::client::Connection;
use crate::support::mood::Mood;
use crate::support::ports::port;

#[test]
fn a_drain_that_takes_long_is_in_the_log_and_in_the_status() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 1 --probation 0s --drain-timeout 60s").start();
    let mut stuck = Connection::open(port).expect("a connection");
    stuck.send_get("/stream?ms=60000&chunks=600").expect("a request");
    stuck.stream.peek(&mut [0]).expect("the beginning of a response");
    assert!(service.ask("reload", &["--no-wait"]).status.success());
    let status = service.wait_for_status("what it waits for", |status| {
        status["rollout"]["waits_for"] == "worker 1 to finish 1 request"
    });
    assert_eq!(status["rollout"]["phase"], "draining");
    let worker = &status["slots"][0]["workers"][0];
    assert_eq!(worker["state"], "draining");
    let line = service.wait_for_line("reload: generation 2 waits for worker 1");
    assert!(line.contains("to finish 1 request (--drain-timeout bounds that)"), "{line}");
    // There is no way back by now.
    let abort = service.ask("abort", &[]);
    assert_eq!(abort.status.code(), Some(1));
    let words = String::from_utf8_lossy(&abort.stderr).into_owned();
    assert!(words.contains("every slot runs generation 2 already"), "{words}");
    drop(stuck);
    service.wait_for_line("reload done: generation 2");
}
