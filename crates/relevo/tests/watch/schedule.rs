//! `--reload-at`. That times are found and clocks are followed is tested where that is decided; here one
//! comes.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::ports::port;
use crate::{answers, app, settles_at, watched};

/// A time zone in which the next minute begins in so many seconds (tzset(3)).
fn zone_with_a_minute_in(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let ahead = (120 - seconds - now % 60) % 60;
    format!("TST-00:00:{ahead:02}")
}

#[test]
fn a_reload_comes_at_its_time_and_names_it() {
    let (app, port) = (app(), port());
    let service = watched(app.path(), port)
        .option("--reload-at")
        .option("* * * * *")
        .option("--reload-at")
        .option("0 0 1 1 *")
        .env("TZ", zone_with_a_minute_in(4))
        .start();
    answers(port, "1");
    let next = service.status()["next_reload_at"].as_str().expect("a time").to_owned();
    assert!(next.contains(":00+00:00") || next.contains(":00-00:00"), "{next}");
    service.wait_for_line("it is time (--reload-at '* * * * *'): reload");
    let rollout = settles_at(&service, 2);
    assert_eq!(rollout["cause"], "schedule");
    let later = service.status()["next_reload_at"].as_str().expect("a time").to_owned();
    assert!(later > next, "{later} after {next}");
    let page = String::from_utf8(service.ask("status", &[]).stdout).expect("text");
    assert!(page.contains("next reload by schedule at "), "{page}");
    assert!(page.contains("rollout to generation 2 (by schedule) succeeded"), "{page}");
}

#[test]
fn without_one_there_is_no_next_time() {
    let (app, port) = (app(), port());
    let service = watched(app.path(), port).start();
    assert!(service.status()["next_reload_at"].is_null());
}
