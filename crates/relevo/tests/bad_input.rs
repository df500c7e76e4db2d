//! What is wrong gets one sentence, the right exit code, and leaves nothing behind.

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Stdio};

use rustix::process::{geteuid, getpid};
use support::ports::port;
use support::relevo::{Relevo, path_with, unique_name, write};
use support::service::{RELEVO, Setup};
use support::{TempDir, fixture, nodes};

/// Each of these command lines, run among the fixtures, is refused before anything is started.
#[track_caller]
fn check(line: &str, code: i32, words: &[&str]) {
    let line: Vec<&str> = line.split_whitespace().collect();
    let ended = Relevo::new(&line).directory(fixture("")).run();
    ended.assert_code(code).assert_one_sentence(words).assert_nothing_left();
    assert_eq!(ended.stdout, "", "{}", ended.told());
}

#[test]
fn scripts_that_cannot_be_run() {
    check("run nope.js", 2, &["nope.js does not exist", "relevo run app.js"]);
    check("run tls", 2, &["tls is a directory without an index.js", "relevo run tls/app.js"]);
    check("run node", 2, &["`node` without a script", "relevo run node app.js"]);
    check("run node -e 1", 2, &["`node -e`", "put the code into a file"]);
    check("run node --watch kitchen.js", 2, &["--watch", "leave the flag out"]);
    check("run /bin/sh", 2, &["only starts the program"]);
    check("run README.md", 2, &["README.md` is not a JavaScript file"]);
    check("run /proc/self/exe", 2, &["is not a JavaScript file", "compiled program"]);
    let empty = Relevo::new(&["run", ""]).run();
    empty.assert_code(2).assert_one_sentence(&["name is empty"]).assert_nothing_left();

    let files = TempDir::new("bad");
    for (name, text, says) in [
        ("serve.py", "#!/usr/bin/env python3\nprint(1)\n", "#!/usr/bin/env python3"),
        ("serve", "#!/bin/sh\nexec node app.js\n", "#!/bin/sh"),
        ("empty", "", "it is empty"),
        ("data.json", "{}", "neither such a name nor"),
    ] {
        write(files.join(name), text);
        let ended = Relevo::new(&["run", name]).directory(files.path()).run();
        ended.assert_code(2).assert_one_sentence(&[name, says]).assert_nothing_left();
    }
}

#[test]
fn commands_that_only_wrap_node_are_refused_with_the_command_to_use() {
    check("run npm start", 2, &["`npm start` only starts", "relevo run app.js"]);
    check("run npx next start", 2, &["use `relevo run node_modules/.bin/next start`"]);
    check("run yarn start", 2, &["`yarn start` only starts"]);
    check("run pnpm run serve", 2, &["only starts"]);
    check("run pm2 start kitchen.js", 2, &["only starts", "relevo run"]);
    check("run nodemon kitchen.js", 2, &["use `relevo run kitchen.js`"]);
    check("run deno run kitchen.js", 2, &["`deno` is not node"]);
    let shell = Relevo::new(&["run", "sh", "-c", "PORT=1 node kitchen.js"]).run();
    shell
        .assert_code(2)
        .assert_one_sentence(&["use `relevo run --env PORT=1 node kitchen.js`"])
        .assert_nothing_left();

    let package = TempDir::new("bad");
    let start = r#"{"scripts":{"start":"node server.js --port 1"}}"#;
    write(package.join("package.json"), start);
    let npm = Relevo::new(&["run", "npm", "start"]).directory(package.path()).run();
    npm.assert_code(2).assert_one_sentence(&["use `relevo run node server.js --port 1`"]);
}

#[test]
fn values_of_options() {
    check("run -w 0 kitchen.js", 2, &["--workers: `0` workers would serve nobody", "1 to 1024"]);
    check("run -w abc kitchen.js", 2, &["--workers: `abc` is not a number", "1 to 1024"]);
    check("run -w 5000 kitchen.js", 2, &["--workers: `5000` is more", "1 to 1024"]);
    check("run -w -1 kitchen.js", 2, &["--workers: `-1` is not a number"]);
    check("run --name a/b kitchen.js", 2, &["--name: `a/b` has a slash", "use letters"]);
    check("run --name .. kitchen.js", 2, &["--name: `..` is a directory's name"]);
    check("run --balance fair kitchen.js", 2, &["--balance: `fair`", "`kernel`"]);
    check("run --backlog 0 kitchen.js", 2, &["--backlog: `0`"]);
    check("run --hook-timeout 0 kitchen.js", 2, &["--hook-timeout: `0` leaves no time at all"]);
    check("run --final-exit-codes 256 kitchen.js", 2, &["--final-exit-codes: `256`", "`0,64-78`"]);
    check("run --ready-timeout 30 kitchen.js", 2, &["--ready-timeout: `30`", "30s"]);
    check("run --ready-timeout 5x kitchen.js", 2, &["unknown unit `x`", "ms, s, m"]);
    check("run --drain-timeout -1s kitchen.js", 2, &["--drain-timeout"]);
    check("run --stop-timeout 400d kitchen.js", 2, &["--stop-timeout: `400d`"]);
    check("run --stop-signal NOPE kitchen.js", 2, &["--stop-signal: `NOPE`"]);
    check("run --env FOO kitchen.js", 2, &["--env: `FOO` has no `=`", "KEY=value"]);
    check("run --env =1 kitchen.js", 2, &["--env: `=1` has no name"]);
    check("run --cwd /nowhere kitchen.js", 2, &["--cwd: /nowhere", "a directory that is there"]);
    check("run --cwd kitchen.js app.js", 2, &["--cwd:", "is not a directory"]);
    check("run --node-arg --watch kitchen.js", 2, &["--watch"]);
    check("run kitchen.js --name", 2, &["`--name <NAME>` wants its value"]);
    check("run --watch=nowhere kitchen.js", 2, &["--watch: ", "nowhere", "that is there"]);
    check("run --ignore {a kitchen.js", 2, &["--ignore: `{a` is no pattern of files"]);
    check("run --reload-at @daily kitchen.js", 2, &["--reload-at: `@daily` has 1 of the 5"]);
    check("run --hold soon kitchen.js", 2, &["--hold: `soon` is not a time"]);
    check("run --hold 8d kitchen.js", 2, &["--hold: `8d`", "7d"]);
    check("run --max-memory 512 kitchen.js", 2, &["--max-memory: `512` has no unit", "`512M`"]);
    check("run --max-memory much kitchen.js", 2, &["--max-memory: `much` is not a size", "1.5G"]);
    check("run --max-memory 1K kitchen.js", 2, &["--max-memory: `1K` is less than any worker"]);
    check("run --max-age 0 kitchen.js", 2, &["--max-age: `0` leaves no time at all"]);
    check("run --max-age old kitchen.js", 2, &["--max-age: `old` is not a time"]);
    check("run --max-requests 0 kitchen.js", 2, &["--max-requests: `0` is not a number of req"]);
    check("run --max-requests 9 --no-agent kitchen.js", 2, &["--max-requests", "--no-agent"]);
    check("reload x --timeout soon", 2, &["--timeout: `soon` is not a time"]);
    check("status a/b", 2, &["`a/b` has a slash"]);
    check("scale", 2, &["how many workers is not said", "relevo scale 4"]);
    check("scale web", 2, &["`web` is not a number of workers", "from 1 to 1024", "`+1`"]);
    check("scale 0", 2, &["`0` workers would serve nobody", "relevo stop"]);
    check("scale web --no-wait 0", 2, &["`0` workers would serve nobody", "relevo stop"]);
    check("scale 1025", 2, &["`1025` is more workers than a service can have"]);
    check("scale a/b 2", 2, &["`a/b` has a slash"]);
    check("scale web 1 2", 2, &["`2` is one argument too many"]);
    check("scale web -1 --timeout soon", 2, &["--timeout: `soon` is not a time"]);
    check("scale nobody-has-this-name -1", 3, &["no service `nobody-has-this-name` runs"]);
}

/// At 0 no worker could ever be ready, so the start would always fail after having begun.
#[test]
fn a_worker_must_have_some_time_to_be_ready() {
    check("run --ready soon kitchen.js", 2, &["--ready: `soon` does not say when", "`http:/PATH`"]);
    check("run --ready http:healthz kitchen.js", 2, &["names no path to ask for", "http:/healthz"]);
    check("reload --listeners any", 2, &["any", "same", "changed"]);
    check("run --ready-timeout 0 kitchen.js", 2, &["--ready-timeout: `0` leaves no time at all"]);
    check("run --ready-timeout 0ms kitchen.js", 2, &["--ready-timeout", "as in `30s`"]);
}

#[test]
fn a_canary_needs_what_it_is_judged_by() {
    for (options, parts) in [
        ("--canary-requests 0", ["--canary-requests: `0` would prove nothing", "from 1 to"]),
        ("--canary-share 5", ["--canary-share: `5` is not a share", "from 1% to 99%"]),
        ("--canary-timeout 0", ["--canary-timeout: `0` leaves no time at all", "as in"]),
        ("--canary-inconclusive perhaps", ["`perhaps` is not what can follow", "`go-on`"]),
        ("--canary-requests 9 --all-first", ["--canary-requests: under --all-first", "leave one"]),
        ("--canary-share 9% --all-first", ["--canary-share: under --all-first", "leave one"]),
        ("--canary-requests 9 --no-agent", ["counted by the agent", "leave out --no-agent"]),
        ("--canary-share 9% --balance shared", ["under --balance shared", "another balance"]),
        ("--canary-share 9% --probation 0s", ["no --canary-requests", "give one of these"]),
    ] {
        check(&format!("run {options} kitchen.js"), 2, &parts);
    }
}

#[test]
fn what_is_not_built_is_not_known() {
    check("run --admin off kitchen.js", 2, &["there is no option", "--admin"]);
    check("run --balance hash kitchen.js", 2, &["`hash` is not a way to balance"]);
    check("run --weights equal kitchen.js", 2, &["`equal` is not a way to weigh slots"]);
    for command in [
        "start",
        "restart",
        "logs",
        "top",
        "import",
        "upgrade",
        "replay",
        "service",
        "completions",
        "man",
    ] {
        check(command, 2, &["there is no command", command]);
    }
    check("events -n abc", 2, &["--last: `abc` is not a whole number", "as in `--last 20`"]);
    check(
        "events -n 99999999999999999999",
        2,
        &["--last: `99999999999999999999` is too large", "`--last 20`"],
    );
    check("prove http://127.0.0.1/ --reloads 1e3", 2, &["--reloads: `1e3` is not a whole number"]);
    check("run --xyzzy kitchen.js", 2, &["there is no option", "relevo run --help"]);
    check("reload --frobnicate", 2, &["there is no option", "relevo reload --help"]);
    check("stop one two", 2, &["`two` is one argument too many"]);
}

#[test]
fn env_files_show_where_the_fault_is_and_no_value() {
    check("run --env-file nowhere.env kitchen.js", 2, &["--env-file: nowhere.env", "KEY=value"]);
    check("run --env-file tls kitchen.js", 2, &["--env-file: tls: Is a directory"]);
    // It has no end, and is not read to it.
    check("run --env-file /dev/zero kitchen.js", 2, &["/dev/zero has faults", "larger than 1 MiB"]);

    let files = TempDir::new("bad");
    let text = "PORT=3000\nPASSWORD hunter2\nexport TOKEN='s3cr3t' t4il\n\
                KEY=\"-----BEGIN\nQUJDRA==\nMIIEvQIBADANBg\n";
    let file = write(files.join(".env"), text);
    let ended = Relevo::new(&["run", "--env-file"])
        .arg(&file)
        .arg("kitchen.js")
        .directory(fixture(""))
        .run();
    ended
        .assert_code(2)
        .assert_one_sentence(&[
            "has faults",
            ".env:2:1",
            "this line has no `=`",
            ".env:3:23",
            "text after the closing quote",
            "export TOKEN='******' ****",
            "                      ^^^^",
            ".env:4:5",
            "never closed",
        ])
        .assert_nothing_left();
    for secret in ["hunter2", "s3cr3t", "t4il", "BEGIN", "QUJDRA", "MIIEv"] {
        assert!(!ended.stderr.contains(secret), "{}", ended.told());
    }
}

#[test]
fn package_json() {
    let package = TempDir::new("bad");
    let check = |text: &str, words: &[&str]| {
        write(package.join("package.json"), text);
        let ended = Relevo::new(&["run"]).directory(package.path()).run();
        ended.assert_code(2).assert_one_sentence(words).assert_nothing_left();
    };
    check("{\n  \"name\": \"web\",\n}\n", &["package.json: line 3"]);
    check("[]", &["package.json: line 1", "expected an object"]);
    check("{}", &["nothing says what to run", "`main`"]);
    check(r#"{"main":"gone.js"}"#, &["gone.js does not exist"]);
    check(r#"{"scripts":{"start":"next start"}}"#, &["use `relevo run node_modules/.bin/next"]);
    check(r#"{"scripts":{"start":"tsc && node app.js"}}"#, &["a shell for its `&`"]);
    check(r#"{"scripts":{"start":"A=1 node app.js"}}"#, &["`--env`", "relevo run --env A=1"]);
    fs::write(package.join("package.json"), [b'{', 0xff, b'}']).expect("a file");
    let binary = Relevo::new(&["run"]).directory(package.path()).run();
    binary.assert_code(2).assert_one_sentence(&["package.json", "UTF-8"]);
}

#[test]
fn no_node() {
    let nothing = TempDir::new("bad");
    let without = |words: &[&str]| {
        Relevo::new(words).env("PATH", nothing.path()).directory(fixture("")).run()
    };
    without(&["run", "kitchen.js"])
        .assert_code(2)
        .assert_one_sentence(&["there is no `node` in PATH", "install Node.js"])
        .assert_nothing_left();
    without(&["run", "./gone/node", "kitchen.js"])
        .assert_code(2)
        .assert_one_sentence(&["./gone/node"])
        .assert_nothing_left();
}

#[test]
fn typescript_on_a_node_that_cannot_strip_types() {
    for major in [18, 20] {
        let ended = Relevo::new(&["run", "typed.ts"]).node(major).directory(fixture("")).run();
        ended
            .assert_code(2)
            .assert_one_sentence(&["typed.ts", &format!("{major}."), "22"])
            .assert_nothing_left();
    }
}

#[test]
fn files_that_may_not_be_read() {
    let files = TempDir::new("bad");
    fs::set_permissions(files.path(), fs::Permissions::from_mode(0o777)).expect("a mode");
    let script = write(files.join("app.js"), "1");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o200)).expect("a mode");
    let mut command;
    if geteuid().is_root() {
        // Root may read everything, so somebody else tries, with a copy of the binary that he can reach.
        let relevo = files.join("relevo");
        fs::copy(RELEVO, &relevo).expect("a copy");
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(relevo);
    } else {
        command = Command::new(RELEVO);
    }
    command.args(["run", "app.js"]).current_dir(files.path()).env("PWD", files.path());
    let output = command.env("PATH", path_with(22)).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("app.js cannot be read: Permission denied: let this user"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn an_app_that_cannot_be_parsed_or_throws() {
    for (script, words) in [
        ("syntax-error.js", ["syntax-error.js:6", "SyntaxError: Unexpected end of input"]),
        ("boot-throw.js", ["about to connect to the database", "Error: boot-throw: no database"]),
    ] {
        let ended = Relevo::new(&["run", "-w", "2", "--name", &unique_name("bad"), script])
            .directory(fixture(""))
            .run();
        ended
            .assert_code(1)
            .assert_says(&words)
            .assert_says(&["relevo: start failed: worker", "exited with code 1 before it listened"])
            .assert_nothing_left();
    }
}

#[test]
fn an_app_that_never_listens() {
    let ended = Relevo::new(&["run", "-w", "2", "--name", &unique_name("bad")])
        .arg("--ready-timeout=500ms")
        .arg(fixture("kitchen.js"))
        .env("NEVER_LISTEN", "1")
        .run();
    ended
        .assert_code(1)
        .assert_says(&[
            "relevo: start failed: worker",
            "did not listen on anything within 500 ms (--ready-timeout)",
            "call `listen` in the app, or give it more time",
        ])
        .assert_nothing_left();
}

#[test]
fn an_app_that_listens_past_node() {
    let directory = TempDir::new("bad");
    let app = "require('net').createServer().listen({ port: Number(process.env.PORT), exclusive: true });\n\
               setInterval(() => {}, 1000);\n";
    let app = write(directory.join("native.js"), app);
    let port = port();
    let ended = Relevo::new(&["run", "-w", "1", "--name", &unique_name("bad")])
        .arg("--ready-timeout=500ms")
        .arg(app)
        .env("PORT", port.to_string())
        .run();
    ended
        .assert_code(1)
        .assert_says(&[
            "relevo: start failed: worker",
            &format!("holds port {port}"),
            "a native listener",
            "let it listen with plain `listen(port)`",
        ])
        .assert_nothing_left();
    assert!(!ended.stderr.contains("--ready message"), "{}", ended.told());
}

#[test]
fn a_second_run_of_the_same_name() {
    let service = Setup::new(22, fixture("kitchen.js")).env("PORT", port()).options("-w 1").start();
    let ended = Relevo::new(&["run", "--name", &service.name, "kitchen.js"])
        .directory(fixture(""))
        .env("RELEVO_RUNTIME_DIR", service.runtime.path())
        .run();
    ended
        .assert_code(1)
        .assert_one_sentence(&[
            &format!("{} runs already (pid {})", service.name, service.pid()),
            "--name",
        ])
        .assert_nothing_left();
    assert_eq!(service.status()["state"], "running", "the first one is not disturbed");
}

#[test]
fn a_port_that_somebody_holds() {
    let port = port();
    let holder = TcpListener::bind(("0.0.0.0", port)).expect("the port");
    let run = |expected_pid: u32| {
        let ended = Relevo::new(&["run", "-w", "2", "--name", &unique_name("bad")])
            .arg(fixture("kitchen.js"))
            .env("PORT", port.to_string())
            .run();
        ended
            .assert_code(1)
            .assert_says(&[
                &format!("cannot listen on *:{port}: Address already in use: pid {expected_pid} ("),
                "stop that, or listen elsewhere",
                "relevo: start failed: worker",
                "EADDRINUSE",
            ])
            .assert_nothing_left();
    };
    run(u32::try_from(getpid().as_raw_pid()).expect("a pid"));
    drop(holder);
    // Another service of the same user could join the group of sockets if nobody took care.
    let service = Setup::new(22, fixture("kitchen.js")).env("PORT", port).options("-w 2").start();
    run(service.pid());
}

#[test]
fn a_runtime_directory_of_somebody_else() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can give a directory away");
        return;
    }
    let runtime = TempDir::new("bad");
    chown(runtime.path(), Some(12345), None).expect("root may");
    let ended = Relevo::new(&["run", "--name", &unique_name("bad"), "kitchen.js"])
        .directory(fixture(""))
        .env("RELEVO_RUNTIME_DIR", runtime.path())
        .run();
    ended
        .assert_code(2)
        .assert_one_sentence(&["belongs to user 12345, not to user 0", "RELEVO_RUNTIME_DIR"])
        .assert_nothing_left();
    assert_eq!(fs::read_dir(runtime.path()).expect("it is there").count(), 0);
}

#[test]
fn a_runtime_directory_that_is_a_file_or_a_link() {
    let files = TempDir::new("bad");
    let file = write(files.join("file"), "");
    let link = files.join("link");
    std::os::unix::fs::symlink(files.path(), &link).expect("a link");
    for place in [file, link] {
        let ended = Relevo::new(&["run", "--name", &unique_name("bad"), "kitchen.js"])
            .directory(fixture(""))
            .env("RELEVO_RUNTIME_DIR", &place)
            .run();
        ended
            .assert_code(2)
            .assert_one_sentence(&["is not a directory", "RELEVO_RUNTIME_DIR"])
            .assert_nothing_left();
    }
}

/// The service is worth more than its control socket.
#[test]
fn a_runtime_directory_that_cannot_be_made() {
    for place in ["/proc/relevo", &format!("/tmp/{}", "long/".repeat(30))] {
        let service = Setup::new(22, fixture("kitchen.js"))
            .options("-w 1")
            .env("PORT", port())
            .env("RELEVO_RUNTIME_DIR", place)
            .start();
        let warning = service.wait_for_line("warning: ");
        assert!(warning.contains("only signals work"), "{warning}");
        assert!(!warning.contains("os error"), "{warning}");
        service.signal(rustix::process::Signal::USR2);
        service.wait_for_line("reload done: generation 2");
        let (status, _) = service.stop();
        assert_eq!(status.code(), Some(0));
    }
    let _ = fs::remove_dir_all("/tmp/long");
}

/// Whatever is wrong with the surroundings, the sentence is printed once, and to stderr.
#[test]
fn closed_standard_descriptors_are_harmless() {
    let script = format!("exec \"{RELEVO}\" run nope.js <&- >&-");
    let output = Command::new("sh").arg("-c").arg(script).output().expect("a shell");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text.matches("does not exist").count(), 1, "{text}");
    let port = port();
    let name = unique_name("closed");
    let runtime = TempDir::new("runtime");
    let node = nodes::node(22);
    let app = fixture("kitchen.js");
    let line = format!(
        "exec \"{RELEVO}\" run -w 1 --name {name} {} {} <&- >&- 2>&-",
        node.display(),
        app.display()
    );
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(line)
        .env("PORT", port.to_string())
        .env("RELEVO_RUNTIME_DIR", runtime.path())
        .stdin(Stdio::null())
        .spawn()
        .expect("a shell");
    support::eventually("an answer", || support::client::get(port, "/"));
    let mut stop = Command::new(RELEVO);
    stop.args(["stop", &name]).env("RELEVO_RUNTIME_DIR", runtime.path());
    let stopped = stop.output().expect("relevo runs");
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(support::service::wait_for_exit(&mut child).code(), Some(0));
}
