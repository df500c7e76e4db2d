//! `--watch` where a link says which code runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::TempDir;
use crate::support::ports::port;
use crate::support::relevo::write;
use crate::support::service::Setup;
use crate::{APP, answers, says, settles_at, watched};

/// `releases/1` and `releases/2`, and `current`, a link to the first.
fn deployed() -> TempDir {
    let site = TempDir::new("watch-site");
    for release in ["1", "2"] {
        let directory = site.join("releases").join(release);
        write(directory.join("app.js"), APP);
        says(&directory, release);
    }
    symlink("releases/1", site.join("current")).expect("a link");
    site
}

/// In one step, as deployment tools do.
fn move_link(site: &Path, target: &str) {
    symlink(target, site.join("next")).expect("a link");
    fs::rename(site.join("next"), site.join("current")).expect("the link's move");
}

#[test]
fn a_link_on_the_way_to_the_directory_is_noticed_when_it_moves() {
    let (site, port) = (deployed(), port());
    let service = watched(site.join("current"), port).options("--watch").start();
    answers(port, "1");
    move_link(site.path(), "releases/2");
    answers(port, "2");
    settles_at(&service, 2);
    service.wait_for_line("current changed: reload");
    // From now on that release is watched, and the other one is not.
    says(&site.join("releases/1"), "old");
    says(&site.join("releases/2"), "3");
    answers(port, "3");
    settles_at(&service, 3);
    move_link(site.path(), "releases/1");
    answers(port, "old");
    settles_at(&service, 4);
}

#[test]
fn so_is_one_on_the_way_to_the_script() {
    let (site, port) = (deployed(), port());
    let elsewhere = TempDir::new("watch-elsewhere");
    let setup = Setup::new(22, site.join("current/app.js")).directory(elsewhere.path());
    let options = "-w 2 --probation 0s --watch";
    let service = setup.env("PORT", port).options(options).start();
    move_link(site.path(), "releases/2");
    answers(port, "2");
    settles_at(&service, 2);
}
