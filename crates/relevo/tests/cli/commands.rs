//! `status`, `ps`, `reload` and `stop` against a live service.

use std::io::Read;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::ports::port;
use crate::support::relevo::write;
use crate::support::service::{RELEVO, Service, Setup, wait_for_exit};
use crate::support::{TempDir, eventually, fixture};

fn start(options: &str) -> Service {
    Setup::new(22, fixture("kitchen.js")).options(options).env("PORT", port()).start()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// All keys of an object, in order; what is there must be there for ever.
#[track_caller]
fn check_fields(object: &Value, fields: &[&str]) {
    let mut found: Vec<&str> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut fields = fields.to_vec();
    found.sort_unstable();
    fields.sort_unstable();
    assert_eq!(found, fields);
}

#[test]
fn status_json_has_every_field() {
    let service = start("-w 2");
    assert_eq!(service.status()["rollout"], Value::Null, "before the first");
    service.reload();
    let status = service.wait_until_calm();
    check_fields(
        &status,
        &[
            "schema",
            "name",
            "pid",
            "version",
            "state",
            "reason",
            "generation",
            "release",
            "slots",
            "listeners",
            "rollout",
            "next_reload_at",
            "totals",
        ],
    );
    assert_eq!(status["schema"], 1);
    assert_eq!(status["name"], service.name);
    assert_eq!(status["pid"], service.pid());
    assert_eq!(status["reason"], Value::Null);
    assert_eq!(status["generation"], 2);
    assert_eq!(status["release"], fixture("").to_str().unwrap().trim_end_matches('/'));
    assert_eq!(status["slots"].as_array().unwrap().len(), 2);
    let slot = &status["slots"][1];
    check_fields(
        slot,
        &["slot", "state", "restarts", "next_try_ms", "last_exit", "workers", "renewal"],
    );
    assert_eq!(slot["slot"], 1);
    assert_eq!(slot["state"], "ready");
    assert_eq!((&slot["restarts"], &slot["next_try_ms"]), (&json!(0), &Value::Null));
    assert_eq!(slot["last_exit"], Value::Null);
    let worker = &slot["workers"][0];
    check_fields(
        worker,
        &[
            "id",
            "pid",
            "generation",
            "release",
            "state",
            "uptime_ms",
            "rss_bytes",
            "cpu_percent",
            "connections",
            "requests",
            "active_requests",
            "loop_lag_ms",
            "status",
        ],
    );
    assert_eq!((&worker["state"], &worker["generation"]), (&json!("ready"), &json!(2)));
    assert!(worker["rss_bytes"].as_u64().unwrap() > 10_000_000, "{worker}");
    assert_eq!(worker["connections"], json!(0), "{worker}");
    for unknown in ["requests", "active_requests", "loop_lag_ms"] {
        assert_eq!(worker[unknown], Value::Null, "{unknown}");
    }
    let listener = &status["listeners"][0];
    check_fields(
        listener,
        &["address", "kind", "balance", "dealing", "weights", "queued", "covering"],
    );
    assert_eq!(listener["kind"], "tcp");
    assert_eq!((&listener["balance"], &listener["dealing"]), (&json!("auto"), &json!("front")));
    assert_eq!((&listener["queued"], &listener["weights"]), (&json!(0), &json!([50, 50])));
    let rollout = &status["rollout"];
    check_fields(
        rollout,
        &[
            "generation",
            "cause",
            "outcome",
            "phase",
            "slot",
            "of",
            "reason",
            "paused",
            "waits_for",
            "runs",
            "duration_ms",
            "handed_over",
            "closed_idle",
            "not_zero",
            "not_movable",
            "cut",
        ],
    );
    assert_eq!((&rollout["outcome"], &rollout["of"]), (&json!("succeeded"), &json!(2)));
    for unknown in ["phase", "slot", "reason", "paused", "waits_for"] {
        assert_eq!(rollout[unknown], Value::Null, "{unknown}");
    }
    for none in ["handed_over", "closed_idle", "not_zero"] {
        assert_eq!(rollout[none], 0, "{none}");
    }
    assert_eq!(rollout["runs"], json!([{"generation": 2, "slots": [0, 1]}]));
    assert_eq!(rollout["not_movable"], json!({}));
    let cut = json!({"request": 0, "upload": 0, "event_stream": 0, "websocket": 0, "idle_tls": 0, "unknown": 0});
    assert_eq!(rollout["cut"], cut);
    assert_eq!(status["totals"], json!({"handed_over": 0, "closed_idle": 0, "cut": cut}));
}

/// Nothing happens in the service meanwhile, and time goes by all the same.
#[test]
fn an_idle_service_grows_older() {
    let service = start("-w 1");
    let uptime = |status: &Value| status["slots"][0]["workers"][0]["uptime_ms"].as_u64().unwrap();
    let first = uptime(&service.status());
    service.wait_for_status("a later time", |status| uptime(status) > first + 100);
}

#[test]
fn pages_for_people_have_no_colour_where_no_terminal_is() {
    let service = start("-w 2 --balance round-robin");
    let output = service.ask("status", &[]);
    let page = text(&output.stdout);
    for word in [
        &format!("{}  running  pid {}", service.name, service.pid()),
        "SLOT  STATE",
        "ADDRESS",
        "round-robin  primary",
    ] {
        assert!(page.contains(word), "`{word}`: {page}");
    }
    assert!(!page.contains('\x1b') && !page.contains("null"), "{page}");
    assert_eq!(text(&output.stderr), "");
    let list = service.command(&["ps"]).output().expect("relevo runs");
    let list = text(&list.stdout);
    let line = list.lines().find(|line| line.starts_with(&service.name)).expect("our line");
    assert!(line.contains("running") && line.contains("2/2"), "{list}");
    let place = service.runtime.path().join(&service.name);
    assert!(line.ends_with(place.to_str().unwrap()), "{list}");
    let list = service.command(&["ps", "--json"]).output().expect("relevo runs");
    let list: Vec<Value> = serde_json::from_slice(&list.stdout).expect("JSON");
    let ours = list.iter().find(|entry| entry["name"] == service.name).expect("our entry");
    check_fields(
        ours,
        &["name", "pid", "state", "workers", "generation", "runtime_directory", "uptime_ms"],
    );
    assert_eq!(ours["workers"], json!({"ready": 2, "of": 2}));
}

/// The same pages on a terminal, with and without `NO_COLOR`.
#[test]
fn colour_and_progress_are_for_terminals() {
    let service = start("-w 1");
    let on_terminal = |line: &str, no_colour: &str| {
        let output = Command::new("script")
            .args(["-qec", line, "/dev/null"])
            .env("RELEVO_RUNTIME_DIR", service.runtime.path())
            .env("TERM", "xterm")
            .env("NO_COLOR", no_colour)
            .stdin(Stdio::null())
            .output()
            .expect("script(1)");
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout)
    };
    let name = &service.name;
    assert!(on_terminal(&format!("{RELEVO} status {name}"), "").contains("\x1b["));
    assert!(!on_terminal(&format!("{RELEVO} status {name}"), "1").contains('\x1b'));
    assert!(!on_terminal(&format!("{RELEVO} status {name} | cat"), "").contains('\x1b'));
    let progress = on_terminal(&format!("{RELEVO} reload {name}"), "");
    for line in
        ["slot 0 (1 of 1): worker 2 started", "ready, old one draining", "reloaded: generation 2"]
    {
        assert!(progress.contains(line), "{progress}");
    }
    let quiet = service.ask("reload", &[]);
    assert_eq!(text(&quiet.stderr), "");
    let line = text(&quiet.stdout);
    assert!(line.starts_with("reloaded: generation 3 on 1 slot in "), "{line}");
}

#[test]
fn reload_waits_or_does_not() {
    let directory = TempDir::new("commands");
    let delay = "setTimeout(() => require('http').createServer((q, r) => r.end()).listen(Number(process.env.PORT)), Number(process.env.RELEVO_GENERATION) > 1 ? 700 : 0);";
    let app = write(directory.join("slow.js"), delay);
    let service = Setup::new(22, app).options("-w 1").env("PORT", port()).start();
    let timed_out = service.ask("reload", &["--timeout", "50ms"]);
    let said = text(&timed_out.stderr);
    assert_eq!(timed_out.status.code(), Some(4), "{said}");
    assert!(said.contains("did not end within 50ms; it goes on, see `relevo status"), "{said}");
    let accepted = service.ask("reload", &["--no-wait"]);
    assert_eq!(accepted.status.code(), Some(0));
    assert_eq!(text(&accepted.stdout), format!("reload accepted: {}\n", service.name));
    // It was accepted during the first one: one more follows.
    service.wait_for_line("reload done: generation 2");
    service.wait_for_line("reload done: generation 3");
    let json = service.ask("reload", &["--no-wait", "--json"]);
    assert_eq!(text(&json.stdout), "{}\n");
    service.wait_for_line("reload done: generation 4");
    let json = service.ask("reload", &["--json", "--timeout=20s"]);
    let rollout: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((&rollout["generation"], &rollout["outcome"]), (&json!(5), &json!("succeeded")));
    let both = service.ask("reload", &["--no-wait", "--timeout", "1s"]);
    assert_eq!(both.status.code(), Some(2), "{both:?}");
}

#[test]
fn a_refused_reload_says_why_with_the_workers_last_words() {
    let directory = TempDir::new("commands");
    let fail = directory.join("fail");
    let service = Setup::new(22, fixture("kitchen.js"))
        .options("-w 2")
        .env("PORT", port())
        .env("FAIL_FILE", fail.display())
        .start();
    write(&fail, "");
    let refused = service.ask("reload", &[]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert_eq!(text(&refused.stdout), "");
    let mut lines = said.lines();
    assert_eq!(
        lines.next(),
        Some(
            "relevo: reload refused: worker 3 exited with code 1 before it listened; generation 1 keeps serving"
        )
    );
    assert!(lines.all(|line| line.starts_with("    ")), "{said}");
    assert!(said.contains("Error: told to fail at boot"), "{said}");
    let refused = service.ask("reload", &["--json"]);
    assert_eq!(refused.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&refused.stdout).expect("JSON");
    assert_eq!(error["error"]["code"], 1);
    assert!(error["error"]["reason"].as_str().unwrap().starts_with("reload refused: worker"));
    assert!(error["error"]["detail"].to_string().contains("told to fail at boot"), "{error}");
    let status = service.status();
    assert_eq!((&status["state"], &status["generation"]), (&json!("degraded"), &json!(1)));
    assert!(status["reason"].as_str().unwrap().contains("reload refused"), "{status}");
    assert_eq!(status["rollout"]["outcome"], "failed");
    let page = text(&service.ask("status", &[]).stdout);
    assert!(page.contains("good workers are left: reload refused: worker"), "{page}");
}

/// Ctrl-C ends the command and not the rollout.
#[test]
fn an_interrupted_reload_goes_on() {
    let directory = TempDir::new("commands");
    let gate = directory.join("gate");
    let source = "const fs = require('fs'); const wait = () => fs.existsSync(process.env.GATE) || process.env.RELEVO_GENERATION === '1' \
        ? require('http').createServer((q, r) => r.end()).listen(Number(process.env.PORT)) : setTimeout(wait, 10); wait();";
    let app = write(directory.join("gated.js"), source);
    let service =
        Setup::new(22, app).options("-w 1").env("PORT", port()).env("GATE", gate.display()).start();
    let mut reload = service
        .command(&["reload", &service.name])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("relevo runs");
    service.wait_for_line("reload: generation 2 begins");
    let pid = Pid::from_raw(i32::try_from(reload.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).expect("it runs");
    assert_eq!(wait_for_exit(&mut reload).code(), Some(130));
    let mut said = String::new();
    reload.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("the rollout goes on; see `relevo status"), "{said}");
    write(&gate, "");
    service.wait_for_line("reload done: generation 2");
}

#[test]
fn stop_waits_for_the_end_and_then_there_is_nothing() {
    let mut service = start("-w 2");
    let output = service.ask("stop", &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout), format!("stopped: {}\n", service.name));
    eventually("the primary's end", || service.ended().ok_or("it still runs"));
    let again = service.ask("stop", &[]);
    let said = text(&again.stderr);
    assert_eq!(again.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("no service `{}` runs", service.name)), "{said}");
    for command in ["status", "reload"] {
        let output = service.ask(command, &["--json"]);
        assert_eq!(output.status.code(), Some(3));
        let error: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(error["error"]["code"], 3);
    }
    let gone = service.ask("stop", &["--if-running"]);
    assert_eq!(gone.status.code(), Some(0), "{gone:?}");
    assert!(text(&gone.stderr).contains("nothing to stop"));
    assert_eq!(std::fs::read_dir(service.runtime.path()).unwrap().count(), 1, "the agent's file");
}

/// A primary that does not answer is told from one that is not there.
#[test]
fn a_primary_that_hangs_cannot_be_reached() {
    let service = start("-w 1");
    service.signal(Signal::STOP);
    let output = service.ask("status", &[]);
    let list = service.command(&["ps"]).output();
    service.signal(Signal::CONT);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("(pid {}): it does not answer", service.pid())), "{said}");
    let list = text(&list.expect("relevo runs").stdout);
    let line = list.lines().find(|line| line.starts_with(&service.name)).expect("our line");
    assert!(line.contains("no answer"), "{list}");
}
