//! A new release that fails soon after its rollout.

use rustix::process::Signal;

use crate::site::{Site, assert_runs, releases};
use crate::support::ports::port;
use crate::support::service::signal_process;

#[test]
fn a_crash_soon_after_a_rollout_brings_back_the_last_good_release() {
    let (site, port) = (Site::new(), port());
    site.release(2, "");
    let service = site.service(port, "-w 2 --probation 0s").start();
    site.link(2);
    service.reload();
    assert_runs(&service, port, 2, 2);
    signal_process(service.worker_pids()[0], Signal::KILL);
    let status =
        service.wait_for_status("the last good release", |status| releases(status) == ["1", "2"]);
    assert_eq!(status["state"], "degraded", "{status}");
    let reason = status["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("slot 0 runs generation 1 again, because generation 2"), "{reason}");
    service.wait_for_line("slot 0: generation 2 has failed here and is still on trial");
    let output = service.ask("rollback", &[]);
    assert!(output.status.success(), "{output:?}\n{}", service.log());
    assert_runs(&service, port, 2, 1);
    assert_eq!(service.wait_until_calm()["state"], "running");
}
