//! Addresses that cannot be had, and servers that Relevo cannot help: what the app sees, and what the
//! user reads.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use super::bare;
use crate::support::nodes::MAJORS;
use crate::support::ports::port;
use crate::support::service::{RELEVO, Service, Setup, signal_process};
use crate::support::{BALANCES, fixture, nodes};

fn forms(major: u32, form: &str, port: u16) -> Setup {
    Setup::new(major, fixture("forms.js")).env("FORM", form).env("PORT", port)
}

/// The error that a worker reports.
fn error_in_app(service: &Service) -> Value {
    let line = service.wait_for_line(r#""error":"#);
    serde_json::from_str::<Value>(&line).expect("JSON")["error"].clone()
}

/// The sentence for the user names who holds the port; there is one, however many workers asked.
fn assert_told_once(service: &Service, port: u16, holder: u32) {
    let line = service.wait_for_line("cannot listen on");
    let expected = format!("*:{port}: Address already in use: pid {holder} (");
    assert!(line.contains(&expected), "{line}: expected `{expected}`");
    assert_eq!(service.count_lines("cannot listen on"), 1, "{}", service.log());
}

#[test]
fn a_port_of_another_process_is_nodes_own_error_and_one_sentence() {
    for major in MAJORS {
        for form in ["port", "tls", "http2"] {
            let port = port();
            let _theirs = TcpListener::bind(("0.0.0.0", port)).expect("a free port");
            let service = forms(major, form, port).options("-w 2").spawn();
            service.wait_for_lines(r#""error":"#, 2);
            let expected = bare::error_under_cluster(major, form, port);
            assert_eq!(error_in_app(&service), expected, "node {major}, {form}");
            assert_told_once(&service, port, std::process::id());
        }
    }
}

#[test]
fn a_port_below_1024_is_nodes_own_error_and_one_sentence() {
    // Root may bind anything, unless it gives that up.
    let is_root = rustix::process::geteuid().is_root();
    let drop_privilege = ["setpriv", "--bounding-set=-net_bind_service"];
    if is_root && !Command::new("setpriv").arg("-V").output().is_ok_and(|o| o.status.success()) {
        println!("skipped: root may bind every port, and there is no setpriv(1) to give that up");
        return;
    }
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if first.is_ok_and(|first| first.trim() == "0") {
        println!("skipped: this system lets everybody bind every port");
        return;
    }
    let mut setup = forms(22, "port", 1).options("-w 2");
    if is_root {
        setup = setup.through(&drop_privilege);
    }
    let service = setup.spawn();
    let error = error_in_app(&service);
    assert_eq!((&error["code"], &error["syscall"]), (&"EACCES".into(), &"bind".into()), "{error}");
    let line = service.wait_for_line("cannot listen on");
    assert!(line.contains("*:1: Permission denied"), "{line}");
    service.wait_for_lines(r#""error":"#, 2);
    assert_eq!(service.count_lines("cannot listen on"), 1, "{}", service.log());
}

#[test]
fn a_second_service_on_the_same_port_ends_with_one_sentence() {
    for balance in BALANCES {
        let port = port();
        let kitchen = || {
            Setup::new(22, fixture("kitchen.js"))
                .options(&format!("-w 2 --balance {balance}"))
                .env("PORT", port)
        };
        let first = kitchen().start();
        let mut second = kitchen().spawn();
        assert_eq!(second.wait().code(), Some(1), "{balance}");
        // Its workers have duplicates, but it is the primary that can be asked to stop.
        assert_told_once(&second, port, first.pid());
        second.wait_for_line("relevo: start failed");
        assert_eq!(first.worker_pids().len(), 2, "the first service is as it was");
    }
}

#[test]
fn an_orphan_on_the_port_is_named() {
    let port = port();
    let mut first = forms(22, "port", port).options("-w 1 --balance kernel").start();
    let orphan = Orphan(first.worker_pids()[0]);
    // Stopped, it cannot notice that its primary is gone.
    signal_process(orphan.0, Signal::STOP);
    first.signal(Signal::KILL);
    first.wait();
    let second = forms(22, "port", port).options("-w 2 --balance kernel").spawn();
    assert_eq!(error_in_app(&second)["code"], "EADDRINUSE");
    assert_told_once(&second, port, orphan.0);
}

/// A stranger that would share its port: the kernel would let us in without a word.
#[test]
fn a_port_that_a_stranger_would_share_is_in_use() {
    let port = port();
    let mut command = Command::new(nodes::node(22));
    command.arg(fixture("forms.js")).env("FORM", "reuse-port").env("PORT", port.to_string());
    let mut stranger = Stranger(command.stdout(Stdio::piped()).spawn().expect("node starts"));
    let mut line = String::new();
    BufReader::new(stranger.0.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    assert!(line.contains("listening"), "{line}");
    let service = forms(22, "port", port).options("-w 2 --balance kernel").spawn();
    assert_eq!(error_in_app(&service)["code"], "EADDRINUSE");
    assert_told_once(&service, port, stranger.0.id());
}

struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that outlives who started it, but not the test.
struct Orphan(u32);

impl Drop for Orphan {
    fn drop(&mut self) {
        signal_process(self.0, Signal::KILL);
    }
}

#[test]
fn a_descriptor_that_nobody_passed_is_refused() {
    for major in MAJORS {
        let mut service = forms(major, "fd", port()).options("-w 2 --ready-timeout 1s").spawn();
        let error = error_in_app(&service);
        assert_eq!(error["code"], "EBADF", "node {major}: {error}");
        assert_eq!(service.wait().code(), Some(1), "node {major}: {}", service.log());
        let line = service.wait_for_line("listen({fd: 3})");
        assert!(line.contains("Relevo itself must have been started with"), "{line}");
        service.wait_for_line("relevo: start failed");
    }
}

/// What bypasses the primary cannot be the only thing that a service does.
#[test]
fn servers_of_the_workers_own_alone_fail_the_start() {
    for form in ["exclusive", "worker-thread", "reuse-port"] {
        let majors = MAJORS.into_iter().filter(|major| *major >= 22 || form != "reuse-port");
        // All majors wait for their end at the same time.
        let services: Vec<_> = majors
            .map(|major| {
                let port = port();
                (major, port, forms(major, form, port).options("-w 1 --ready-timeout 4s").spawn())
            })
            .collect();
        for (major, port, mut service) in services {
            let context = format!("node {major}, {form}");
            assert_eq!(service.wait().code(), Some(1), "{context}: {}", service.log());
            let line = service.wait_for_line("relevo: start failed");
            assert!(line.contains(&format!("holds port {port} ")), "{context}: {line}");
            assert!(line.contains("a native listener"), "{context}: {line}");
        }
    }
}

/// Before Node 22 there is no such option, and the port is an ordinary one.
#[test]
fn an_option_that_node_does_not_know_changes_nothing() {
    for major in MAJORS.into_iter().filter(|major| *major < 22) {
        let service = forms(major, "reuse-port", port()).options("-w 2").start();
        assert_eq!(service.count_lines("past Relevo"), 0, "{}", service.log());
    }
}

/// Nothing of the above leaves a process or a name behind.
#[test]
fn a_failed_start_leaves_nothing() {
    let port = port();
    let _theirs = TcpListener::bind(("0.0.0.0", port)).expect("a free port");
    let mut service =
        Setup::new(22, fixture("kitchen.js")).options("-w 2").env("PORT", port).spawn();
    assert_eq!(service.wait().code(), Some(1), "{}", service.log());
    let output = Command::new(RELEVO)
        .args(["status", &service.name])
        .env("RELEVO_RUNTIME_DIR", service.runtime.path())
        .output()
        .expect("relevo runs");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(!service.runtime.join(&service.name).exists(), "its directory is left");
}
