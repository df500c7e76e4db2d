//! Which code a reload brings: paths are kept as given and resolved when a rollout begins.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::support::client::get;
use crate::support::ports::port;
use crate::support::service::{Service, Setup};
use crate::support::traffic::Traffic;
use crate::support::{TempDir, fixture};

/// `releases/1` and `releases/2` with an `app.js` each, and `current`, a link to the first.
fn deployed() -> TempDir {
    let site = TempDir::new("site");
    for release in ["1", "2"] {
        let directory = site.join("releases").join(release);
        fs::create_dir_all(&directory).expect("a release");
        fs::write(directory.join("VERSION"), release).expect("its version");
        let kitchen = fixture("kitchen.js");
        let app = format!(
            "process.env.VERSION_FILE = `${{__dirname}}/VERSION`;\nrequire('{}');\n",
            kitchen.display()
        );
        fs::write(directory.join("app.js"), app).expect("its app");
    }
    symlink("releases/1", site.join("current")).expect("a link");
    site
}

/// Moves the link in one step, as deployment tools do.
fn move_link(site: &TempDir, link: &str, target: &str) {
    symlink(target, site.join("next")).expect("a link");
    fs::rename(site.join("next"), site.join(link)).expect("the link's move");
}

fn assert_serves(service: &Service, port: u16, site: &TempDir, release: &str) -> Value {
    let expected = fs::canonicalize(site.join("releases").join(release)).expect("a release");
    let answer = get(port, "/").expect("an answer").json();
    assert_eq!(answer["version"], release, "{answer}");
    assert_eq!(answer["release"].as_str().map(Path::new), Some(expected.as_path()), "{answer}");
    let status = service.status();
    assert_eq!(status["release"].as_str().map(Path::new), Some(expected.as_path()));
    answer
}

fn follows(setup: impl Fn(&TempDir) -> Setup) -> Value {
    let site = deployed();
    let port = port();
    let service = setup(&site).options("-w 2").env("PORT", port).start();
    assert_serves(&service, port, &site, "1");
    let traffic = Traffic::begin(port);
    move_link(&site, "current", "releases/2");
    assert_serves(&service, port, &site, "1");
    service.reload();
    let answer = assert_serves(&service, port, &site, "2");
    traffic.end("a moved link");
    answer
}

#[test]
fn a_script_under_a_link_that_moved_is_loaded_from_where_it_points_now() {
    follows(|site| Setup::new(22, site.join("current/app.js")));
}

#[test]
fn a_working_directory_that_is_a_link_is_followed_too() {
    let answer = follows(|site| {
        Setup::new(22, "app.js").options(&format!("--cwd {}", site.join("current").display()))
    });
    assert!(answer["cwd"].as_str().is_some_and(|cwd| cwd.ends_with("/releases/2")), "{answer}");
}

#[test]
fn so_is_the_directory_that_relevo_was_started_in() {
    let answer = follows(|site| Setup::new(22, "./app.js").directory(site.join("current")));
    assert!(answer["cwd"].as_str().is_some_and(|cwd| cwd.ends_with("/releases/2")), "{answer}");
}

#[test]
fn a_crash_after_the_link_moved_brings_up_the_code_that_the_slot_ran() {
    let site = deployed();
    let port = port();
    let service =
        Setup::new(22, site.join("current/app.js")).options("-w 1").env("PORT", port).start();
    move_link(&site, "current", "releases/2");
    let _ = get(port, "/exit?code=1");
    service.wait_for_lines("ready after", 2);
    assert_serves(&service, port, &site, "1");
    assert_eq!(service.status()["generation"], 1);
}
