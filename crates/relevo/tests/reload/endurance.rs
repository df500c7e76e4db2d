//! Five hundred reloads under load lose nothing and leave nothing behind.

use crate::support::load::Load;
use crate::support::ports::port;
use crate::support::proc::{children, descriptors, resident_kib, threads, zombies};
use crate::support::service::Setup;
use crate::support::{eventually, fixture};

/// So many that as many events as are ever remembered have happened: four with each reload.
const WARM_UP: usize = 260;
const RELOADS: usize = 500;
/// What an allocator may still come to need after the warm-up.
const GROWTH_KIB: u64 = 150;

#[derive(Debug, PartialEq, Eq)]
struct Belongings {
    descriptors: usize,
    threads: usize,
    children: usize,
    zombies: Vec<u32>,
}

fn belongings(pid: u32) -> Belongings {
    Belongings {
        descriptors: descriptors(pid),
        threads: threads(pid),
        children: children(pid).len(),
        zombies: zombies(pid),
    }
}

#[test]
fn five_hundred_reloads_lose_nothing_and_leave_no_descriptor_no_process_and_no_memory_behind() {
    let port = port();
    // Without a probation, which would only make it longer.
    let setup = Setup::new(22, fixture("kitchen.js")).options("-w 1 --probation 0s");
    let service = setup.env("PORT", port).start();
    let pid = service.pid();
    // Nobody has asked for anything yet, so that no client's connection is among them.
    let before = belongings(pid);
    assert_eq!((before.children, before.zombies.len()), (1, 0));
    let load = Load::new().keep_alive_unhurried(8, port, "/").settled();
    for _ in 0..WARM_UP {
        service.reload();
    }
    let memory_before = resident_kib(pid);
    for _ in WARM_UP..RELOADS {
        service.reload();
    }
    let memory_after = resident_kib(pid);
    let account = load.stop();
    account.assert_unnoticed(&service.log());
    assert_eq!(service.wait_until_calm()["generation"], RELOADS + 1);
    // The last command's connection may be there for a moment.
    let after = eventually("what there was before", || {
        let after = belongings(pid);
        if after == before { Ok(after) } else { Err(format!("{after:?}, not {before:?}")) }
    });
    println!("{RELOADS} reloads: {after:?}, {memory_before} KiB, then {memory_after} KiB");
    assert!(memory_after <= memory_before + GROWTH_KIB, "{memory_before} KiB, {memory_after} KiB");
}
