//! Hooks that are told what has happened.

use rustix::process::Signal;

use crate::support::client::get;
use crate::support::ports::port;
use crate::support::service::signal_process;
use crate::{Hooked, check, refused};

#[test]
fn success_and_failure_are_told_with_the_outcome() {
    let (hooked, port) = (Hooked::new(), port());
    let service = hooked
        .setup(port, "-w 1 --probation 0s")
        .option_of("--hook-success", &hooked.command("success", "exit 9"))
        .option_of("--hook-failure", &hooked.command("failure", ""))
        .start();
    service.reload();
    let facts = hooked.facts("success");
    check(&facts, &[("RELEVO_HOOK", "success"), ("RELEVO_OUTCOME", "succeeded")]);
    assert!(!facts.contains_key("RELEVO_REASON"), "{facts:#?}");
    // That it fails is a line of the log, and nothing else.
    service.wait_for_line("relevo: hook-success exited with code 9");
    assert_eq!(service.wait_until_calm()["generation"], 2);

    hooked.mood.set("exit 5");
    let _words = refused(&service);
    let facts = hooked.facts("failure");
    check(&facts, &[("RELEVO_HOOK", "failure"), ("RELEVO_OUTCOME", "failed")]);
    check(&facts, &[("RELEVO_EXIT_CODE", "5"), ("RELEVO_GENERATION", "3"), ("RELEVO_SLOT", "0")]);
    let reason = facts.get("RELEVO_REASON").map_or("", String::as_str);
    assert!(reason.contains("exited with code 5 before it listened"), "{reason}");
}

#[test]
fn a_crash_is_told_with_what_is_known_of_it() {
    for (signal, name, value, reason) in [
        (None, "RELEVO_EXIT_CODE", "7", "exited with code 7"),
        (Some(Signal::KILL), "RELEVO_EXIT_SIGNAL", "SIGKILL", "was killed by SIGKILL"),
    ] {
        let (hooked, port) = (Hooked::new(), port());
        let crash = hooked.command("crash", "");
        let service = hooked.setup(port, "-w 1").option_of("--hook-crash", &crash).start();
        let pid = service.worker_pids()[0];
        match signal {
            Some(signal) => signal_process(pid, signal),
            None => assert!(get(port, "/exit?code=7").is_err()),
        }
        let facts = hooked.facts("crash");
        check(&facts, &[("RELEVO_HOOK", "crash"), (name, value), ("RELEVO_REASON", reason)]);
        check(&facts, &[("RELEVO_SLOT", "0"), ("RELEVO_WORKER", "1"), ("RELEVO_GENERATION", "1")]);
        check(&facts, &[("RELEVO_WORKER_PID", &pid.to_string())]);
        service.wait_until_calm();
    }
}

#[test]
fn nobody_asked_for_a_stop_to_be_told() {
    let (hooked, port) = (Hooked::new(), port());
    let service = hooked
        .setup(port, "-w 2")
        .option_of("--hook-crash", &hooked.command("crash", ""))
        .option_of("--hook-failure", &hooked.command("failure", ""))
        .start();
    let (status, lines) = service.stop();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    assert!(!hooked.file("crash").exists() && !hooked.file("failure").exists(), "{lines:#?}");
}
