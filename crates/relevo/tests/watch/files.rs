//! `--watch`: which changes bring a rollout, and how many.

use std::fs;
use std::path::Path;

use crate::support::load::Load;
use crate::support::ports::port;
use crate::support::relevo::write;
use crate::{answers, app, only_this_counts, says, settles_at, watched};

/// Under load: what is asked meanwhile is answered, by the old code or the new.
#[test]
fn many_files_that_change_at_once_bring_one_rollout() {
    let (app, port) = (app(), port());
    let service = watched(app.path(), port).options("--watch").start();
    let load = load(port);
    for n in 0..200 {
        write(app.join(&format!("routes/{}/{n}.js", n % 7)), "'use strict';\n");
    }
    says(app.path(), "2");
    answers(port, "2");
    let rollout = settles_at(&service, 2);
    assert_eq!(rollout["cause"], "watch", "{rollout}");
    load.stop().assert_nothing_lost();
    let line = service.wait_for_line("more changed: reload");
    assert!(line.contains(".js and ") || line.contains("routes"), "{line}");
    assert_eq!(service.count_lines("changed: reload"), 1, "{}", service.log());
    service.wait_for_line("generation 2 begins (by watch)");
}

#[test]
fn what_is_ignored_brings_none() {
    let (app, port) = (app(), port());
    write(app.join(".gitignore"), "dist/\n*.log\n!keep.log\n");
    write(app.join("lib/.ignore"), "*.snap\n");
    write(app.join("dist/a.js"), "");
    write(app.join("node_modules/x/index.js"), "");
    let git = app.join(".git/info/exclude");
    write(&git, "private.js\n");
    let service =
        watched(app.path(), port).options("--watch --ignore uploads/ --ignore *.tmp").start();
    for path in [
        "dist/a.js",
        "dist/new/b.js",
        "debug.log",
        "lib/a.snap",
        "node_modules/x/index.js",
        "node_modules/y/index.js",
        ".git/HEAD",
        "private.js",
        "uploads/1.png",
        "x.tmp",
        "lib/.answer.js.swp",
        "lib/answer.js~",
        "4913",
    ] {
        write(app.join(path), "changed");
    }
    fs::remove_file(app.join("lib/answer.js~")).expect("it was there");
    only_this_counts(&service, app.path(), 2);
    write(app.join("keep.log"), "not ignored");
    settles_at(&service, 3);
    service.wait_for_line("keep.log changed: reload");
}

/// The app may keep files of its own open in there, such as a log: they count when they are closed.
#[test]
fn a_file_that_is_only_being_written_brings_none() {
    use std::io::Write;
    let (app, port) = (app(), port());
    let service = watched(app.path(), port).options("--watch").start();
    let mut open = fs::File::create(app.join("open.txt")).expect("a file");
    open.write_all(b"a line\n").expect("written");
    only_this_counts(&service, app.path(), 2);
    open.write_all(b"another\n").expect("written");
    drop(open);
    settles_at(&service, 3);
    service.wait_for_line("open.txt changed: reload");
}

#[test]
fn rules_that_change_count_at_once() {
    let (app, port) = (app(), port());
    let service = watched(app.path(), port).options("--watch").start();
    write(app.join(".gitignore"), "generated/\n");
    write(app.join("generated/a.js"), "");
    only_this_counts(&service, app.path(), 2);
}

#[test]
fn broken_code_is_refused_and_the_next_change_tries_again() {
    let (app, port) = (app(), port());
    let service = watched(app.path(), port).options("--watch").start();
    let load = load(port);
    write(app.join("lib/answer.js"), "module.exports = (;\n");
    service.wait_for_line("reload refused");
    service.wait_for_line("SyntaxError");
    answers(port, "1");
    assert_eq!(service.status()["state"], "degraded");
    says(app.path(), "2");
    answers(port, "2");
    let rollout = service.wait_for_status("the mended code", |status| status["state"] == "running");
    assert_eq!(rollout["rollout"]["cause"], "watch");
    load.stop().assert_nothing_lost();
}

#[test]
fn directories_are_watched_as_they_come_and_no_more_when_they_go() {
    let (app, port) = (app(), port());
    let service = watched(app.path(), port).options("--watch").start();
    // An empty directory is no change; what comes to be in it is.
    fs::create_dir_all(app.join("a/b/c")).expect("directories");
    write(app.join("a/b/c/d.js"), "1");
    settles_at(&service, 2);
    write(app.join("a/b/c/d.js"), "2");
    settles_at(&service, 3);
    service.wait_for_line("a/b/c/d.js changed: reload");
    // Moved out of sight.
    let elsewhere = app.join("node_modules");
    fs::create_dir_all(&elsewhere).expect("a directory");
    fs::rename(app.join("a"), elsewhere.join("a")).expect("it is moved");
    settles_at(&service, 4);
    service.wait_for_line("relevo: a changed: reload");
    write(elsewhere.join("a/b/c/d.js"), "3");
    fs::rename(elsewhere.join("a"), app.join("b")).expect("it is moved back");
    settles_at(&service, 5);
    fs::remove_dir_all(app.join("b")).expect("it is removed");
    settles_at(&service, 6);
}

#[test]
fn only_what_is_named_is_watched() {
    let (app, port) = (app(), port());
    write(app.join("config.json"), "{}");
    let service = watched(app.path(), port).options("--watch=lib --watch=config.json").start();
    write(app.join("sentinel.js"), "not watched");
    write(app.join("other/a.js"), "not watched");
    replace(&app.join("config.json"), "{\"a\":1}");
    settles_at(&service, 2);
    service.wait_for_line("config.json changed: reload");
    // Replaced once more: it is still watched under its name.
    replace(&app.join("config.json"), "{\"a\":2}");
    settles_at(&service, 3);
    // A whole directory that is made anew, as builds do.
    fs::rename(app.join("lib"), app.join("old")).expect("moved away");
    says(&app.join("next"), "4");
    fs::rename(app.join("next/lib"), app.join("lib")).expect("put in place");
    answers(port, "4");
    let generation = service.status()["generation"].as_u64().expect("a number");
    says(app.path(), "5");
    answers(port, "5");
    assert!(service.status()["generation"].as_u64() >= Some(generation));
}

/// Clients that keep their connection, and some that do not.
fn load(port: u16) -> Load {
    Load::new().keep_alive(20, port, "/").connection_per_request(2, port, "/").settled()
}

/// As editors do: a new file takes the place of the old one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("swp");
    fs::write(&new, text).expect("a file");
    fs::rename(new, path).expect("it takes its place");
}
