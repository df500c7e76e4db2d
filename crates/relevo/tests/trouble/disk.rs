//! Nowhere to write to.

use crate::load;
use crate::support::ports::port;
use crate::support::service::Setup;
use crate::support::{eventually, fixture};

/// `/dev/full` answers every write with `ENOSPC`, as a full disk does (full(4)).
#[test]
fn with_a_full_disk_for_the_log_all_goes_on() {
    let port = port();
    let service = Setup::new(22, fixture("kitchen.js"))
        .options("-w 2")
        .through(&["sh", "-c", "exec \"$0\" \"$@\" >/dev/full 2>&1"])
        .env("PORT", port)
        .env("STDERR_LINES", 500)
        .spawn();
    // Nothing that it says can be waited for.
    eventually("it runs", || {
        let asked = service.ask("status", &["--json"]);
        if String::from_utf8_lossy(&asked.stdout).contains("\"state\":\"running\"") {
            Ok(())
        } else {
            Err(asked)
        }
    });
    let load = load(port);
    for generation in 2..4 {
        assert_eq!(service.reload()["generation"], generation);
    }
    load.stop().assert_unnoticed(&service.log());
    assert_eq!(service.wait_until_calm()["state"], "running");
    let (status, lines) = service.stop();
    assert!(status.success(), "{status}");
    assert_eq!(lines, Vec::<String>::new());
}
