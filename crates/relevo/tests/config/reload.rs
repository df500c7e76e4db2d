//! A reload reads `relevo.toml` and env files again.

use rustix::process::Signal;
use serde_json::Value;

use crate::App;
use crate::support::client::get;
use crate::support::service::{Service, Setup};
use crate::support::{TempDir, eventually, fixture, ports::port, relevo::write};

/// The variables of a worker, those not there as `none`.
fn variables<const N: usize>(app: &App, names: [&str; N]) -> [String; N] {
    let env = app.worker()["env"].clone();
    names.map(|name| env[name].as_str().unwrap_or("none").to_owned())
}

/// A reload that is refused: its exit code and what it says.
fn refused(service: &Service) -> (Option<i32>, String) {
    let output = service.ask("reload", &[]);
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn slots(service: &Service) -> usize {
    service.status()["slots"].as_array().map_or(0, Vec::len)
}

#[test]
fn variables_change_come_and_go() {
    let app = App::new();
    app.write("web.env", "A=1\nB=1\nHOME=elsewhere\n");
    app.configure("workers = 1\nenv-file = \"web.env\"", "C = 1\nD = 1");
    let service = app.setup().env("OWN", "start").env("HOME", "start").start();
    assert_eq!(variables(&app, ["A", "B", "C", "D"]), ["1", "1", "1", "1"]);
    assert_eq!(variables(&app, ["OWN", "HOME"]), ["start", "elsewhere"]);

    app.write("web.env", "A=2\nE=2\n");
    app.configure("workers = 1\nenv-file = \"web.env\"", "C = 2");
    service.reload();
    assert_eq!(variables(&app, ["A", "B", "C", "D", "E"]), ["2", "none", "2", "none", "2"]);
    // What is not added any more is again as the service was started.
    assert_eq!(variables(&app, ["OWN", "HOME"]), ["start", "start"]);
    service.wait_for_line(
        "configuration read again; the reload brings env.A, env.B, env.C, env.D, env.E, env.HOME",
    );
    assert!(service.stop().0.success());
}

/// Without a file, too: what the command line names is read again.
#[test]
fn env_files_of_the_command_line() {
    let app = App::new();
    let file = app.write("web.env", "A=1\n");
    let options = format!("-w 1 --env-file {} --env PORT={}", file.display(), app.port);
    let service = Setup::new(22, app.directory.join("app.js")).options(&options).start();
    assert_eq!(variables(&app, ["A"]), ["1"]);
    app.write("web.env", "A=2\n");
    service.signal(Signal::USR2);
    service.wait_for_line("reload done");
    assert_eq!(variables(&app, ["A"]), ["2"]);

    app.write("web.env", "A\n");
    service.signal(Signal::USR2);
    service.wait_for_line("nothing is reloaded: --env-file: ");
    service.wait_for_line("web.env:1:1");
    std::fs::remove_file(file).expect("it is there");
    let (code, said) = refused(&service);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("web.env: No such file"), "{said}");
    assert_eq!(variables(&app, ["A"]), ["2"]);
    assert_eq!(service.status()["generation"], 2);
}

/// A file that was not there at the start is not read, and that is said.
#[test]
fn a_file_that_comes_later() {
    let app = App::new();
    let options = format!("-w 1 --env PORT={}", app.port);
    let script = app.directory.join("app.js");
    let service = Setup::new(22, script).directory(app.directory.path()).options(&options).start();
    app.configure("balance = \"shared\"", "A = 1");
    service.reload();
    service.wait_for_line("relevo.toml is not read: this service was started without it");
    assert_eq!(variables(&app, ["A"]), ["none"]);
}

/// A worker that crashes is started again as its generation was.
#[test]
fn nothing_is_read_between_reloads() {
    let app = App::new();
    app.configure("workers = 1", "A = 1");
    let service = app.start();
    app.configure("workers = 1", "A = 2");
    let pid = app.worker()["pid"].as_u64().expect("a pid") as u32;
    crate::support::service::signal_process(pid, Signal::KILL);
    eventually("another worker", || {
        let answer = get(app.port, "/").map_err(|lost| format!("{lost:?}"))?.json();
        if answer["pid"] == pid { Err("the same".to_owned()) } else { Ok(()) }
    });
    assert_eq!(variables(&app, ["A"]), ["1"]);
    service.reload();
    assert_eq!(variables(&app, ["A"]), ["2"]);
}

#[test]
fn options_that_workers_are_started_with() {
    let app = App::new();
    app.write("other.js", crate::APP);
    app.write("sub/there", "");
    app.configure("workers = 1\nargs = [\"one\"]", "");
    let service = app.start();
    app.configure(
        "workers = 1\nargs = [\"two\", \"three\"]\nnode-arg = [\"--stack-size=900\"]\ncwd = \"sub\"",
        "",
    );
    let text = std::fs::read_to_string(app.directory.join("relevo.toml")).expect("a file");
    app.write("relevo.toml", &text.replace("\"app.js\"", "\"../other.js\""));
    service.reload();
    let worker = app.worker();
    assert_eq!(worker["args"], serde_json::json!(["two", "three"]));
    assert_eq!(worker["execArgv"][0], "--stack-size=900");
    assert_eq!(worker["cwd"].as_str(), app.directory.join("sub").to_str());
}

#[test]
fn times_and_the_stop_signal() {
    let app = App::new();
    app.configure("workers = 1\nready-timeout = \"20s\"", "");
    let service = app.start();
    app.configure("workers = 1\nready-timeout = \"300ms\"\nstop-signal = \"USR2\"", "");
    // One that never listens is given up as the file says that this very reload brings.
    let js = app.write("app.js", "setTimeout(() => {}, 60_000);");
    let (code, said) = refused(&service);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("within 300 ms"), "{said}");
    // The reload has failed, so that all else is as before.
    service.wait_for_line("was killed by SIGTERM");

    write(js, crate::APP);
    app.configure("workers = 1\nready-timeout = \"19s\"\nstop-signal = \"USR2\"", "");
    service.reload();
    app.configure("workers = 1\nready-timeout = \"300ms\"\nstop-signal = \"USR2\"", "");
    app.write("app.js", "setTimeout(() => {}, 60_000);");
    assert_eq!(refused(&service).0, Some(1));
    service.wait_for_line("was killed by SIGUSR2");
    assert_eq!(service.status()["generation"], 3);
}

#[test]
fn a_number_of_workers_that_is_written_anew_is_scaled_to() {
    let app = App::new();
    app.configure("workers = 1", "");
    let service = app.start();
    app.configure("workers = 3", "A = 1");
    service.reload();
    service.wait_for_status("three slots are ready", |status| {
        status["slots"].as_array().is_some_and(|slots| {
            slots.len() == 3 && slots.iter().all(|slot| slot["state"] == "ready")
        })
    });
    // What `scale` has made of it stays, as long as the file says the same.
    let _scaled: Value = service.scale("2");
    service.reload();
    assert_eq!(slots(&service), 2);
    assert_eq!(variables(&app, ["A"]), ["1"]);
}

#[test]
fn what_only_a_new_start_can_change_is_refused_as_a_whole() {
    let app = App::new();
    app.configure("workers = 1\nbalance = \"kernel\"", "A = 1");
    let service = app.start();
    app.configure(
        "workers = 2\nbalance = \"shared\"\nbacklog = 7\nweights = \"even\"\nno-agent = true",
        "A = 2",
    );
    let text = std::fs::read_to_string(app.directory.join("relevo.toml")).expect("a file");
    app.write("relevo.toml", &text.replacen(&app.name, "another", 1));
    let (code, said) = refused(&service);
    assert_eq!(code, Some(1), "{said}");
    for words in [
        "only a new start can bring these changes: stop the service and start it again",
        "balance is `kernel` now, and is to be `shared`: the listening sockets",
        "backlog is `4096` now, and is to be `7`: ",
        "weights is `load` now, and is to be `even`: ",
        "no-agent is not set now, and is to be `true`: ",
        "now, and is to be `another`: the service's lock",
    ] {
        assert!(said.contains(words), "`{words}` is not said: {said}");
    }
    assert!(!said.contains("workers is"), "{said}");
    assert_eq!(variables(&app, ["A"]), ["1"]);
    let status = service.status();
    assert_eq!((status["generation"].as_u64(), slots(&service)), (Some(1), 1));

    // Taken back, it goes.
    app.configure("workers = 1\nbalance = \"kernel\"", "A = 2");
    service.reload();
    assert_eq!(variables(&app, ["A"]), ["2"]);
}

#[test]
fn a_fault_in_the_file_leaves_everything_as_it_was() {
    let app = App::new();
    app.configure("workers = 1", "A = 1");
    let service = app.start();
    let pid = app.worker()["pid"].clone();
    app.configure("workers = 1\nhold = 3", "A = 2\nSECRET = hunter2");
    let (code, said) = refused(&service);
    assert_eq!(code, Some(2), "{said}");
    for words in ["nothing is reloaded: relevo.toml has 2 faults", "relevo.toml:4:8", "write `3s`"]
    {
        assert!(said.contains(words), "`{words}` is not said: {said}");
    }
    service.signal(Signal::HUP);
    service.signal(Signal::USR2);
    service.wait_for_lines("nothing is reloaded", 2);
    let accepted = service.ask("reload", &["--no-wait"]);
    assert_eq!(accepted.status.code(), Some(2), "{accepted:?}");
    std::fs::remove_file(app.directory.join("relevo.toml")).expect("it is there");
    let (code, said) = refused(&service);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("relevo.toml: No such file"), "{said}");
    assert!(!service.log().contains("hunter2"));
    assert_eq!(app.worker()["pid"], pid);
    assert_eq!(service.status()["generation"], 1);
}

/// A rollout that fails takes its configuration with it, and a later reload brings it again.
#[test]
fn a_rollout_that_fails_leaves_everything_as_it_was() {
    let app = App::new();
    let app_js = format!("if (process.env.A === 'bad') process.exit(1);\n{}", crate::APP);
    app.write("app.js", &app_js);
    app.configure("workers = 1", "A = \"good\"");
    let service = app.start();
    app.configure("workers = 2", "A = \"bad\"\nB = 1");
    let (code, said) = refused(&service);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(slots(&service), 1);
    let pid = app.worker()["pid"].as_u64().expect("a pid") as u32;
    crate::support::service::signal_process(pid, Signal::KILL);
    eventually("another worker", || {
        let answer = get(app.port, "/").map_err(|lost| format!("{lost:?}"))?.json();
        if answer["pid"] == pid { Err("the same".to_owned()) } else { Ok(()) }
    });
    assert_eq!(variables(&app, ["A", "B"]), ["good", "none"]);

    app.configure("workers = 2", "A = \"better\"\nB = 1");
    service.reload();
    assert_eq!(variables(&app, ["A", "B"]), ["better", "1"]);
    service.wait_for_status("two slots", |status| {
        status["slots"].as_array().is_some_and(|slots| slots.len() == 2)
    });
}

/// A release that a link points to brings its own files.
#[test]
fn a_link_that_moved_on_is_followed() {
    let releases = TempDir::new("config");
    let port = port();
    let name = crate::support::relevo::unique_name("config");
    for release in ["1", "2"] {
        write(releases.join(release).join("app.js"), crate::APP);
        write(releases.join(release).join("web.env"), format!("RELEASE={release}\n"));
        let text = format!(
            "name = \"{name}\"\nscript = \"app.js\"\nworkers = 1\nenv-file = \"web.env\"\nenv.PORT = {port}\nenv.OF = \"{release}\"\n"
        );
        write(releases.join(release).join("relevo.toml"), text);
    }
    let current = releases.join("current");
    std::os::unix::fs::symlink("1", &current).expect("a link");
    let service = Setup::of_file(&name, &current).start();
    let told = || {
        let env = get(port, "/").expect("an answer").json()["env"].clone();
        [env["RELEASE"].clone(), env["OF"].clone()]
    };
    assert_eq!(told(), ["1", "1"]);
    std::fs::remove_file(&current).expect("a link");
    std::os::unix::fs::symlink("2", &current).expect("a link");
    service.reload();
    assert_eq!(told(), ["2", "2"]);
}

/// A pipe is read once; what came out of it stays.
#[test]
fn an_env_file_that_is_a_pipe() {
    let port = port();
    let script = fixture("kitchen.js");
    let line = format!("exec \"$@\" --env-file <(echo PORT={port}) {}", script.display());
    let runtime = TempDir::new("runtime");
    let name = crate::support::relevo::unique_name("config");
    let mut child = std::process::Command::new("bash")
        .args(["-c", &line, "bash", crate::support::service::RELEVO, "run", "-w", "1", "--name"])
        .arg(&name)
        .env("RELEVO_RUNTIME_DIR", runtime.path())
        .env("PATH", crate::support::relevo::path_with(22))
        .spawn()
        .expect("bash");
    eventually("an answer", || get(port, "/").map(drop));
    let reload = std::process::Command::new(crate::support::service::RELEVO)
        .args(["reload", &name])
        .env("RELEVO_RUNTIME_DIR", runtime.path())
        .output()
        .expect("relevo runs");
    crate::support::service::signal_process(child.id(), Signal::TERM);
    let ended = crate::support::service::wait_for_exit(&mut child);
    assert!(reload.status.success(), "{reload:?}");
    assert!(ended.success());
}
