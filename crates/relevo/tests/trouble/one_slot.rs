//! A version that can be loaded in one slot and not in another.

use std::fs;

use crate::support::ports::port;
use crate::support::service::Setup;
use crate::support::{TempDir, fixture};
use crate::{assert_refused, load};

#[test]
fn a_module_that_is_missing_in_the_second_slot_takes_back_the_first() {
    let app = TempDir::new("parts");
    let port = port();
    let text = format!(
        "require(`./part-${{process.env.RELEVO_SLOT}}.js`);\nrequire('{}');\n",
        fixture("kitchen.js").display()
    );
    fs::write(app.join("app.js"), text).expect("the app");
    for slot in 0..2 {
        fs::write(app.join(&format!("part-{slot}.js")), "").expect("a part");
    }
    let setup = Setup::new(22, app.join("app.js")).options("-w 2 --probation 300ms");
    let service = setup.env("PORT", port).start();
    let before = service.worker_pids();
    let load = load(port);

    fs::remove_file(app.join("part-1.js")).expect("the part");
    let output = service.ask("reload", &[]);
    assert_refused(&output, "exited with code 1 before it listened", &service);
    assert_refused(&output, "Cannot find module './part-1.js'", &service);
    assert_refused(&output, "generation 1 serves again on all slots", &service);
    assert_eq!(service.worker_pids(), before, "{}", service.log());

    fs::write(app.join("part-1.js"), "").expect("the part");
    let rollout = service.reload();
    assert_eq!((&rollout["outcome"], &rollout["generation"]), (&"succeeded".into(), &3.into()));
    load.stop().assert_unnoticed(&service.log());
    service.wait_until_calm();
}
