//! Worlds made from seeds, in which everything goes wrong that can, drive the supervisor and the
//! dealer together; after each step the rules are checked against the world's own books.
//!
//! `RELEVO_SIM_SEED=n cargo test -p relevo-core --test simulation` lives one world again.
//!
//! A world is first unkind: workers do not start, hang, crash, leave, misbehave and lose their
//! channels; sockets fail to open; strangers join them, workers shut them down and weigh them by
//! themselves; agents lie; events are lost, doubled and late; the clock leaps. Then it turns kind, and
//! the service must recover, set its sockets right, reload and stop in bounded time, with every
//! connection accounted for. In some worlds very many connections come then, or a worker stands still.

mod agent;
mod books;
mod canary;
mod deeds;
mod handover;
mod hangs;
mod history;
mod hooks;
mod kernel;
mod parking;
mod phases;
mod process;
mod random;
mod releases;
mod renewals;
mod rules;
mod shell;
mod tally;
mod weights;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use tally::Tally;
use world::World;

/// So many take about ten seconds without optimisation, on two processors.
const WORLDS: u64 = 700;

/// Whether a world has broken a rule: the others need not be lived then.
static BROKEN: AtomicBool = AtomicBool::new(false);

#[test]
fn no_world_breaks_a_rule() {
    let mut tally = Tally::default();
    if let Ok(seed) = std::env::var("RELEVO_SIM_SEED") {
        tally.add(&live(seed.parse().expect("RELEVO_SIM_SEED is a number")));
        println!("{tally:#?}");
    } else {
        let half = |first: u64| move || worlds(first).map(live).collect();
        let halves = [0, 1].map(|first| std::thread::spawn(half(first)));
        for half in halves {
            let tallies: Vec<Tally> = half.join().unwrap_or_else(|panic| resume_unwind(panic));
            tallies.iter().for_each(|other| tally.add(other));
        }
        println!("{WORLDS} worlds: {tally:#?}");
        tally.check_nothing_is_missing();
    }
}

/// Every other one, until one somewhere has broken a rule.
fn worlds(first: u64) -> impl Iterator<Item = u64> {
    (first..WORLDS).step_by(2).take_while(|_| !BROKEN.load(Ordering::Relaxed))
}

fn live(seed: u64) -> Tally {
    let mut world = World::new(seed);
    let life = catch_unwind(AssertUnwindSafe(|| {
        world.is_unkind();
        world.recovers();
        world.settles();
        world.stands_still();
        world.is_flooded();
        world.is_undone();
        world.reloads();
        world.stops();
    }));
    if let Err(panic) = life {
        BROKEN.store(true, Ordering::Relaxed);
        eprintln!("{}", world.history);
        eprintln!("once more: RELEVO_SIM_SEED={seed} cargo test -p relevo-core --test simulation");
        resume_unwind(panic);
    }
    world.tally
}

#[test]
fn the_same_seed_lives_the_same_life() {
    assert_eq!(live(42), live(42));
}
