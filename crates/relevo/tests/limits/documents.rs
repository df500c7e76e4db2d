//! What docs/limits.md shows can be typed.

use crate::support::ports::port;
use crate::support::service::Setup;
use crate::support::{fixture, root};

#[test]
fn every_command_that_it_shows_starts_a_service() {
    let text = std::fs::read_to_string(root().join("docs/limits.md")).expect("the document");
    let shown = text.lines().filter_map(|line| line.strip_prefix("$ relevo run "));
    let mut started = 0;
    for options in shown.map(|words| words.strip_suffix(" app.js").expect("an app")) {
        println!("{options}");
        let app = Setup::new(22, fixture("kitchen.js")).env("PORT", port());
        let _service = app.options("-w 1").options(options).start();
        started += 1;
    }
    assert!(started >= 3, "only {started} commands were found");
}
