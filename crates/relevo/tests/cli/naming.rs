//! Which service a command without a name means. Services are seen by all of their user's commands,
//! so these tests have a network namespace of their own, where no other test's are.

use std::process::{Child, Command, Stdio};

use crate::support::relevo::write;
use crate::support::service::{RELEVO, Service, Setup};
use crate::support::{TempDir, eventually, fixture};

/// A network namespace that lasts as long as this.
struct Island(Child);

impl Island {
    fn new() -> Option<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo there; exec sleep 600"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).ok()?;
        let island = Self(holder);
        if line == "there\n" {
            return Some(island);
        }
        eprintln!("skipped: no network namespace can be had here");
        None
    }

    fn enter(&self) -> Vec<String> {
        ["nsenter", "--net", "--target"]
            .map(str::to_owned)
            .into_iter()
            .chain([self.0.id().to_string()])
            .collect()
    }

    fn start(&self, port: u16) -> Service {
        let enter = self.enter();
        let words: Vec<&str> = enter.iter().map(String::as_str).collect();
        Setup::new(22, fixture("kitchen.js"))
            .options("-w 1")
            .env("PORT", port)
            .through(&words)
            .start()
    }

    /// A command in the given directory: its exit code, stdout and stderr.
    fn run(
        &self,
        services: &[&Service],
        directory: &TempDir,
        words: &[&str],
    ) -> (i32, String, String) {
        let enter = self.enter();
        let mut command = Command::new(&enter[0]);
        command.args(&enter[1..]).arg(RELEVO).args(words);
        // Every service of these tests has a place of its own: the one that is asked for is enough.
        for (service, variable) in services.iter().zip(["RELEVO_RUNTIME_DIR", "XDG_RUNTIME_DIR"]) {
            command.env(variable, service.runtime.path());
        }
        let output = command.current_dir(directory.path()).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn none_one_and_several() {
    let Some(island) = Island::new() else { return };
    let here = TempDir::new("naming");
    let check = |services: &[&Service], words: &[&str], code: i32, says: &str| {
        let (got, stdout, stderr) = island.run(services, &here, words);
        assert_eq!(got, code, "{words:?}: {stdout}{stderr}");
        assert!(stdout.contains(says) || stderr.contains(says), "{words:?}: {stdout}{stderr}");
    };
    for command in ["status", "reload", "stop"] {
        check(&[], &[command], 3, "relevo: no service runs: start one, as in `relevo run app.js`");
        check(&[], &[command, "web"], 3, "no service `web` runs; no other does, either");
    }
    check(&[], &["ps"], 0, "no service runs");
    check(&[], &["ps", "--json"], 0, "[]");
    check(&[], &["stop", "--if-running"], 0, "nothing to stop");
    check(&[], &["stop", "web", "--if-running", "--json"], 0, r#"{"name":"web","stopped":false}"#);

    let first = island.start(3000);
    let a = &first.name;
    for command in ["status", "reload"] {
        check(&[&first], &[command], 0, "");
    }
    check(&[&first], &["status"], 0, &format!("{a}  running"));
    check(&[&first], &["status", "web"], 3, &format!("one that does is `{a}`"));

    let second = island.start(3001);
    let bb = &second.name;
    let mut names = [a, bb];
    names.sort();
    let both = format!("2 services run: name one of `{}`, `{}`", names[0], names[1]);
    for command in ["status", "reload", "stop"] {
        check(&[&first], &[command], 2, &both);
    }
    check(&[&first], &["stop", "--if-running"], 2, &both);
    check(&[&first], &["ps"], 0, a);
    check(&[&first], &["ps"], 0, bb);
    check(&[&second], &["status", bb], 0, &format!("{bb}  running"));

    // package.json in the current directory decides between them.
    write(here.join("package.json"), format!("{{\"name\":\"@acme/{bb}\"}}"));
    check(&[&second], &["status"], 0, &format!("{bb}  running"));
    check(&[&second], &["stop"], 0, &format!("stopped: {bb}"));
    check(&[&first], &["stop", "--json"], 0, &format!("{{\"name\":\"{a}\",\"stopped\":true}}"));
    check(&[], &["ps", "--json"], 0, "[]");
}

/// Hooks, cron and systemd have none of the variables that the service was started with.
#[test]
fn sockets_are_looked_for_in_every_place() {
    let place = TempDir::new("xdg");
    let service = Setup::new(22, fixture("kitchen.js"))
        .options("-w 1")
        .env("PORT", crate::support::ports::port())
        .env("RELEVO_RUNTIME_DIR", "")
        .env("XDG_RUNTIME_DIR", place.path().display())
        .start();
    let name = &service.name;
    let socket = place.path().join("relevo").join(name).join("control.sock");
    assert!(socket.exists());
    let status = |variables: &[(&str, &std::path::Path)]| {
        let mut command = Command::new(RELEVO);
        command.args(["status", name, "--json"]);
        command.env_remove("RELEVO_RUNTIME_DIR").env_remove("XDG_RUNTIME_DIR");
        command.envs(variables.iter().copied()).output().expect("relevo runs")
    };
    let elsewhere = TempDir::new("elsewhere");
    let found = [("RELEVO_RUNTIME_DIR", elsewhere.path()), ("XDG_RUNTIME_DIR", place.path())];
    eventually("the status", || {
        let output = status(&found);
        if output.status.success() { Ok(()) } else { Err(output) }
    });
    let lost = status(&[]);
    let said = String::from_utf8_lossy(&lost.stderr).into_owned();
    assert_eq!(lost.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("(pid {})", service.pid())), "{said}");
    assert!(
        said.contains("if it was started with RELEVO_RUNTIME_DIR, set that here, too"),
        "{said}"
    );
}
