//! What is there after a stop: nothing.

use std::fs;
use std::net::TcpListener;

use rustix::process::Signal;

use crate::support::client::get;
use crate::support::ports::port;
use crate::support::proc::lives;
use crate::support::service::{Service, Setup, is_alive};
use crate::support::{TempDir, eventually, fixture};

/// The children that the workers have left behind, and the workers.
fn everybody(service: &Service, port: u16) -> Vec<u32> {
    let mut all = service.worker_pids();
    let leaked = eventually("both workers' children", || {
        let mut children: Vec<u64> =
            (0..20).filter_map(|_| get(port, "/").ok()?.json()["leaked"].as_u64()).collect();
        children.sort_unstable();
        children.dedup();
        if children.len() == 2 { Ok(children) } else { Err(children) }
    });
    all.extend(leaked.into_iter().map(|pid| pid as u32));
    assert!(all.iter().all(|pid| lives(*pid)), "{all:?}");
    all
}

#[test]
fn every_process_of_every_workers_group_is_gone() {
    for signal in [Signal::TERM, Signal::QUIT] {
        let port = port();
        let mut service = Setup::new(22, fixture("kitchen.js"))
            .options("-w 2")
            .env("PORT", port)
            .env("LEAK_CHILD", 1)
            .start();
        let all = everybody(&service, port);
        service.signal(signal);
        assert_eq!(service.wait().code(), Some(0), "{}", service.log());
        let left: Vec<&u32> = all.iter().filter(|pid| lives(**pid)).collect();
        assert!(left.is_empty(), "{left:?} of {all:?} are there");
    }
}

/// A worker that is replaced takes its children with it, too.
#[test]
fn so_they_are_after_a_reload() {
    let port = port();
    let service = Setup::new(22, fixture("kitchen.js"))
        .options("-w 2")
        .env("PORT", port)
        .env("LEAK_CHILD", 1)
        .start();
    let all = everybody(&service, port);
    service.reload();
    service.wait_until_calm();
    eventually("their end", || {
        let left: Vec<u32> = all.iter().copied().filter(|pid| lives(*pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

#[test]
fn no_socket_and_no_file_is_left() {
    let site = TempDir::new("stop");
    let path = site.join("app.sock");
    for listen_path in [false, true] {
        let port = port();
        let mut setup = Setup::new(22, fixture("kitchen.js")).options("-w 2").env("PORT", port);
        if listen_path {
            setup = setup.env("LISTEN_PATH", path.display());
        }
        let mut service = setup.start();
        let workers = service.worker_pids();
        let control = service.runtime.join(&service.name).join("control.sock");
        assert!(control.exists());
        assert_eq!(path.exists(), listen_path);
        service.signal(Signal::TERM);
        assert_eq!(service.wait().code(), Some(0), "{}", service.log());
        assert!(!path.exists(), "the app's socket is there");
        assert!(!service.runtime.join(&service.name).exists(), "its directory is there");
        let rest: Vec<_> = fs::read_dir(service.runtime.path())
            .expect("the runtime directory")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        // Only the agent's file, which all services of the user share.
        assert!(rest.iter().all(|name| name.to_string_lossy().starts_with("agent-")), "{rest:?}");
        assert!(workers.iter().all(|worker| !is_alive(*worker)));
        assert!(TcpListener::bind(("::", port)).is_ok(), "port {port} is taken");
    }
}
