//! `relevo reload --dry-run`.

use serde_json::{Value, json};

use crate::App;

#[test]
fn the_difference_by_key_and_nothing_happens() {
    let app = App::new();
    app.configure("workers = 1", "A = 1\nGONE = 1\nAPI_TOKEN = \"hunter2\"");
    let service = app.start();
    let dry = |words: &[&str]| {
        let output = service.ask("reload", &[&["--dry-run"], words].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let same = "a reload would start new workers with the same configuration\n";
    assert_eq!(dry(&[]), (Some(0), same.to_owned(), String::new()));
    let (code, told, _) = dry(&["--json"]);
    assert_eq!((code, told.trim_end()), (Some(0), r#"{"changes":[],"more":0}"#));

    app.configure(
        "workers = 2\nbacklog = 7\ndrain-timeout = \"3s\"\nargs = [\"x\"]",
        "A = 2\nAPI_TOKEN = \"hunter3\"\nURL = \"a://b:hunter4@c\"",
    );
    let (code, told, said) = dry(&[]);
    let expected = "\
workers: 1 -> 2 (by scaling, after the rollout)
backlog: 4096 -> 7 (refused: the listening sockets that are open keep their queues)
drain-timeout: 30s -> 3s
args: added: x
env.A: 1 -> 2
env.API_TOKEN: changed (its value is not shown)
env.GONE: removed: 1
env.URL: added (its value is not shown)
a reload would be refused: stop the service and start it again for what is refused, or take it back
";
    assert_eq!((code, told.as_str(), said.as_str()), (Some(0), expected, ""));
    let (_, told, _) = dry(&["--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let token = json!({"key": "env.API_TOKEN", "change": "changed", "from": null, "to": null,
        "secret": true, "effect": "rollout", "reason": null});
    let changes = told["changes"].as_array().expect("a list");
    assert!(changes.contains(&token), "{told}");
    let effects: Vec<&str> =
        changes.iter().take(3).filter_map(|change| change["effect"].as_str()).collect();
    assert_eq!(effects, ["scaling", "refused", "rollout"]);

    app.configure("hold = 10", "");
    let (code, told, said) = dry(&[]);
    assert_eq!((code, told.as_str()), (Some(2), ""));
    assert!(said.contains("relevo.toml:3:8"), "{said}");
    let status = service.status();
    assert_eq!((status["generation"].as_u64(), &status["rollout"]), (Some(1), &Value::Null));
    assert!(!service.log().contains("hunter"));
}
