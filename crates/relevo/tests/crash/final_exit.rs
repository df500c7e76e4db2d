//! Exits that are not followed by a replacement, and services of which all workers crash.

use rustix::process::Signal;

use crate::support::client::get;
use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::service::signal_process;

#[test]
fn an_exit_with_a_final_code_leaves_its_slot_empty_until_a_reload_or_a_scaling() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2 --final-exit-codes 40-42").start();
    assert!(get(port, "/exit?code=42").is_err(), "it exits before it answers");
    let line = service.wait_for_line("which is final (--final-exit-codes)");
    assert!(line.contains("exited with code 42"), "{line}");
    let status = service.wait_for_status("an ended slot", |status| status["state"] == "degraded");
    let slots = status["slots"].as_array().expect("slots");
    let ended = slots.iter().find(|slot| slot["state"] == "ended").expect("an ended slot");
    assert_eq!(ended["last_exit"]["code"], 42, "{status}");
    assert_eq!(ended["next_try_ms"], serde_json::Value::Null, "{status}");
    let reason = status["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("exited with code 42, which is final"), "{reason}");
    for _ in 0..20 {
        // What the kernel gives to the empty slot is covered.
        assert_eq!(get(port, "/").map(|response| response.status), Ok(200), "{}", service.log());
    }
    assert_eq!(service.count_lines("starting another now"), 0, "{}", service.log());
    service.reload();
    service.wait_until_calm();

    assert!(get(port, "/exit?code=40").is_err(), "it exits before it answers");
    service.wait_for_lines("which is final (--final-exit-codes)", 2);
    service.scale("2");
    service.wait_until_calm();
}

#[test]
fn when_every_slot_has_ended_so_does_the_service() {
    for (codes, code) in [("0,42", 0), ("0,42", 1)] {
        let mood = Mood::new();
        mood.set("exit 0");
        mood.set_in_slot(1, if code == 0 { "exit 0" } else { "exit 42" });
        let options = format!("-w 2 --final-exit-codes {codes}");
        let output = mood.service(port(), &options).run();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words}");
        let line = words.lines().find(|line| line.contains("every worker has ended for good"));
        let line = line.unwrap_or_else(|| panic!("{words}"));
        let second =
            if code == 0 { "slot 1 exited with code 0" } else { "slot 1 exited with code 42" };
        assert!(line.contains(second) && line.contains(&format!("exit code {code}")), "{line}");
    }
}

/// After a good start Relevo never gives up: the status says that it is a crash loop and of what.
#[test]
fn a_crash_loop_in_every_slot_is_named_and_goes_on_for_ever() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2 --hold 1m").start();
    mood.set("exit 9");
    for pid in service.worker_pids() {
        signal_process(pid, Signal::KILL);
    }
    let status = service.wait_for_status("a crash loop in all slots", |status| {
        let reason = status["reason"].as_str().unwrap_or_default();
        reason.contains("crash loop, ")
            && !reason.contains(": its last")
            && reason.contains("exited with code 9")
    });
    assert_eq!(status["state"], "degraded", "{status}");
    let line = service.wait_for_line("; next try in ");
    assert!(line.contains("exited with code 9"), "{line}");
    mood.set("well");
    service.wait_until_calm();
    assert_eq!(get(port, "/").map(|response| response.status), Ok(200));
}
