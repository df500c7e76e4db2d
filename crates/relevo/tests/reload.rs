//! Reloads under load: nothing in flight is lost.

mod support;

use support::load::Load;
use support::ports::port;
use support::service::Setup;
use support::{fixture, nodes};

#[test]
fn connections_per_request_lose_nothing_on_any_major_under_any_balance() {
    for major in nodes::MAJORS {
        for balance in ["kernel", "round-robin", "shared"] {
            let port = port();
            let service = Setup::new(major, fixture("kitchen.js"))
                .options(&format!("-w 2 --balance {balance}"))
                .env("PORT", port)
                .start();
            let load = Load::new().connection_per_request(8, port, "/");
            for _ in 0..3 {
                service.reload();
            }
            let account = load.stop();
            println!("node {major}, {balance}: {account:?}");
            account.assert_nothing_lost();
        }
    }
}
