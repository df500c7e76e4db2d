//! Hooks that take too long, say too much, or are in the way of a stop.

use std::fs;

use crate::support::eventually;
use crate::support::ports::port;
use crate::support::service::is_alive;
use crate::{Hooked, refused};

/// A child that would stay for ever, whose pid is written first.
fn lingering(hooked: &Hooked) -> String {
    let file = hooked.file("pid");
    let file = file.display();
    format!("sleep 1000 & echo $! > {file}.new; mv {file}.new {file}; wait")
}

fn child(hooked: &Hooked) -> u32 {
    let text = eventually("the child's pid", || fs::read_to_string(hooked.file("pid")));
    text.trim().parse().expect("a pid")
}

fn wait_until_gone(pid: u32) {
    eventually("the end of the hook's child", || if is_alive(pid) { Err(pid) } else { Ok(()) });
}

#[test]
fn one_that_takes_too_long_is_ended_with_all_that_it_started() {
    let (hooked, port) = (Hooked::new(), port());
    let service = hooked.setup(port, "-w 1 --hook-timeout 300ms");
    let service = service.option_of("--hook-before", &lingering(&hooked)).start();
    let words = refused(&service);
    let sentence = "reload refused: hook-before did not end within 300 ms (--hook-timeout)";
    assert!(words.contains(sentence), "{words}");
    wait_until_gone(child(&hooked));
    assert_eq!(service.wait_until_calm()["generation"], 1);
}

#[test]
fn a_stop_ends_it() {
    let (hooked, port) = (Hooked::new(), port());
    let service =
        hooked.setup(port, "-w 1").option_of("--hook-before", &lingering(&hooked)).start();
    assert!(service.ask("reload", &["--no-wait"]).status.success());
    let child = child(&hooked);
    let (status, lines) = service.stop();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    wait_until_gone(child);
}

#[test]
fn what_one_says_is_bounded() {
    let (hooked, port) = (Hooked::new(), port());
    let service = hooked.setup(port, "-w 1 --probation 0s");
    let service = service.option_of("--hook-success", "seq 1 5000; echo the last").start();
    service.reload();
    service.wait_for_line("hook-success: it writes more than 200 lines; the rest is left out");
    service.reload();
    service.wait_for_lines("hook-success: it writes more than 200 lines", 2);
    assert_eq!(service.count_lines("hook-success: 200"), 2, "{}", service.log());
    assert_eq!(service.count_lines("hook-success: 201"), 0, "{}", service.log());
}

/// What cannot be run is a failure as any other.
#[test]
fn a_command_that_is_not_there_refuses_as_well() {
    let (hooked, port) = (Hooked::new(), port());
    let service = hooked.setup(port, "-w 1").option_of("--hook-before", "no-such-command").start();
    let words = refused(&service);
    assert!(words.contains("hook-before exited with code 127"), "{words}");
    assert!(words.contains("not found"), "{words}");
}
