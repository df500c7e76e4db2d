//! Refused code in the place of the good one.

use rustix::process::Signal;

use crate::support::client::get;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::signal_process;

#[test]
fn what_is_left_of_the_good_code_is_told_and_a_replacement_must_prove_itself() {
    let (mood, port) = (Mood::new(), port());
    let service = mood.service(port, "-w 2 --probation 300ms").start();
    mood.set("exit 3");
    assert_eq!(service.ask("reload", &[]).status.code(), Some(1));
    let reason = |left: &str| {
        let words = format!("the code on disk was refused, and {left} left: ");
        let status = service.wait_for_status(&words, |status| {
            status["reason"].as_str().is_some_and(|reason| reason.starts_with(&words))
        });
        assert_eq!(status["state"], "degraded");
    };
    reason("2 good workers are");
    mood.set("well");
    signal_process(service.worker_pids()[0], Signal::KILL);
    service.wait_for_line("runs the code that was refused; it gets connections if it lives for");
    reason("1 good worker is");
    service.wait_for_lines("ready after", 3);
    assert_eq!(get(port, "/").map(|response| response.status), Ok(200));
    service.reload();
    assert_eq!(service.wait_until_calm()["state"], "running");
}
