//! Clients whose packets take 20 ms: at any moment many requests are on their way on connections that the
//! server still takes for idle. Whoever closes one then has lost a request.

use std::time::Duration;

use crate::support::BALANCES;
use crate::support::far::{FAR, far_away};
use crate::support::fixture;
use crate::support::load::{Account, Load};
use crate::support::ports::port;
use crate::support::service::Setup;

const PACKET_TAKES: Duration = Duration::from_millis(20);
const RELOADS: usize = 3;

/// What becomes of the requests of forty such clients.
fn reloaded(options: &str) -> (Account, String) {
    let port = port();
    let setup = Setup::new(22, fixture("kitchen.js")).env("PORT", port);
    let service = setup.options("-w 2 --probation 200ms").options(options).start();
    let load = Load::new().at(&FAR.to_string()).keep_alive(40, port, "/").settled();
    for _ in 0..RELOADS {
        service.reload();
    }
    let account = load.stop();
    println!("{options}: answered {}, raced {}", account.answered, account.raced);
    (account, service.log())
}

#[test]
fn requests_on_their_way_arrive_under_every_balance() {
    far_away("far::requests_on_their_way_arrive_under_every_balance", PACKET_TAKES, || {
        for balance in BALANCES {
            let (account, log) = reloaded(&format!("--balance {balance}"));
            account.assert_unnoticed(&log);
        }
    });
}

/// The clients do meet that moment: where nobody moves connections, Node closes them.
#[test]
fn without_an_agent_requests_meet_the_end_of_their_connection() {
    far_away(
        "far::without_an_agent_requests_meet_the_end_of_their_connection",
        PACKET_TAKES,
        || {
            let (account, log) = reloaded("--no-agent");
            assert!(account.raced > 0, "{account:#?}\n{log}");
        },
    );
}
