//! `--ready spawned`: programs that open no port.

use crate::{Steps, assert_reloaded, wait_for_workers, words};

#[test]
fn a_program_without_a_port_is_replaced_and_the_old_one_stays_until_the_new_one_has_proved_itself()
{
    let steps = Steps::new(&["wait 0"]);
    let service = steps.service("-w 2 --ready spawned --probation 500ms").start();
    let reload = service.begin_reload(&[]);
    wait_for_workers(&service, &[("parked", 1), ("ready", 2), ("ready", 1)]);
    assert_reloaded(reload, &service);
    service.wait_until_calm();
    wait_for_workers(&service, &[("ready", 2), ("ready", 2)]);
    let (status, lines) = service.stop();
    assert!(status.success(), "{lines:?}");
}

#[test]
fn a_bad_one_gives_way_to_the_old_one() {
    let steps = Steps::new(&["say up"]);
    let service = steps.service("-w 2 --ready spawned --probation 10s").start();
    service.wait_for_lines("up in generation 1", 2);
    let before = service.worker_pids();
    steps.set(&["exit 3"]);
    let output = service.ask("reload", &[]);
    assert_eq!(output.status.code(), Some(1), "{}\n{}", words(&output), service.log());
    assert!(words(&output).contains("exited with code 3"), "{}", words(&output));
    wait_for_workers(&service, &[("ready", 1), ("ready", 1)]);
    assert_eq!(service.worker_pids(), before);
}

/// Without an agent there is nothing that would have to be told.
#[test]
fn it_needs_no_agent() {
    let steps = Steps::new(&["wait 0"]);
    let service = steps.service("-w 1 --ready spawned --probation 0s --no-agent").start();
    let before = service.worker_pids();
    service.reload();
    service.wait_until_calm();
    assert_ne!(service.worker_pids(), before);
    service.reload();
}
