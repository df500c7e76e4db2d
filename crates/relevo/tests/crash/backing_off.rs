//! Workers that crash again and again.

use std::time::{Duration, Instant};

use crate::support::mood::Mood;
use crate::support::ports::port;
use crate::support::proc;
use crate::support::service::Service;

/// The delays before the next tries that the log has announced, in milliseconds.
fn delays(service: &Service) -> Vec<f64> {
    let lines = service.lines();
    let next = lines.iter().filter_map(|line| line.split_once("; next try in ").map(|(_, d)| d));
    next.map(|delay| match delay.split_once(' ') {
        Some((number, "ms")) => number.parse::<f64>().expect("a number"),
        Some((number, "s")) => number.parse::<f64>().expect("a number") * 1000.0,
        other => panic!("{other:?}"),
    })
    .collect()
}

#[test]
fn a_worker_that_crashes_right_after_it_is_ready_comes_back_ever_more_slowly() {
    let mood = Mood::new();
    mood.set("brief 20 7");
    let service = mood.service(port(), "-w 1").start();
    let began = Instant::now();
    let first = service.wait_for_line("exited with code 7");
    assert!(first.ends_with("; starting another now"), "{first}");
    service.wait_for_lines("; next try in ", 5);
    let cpu = proc::cpu_time(service.pid());
    let delays = delays(&service);
    println!("{delays:?} within {:?}, {cpu:?} of the primary's CPU", began.elapsed());
    for pair in delays.windows(2) {
        assert!(pair[0] < pair[1], "{delays:?}");
    }
    assert!(delays[0] >= 150.0 && delays[4] >= 2400.0, "{delays:?}");
    assert!(cpu < Duration::from_millis(500), "a restart storm: {cpu:?} of CPU");
    assert_eq!(service.status()["state"], "degraded");
    mood.set("well");
    service.wait_until_calm();
}
