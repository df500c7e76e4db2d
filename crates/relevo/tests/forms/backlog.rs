//! The backlog that the user chose: a worker's own `listen(2)` sets it to 511 (`docs/node-channel.md`).

use std::os::fd::OwnedFd;

use relevo_sys::socket::{AcceptQueue, accept_queue};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::support::nodes::MAJORS;
use crate::support::ports::port;
use crate::support::service::{Service, Setup};
use crate::support::{eventually, fixture};

/// The accept queues of all listening sockets of the primary, by duplicates of them.
fn queues(service: &Service) -> Vec<AcceptQueue> {
    let pid = i32::try_from(service.pid()).ok().and_then(Pid::from_raw).expect("a pid");
    let process = pidfd_open(pid, PidfdFlags::empty()).expect("it runs");
    let names = std::fs::read_dir(format!("/proc/{}/fd", service.pid())).expect("its descriptors");
    names
        .flatten()
        .filter(|entry| {
            let link = std::fs::read_link(entry.path()).unwrap_or_default();
            link.to_string_lossy().starts_with("socket:")
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|number| pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok())
        .filter_map(|socket: OwnedFd| accept_queue(&socket).ok().flatten())
        .collect()
}

fn wait_for_limits(service: &Service, expected: &[u32], context: &str) {
    eventually(&format!("the backlog, {context}"), || {
        let limits: Vec<u32> = queues(service).iter().map(|queue| queue.limit).collect();
        if limits == expected { Ok(()) } else { Err(limits) }
    });
}

#[test]
fn the_backlog_stays_in_force() {
    for major in MAJORS {
        // Under `auto` there is the front too.
        for (balance, sockets) in [("auto", 3), ("kernel", 2), ("round-robin", 1), ("shared", 1)] {
            let service = Setup::new(major, fixture("forms.js"))
                .options(&format!("-w 2 --balance {balance} --backlog 77"))
                .env("FORM", "port")
                .env("PORT", port())
                .start();
            let context = format!("node {major}, {balance}");
            let expected = vec![77; sockets];
            service.wait_for_lines(r#""listening":"#, 2);
            wait_for_limits(&service, &expected, &context);
            service.reload();
            service.wait_for_lines(r#""listening":"#, 4);
            wait_for_limits(&service, &expected, &format!("{context}, after a reload"));
        }
    }
}
