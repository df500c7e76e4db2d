//! What a worker finds around itself, and what its children do: environment, descriptors, limits.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use serde_json::Value;

use crate::support::client::get;
use crate::support::ports::port;
use crate::support::relevo::{unique_name, write};
use crate::support::service::{Service, Setup};
use crate::support::{TempDir, fixture};

fn start(setup: impl FnOnce(Setup) -> Setup) -> (Service, u16) {
    start_on(22, setup)
}

fn start_on(major: u32, setup: impl FnOnce(Setup) -> Setup) -> (Service, u16) {
    let port = port();
    let plain = Setup::new(major, fixture("surroundings.js")).env("PORT", port);
    (setup(plain).start(), port)
}

fn look(port: u16) -> Value {
    get(port, "/").expect("an answer").json()
}

#[test]
fn variables_of_a_worker() {
    let (service, port) = start(|setup| setup.options("-w 1"));
    let found = look(port);
    let env = &found["env"];
    let directory = fixture("");
    let release = directory.to_str().unwrap().trim_end_matches('/');
    for (name, value) in [
        ("NODE_APP_INSTANCE", "0"),
        ("RELEVO_SLOT", "0"),
        ("RELEVO_WORKER", "1"),
        ("RELEVO_GENERATION", "1"),
        ("RELEVO_RELEASE", release),
    ] {
        assert_eq!(env[name], value, "{name}");
    }
    service.reload();
    let env = look(port)["env"].clone();
    assert_eq!((&env["RELEVO_WORKER"], &env["RELEVO_GENERATION"]), (&"2".into(), &"2".into()));
    assert_eq!((&env["RELEVO_SLOT"], &env["NODE_APP_INSTANCE"]), (&"0".into(), &"0".into()));
}

#[test]
fn later_variables_win_over_earlier_ones() {
    let files = TempDir::new("env");
    let first =
        write(files.join("a.env"), "A=file1\nB=file1\nC=file1 # not this\nD=\"two\\nlines\"\n");
    let second = write(files.join("b.env"), "export B='file2'\nC=file2\n");
    let (_service, port) = start(|setup| {
        setup
            .options(&format!(
                "-w 1 --env-file {} --env-file {}",
                first.display(),
                second.display()
            ))
            .options("--env C=first --env C=option --env EMPTY=")
            .env("A", "outside")
            .env("B", "outside")
            .env("OUTSIDE", "outside")
    });
    let env = look(port)["env"].clone();
    for (name, value) in [
        ("OUTSIDE", "outside"),
        ("A", "file1"),
        ("B", "file2"),
        ("C", "option"),
        ("D", "two\nlines"),
        ("EMPTY", ""),
    ] {
        assert_eq!(env[name], value, "{name}");
    }
}

/// What concerns the primary, or is the worker's alone, does not go further.
#[test]
fn variables_that_are_not_for_workers_or_their_children() {
    let manager = format!("relevo-test-{}", unique_name("notify"));
    let address = SocketAddr::from_abstract_name(&manager).expect("a name");
    let _manager = UnixDatagram::bind_addr(&address).expect("a socket");
    let (_service, port) = start(|setup| {
        setup
            .options("-w 1")
            .env("NOTIFY_SOCKET", format!("@{manager}"))
            .env("WATCHDOG_USEC", "30000000")
            .env("WATCHDOG_PID", "1")
            .env("LISTEN_FDNAMES", "web")
            .env("LISTEN_PID", "1")
            .env("LISTEN_FDS", "1")
            .env("NODE_UNIQUE_ID", "77")
    });
    let found = look(port);
    for of in [&found["env"], &found["child"]["env"]] {
        for name in [
            "NOTIFY_SOCKET",
            "WATCHDOG_USEC",
            "WATCHDOG_PID",
            "LISTEN_FDS",
            "LISTEN_PID",
            "LISTEN_FDNAMES",
            "NODE_CHANNEL_FD",
            "NODE_CHANNEL_SERIALIZATION_MODE",
            "NODE_UNIQUE_ID",
            "NODE_OPTIONS",
        ] {
            assert_eq!(of[name], Value::Null, "{name}");
        }
    }
    assert_eq!(found["child"]["connected"], false);
    assert_eq!(found["execArgv"], serde_json::json!([]), "the agent does not show");
    let childs = found["child"]["execArgv"].to_string();
    assert!(!childs.contains("agent"), "{childs}");
}

#[test]
fn descriptors_are_the_workers_own() {
    for major in [18, 22, 26] {
        // Three of ours at the start, as a shell, a job server or a careless parent leaves them.
        let leaky = "exec 7</dev/zero 8</etc/passwd 60</dev/zero; exec \"$0\" \"$@\"";
        let (_service, port) =
            start_on(major, |setup| setup.options("-w 2").through(&["bash", "-c", leaky]));
        let found = look(port);
        let descriptors = found["descriptors"].as_object().expect("an object");
        let target = |number: &str| descriptors[number].as_str().expect("a target").to_owned();
        assert_eq!(target("0"), "/dev/null", "node {major}");
        assert!(target("1").starts_with("pipe:") && target("2").starts_with("pipe:"));
        assert_ne!(target("1"), target("2"));
        assert!(target("3").starts_with("socket:"), "node {major}: {found}");
        for (number, target) in
            descriptors.iter().filter(|(number, _)| number.len() > 1 || number.as_str() > "3")
        {
            let target = target.as_str().unwrap();
            // Node's own: its loops, and its duplicate of /dev/null; the directory being listed.
            let nodes = ["anon_inode:", "pipe:", "/dev/null", "/proc/"];
            assert!(
                nodes.iter().any(|own| target.starts_with(own)),
                "node {major}: {number} is {target}"
            );
        }
        let child = found["child"]["descriptors"].as_object().expect("an object");
        let sockets: Vec<_> = child
            .iter()
            .filter(|(number, target)| {
                number.as_str() > "2" && target.as_str().unwrap().starts_with("socket:")
            })
            .collect();
        assert!(sockets.is_empty(), "node {major}: the channel leaks: {sockets:?}");
    }
}

#[test]
fn limits_and_signals_are_what_relevo_was_started_with() {
    let limited = "ulimit -S -n 500; ulimit -H -n 900; exec \"$0\" \"$@\"";
    // Node raises its own soft limit first of all, so something before it has to look.
    let files = TempDir::new("limits");
    let seen = files.join("seen");
    let (real, seen_at) = (crate::support::nodes::node(22), seen.display());
    let look_first = format!(
        "#!/bin/bash\necho $(ulimit -S -n) $(ulimit -H -n) > {seen_at}\nexec {} \"$@\"\n",
        real.display()
    );
    let node = write(files.join("node"), look_first);
    std::fs::set_permissions(&node, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let port = port();
    let service = Setup::with_node(&node, fixture("surroundings.js"))
        .options("-w 1")
        .env("PORT", port)
        .through(&["bash", "-c", limited])
        .start();
    let found = look(port);
    assert_eq!(std::fs::read_to_string(&seen).expect("it looked"), "500 900\n");
    let own = std::fs::read_to_string(format!("/proc/{}/limits", service.pid())).expect("limits");
    let own = own.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    assert_eq!(own.split_whitespace().collect::<Vec<_>>()[3..5], ["900", "900"]);
    let status = found["status"].as_str().expect("text");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
        line.trim().to_owned()
    };
    assert_eq!(field("SigBlk:"), "0000000000000000", "no signal is left blocked");
    assert_eq!(found["session"], found["pid"].to_string(), "a session of its own");
}

#[test]
fn the_directory_is_resolved_anew_for_each_worker() {
    let place = TempDir::new("cwd");
    for release in ["1", "2"] {
        let app = std::fs::read(fixture("surroundings.js")).expect("the fixture");
        write(place.join(&format!("releases/{release}/app.js")), app);
    }
    let current = place.join("current");
    std::os::unix::fs::symlink("releases/1", &current).expect("a link");
    let port = port();
    let service = Setup::new(22, "app.js")
        .options(&format!("-w 1 --cwd {}", current.display()))
        .env("PORT", port)
        .start();
    let real = place.path().canonicalize().expect("a place");
    let check = |release: &str| {
        let found = look(port);
        let expected = real.join("releases").join(release);
        assert_eq!(found["cwd"], expected.to_str().unwrap());
        assert_eq!(found["env"]["RELEVO_RELEASE"], expected.to_str().unwrap());
        assert_eq!(found["env"]["PWD"], current.to_str().unwrap());
    };
    check("1");
    std::os::unix::fs::symlink("releases/2", place.join("next")).expect("a link");
    std::fs::rename(place.join("next"), &current).expect("moved on");
    service.reload();
    check("2");
}
