//! What docs/configuration.md shows is right and complete.

use crate::support::relevo::{Relevo, write};
use crate::support::{TempDir, root};

fn document() -> String {
    std::fs::read_to_string(root().join("docs/configuration.md")).expect("the document")
}

/// The files it shows.
fn files() -> Vec<String> {
    let text = document();
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_file_it_shows_is_right() {
    assert!(files().len() >= 3);
    for text in files() {
        let directory = TempDir::new("config");
        for name in ["server.js", ".env", "secrets.env"] {
            write(directory.join(name), "");
        }
        write(directory.join("server.js"), "require('http')");
        write(directory.join("relevo.toml"), &text);
        let ended = Relevo::new(&["check"]).directory(directory.path()).run();
        assert_eq!(ended.code, Some(0), "{text}\n{}", ended.told());
    }
}

/// The options of `run` by its help, and the keys of the file that shows all of them.
#[test]
fn the_last_one_has_every_option_of_run() {
    let help = Relevo::new(&["run", "--help"]).run().stdout;
    let first_words = help.lines().map(|line| line.trim_start().trim_start_matches("-w, "));
    let mut options: Vec<String> = first_words
        .filter_map(|line| line.strip_prefix("--")?.split([' ', '<', '[']).next())
        .filter(|name| !matches!(*name, "config" | "help"))
        .map(str::to_owned)
        .collect();
    options.extend(["script", "args"].map(str::to_owned));
    options.sort();
    let text = files().pop().expect("a file");
    let mut keys: Vec<String> = text
        .lines()
        .filter_map(|line| match line.strip_prefix('[') {
            Some(table) => table.strip_suffix(']'),
            None => line.split_once(" = ").map(|(key, _)| key),
        })
        .filter(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .map(str::to_owned)
        .collect();
    keys.sort();
    assert_eq!(keys, options);
}

/// As far as help has defaults: those that the comments of that file speak of otherwise are left out.
#[test]
fn what_it_calls_defaults_are_defaults() {
    let help = Relevo::new(&["run", "--help"]).run().stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = files().pop().expect("a file");
    let mut compared = 0;
    for (key, value) in text.lines().filter_map(|line| line.split_once(" = ")) {
        let value = value.split("  ").next().unwrap_or_default().trim().trim_matches('"');
        let page = help.split_once(&format!("--{key} <")).map_or("", |(_, page)| page);
        let page = page.split(" --").next().unwrap_or_default();
        let Some((_, default)) = page.split_once("[default: ") else { continue };
        if !["name", "canary-share"].contains(&key) {
            assert_eq!(default.split([']', ',']).next(), Some(value), "{key}");
            compared += 1;
        }
    }
    assert!(compared >= 12, "only {compared} defaults were found: has help changed?");
}
