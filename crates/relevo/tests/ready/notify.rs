//! `--ready notify`.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};

use crate::support::load::Load;
use crate::support::ports::port;
use crate::{Steps, assert_refused, assert_reloaded, wait_for_workers};

/// `NOTIFY_SOCKET` of a process.
fn socket_of(pid: u64) -> SocketAddr {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("its environment");
    let mut variables = environment.split(|byte| *byte == 0);
    let name =
        variables.find_map(|one| one.strip_prefix(b"NOTIFY_SOCKET=@")).expect("the variable");
    SocketAddr::from_abstract_name(name).expect("a name")
}

/// Not a test, but what the app starts to notify, as others start `systemd-notify`: it waits until what
/// it has sent is read (sd_notify(3), `BARRIER=1`).
#[test]
fn as_a_child() {
    let Ok(lines) = std::env::var("NOTIFIER_LINES") else { return };
    let name = std::env::var("NOTIFY_SOCKET").expect("a worker's environment");
    let name = name.strip_prefix('@').expect("an abstract name");
    let socket = UnixDatagram::unbound().expect("a socket");
    let address = SocketAddr::from_abstract_name(name).expect("a name");
    socket.connect_addr(&address).expect("a receiver");
    socket.send(lines.as_bytes()).expect("room");
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    relevo_sys::scm::send(socket.as_fd(), b"BARRIER=1", Some(theirs.as_fd())).expect("room");
    drop(theirs);
    ours.read_to_end(&mut Vec::new()).expect("the end that the reader makes");
}

#[test]
fn a_child_of_the_worker_says_it_and_a_stranger_cannot() {
    let port = port();
    let listen = format!("listen {port}");
    let steps = Steps::new(&[&listen, "notify READY=1"]);
    let service = steps.service("-w 1 --ready notify --probation 100ms").start();
    let load = Load::new().keep_alive(5, port, "/").settled();
    let load = load.connection_per_request(2, port, "/");
    let waits = steps.until_go();
    steps.set(&[
        &listen,
        "notify X_ANY=1 STATUS=warming STOPPING=1",
        &waits,
        "notify STATUS=warm READY=1",
    ]);
    let reload = service.begin_reload(&[]);
    let status = service.wait_for_status("what the new worker says", |status| {
        status["slots"][0]["workers"][1]["status"] == "warming"
    });
    service.wait_for_line("worker 2: warming");
    let shown = service.ask("status", &[]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("worker 2 says: warming"), "{shown}");

    let stranger = UnixDatagram::unbound().expect("a socket");
    let pid = status["slots"][0]["workers"][1]["pid"].as_u64().expect("a pid");
    stranger.send_to_addr(b"READY=1\nSTATUS=forged", &socket_of(pid)).expect("anybody can send");
    let own = std::process::id();
    service.wait_for_line(&format!("worker 2: a notification of pid {own} was not read"));
    let status = wait_for_workers(&service, &[("ready", 1), ("starting", 2)]);
    assert_eq!(status["slots"][0]["workers"][1]["status"], "warming");

    steps.go();
    assert_reloaded(reload, &service);
    load.stop().assert_nothing_lost();
    service.wait_until_calm();
}

#[test]
fn who_never_says_it_is_refused() {
    let port = port();
    let listen = format!("listen {port}");
    let steps = Steps::new(&[&listen, "notify READY=1"]);
    let service = steps.service("-w 1 --ready notify --ready-timeout 3s").start();
    steps.set(&[&listen, "ready"]);
    assert_refused(&service, &[], "did not send READY=1 within 3.0 s (--ready-timeout)");
    wait_for_workers(&service, &[("ready", 1)]);
}

#[test]
fn others_have_no_such_socket() {
    let port = port();
    let steps = Steps::new(&[&format!("listen {port}")]);
    let service = steps.service("-w 1").env("NOTIFY_SOCKET", "@nobody").start();
    let pid = service.worker_pids()[0];
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("its environment");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(!environment.contains("NOTIFY_SOCKET"), "{environment:?}");
}
