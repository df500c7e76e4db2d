//! `relevo check`.

use serde_json::{Value, json};

use crate::App;
use crate::support::relevo::{Ended, Relevo};

fn check(app: &App, words: &[&str]) -> Ended {
    let ended = Relevo::new(&[&["check"], words].concat()).directory(app.directory.path()).run();
    ended.assert_nothing_left();
    ended
}

fn as_json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.told()))
}

#[test]
fn a_file_without_faults() {
    let app = App::new();
    app.configure("workers = 2", "");
    let ended = check(&app, &[]);
    ended.assert_code(0);
    let expected = format!("relevo.toml: no faults; the service `{}` runs ", app.name);
    assert!(ended.stdout.starts_with(&expected), "{}", ended.told());
    assert_eq!(ended.stderr, "", "{}", ended.told());

    let ended = check(&app, &["--json", "relevo.toml"]);
    ended.assert_code(0);
    let expected = json!({"file": "relevo.toml", "valid": true, "faults": [], "more": 0});
    assert_eq!(as_json(&ended), expected);
}

#[test]
fn faults_of_the_text_and_of_what_it_names() {
    let app = App::new();
    app.write("relevo.toml", "script = \"app.js\"\nhold = \"soon\"\n[web]\n");
    let ended = check(&app, &[]);
    ended.assert_code(2).assert_one_sentence(&[
        "relevo.toml has 2 faults",
        "    error: hold: `soon` is not a time: use ms, s, m, h and d",
        "    2 | hold = \"soon\"",
        "      |        ^^^^^^",
        "a file is about one service",
    ]);

    app.write("bad.env", "PASSWORD hunter2\n");
    app.write("relevo.toml", "script = \"b.js\"\nenv-file = [\"bad.env\", \"gone.env\"]\n");
    let ended = check(&app, &["--json"]);
    ended.assert_code(2).assert_one_sentence(&["3 faults", "bad.env:1:1", "values are not shown"]);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.told());
    let told = as_json(&ended);
    assert_eq!(told["valid"], false);
    let places: Vec<_> = told["faults"]
        .as_array()
        .expect("faults")
        .iter()
        .map(|fault| (fault["line"].as_u64(), fault["column"].as_u64()))
        .collect();
    assert_eq!(places, [(Some(1), Some(10)), (Some(2), Some(13)), (Some(2), Some(24))]);
}

#[test]
fn a_file_that_is_not_there() {
    let app = App::new();
    check(&app, &[]).assert_code(2).assert_one_sentence(&["relevo.toml: No such file", "name a"]);
    let ended = check(&app, &["--json", "/dev/zero"]);
    ended.assert_code(2).assert_one_sentence(&["/dev/zero: it is not a regular file"]);
    assert_eq!(as_json(&ended)["faults"][0]["line"], Value::Null);
}
