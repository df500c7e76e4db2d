//! Without the agent: Node's own `disconnect` does what it can.

use crate::support::fixture;
use crate::support::load::Load;
use crate::support::nodes::MAJORS;
use crate::support::ports::port;
use crate::support::service::Setup;

#[test]
fn connections_per_request_lose_nothing_before_node_26() {
    for major in MAJORS {
        for balance in ["auto", "kernel", "round-robin"] {
            let port = port();
            let service = Setup::new(major, fixture("kitchen.js"))
                .options(&format!("-w 2 --no-agent --drain-timeout 2s --balance {balance}"))
                .env("PORT", port)
                .start();
            let load = Load::new().connection_per_request(4, port, "/");
            for _ in 0..2 {
                service.reload();
            }
            let account = load.stop();
            println!("node {major}, {balance}, no agent: {account:?}");
            // Node 26 closes connections whose request it has not read (`docs/drain.md`, "Without an
            // agent"): where workers accept by themselves, so under `kernel` and for most connections of
            // this load under `auto` as well, some of them have just come. Dealt ones are given time.
            if major < 26 || balance == "round-robin" {
                account.assert_nothing_lost();
            }
        }
    }
}
