//! `relevo reload --listeners changed`.

use std::net::TcpStream;

use crate::support::client::get;
use crate::support::load::Load;
use crate::support::ports::port;
use crate::support::{BALANCES, eventually};
use crate::{Steps, assert_refused, wait_for_workers, words};

fn refuses(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_err()
}

#[test]
fn a_missing_address_is_named_with_the_flag_that_accepts_it() {
    let [kept, dropped, new] = [port(), port(), port()];
    let listen = |port: u16| format!("listen {port}");
    let steps = Steps::new(&[&listen(kept), &listen(dropped)]);
    let service = steps.service("-w 2 --ready-timeout 3s --probation 100ms").start();
    let load = Load::new().keep_alive(10, kept, "/").settled();
    let load = load.connection_per_request(4, kept, "/");
    steps.set(&[&listen(kept), &listen(new)]);
    let sentence = format!(
        "did not listen on 127.0.0.1:{dropped} within 3.0 s (--ready-timeout): the worker before it did; where that is to change, use `relevo reload --listeners changed`"
    );
    assert_refused(&service, &[], &sentence);
    assert_eq!(get(dropped, "/").map(|response| response.status), Ok(200));

    let changed = service.ask("reload", &["--listeners", "changed"]);
    assert!(changed.status.success(), "{}\n{}", words(&changed), service.log());
    service.wait_until_calm();
    eventually(
        "the end of the dropped address",
        || if refuses(dropped) { Ok(()) } else { Err(()) },
    );
    assert_eq!(get(new, "/").map(|response| response.status), Ok(200));
    // It counts once: the next reload wants what there is now.
    steps.set(&[&listen(kept)]);
    assert_refused(&service, &[], &format!("did not listen on 127.0.0.1:{new}"));
    load.stop().assert_nothing_lost();
}

/// Until there is no way back, old workers serve what the new ones do not.
#[test]
fn when_it_is_undone_no_address_has_lost_anything() {
    for balance in BALANCES {
        println!("--balance {balance}");
        let [kept, dropped] = [port(), port()];
        let listen = |port: u16| format!("listen {port}");
        let steps = Steps::new(&[&listen(kept), &listen(dropped)]);
        let options = format!("-w 2 --probation 700ms --balance {balance}");
        let service = steps.service(&options).start();
        let before = service.worker_pids();
        let load = Load::new().connection_per_request(2, dropped, "/");
        let load = load.keep_alive(5, dropped, "/").settled();
        steps.set(&[&listen(kept), "wait 900", "exit 3"]);
        assert_refused(&service, &["--listeners", "changed"], "exited with code 3");
        wait_for_workers(&service, &[("ready", 1), ("ready", 1)]);
        assert_eq!(service.worker_pids(), before, "{}", service.log());
        load.stop().assert_nothing_lost();
        assert_eq!(get(kept, "/").map(|response| response.status), Ok(200));
    }
}
