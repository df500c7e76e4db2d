//! The file of a Unix socket: replaced when it is stale, and left alone when it is somebody else's.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::process::Signal;

use super::is_running;
use super::target::{Client, Target};
use crate::support::service::{Service, Setup};
use crate::support::{TempDir, eventually, fixture};

fn serve(path: &Path) -> Setup {
    Setup::new(22, fixture("forms.js"))
        .options("-w 2")
        .env("FORM", "unix")
        .env("SOCK", path.display())
}

fn kill_primary(mut service: Service) {
    let workers = service.worker_pids();
    assert_eq!(workers.len(), 2);
    service.signal(Signal::KILL);
    service.wait();
    // They go when their channel ends; until then, they serve the file.
    eventually("the workers' end", || {
        let left: Vec<u32> = workers.iter().copied().filter(|pid| is_running(*pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

#[test]
fn a_file_that_a_crash_left_is_replaced() {
    let directory = TempDir::new("stale");
    let path = directory.join("app.sock");
    kill_primary(serve(&path).start());
    assert!(path.exists(), "a killed primary cannot tidy up");
    assert!(UnixStream::connect(&path).is_err(), "nobody serves it");
    let service = serve(&path).start();
    let pid = Client::new(Target::Unix(path.clone())).ask().expect("an answer");
    assert!(service.worker_pids().contains(&pid));
    let (status, lines) = service.stop();
    assert_eq!(status.code(), Some(0), "{}", lines.join("\n"));
    assert!(!path.exists());
}

#[test]
fn a_file_that_somebody_serves_is_an_address_in_use() {
    let directory = TempDir::new("served");
    let path = directory.join("app.sock");
    let theirs = UnixListener::bind(&path).expect("a socket");
    let service = serve(&path).spawn();
    let line = service.wait_for_line("cannot listen on");
    assert!(line.contains("Address already in use"), "{line}");
    assert!(line.contains(&format!("pid {}", std::process::id())), "{line}");
    service.wait_for_lines(r#""code":"EADDRINUSE""#, 2);
    drop(service);
    UnixStream::connect(&path).expect("it is still theirs");
    drop(theirs);
}

#[test]
fn a_file_that_is_somebody_elses_by_now_is_not_deleted() {
    let directory = TempDir::new("usurped");
    let path = directory.join("app.sock");
    let service = serve(&path).start();
    std::fs::remove_file(&path).expect("its file");
    let theirs = UnixListener::bind(&path).expect("a socket");
    let (status, lines) = service.stop();
    assert_eq!(status.code(), Some(0), "{}", lines.join("\n"));
    UnixStream::connect(&path).expect("their file is still there");
    drop(theirs);
}
