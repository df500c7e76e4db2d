//! Worlds made from seeds, in which everything goes wrong that can, drive the supervisor and the
//! dealer together; after each step the rules are checked against the world's own books.
//!
//! `RELEVO_SIM_SEED=n cargo test -p relevo-core --test simulation` lives one world again.
//!
//! A world is first unkind: workers do not start, hang, crash, leave, misbehave and lose their
//! channels; sockets fail to open; events are lost, doubled and late; the clock leaps. Then it turns
//! kind, and the service must recover, reload and stop in bounded time, with every connection
//! accounted for.

mod books;
mod deeds;
mod history;
mod process;
mod random;
mod rules;
mod shell;
mod tally;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tally::Tally;
use world::World;

/// So many take about ten seconds without optimisation.
const WORLDS: u64 = 1000;

#[test]
fn no_world_breaks_a_rule() {
    let mut tally = Tally::default();
    if let Ok(seed) = std::env::var("RELEVO_SIM_SEED") {
        tally.add(&live(seed.parse().expect("RELEVO_SIM_SEED is a number")));
        println!("{tally:#?}");
    } else {
        for seed in 0..WORLDS {
            tally.add(&live(seed));
        }
        println!("{WORLDS} worlds: {tally:#?}");
        tally.check_nothing_is_missing();
    }
}

fn live(seed: u64) -> Tally {
    let mut world = World::new(seed);
    let life = catch_unwind(AssertUnwindSafe(|| {
        world.is_unkind();
        world.recovers();
        world.reloads();
        world.stops();
    }));
    if let Err(panic) = life {
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
