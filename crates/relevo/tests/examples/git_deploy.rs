//! The hook of `examples/git-deploy`, run by real pushes to a bare repository.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::client::get;
use crate::support::ports::port;
use crate::support::relevo::{path_with, write};
use crate::support::service::{RELEVO, Setup};
use crate::support::{TempDir, root};

struct Developer<'a> {
    place: &'a TempDir,
    runtime: &'a Path,
    service: &'a str,
}

impl Developer<'_> {
    fn git(&self, directory: &str, words: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(words).current_dir(self.place.join(directory)).env("PATH", path_with(22));
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "Test"),
            ("GIT_AUTHOR_EMAIL", "test@example.org"),
            ("GIT_COMMITTER_NAME", "Test"),
            ("GIT_COMMITTER_EMAIL", "test@example.org"),
            ("DEPLOY_SERVICE", self.service),
            ("DEPLOY_RELEVO", RELEVO),
            ("DEPLOY_INSTALL", "echo installing for $PWD"),
        ] {
            command.env(name, value);
        }
        command
            .env("DEPLOY_WORK_TREE", self.place.join("srv"))
            .env("RELEVO_RUNTIME_DIR", self.runtime);
        let output = command.output().expect("git");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "git {words:?}: {said}");
        said
    }

    /// Commits what is there and pushes it; what the hook said.
    fn push(&self, app: &str) -> String {
        write(self.place.join("dev/app.js"), app);
        self.git("dev", &["add", "-A"]);
        self.git("dev", &["commit", "-q", "-m", "a change"]);
        self.git("dev", &["push", "server", "main"])
    }
}

fn app(version: u32) -> String {
    format!(
        "require('http').createServer((q, r) => r.end('version {version}')).listen(Number(process.env.PORT));\n"
    )
}

#[test]
fn a_push_checks_out_and_reloads_and_a_refused_reload_reaches_the_pusher() {
    let place = TempDir::new("deploy");
    for directory in ["dev", "web.git", "srv"] {
        std::fs::create_dir(place.join(directory)).expect("a directory");
    }
    let port = port();
    let setup = Setup::new(22, place.join("srv/app.js")).options("-w 2").env("PORT", port);
    let runtime = TempDir::new("deploy-runtime");
    let setup = setup.env("RELEVO_RUNTIME_DIR", runtime.path().display());
    let name = setup.name().to_owned();
    let developer = Developer { place: &place, runtime: runtime.path(), service: &name };
    developer.git("web.git", &["init", "-q", "--bare"]);
    let hook = place.join("web.git/hooks/post-receive");
    std::fs::copy(root().join("examples/git-deploy/post-receive"), &hook).expect("the hook");
    let mode = std::fs::metadata(&hook).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "the example can be executed as it is");
    developer.git("dev", &["init", "-q", "-b", "main"]);
    let server = place.join("web.git");
    developer.git("dev", &["remote", "add", "server", server.to_str().expect("ASCII")]);

    // Before the service runs.
    let said = developer.push(&app(1));
    assert!(said.contains(&format!("deploy: '{name}' is not running yet")), "{said}");
    assert!(place.join("srv/app.js").exists());

    let service = setup.start();
    assert_eq!(get(port, "/").expect("an answer").text(), "version 1");
    // A new lock file has the install run; what was never tracked is left alone.
    write(place.join("srv/.env"), "SECRET=1");
    write(place.join("dev/package-lock.json"), "{}");
    let said = developer.push(&app(2));
    assert!(said.contains("remote: installing for"), "{said}");
    assert!(said.contains(&format!("deploy: '{name}' serves the new code")), "{said}");
    for _ in 0..10 {
        assert_eq!(get(port, "/").expect("an answer").text(), "version 2");
    }
    assert!(place.join("srv/.env").exists());

    let said = developer.push("console.error('no database'); process.exit(3);\n");
    for word in [
        "relevo: reload refused: worker",
        "exited with code 3 before it listened; generation 2 keeps serving",
        "no database",
        "deploy: FAILED: relevo reload",
        "exit code 1; the old workers keep serving",
    ] {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert!(!said.contains("installing"), "the lock file is the same: {said}");
    assert_eq!(get(port, "/").expect("an answer").text(), "version 2");

    let said = developer.push(&app(4));
    assert!(said.contains("serves the new code"), "{said}");
    assert_eq!(get(port, "/").expect("an answer").text(), "version 4");
    let said = developer.git("dev", &["push", "server", "main:refs/heads/other"]);
    assert!(said.contains("refs/heads/other is not main: not deployed"), "{said}");
    drop(service);
}
