//! Hooks that a rollout waits for.

use crate::support::load::Load;
use crate::support::ports::port;
use crate::{Hooked, check, refused};

#[test]
fn the_one_before_refuses_a_reload_with_its_last_words() {
    let (hooked, port) = (Hooked::new(), port());
    let veto = hooked.file("veto");
    std::fs::write(&veto, "").expect("a file");
    let then = format!("[ ! -e {} ] || {{ echo not today >&2; exit 3; }}", veto.display());
    let before = hooked.command("before", &then);
    let service = hooked.setup(port, "-w 2 --probation 0s").option_of("--hook-before", &before);
    let service = service.start();
    let pids = service.worker_pids();
    let load = Load::new().keep_alive(4, port, "/").settled();
    let load = load.connection_per_request(2, port, "/");
    let words = refused(&service);
    assert!(words.contains("reload refused: hook-before exited with code 3"), "{words}");
    assert!(words.contains("generation 1 keeps serving") && words.contains("not today"), "{words}");
    let status = service.status();
    assert_eq!((&status["state"], &status["generation"]), (&"running".into(), &1.into()));
    assert_eq!(status["rollout"]["outcome"], "failed");
    assert_eq!(status["rollout"]["reason"], "hook-before exited with code 3");
    assert_eq!(service.worker_pids(), pids);
    service.wait_for_line("relevo: hook-before: not today");

    std::fs::remove_file(veto).expect("a file");
    service.reload();
    service.wait_until_calm();
    load.stop().assert_nothing_lost();
    let facts = hooked.facts("before");
    check(&facts, &[("RELEVO_HOOK", "before"), ("RELEVO_NAME", &service.name)]);
    check(&facts, &[("RELEVO_GENERATION", "3")]);
    assert!(facts.contains_key("RELEVO_RELEASE"), "{facts:#?}");
    assert!(!facts.contains_key("RELEVO_OUTCOME") && !facts.contains_key("RELEVO_SLOT"));
}

#[test]
fn the_one_when_the_first_is_ready_undoes_the_reload() {
    let (hooked, port) = (Hooked::new(), port());
    let ready = hooked.command("ready", "echo it smells; echo of smoke >&2; exit 1");
    let service =
        hooked.setup(port, "-w 2 --probation 0s").option_of("--hook-ready", &ready).start();
    let pids = service.worker_pids();
    let load = Load::new().keep_alive(4, port, "/").settled();
    let load = load.connection_per_request(2, port, "/");
    let words = refused(&service);
    assert!(words.contains("reload undone: hook-ready exited with code 1"), "{words}");
    assert!(words.contains("of smoke"), "{words}");
    let status = service.wait_for_status("the old workers alone", |status| {
        let slots = status["slots"].as_array().cloned().unwrap_or_default();
        slots.iter().all(|slot| slot["workers"].as_array().map_or(0, Vec::len) == 1)
    });
    assert_eq!(status["state"], "degraded", "{status}");
    assert_eq!(status["rollout"]["outcome"], "rolled_back", "{status}");
    assert_eq!(service.worker_pids(), pids);
    load.stop().assert_nothing_lost();
    let facts = hooked.facts("ready");
    check(&facts, &[("RELEVO_HOOK", "ready"), ("RELEVO_GENERATION", "2"), ("RELEVO_SLOT", "0")]);
    let worker = (facts.get("RELEVO_WORKER").map(String::as_str), facts.get("RELEVO_WORKER_PID"));
    assert!(worker.0 == Some("3") && worker.1.is_some(), "{facts:#?}");
    service.wait_for_line("relevo: hook-ready: it smells");
}

#[test]
fn a_reload_that_waits_for_one_says_so_and_can_be_aborted() {
    let (hooked, port) = (Hooked::new(), port());
    let before = hooked.command("before", "exec sleep 1000");
    let service = hooked.setup(port, "-w 1").option_of("--hook-before", &before).start();
    assert!(service.ask("reload", &["--no-wait"]).status.success());
    let status = service.wait_for_status("a hook", |status| !status["rollout"].is_null());
    assert_eq!(status["rollout"]["waits_for"], "hook-before to end", "{status}");
    let aborted = service.ask("abort", &[]);
    assert!(aborted.status.success(), "{aborted:?}\n{}", service.log());
    assert_eq!(service.wait_until_calm()["generation"], 1);
}
