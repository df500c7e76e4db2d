//! More wishes for a reload than one.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::traffic::Traffic;

/// Twenty signals within a second, while a rollout goes on: they are one wish.
#[test]
fn twenty_signals_in_a_second_are_one_more_rollout() {
    let mood = Mood::new();
    mood.set("late 700");
    let port = port();
    let service = mood.service(port, "-w 2").start();
    let traffic = Traffic::begin(port);
    service.signal(Signal::USR2);
    service.wait_for_line("reload: generation 2 begins");
    for _ in 0..20 {
        service.signal(Signal::USR2);
        std::thread::sleep(Duration::from_millis(45));
    }
    assert_eq!(service.count_lines("generation 3"), 0, "the first rollout was over too early");
    service.wait_for_line("reload done: generation 3");
    let status = service.wait_until_calm();
    assert_eq!((&status["generation"], &status["state"]), (&3.into(), &"running".into()));
    assert_eq!(service.count_lines("begins"), 2, "{}", service.log());
    traffic.end("twenty signals");
}

#[test]
fn a_reload_asked_for_during_another_reports_the_one_that_began_later() {
    let mood = Mood::new();
    mood.set("late 500");
    let port = port();
    let service = mood.service(port, "-w 2").start();
    let traffic = Traffic::begin(port);
    let ask = || {
        let mut command = service.command(&["reload", &service.name, "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("relevo runs")
    };
    let first = ask();
    service.wait_for_line("reload: generation 2 begins");
    let (second, third) = (ask(), ask());
    let generation = |child: std::process::Child| {
        let output = child.wait_with_output().expect("its output");
        assert!(output.status.success(), "{output:?}\n{}", service.log());
        let rollout: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(rollout["outcome"], "succeeded");
        rollout["generation"].as_u64().expect("a number")
    };
    assert_eq!(generation(first), 2);
    assert_eq!(generation(second), 3);
    assert_eq!(generation(third), 3);
    assert_eq!(service.status()["generation"], 3);
    traffic.end("reloads during a reload");
}

#[test]
fn a_hangup_without_a_terminal_is_a_reload() {
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 1").through(&["setsid", "--wait"]).start();
    let primary = service.status()["pid"].as_u64().expect("a pid") as u32;
    let traffic = Traffic::begin(port);
    crate::support::service::signal_process(primary, Signal::HUP);
    service.wait_for_line("reload done: generation 2");
    traffic.end("SIGHUP");
}
