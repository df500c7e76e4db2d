//! What a service manager is told around a reload.

use crate::support::mood::Mood;
use crate::support::notify::Manager;
use crate::support::ports::port;
use crate::support::traffic::Traffic;

/// Microseconds on the clock that the manager compares with.
fn monotonic_microseconds() -> i128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000
}

#[test]
fn a_reload_is_announced_with_its_time_and_ends_with_ready() {
    let manager = Manager::new();
    let mood = Mood::new();
    let port = port();
    let service = mood.service(port, "-w 2").env("NOTIFY_SOCKET", manager.path().display()).start();
    let ready = manager.next();
    assert_eq!(ready[0], "READY=1");
    assert!(ready[1].starts_with("STATUS=2 of 2 workers ready"), "{ready:?}");

    let traffic = Traffic::begin(port);
    let asked = monotonic_microseconds();
    service.reload();
    let reloading = manager.next();
    assert_eq!(reloading[0], "RELOADING=1");
    let at = reloading[1].strip_prefix("MONOTONIC_USEC=").expect("its time");
    let at: i128 = at.parse().expect("a number");
    assert!(asked <= at && at <= monotonic_microseconds(), "{asked} {at}");
    let ready = manager.next();
    assert_eq!(ready[0], "READY=1");
    assert!(ready[1].contains("generation 2"), "{ready:?}");

    // A refused one ends likewise: the service serves on.
    mood.set("exit 1");
    assert_eq!(service.ask("reload", &[]).status.code(), Some(1));
    assert_eq!(manager.next()[0], "RELOADING=1");
    let ready = manager.next();
    assert_eq!(ready[0], "READY=1");
    assert!(ready[1].contains("reload refused"), "{ready:?}");
    manager.assert_empty();
    traffic.end("under a service manager");
}
