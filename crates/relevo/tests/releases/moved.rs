//! The link moves, before a rollout and half way through one.

use rustix::process::Signal;

use crate::site::{Site, assert_runs, releases};
use crate::support::ports::port;
use crate::support::service::{RELEVO, signal_process};
use crate::support::traffic::Traffic;

#[test]
fn a_link_that_moves_half_way_counts_from_the_next_rollout_on() {
    let (site, port) = (Site::new(), port());
    site.release(2, "");
    site.release(3, "");
    let service = site.service(port, "-w 2 --probation 200ms").start();
    assert_runs(&service, port, 2, 1);
    let traffic = Traffic::begin(port);
    site.link(2);
    assert_runs(&service, port, 2, 1);
    let mut reload = std::process::Command::new(RELEVO);
    reload.args(["reload", &service.name]).env("RELEVO_RUNTIME_DIR", service.runtime.path());
    let mut reload = reload.spawn().expect("relevo runs");
    service.wait_for_status("a rollout half way", |status| {
        releases(status).contains(&"2".to_owned()) || status["generation"] == 2
    });
    site.link(3);
    assert!(reload.wait().expect("an end").success(), "{}", service.log());
    assert_runs(&service, port, 2, 2);
    service.reload();
    assert_runs(&service, port, 2, 3);
    traffic.end("a link that moved half way");
}

#[test]
fn a_bad_release_is_undone_and_the_old_one_is_crashed_into_no_other() {
    let (site, port) = (Site::new(), port());
    site.release(2, "console.error('no database'); process.exit(3);");
    let service = site.service(port, "-w 2").start();
    let traffic = Traffic::begin(port);
    site.link(2);
    let output = service.ask("reload", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_runs(&service, port, 2, 1);
    traffic.end("a bad release");
    let status = service.status();
    let reason = status["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("reload refused: worker"), "{reason}");
    // The link leads to the bad one, which is nobody's concern.
    signal_process(service.worker_pids()[0], Signal::KILL);
    service.wait_for_lines("ready after", 3);
    assert_runs(&service, port, 2, 1);
}
