//! `--ready http:PATH`.

use crate::support::BALANCES;
use crate::support::client::get;
use crate::support::load::Load;
use crate::support::ports::port;
use crate::{Steps, assert_refused, assert_reloaded, wait_for_workers};

/// The old worker would answer 200 all the time: it is the new one that is asked.
#[test]
fn the_new_worker_is_asked_under_every_balance() {
    for balance in BALANCES {
        println!("--balance {balance}");
        let port = port();
        let listen = format!("listen {port}");
        let steps = Steps::new(&[&listen]);
        let options = format!("-w 1 --ready http:/healthz --probation 0s --balance {balance}");
        let service = steps.service(&options).start();
        let load = Load::new().keep_alive(5, port, "/").settled();
        let load = load.connection_per_request(2, port, "/");
        steps.set(&["health 503", &listen, &steps.until_go(), "health 200"]);
        let reload = service.begin_reload(&[]);
        service.wait_for_line(&format!("listening on {port} in generation 2"));
        wait_for_workers(&service, &[("ready", 1), ("starting", 2)]);
        steps.go();
        assert_reloaded(reload, &service);
        load.stop().assert_nothing_lost();
    }
}

/// It needs no agent.
#[test]
fn what_it_answered_last_is_told() {
    let port = port();
    let listen = format!("listen {port}");
    let steps = Steps::new(&[&listen]);
    let options = "-w 2 --ready http:/healthz --ready-timeout 3s --no-agent";
    let service = steps.service(options).start();
    steps.set(&["health 503", &listen]);
    let sentence = "was not ready within 3.0 s (--ready-timeout): GET /healthz answered 503, and 2xx is wanted";
    assert_refused(&service, &[], sentence);
    assert_eq!(get(port, "/healthz").map(|response| response.status), Ok(200));
}
