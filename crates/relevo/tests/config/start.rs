//! `relevo run` with a `relevo.toml`.

use crate::App;
use crate::support::relevo::Relevo;
use crate::support::service::Setup;

#[test]
fn everything_comes_from_the_file_in_the_current_directory() {
    let app = App::new();
    app.write("first.env", "A=first\nB=first\nC=first\n");
    app.write("second.env", "B=second\n");
    app.configure(
        "workers = 2\nargs = [\"--loud\", \"a b\"]\nnode-arg = \"--stack-size=900\"\n\
         env-file = [\"first.env\", \"second.env\"]\nhold = \"3s\"",
        "C = \"table\"\nNUMBER = -7\nTRUTH = true",
    );
    let service = app.start();
    let worker = app.worker();
    assert_eq!(worker["args"], serde_json::json!(["--loud", "a b"]));
    assert_eq!(worker["execArgv"][0], "--stack-size=900");
    let env = |name: &str| worker["env"][name].as_str().unwrap_or("none").to_owned();
    assert_eq!([env("A"), env("B"), env("C")], ["first", "second", "table"]);
    assert_eq!([env("NUMBER"), env("TRUTH")], ["-7", "true"]);
    assert_eq!(service.status()["slots"].as_array().map(Vec::len), Some(2));
    assert!(service.stop().0.success());
}

#[test]
fn the_command_line_wins() {
    let app = App::new();
    app.write("first.env", "A=file\nB=file\n");
    app.write("second.env", "B=line\n");
    app.configure("workers = 3\nenv-file = \"first.env\"\nargs = [\"file\"]", "C = \"file\"");
    let service = app.setup().options("-w 1 --env-file second.env --env C=line").start();
    let worker = app.worker();
    let env = |name: &str| worker["env"][name].as_str().unwrap_or("none").to_owned();
    assert_eq!([env("A"), env("B"), env("C")], ["file", "line", "line"]);
    assert_eq!(worker["args"], serde_json::json!(["file"]));
    assert_eq!(service.status()["slots"].as_array().map(Vec::len), Some(1));
    drop(service);

    // A script of the command line has the arguments of the command line.
    app.write("other.js", crate::APP);
    let service = app.setup().options("-w 1 other.js -- line").start();
    assert_eq!(app.worker()["args"], serde_json::json!(["line"]));
    assert!(service.stop().0.success());
}

/// Paths in it start where it is, and so do the workers.
#[test]
fn a_file_elsewhere() {
    let app = App::new();
    app.write("web.env", "A=file\n");
    app.write("sub/there", "");
    app.configure("workers = 1\nenv-file = \"web.env\"", "");
    let file = app.directory.join("relevo.toml");
    let options = format!("--config {}", file.display());
    let elsewhere = app.directory.join("sub");
    let service = Setup::of_file(&app.name, elsewhere).options(&options).start();
    let worker = app.worker();
    assert_eq!(worker["env"]["A"], "file");
    assert_eq!(worker["cwd"].as_str(), app.directory.path().to_str());
    assert!(service.stop().0.success());
}

#[test]
fn a_file_with_faults_starts_nothing() {
    let app = App::new();
    app.configure("wrkers = 2\nhold = 10", "SECRET = hunter2");
    let ended = Relevo::new(&["run"]).directory(app.directory.path()).run();
    ended
        .assert_code(2)
        .assert_one_sentence(&[
            "relevo.toml has 3 faults",
            "did you mean `workers`?",
            "relevo.toml:4:8",
            "write `10s`",
            "this value has no quotes",
        ])
        .assert_nothing_left();
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.told());

    // Also one that is named, or that cannot be read.
    let ended = Relevo::new(&["run", "--config", "gone.toml", "app.js"])
        .directory(app.directory.path())
        .run();
    ended.assert_code(2).assert_one_sentence(&["gone.toml: No such file", "that is there"]);
    std::fs::remove_file(app.directory.join("relevo.toml")).expect("it was there");
    std::fs::create_dir(app.directory.join("relevo.toml")).expect("a directory");
    let ended = Relevo::new(&["run", "app.js"]).directory(app.directory.path()).run();
    ended.assert_code(2).assert_one_sentence(&["relevo.toml: it is a directory"]);
}
