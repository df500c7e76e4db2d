//! How connections are shared after they have moved.

use rustix::process::Signal;

use crate::support::BALANCES;
use crate::support::client::Connection;
use crate::support::load::Load;
use crate::support::ports::port;
use crate::support::service::signal_process;
use crate::{all_answered_by, idle, keeps, shares};

fn is_even(shares: &[u64], workers: usize, sum: u64, by: u64) -> bool {
    let even = sum / workers as u64;
    shares.len() == workers
        && shares.iter().sum::<u64>() == sum
        && shares.iter().all(|share| share.abs_diff(even) <= by)
}

/// Those that are replaced first have answered many others before the last is: that makes no difference.
#[test]
fn after_a_rollout_of_eight_all_have_the_same_again_under_every_balance() {
    for balance in BALANCES {
        let port = port();
        let service = keeps(22, port, &format!("-w 8 --balance {balance}")).start();
        let mut connections = idle(port, 64);
        let load = Load::new().connection_per_request(4, port, "/");
        let rollout = service.reload();
        load.stop().assert_unnoticed(&service.log());
        assert_eq!(rollout["closed_idle"], 0, "{balance}: {rollout}");
        service.wait_until_calm();
        service.wait_for_status("64 over 8, give or take 2", |status| {
            is_even(&shares(status), 8, 64, 2)
        });
        all_answered_by(2, &mut connections, &service);
    }
}

#[test]
fn who_joins_gets_a_share_of_what_is_there_under_every_balance() {
    for balance in BALANCES {
        let port = port();
        let service = keeps(22, port, &format!("-w 1 --balance {balance}")).start();
        let mut connections = idle(port, 40);
        assert!(service.ask("scale", &["2"]).status.success(), "{}", service.log());
        service.wait_for_status("40 over 2, evenly", |status| is_even(&shares(status), 2, 40, 4));
        all_answered_by(1, &mut connections, &service);
        assert_eq!(service.status()["totals"]["closed_idle"], 0);
    }
}

#[test]
fn who_leaves_loses_none() {
    let port = port();
    let service = keeps(22, port, "-w 4").start();
    let mut connections = idle(port, 40);
    assert!(service.ask("scale", &["1"]).status.success(), "{}", service.log());
    service.wait_for_status("40 at one", |status| shares(status) == [40]);
    all_answered_by(1, &mut connections, &service);
    let totals = &service.status()["totals"];
    assert_eq!(totals["closed_idle"], 0, "{totals}");
}

#[test]
fn after_a_crash_the_others_share_with_the_replacement() {
    let port = port();
    let service = keeps(22, port, "-w 2").start();
    let mut connections = idle(port, 40);
    // A worker that a busy machine keeps from running is dealt fewer, until they are evened out.
    service.wait_for_status("40 over 2, evenly", |status| is_even(&shares(status), 2, 40, 4));
    let victim = service.worker_pids()[0];
    signal_process(victim, Signal::KILL);
    service.wait_for_status("a replacement", |status| {
        status["slots"][0]["restarts"] == 1 && shares(status).len() == 2
    });
    // What the dead worker had is lost with it.
    let open = |one: &mut Connection| (!one.is_closed()).then_some(());
    let left = connections.iter_mut().filter_map(open).count() as u64;
    assert!((16..=24).contains(&left), "{left} of 40 are left\n{}", service.log());
    service.wait_for_status("shared evenly", |status| is_even(&shares(status), 2, left, 2));
    for connection in connections.iter_mut().filter_map(|one| (!one.is_closed()).then_some(one)) {
        assert_eq!(connection.get("/").expect("an answer").status, 200);
    }
}
