//! No descriptors, and no processes, to be had.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, geteuid, prlimit};

use crate::support::place::Place;
use crate::support::ports::port;
use crate::support::service::{Service, Setup};
use crate::support::{fixture, proc};
use crate::{assert_refused, load};

/// Sets the primary's limit, and gives back what it was.
fn limit(service: &Service, resource: Resource, current: Option<u64>) -> Option<u64> {
    let pid = Pid::from_raw(service.pid().cast_signed());
    let before = prlimit(pid, resource, Rlimit { current, maximum: maximum(service, resource) });
    before.expect("our own process").current
}

fn maximum(service: &Service, resource: Resource) -> Option<u64> {
    let name = if resource == Resource::Nofile { "Max open files" } else { "Max processes" };
    let limits = fs::read_to_string(format!("/proc/{}/limits", service.pid())).expect("limits");
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("the limit");
    line.split_whitespace().nth(1).expect("a maximum").parse().ok()
}

#[test]
fn without_descriptors_no_worker_starts_and_the_next_reload_goes_through() {
    let port = port();
    let setup = Setup::new(22, fixture("kitchen.js")).options("-w 2").env("PORT", port);
    let service = setup.start();
    let before = service.worker_pids();
    let load = load(port);
    // Enough for whoever asks for the reload.
    let few = proc::descriptors(service.pid()) as u64 + 1;
    let usual = limit(&service, Resource::Nofile, Some(few));
    let output = service.ask("reload", &[]);
    assert_refused(
        &output,
        "could not be started: making the process: Too many open files",
        &service,
    );
    assert_refused(&output, "(ulimit -n, LimitNOFILE=)", &service);
    assert_eq!(service.worker_pids(), before, "{}", service.log());
    let _few = limit(&service, Resource::Nofile, usual);
    assert_eq!(service.reload()["outcome"], "succeeded");
    load.stop().assert_unnoticed(&service.log());
    assert_eq!(service.wait_until_calm()["state"], "running");
}

/// Another user than root may have only so many processes, and is told so when the program is to be
/// executed (`RLIMIT_NPROC`, setrlimit(2) and execve(2)).
#[test]
fn without_processes_no_worker_starts_and_the_next_reload_goes_through() {
    if !geteuid().is_root() {
        eprintln!("only root can run workers as somebody else: not tried");
        return;
    }
    let place = Place::new("kitchen.js");
    let port = port();
    let service = place.service(port, "-w 2 --user nobody").start();
    let before = service.worker_pids();
    let load = load(port);
    let usual = limit(&service, Resource::Nproc, Some(1));
    let output = service.ask("reload", &[]);
    let reason = "could not be started: executing the program: Resource temporarily unavailable";
    assert_refused(&output, reason, &service);
    assert_refused(&output, "(ulimit -u, TasksMax=)", &service);
    assert_eq!(service.worker_pids(), before, "{}", service.log());
    let _one = limit(&service, Resource::Nproc, usual);
    assert_eq!(service.reload()["outcome"], "succeeded");
    load.stop().assert_unnoticed(&service.log());
    assert_eq!(service.wait_until_calm()["state"], "running");
}
