//! As PID 1: orphans come to us, and are reaped.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::support::client::get;
use crate::support::ports::port;
use crate::support::service::{Setup, signal_process};
use crate::support::{eventually, fixture};

const NAMESPACE: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"];

fn namespaces_are_permitted() -> bool {
    let mut command = Command::new(NAMESPACE[0]);
    command.args(&NAMESPACE[1..]).arg("true").output().is_ok_and(|output| output.status.success())
}

#[test]
fn as_pid_1_it_serves_reloads_and_reaps_strangers() {
    if !namespaces_are_permitted() {
        println!("not tried: this user may not make a pid namespace");
        return;
    }
    let port = port();
    let mut service = Setup::new(22, fixture("orphans.js"))
        .options("-w 1")
        .env("PORT", port)
        .through(&NAMESPACE)
        .start();
    assert_eq!(service.status()["pid"], 1);
    let orphans = get(port, "/orphans?count=20").expect("an answer").json();
    assert_eq!(orphans["made"], 20);
    let namespace = crate::support::proc::children(service.pid());
    let [init] = &namespace[..] else { panic!("{namespace:?}") };
    eventually("nothing but the worker", || {
        let list = fs::read_to_string(format!("/proc/{init}/task/{init}/children"));
        let children = list.map(|list| list.split_whitespace().count());
        if matches!(children, Ok(1)) { Ok(()) } else { Err(children) }
    });
    service.reload();
    assert_eq!(get(port, "/").map(|response| response.status), Ok(200));
    // `docker stop` sends this to it.
    signal_process(*init, Signal::TERM);
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
}
