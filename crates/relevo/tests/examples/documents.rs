//! Every command that the documents show.
//!
//! Commands stand in fenced blocks marked `console`, on lines that begin with `$ ` or, for root, `# `;
//! the other lines there are their output. Each `relevo …`, also one behind `cargo run … --`, is
//! given to the real binary; all other programs must be known here.

use std::path::{Path, PathBuf};

use crate::support::client::get;
use crate::support::ports::port;
use crate::support::relevo::{Relevo, unique_name};
use crate::support::service::signal_process;
use crate::support::{TempDir, eventually, root};

/// Programs that are not ours, and whose lines are not run.
const OTHERS: [&str; 27] = [
    "ab",
    "apt-get",
    "cargo",
    "cd",
    "chmod",
    "cp",
    "curl",
    "docker",
    "echo",
    "git",
    "install",
    "kill",
    "ln",
    "mv",
    "./deploy.sh",
    "npm",
    "node",
    "ps",
    "sleep",
    "sudo",
    "sysctl",
    "systemctl",
    "useradd",
    "wrk",
    "$EDITOR",
    ".ci/run",
    "cat",
];

#[derive(Debug)]
struct Shown {
    document: PathBuf,
    line: usize,
    words: Vec<String>,
}

fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root(), root().join("docs"), root().join("examples")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            } else if path.is_dir()
                && path.starts_with(root().join("examples"))
                && !path.ends_with("node_modules")
            {
                directories.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The commands of all `console` blocks.
fn shown() -> Vec<Shown> {
    let mut all = Vec::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("text");
        let mut inside = false;
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                inside = !inside && line.trim() == "```console";
                continue;
            }
            let Some(command) = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# ")) else {
                continue;
            };
            if inside {
                for words in commands(command) {
                    let document = document.clone();
                    all.push(Shown { document, line: number + 1, words });
                }
            }
        }
    }
    all
}

/// The simple commands of a line, without what redirects them or sets variables for them.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let (mut word, mut quote, mut begun) = (String::new(), None, false);
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, '#') if word.is_empty() => break,
            (None, ' ' | '&' | '|' | ';') => {
                if begun {
                    all.last_mut().expect("one").push(std::mem::take(&mut word));
                }
                begun = false;
                if c != ' ' {
                    all.push(Vec::new());
                }
            }
            (None, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    for words in &mut all {
        let assigns = |word: &String| {
            word.split_once('=').is_some_and(|(name, _)| {
                name.chars().all(|c| c.is_ascii_uppercase() || c == '_') && !name.is_empty()
            })
        };
        let variables = words.iter().take_while(|word| assigns(word)).count();
        words.drain(..variables);
        if let Some(at) = words.iter().position(|word| word.starts_with(['<', '>'])) {
            words.truncate(at);
        }
    }
    all.retain(|words| !words.is_empty());
    all
}

/// The words after `relevo`, if the command is ours.
fn ours(words: &[String]) -> Option<Vec<&str>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["cargo", "run", rest @ ..] => {
            let dashes = rest.iter().position(|word| *word == "--")?;
            Some(rest[dashes + 1..].to_vec())
        }
        [program, rest @ ..] if *program == "relevo" || program.ends_with("/relevo") => {
            Some(rest.to_vec())
        }
        _ => None,
    }
}

#[test]
fn every_command_of_ours_is_taken_and_every_other_is_known() {
    let mut checked = 0;
    for Shown { document, line, words } in shown() {
        let at = format!("{}:{line}: {}", document.display(), words.join(" "));
        let Some(ours) = ours(&words) else {
            assert!(OTHERS.contains(&words[0].as_str()), "{at}: nobody has looked at this command");
            continue;
        };
        checked += 1;
        let nowhere = TempDir::new("documents");
        if ours.first() == Some(&"run") {
            // The script is not there: that must be all that is wrong.
            let ended = Relevo::new(&ours).directory(nowhere.path()).run();
            let only_that =
                ["does not exist", "nothing says what to run", "that is there", "is not a program"];
            let fine = only_that.iter().any(|word| ended.stderr.contains(word));
            assert!(fine, "{at}\n{}", ended.told());
        } else {
            // Taken as they are, they would reach for services of other tests.
            let mut words = ours.clone();
            words.push("--help");
            let ended = Relevo::new(&words).directory(nowhere.path()).run();
            assert_eq!(ended.code, Some(0), "{at}\n{}", ended.told());
        }
    }
    assert!(checked >= 5, "only {checked} commands were found: has the marking changed?");
}

/// Those whose script is in the repository are run, from where they are to be typed.
#[test]
fn every_run_of_something_that_is_there_serves() {
    let mut ran = Vec::new();
    for Shown { document, line, words } in shown() {
        let Some(ours) = ours(&words).filter(|ours| ours.first() == Some(&"run")) else { continue };
        let directory = document.parent().expect("a directory");
        let script = ours[1..].iter().find(|word| word.ends_with("app.js"));
        let Some(script) = script else { continue };
        // Paths are meant from the top, or from the document's own directory.
        let from =
            [root(), directory.to_owned()].into_iter().find(|from| from.join(script).exists());
        let Some(from) = from.filter(|from| can_run(from)) else { continue };
        let typed = ours.join(" ");
        if ran.contains(&(from.clone(), typed.clone())) {
            continue;
        }
        let (port, name) = (port(), unique_name("documents"));
        let mut words = ours;
        if let Some(at) = words.iter().position(|word| *word == "--name") {
            words.drain(at..at + 2);
        }
        words.splice(1..1, ["--name", &name]);
        let (mut child, _runtime) =
            Relevo::new(&words).directory(&from).env("PORT", port.to_string()).spawn();
        let answer = eventually(&format!("{}:{line}: an answer", document.display()), || {
            assert!(child.try_wait().expect("our child").is_none(), "`relevo {typed}` has ended");
            get(port, "/")
        });
        assert_eq!(answer.status, 200, "relevo {typed}");
        signal_process(child.id(), rustix::process::Signal::TERM);
        assert_eq!(child.wait().expect("our child").code(), Some(0), "relevo {typed}");
        ran.push((from, typed));
    }
    assert!(!ran.is_empty(), "no command of the documents could be run");
}

/// What has dependencies is run elsewhere, when they are installed.
fn can_run(directory: &Path) -> bool {
    !directory.join("package-lock.json").exists() && directory.join("Cargo.toml").exists()
        || directory.ends_with("hello")
}

#[test]
fn lines_are_taken_apart_as_a_shell_would() {
    let check = |line: &str, expected: &[&[&str]]| assert_eq!(commands(line), expected, "{line}");
    check("relevo run app.js --name x &", &[&["relevo", "run", "app.js", "--name", "x"]]);
    check("A=1 relevo status 'a b' # why", &[&["relevo", "status", "a b"]]);
    check("a && b | c; d >e", &[&["a"], &["b"], &["c"], &["d"]]);
}
