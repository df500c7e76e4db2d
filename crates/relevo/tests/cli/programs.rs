//! What `run` makes of its words: scripts of every kind, package.json, node's flags, the app's own.

use std::os::unix::fs::PermissionsExt;
use std::process::Child;

use serde_json::{Value, json};

use crate::support::client::{Connection, get};
use crate::support::ports::port;
use crate::support::relevo::{Relevo, unique_name, write};
use crate::support::service::signal_process;
use crate::support::{TempDir, eventually, fixture};

/// A `relevo run` as somebody types it.
struct Running {
    child: Child,
    port: u16,
    _runtime: TempDir,
}

impl Running {
    fn start(line: Relevo) -> Self {
        let port = port();
        let (child, runtime) = line.env("PORT", port.to_string()).spawn();
        Self { child, port, _runtime: runtime }
    }

    /// The answer at `/`, once there is one.
    fn answer(&mut self) -> String {
        let Self { child, port, .. } = self;
        eventually("an answer", || {
            if let Some(status) = child.try_wait().expect("our child") {
                panic!("it ended with {status}: {}", rest(child));
            }
            get(*port, "/")
        })
        .text()
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.answer()).expect("JSON")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        signal_process(self.child.id(), rustix::process::Signal::QUIT);
        let _ = self.child.wait();
    }
}

fn rest(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = std::io::Read::read_to_string(&mut stderr, &mut text);
    }
    text
}

/// A line run in a directory, with one worker and a name of its own.
fn run_in(directory: impl AsRef<std::path::Path>, words: &[&str]) -> Running {
    let name = unique_name("program");
    let mut line = vec!["run", "--name", &name, "-w", "1"];
    line.extend(words);
    Running::start(Relevo::new(&line).directory(directory))
}

fn answers(words: &[&str]) -> Value {
    run_in(fixture(""), words).json()
}

#[test]
fn options_are_ours_and_what_follows_the_dashes_is_the_apps() {
    let name = unique_name("program");
    let script = fixture("surroundings.js");
    let script = script.to_str().unwrap();
    let argv = |line: Relevo| Running::start(line).json()["argv"].clone();
    let directory = fixture("");
    // Options of ours after the script, as every newcomer writes them.
    let line = Relevo::new(&["run", "surroundings.js", "one", "--name", &name, "-w", "1"]);
    assert_eq!(argv(line.directory(&directory)), json!([script, "one"]));
    assert_eq!(
        answers(&["surroundings.js", "--", "-w", "9", "--", "--name=x"])["argv"],
        json!([script, "-w", "9", "--", "--name=x"])
    );
    assert_eq!(answers(&["--", "surroundings.js", "-w", "9"])["argv"], json!([script, "-w", "9"]));
    let with_node = answers(&["node", "--no-warnings", "surroundings.js", "-w", "9"]);
    assert_eq!(with_node["argv"], json!([script, "-w", "9"]));
    assert_eq!(with_node["execArgv"], json!(["--no-warnings"]));
    let node_arg = answers(&["--node-arg", "--no-warnings", "surroundings.js"]);
    assert_eq!(node_arg["execArgv"], json!(["--no-warnings"]));
    // As node itself completes a name.
    assert_eq!(
        answers(&["./surroundings"])["argv"],
        json!([script.trim_end_matches(".js").to_owned() + ".js"])
    );
}

#[test]
fn the_inspector_listens_for_who_asks() {
    let inspector = loop {
        // The worker's is the next one.
        let (first, second) = (port(), port());
        if second == first + 1 {
            break first;
        }
    };
    let flag = format!("--inspect=127.0.0.1:{inspector}");
    let mut service = run_in(fixture(""), &["node", &flag, "surroundings.js"]);
    let found = service.json();
    assert_eq!(found["execArgv"], json!([flag, format!("--inspect-port={}", inspector + 1)]));
    // It answers to nobody who calls it by a name.
    let mut page = Connection::open(inspector + 1).expect("the inspector");
    page.send(b"GET /json/version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").expect("it is sent");
    let page = page.receive().expect("an answer").text();
    assert!(page.contains("node.js"), "{page}");
}

#[test]
fn kinds_of_scripts() {
    assert!(run_in(fixture(""), &["esm.mjs"]).answer().trim().parse::<u32>().is_ok());
    let hashbang = answers(&["hashbang", "x"]);
    assert_eq!(hashbang["argv"], json!(["x"]));
    for major in [22, 24, 26] {
        let name = unique_name("program");
        let line = Relevo::new(&["run", "--name", &name, "-w", "1", "typed.ts"]).node(major);
        let answer = Running::start(line.directory(fixture(""))).json();
        assert_eq!(answer["from"], "typed", "node {major}");
    }
    // A package's command, as package managers install it: a link, executable, of any name.
    let project = TempDir::new("program");
    let command = write(
        project.join("node_modules/web/bin/start.js"),
        "#!/usr/bin/env node\nrequire('http').createServer((q, r) => r.end(JSON.stringify(process.argv.slice(2)))).listen(Number(process.env.PORT));\n",
    );
    std::fs::set_permissions(&command, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    std::fs::create_dir_all(project.join("node_modules/.bin")).expect("a directory");
    std::os::unix::fs::symlink("../web/bin/start.js", project.join("node_modules/.bin/web"))
        .expect("a link");
    let mut service = run_in(project.path(), &["node_modules/.bin/web", "serve"]);
    assert_eq!(service.json(), json!(["serve"]));
}

#[test]
fn without_a_script_package_json_says_what_to_run() {
    let project = TempDir::new("program");
    let app = "require('http').createServer((q, r) => r.end(JSON.stringify([require('path').basename(__filename), process.execArgv, process.argv.slice(2)]))).listen(Number(process.env.PORT));";
    for name in ["start.js", "lib/main.js", "index.js"] {
        write(project.join(name), app);
    }
    let check = |package: &str, expected: Value| {
        write(project.join("package.json"), package);
        let mut service = run_in(project.path(), &[]);
        assert_eq!(service.json(), expected, "{package}");
    };
    check(
        r#"{"main":"lib/main","scripts":{"start":"node --no-warnings 'start.js' 1 \"2 3\""}}"#,
        json!(["start.js", ["--no-warnings"], ["1", "2 3"]]),
    );
    check(r#"{"main":"lib/main","scripts":{"test":"x"}}"#, json!(["main.js", [], []]));
    check("{}", json!(["index.js", [], []]));
    // Its name is the service's, without the scope.
    let name = unique_name("packaged");
    write(project.join("package.json"), format!("{{\"name\":\"@acme/{name}\"}}"));
    let line = Relevo::new(&["run", "-w", "1", "start.js"]).directory(project.path());
    let runtime = line.runtime.path().join(&name).join("control.sock");
    let mut service = Running::start(line);
    service.answer();
    assert!(runtime.exists());
}

#[test]
fn the_directorys_name_is_the_services_where_no_package_gives_one() {
    let project = TempDir::new("dir with spaces");
    let app = "require('http').createServer((q, r) => r.end()).listen(Number(process.env.PORT));";
    write(project.join("app.js"), app);
    let line = Relevo::new(&["run", "-w", "1", "app.js"]).directory(project.path());
    let name = project.path().file_name().unwrap().to_str().unwrap().replace(' ', "-");
    let socket = line.runtime.path().join(name).join("control.sock");
    let mut service = Running::start(line);
    service.answer();
    assert!(socket.exists(), "{}", socket.display());
}
