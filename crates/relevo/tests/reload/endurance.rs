//! Two hundred reloads leave nothing behind.

use crate::support::fixture;
use crate::support::ports::port;
use crate::support::proc::{children, descriptors, resident_kib, threads, zombies};
use crate::support::service::{Service, Setup};

const WARM_UP: usize = 30;
const RELOADS: usize = 200;
/// What an allocator may still come to need after the warm-up.
const GROWTH_KIB: u64 = 300;

#[derive(Debug, PartialEq, Eq)]
struct Belongings {
    descriptors: usize,
    threads: usize,
    children: usize,
    zombies: Vec<u32>,
}

fn belongings(service: &Service) -> Belongings {
    service.wait_until_calm();
    let pid = service.pid();
    Belongings {
        descriptors: descriptors(pid),
        threads: threads(pid),
        children: children(pid).len(),
        zombies: zombies(pid),
    }
}

#[test]
fn two_hundred_reloads_leave_no_descriptor_no_process_and_no_memory_behind() {
    let service = Setup::new(22, fixture("kitchen.js")).options("-w 1").env("PORT", port()).start();
    for _ in 0..WARM_UP {
        service.reload();
    }
    let before = belongings(&service);
    let memory_before = resident_kib(service.pid());
    for _ in WARM_UP..RELOADS {
        service.reload();
    }
    let after = belongings(&service);
    let memory_after = resident_kib(service.pid());
    println!("{RELOADS} reloads: {after:?}, {memory_before} KiB, then {memory_after} KiB");
    assert_eq!(before, after);
    assert_eq!((after.children, after.zombies.len()), (1, 0));
    assert!(memory_after <= memory_before + GROWTH_KIB, "{memory_before} KiB, {memory_after} KiB");
    assert_eq!(service.status()["generation"], RELOADS + 1);
}
