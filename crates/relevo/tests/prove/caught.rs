//! What is wrong is found: an instrument that cannot fail proves nothing.

use std::fs;

use crate::support::TempDir;
use crate::support::fixture;
use crate::support::ports::port;
use crate::support::service::Setup;
use crate::{app, prove, wrong};

#[test]
fn an_agent_that_closes_idle_connections() {
    let port = port();
    let service = wrong(app("http", port), "closes-idle.js").start();
    let url = format!("http://127.0.0.1:{port}/");
    let (output, report) = prove(&service, &url, "--reloads 3 --strict --mix keep-alive=64");
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert!(report["connections"]["closed_idle"].as_u64() > Some(0), "{report:#}");
}

#[test]
fn an_agent_that_reads_on() {
    let port = port();
    let service = wrong(app("http", port), "reads-on.js").start();
    let url = format!("http://127.0.0.1:{port}/");
    let more = "--reloads 8 --pause 200ms --mix keep-alive=200 --think 20ms --timeout 2s";
    let (output, report) = prove(&service, &url, more);
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert!(report["requests"]["late"].as_u64() > Some(0), "{report:#}");
    assert_eq!(report["passed"], false);
}

#[test]
fn a_reload_that_fails() {
    let (port, files) = (port(), TempDir::new("fail"));
    let fail = files.join("fail");
    let service = Setup::new(22, fixture("kitchen.js"))
        .options("-w 2")
        .env("PORT", port)
        .env("FAIL_FILE", fail.display())
        .start();
    fs::write(&fail, "").expect("a file");
    let url = format!("http://127.0.0.1:{port}/");
    let (output, report) = prove(&service, &url, "--reloads 1 --mix keep-alive=4");
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!(report["requests"]["begun"], report["requests"]["answered"], "{report:#}");
    let verdict = report["verdict"].as_str().unwrap_or_default();
    assert!(verdict.starts_with("nothing was lost, but disturbance 1 failed: "), "{verdict}");
    assert_eq!(report["disturbances"][0]["succeeded"], false);
}

#[test]
fn a_server_without_a_manager_that_is_restarted() {
    let port = port();
    let service = app("http", port).start();
    let url = format!("http://127.0.0.1:{port}/");
    // Node alone, which this command ends and starts again.
    let alone = crate::support::ports::port();
    let node = crate::support::nodes::node(22);
    let script = crate::support::root().join("fixtures/frameworks/http/app.js");
    let files = TempDir::new("alone");
    let pid = files.join("pid");
    let start = format!(
        "PORT={alone} {} {} >/dev/null 2>&1 & echo $! > {}",
        node.display(),
        script.display(),
        pid.display()
    );
    let shell = |command: &str| {
        let done = std::process::Command::new("sh").args(["-c", command]).status();
        assert!(done.is_ok_and(|status| status.success()), "{command}");
    };
    shell(&start);
    crate::support::eventually("node alone", || crate::support::client::get(alone, "/").map(drop));
    let restart = format!("kill $(cat {}); {start}", pid.display());
    let url_alone = format!("http://127.0.0.1:{alone}/");
    let words = [
        "prove",
        &url_alone,
        "--json",
        "--reloads",
        "2",
        "--mix",
        "keep-alive=16,new=4",
        "--on-reload",
        &restart,
    ];
    let output = service.command(&words).output().expect("relevo runs");
    shell(&format!("kill $(cat {})", pid.display()));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert!(report["requests"]["refused"].as_u64() > Some(0), "{report:#}");
    assert!(report["disturbances"][0]["succeeded"].as_bool() == Some(true), "{report:#}");
    // The service, meanwhile, is as well as ever.
    let words = ["prove", &url, "--reloads", "0", "--seconds", "1"];
    let output = service.command(&words).output().expect("relevo runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
