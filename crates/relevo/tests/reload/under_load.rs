//! Every major under every balance, and the acceptance with `ab`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::ports::port;
use crate::support::service::Setup;
use crate::support::traffic::Traffic;
use crate::support::{BALANCES, fixture, root};

fn reloads_under_every_balance(major: u32) {
    std::thread::scope(|scope| {
        for balance in BALANCES {
            scope.spawn(move || {
                let port = port();
                let service = Setup::new(major, fixture("kitchen.js"))
                    .options(&format!("-w 2 --balance {balance}"))
                    .env("PORT", port)
                    .start();
                let traffic = Traffic::begin(port);
                let first = service.reload();
                let second = service.reload();
                assert_eq!(
                    (&first["cut"]["request"], &first["cut"]["upload"]),
                    (&0.into(), &0.into())
                );
                assert_eq!((&first["generation"], &second["generation"]), (&2.into(), &3.into()));
                traffic.end(&format!("node {major}, {balance}"));
            });
        }
    });
}

#[test]
fn node_18_loses_nothing() {
    reloads_under_every_balance(18);
}

#[test]
fn node_20_loses_nothing() {
    reloads_under_every_balance(20);
}

#[test]
fn node_22_loses_nothing() {
    reloads_under_every_balance(22);
}

#[test]
fn node_24_loses_nothing() {
    reloads_under_every_balance(24);
}

#[test]
fn node_26_loses_nothing() {
    reloads_under_every_balance(26);
}

/// A hundred thousand requests, a thousand at a time, each on its own connection.
#[test]
fn ab_sees_no_failed_request_while_the_app_is_reloaded_every_two_seconds() {
    const EVERY: Duration = Duration::from_secs(2);
    let port = port();
    let service = Setup::new(22, root().join("examples/hello/app.js"))
        .options("-w 2")
        .env("PORT", port)
        .start();
    let mut ab = Command::new("ab")
        .args(["-q", "-n", "100000", "-c", "1000", &format!("http://127.0.0.1:{port}/")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`ab` is in the package apache2-utils: install that");
    let mut next = Instant::now() + EVERY;
    let mut reloads = 0;
    while ab.try_wait().expect("our child").is_none() {
        if Instant::now() >= next {
            service.signal(Signal::USR2);
            reloads += 1;
            next += EVERY;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = ab.wait_with_output().expect("its report");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}\n{report}\n{}", service.log());
    let number = |label: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(label));
        line.unwrap_or_else(|| panic!("no `{label}` in {report}")).trim().to_owned()
    };
    let generation = service.wait_until_calm()["generation"].as_u64().expect("a number");
    println!(
        "ab: {} complete, {} failed, {} a second, {reloads} reloads asked, generation {generation}",
        number("Complete requests:"),
        number("Failed requests:"),
        number("Requests per second:"),
    );
    assert_eq!(number("Complete requests:"), "100000");
    assert_eq!(number("Failed requests:"), "0", "{report}");
    assert!(!report.contains("Non-2xx responses"), "{report}");
    assert!(reloads >= 1 && generation >= 2, "no reload fell into the run");
}
