//! Boots that fail: as the first start, in one slot, and after a crash.

use std::process::Output;

use rustix::process::Signal;

use crate::support::client::get;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::signal_process;

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_first_start_that_fails_is_an_error_with_the_last_words() {
    for (mood_at_boot, options, sentence, last_words) in [
        ("exit 9", "-w 2", "exited with code 9 before it listened", "before exit 9"),
        ("throw", "-w 2", "exited with code 1 before it listened", "told to throw at boot"),
        ("silent", "-w 2 --ready-timeout 1s", "did not listen on anything", "will not listen"),
    ] {
        let mood = Mood::new();
        mood.set(mood_at_boot);
        let output = mood.service(port(), options).run();
        let words = words(&output);
        assert_eq!(output.status.code(), Some(1), "{words}");
        let failed = words.lines().find(|line| line.starts_with("relevo: start failed: worker "));
        assert!(failed.is_some_and(|line| line.contains(sentence)), "{words}");
        assert!(words.contains(last_words), "{words}");
    }
}

#[test]
fn a_slot_that_fails_while_another_is_ready_backs_off_and_comes_back() {
    let mood = Mood::new();
    mood.set_in_slot(1, "exit 3");
    let port = port();
    let service = mood.service(port, "-w 2").start();
    service.wait_for_line("relevo: ready, but degraded: 1 of 2 workers");
    let status = service.wait_for_status("two restarts", |status| {
        status["slots"][1]["restarts"].as_u64().is_some_and(|restarts| restarts >= 2)
            && status["slots"][1]["state"] == "backing_off"
    });
    assert_eq!(status["state"], "degraded");
    let reason = status["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("no ready worker in slot 1: crash loop, "), "{reason}");
    assert!(reason.ends_with("its last worker exited with code 3 before it listened"), "{reason}");
    assert_eq!(status["slots"][1]["last_exit"]["code"], 3);
    assert!(status["slots"][1]["next_try_ms"].as_u64().is_some_and(|ms| ms > 0), "{status}");
    assert_eq!(get(port, "/").map(|response| response.status), Ok(200));
    let line = service.wait_for_line("; next try in ");
    assert!(line.contains("slot 1: worker ") && line.contains("exited with code 3"), "{line}");
    mood.set_in_slot(1, "well");
    service.wait_until_calm();
}

#[test]
fn with_keep_trying_a_first_start_that_fails_goes_on() {
    let mood = Mood::new();
    mood.set("exit 3");
    let port = port();
    let service = mood.service(port, "-w 2 --keep-trying").spawn();
    service.wait_for_lines("; next try in ", 2);
    mood.set("well");
    service.wait_for_line("relevo: ready");
    service.wait_until_calm();
    assert_eq!(get(port, "/").map(|response| response.status), Ok(200));
}

#[test]
fn a_replacement_that_throws_at_boot_is_tried_again_while_others_serve() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2").start();
    mood.set("throw");
    signal_process(service.worker_pids()[0], Signal::KILL);
    let line = service.wait_for_line("exited with code 1 before it listened; next try in ");
    let throws = service.count_lines("moody: told to throw at boot");
    assert!(throws >= 1, "{line}\n{}", service.log());
    let status = service.status();
    assert_eq!(status["state"], "degraded");
    for _ in 0..20 {
        // Connections that the kernel gives to the vacant slot are covered.
        assert_eq!(get(port, "/").map(|response| response.status), Ok(200), "{}", service.log());
    }
    mood.set("well");
    service.wait_until_calm();
}

/// A reload is not held up by a slot that backs off, and mends it.
#[test]
fn a_reload_mends_a_slot_that_backs_off() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2").start();
    mood.set("throw");
    signal_process(service.worker_pids()[0], Signal::KILL);
    service.wait_for_lines("before it listened; next try in ", 3);
    mood.set("well");
    service.reload();
    let status = service.wait_until_calm();
    assert_eq!(status["generation"], 2);
}
