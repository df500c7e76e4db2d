//! `relevo rollback`.

use rustix::process::Signal;

use crate::site::{Site, assert_runs};
use crate::support::ports::port;
use crate::support::service::signal_process;
use crate::support::traffic::Traffic;

#[test]
fn it_returns_to_the_previous_release_although_the_link_has_moved_on() {
    let (site, port) = (Site::new(), port());
    site.release(2, "");
    site.release(3, "");
    let service = site.service(port, "-w 2 --probation 200ms").start();
    site.link(2);
    service.reload();
    let traffic = Traffic::begin(port);
    site.link(3);
    let output = service.ask("rollback", &[]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}\n{}", service.log());
    assert!(told.starts_with("rolled back: generation 3 on 2 slots in "), "{told}");
    assert!(told.ends_with(&format!("; release {}\n", site.directory(1).display())), "{told}");
    assert_runs(&service, port, 2, 1);
    traffic.end("a rollback");
    // A crash goes on with it; the next reload follows the link.
    signal_process(service.worker_pids()[0], Signal::KILL);
    service.wait_for_lines("ready after", 7);
    assert_runs(&service, port, 2, 1);
    service.reload();
    assert_runs(&service, port, 2, 3);
    service.wait_for_line("rollback done: generation 3 on 2 slots");
}

#[test]
fn it_is_refused_where_there_is_none_or_it_is_gone() {
    let (site, port) = (Site::new(), port());
    site.release(2, "");
    let service = site.service(port, "-w 1 --probation 0s").start();
    let refused = |word: &str| {
        let output = service.ask("rollback", &["--json"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains("rollback refused: ") && told.contains(word), "{told}");
    };
    refused("all code so far was loaded from the same place");
    site.link(2);
    service.reload();
    site.delete(1);
    refused(&format!("{} is gone", site.directory(1).display()));
    assert_runs(&service, port, 1, 2);
    site.release(1, "");
    let output = service.ask("rollback", &["--no-wait"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    service.wait_for_status("the rollback", |status| status["generation"] == 3);
    assert_runs(&service, port, 1, 1);
}
