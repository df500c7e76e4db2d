//! `relevo check --boot`.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::client::get;
use crate::support::load::Load;
use crate::support::ports::port;
use crate::support::relevo::path_with;
use crate::support::service::{RELEVO, Setup};
use crate::support::{TempDir, fixture};
use crate::{Steps, words};

/// A directory with a `relevo.toml` for the app.
struct App {
    directory: TempDir,
    steps: Steps,
}

impl App {
    fn new(options: &str, steps: &[&str]) -> Self {
        let app = Self { directory: TempDir::new("boot"), steps: Steps::new(steps) };
        let script = fixture("readiness.js");
        let text =
            format!("name = \"boot\"\nscript = {:?}\n{options}\n", script.display().to_string());
        std::fs::write(app.directory.join("relevo.toml"), text).expect("the file");
        app
    }

    fn check(&self, more: &[&str]) -> Output {
        let mut command = std::process::Command::new(RELEVO);
        command.args(["check", "--boot"]).args(more).current_dir(self.directory.path());
        command.env("PATH", path_with(22)).env("STEPS_FILE", self.steps.file());
        command.env("RELEVO_RUNTIME_DIR", self.directory.join("runtime"));
        command.output().expect("relevo runs")
    }
}

/// It stands in nobody's way: the service has the very same addresses.
#[test]
fn a_good_one_is_ready_beside_the_service_and_takes_nothing_from_it() {
    let [one, other] = [port(), port()];
    let listen = [format!("listen {one}"), format!("listen {other}")];
    // Well only once it listens on both: with the first alone it could be ready already.
    let steps = ["health 503", &listen[0], &listen[1], "health 200"];
    let app = App::new("workers = 4\nready = \"http:/healthz\"", &steps);
    let service = Setup::new(22, fixture("readiness.js"))
        .options("-w 2")
        .env("STEPS_FILE", app.steps.file().display())
        .start();
    let load = Load::new().keep_alive(5, one, "/").settled().connection_per_request(4, one, "/");
    for _ in 0..3 {
        let checked = app.check(&[]);
        assert!(checked.status.success(), "{}", words(&checked));
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(said.starts_with("relevo.toml: ready after "), "{said}");
        let addresses = format!("; would listen on 127.0.0.1:{one}, 127.0.0.1:{other}\n");
        assert!(said.ends_with(&addresses), "{said}");
        assert!(!words(&checked).contains("relevo:"), "{}", words(&checked));
    }
    load.stop().assert_nothing_lost();
    assert_eq!(service.worker_pids().len(), 2);
    assert_eq!(get(other, "/").map(|response| response.status), Ok(200));
    let left = std::fs::read_dir(app.directory.join("runtime")).expect("the directory");
    let left: Vec<String> =
        left.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(left.iter().all(|name| name.starts_with("agent-")), "{left:?}");
}

#[test]
fn a_bad_one_fails_with_its_last_words() {
    let app = App::new("workers = 4", &["wait 0", "oops"]);
    let checked = app.check(&["--json"]);
    assert_eq!(checked.status.code(), Some(1), "{}", words(&checked));
    let said = words(&checked);
    assert!(said.contains("the worker exited with code 1 before it listened"), "{said}");
    assert!(said.contains("    TypeError: steps[step] is not a function"), "{said}");
    let object: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    let reason = "the worker exited with code 1 before it listened";
    let boot = json!({"ready": false, "after_ms": null, "listens_on": [], "reason": reason});
    assert_eq!((&object["valid"], &object["boot"]), (&json!(true), &boot));
}

#[test]
fn one_that_is_never_ready_and_one_without_a_port() {
    let app = App::new("ready-timeout = \"500ms\"", &["wait 0"]);
    let checked = app.check(&[]);
    assert_eq!(checked.status.code(), Some(1));
    let sentence = "did not listen on anything within 500 ms (--ready-timeout)";
    assert!(words(&checked).contains(sentence), "{}", words(&checked));

    let app = App::new("ready = \"spawned\"", &["wait 0"]);
    let checked = app.check(&[]);
    assert!(checked.status.success(), "{}", words(&checked));
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.ends_with(" ms; opens no port\n"), "{said}");
}
