//! SIGTTIN and SIGTTOU: one worker more, one fewer.

use rustix::process::Signal;

use crate::slots;
use crate::support::fixture;
use crate::support::ports::port;
use crate::support::service::Setup;

#[test]
fn one_more_and_one_fewer_but_never_none() {
    let service = Setup::new(22, fixture("kitchen.js")).options("-w 1").env("PORT", port()).start();
    service.signal(Signal::TTIN);
    service.wait_for_line("scale: from 1 to 2 workers");
    service.wait_for_line("scale done: 2 workers");
    service.signal(Signal::TTIN);
    service.wait_for_line("scale done: 3 workers");
    assert_eq!(service.worker_pids().len(), 3);
    service.signal(Signal::TTOU);
    service.wait_for_lines("scale done: 2 workers", 2);
    service.signal(Signal::TTOU);
    service.wait_for_line("scale done: 1 worker in");
    service.signal(Signal::TTOU);
    service.wait_for_line("not scaled: 1 worker is wanted now, and one is the least");
    let status = service.wait_until_calm();
    assert_eq!(slots(&status), [0]);
}
