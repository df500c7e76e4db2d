//! What a script's file is: a program for node, or not.

use crate::invalid_value::shown;
use crate::{Refusal, check_node_args};

/// A file that node can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Whether its types have to be stripped, see [`crate::type_stripping_flag`].
    pub typescript: bool,
    /// The flags its `#!` line gives node.
    pub flags: Vec<String>,
}

impl Script {
    /// How much of a file has to be read for [`Script::classify`]: the kernel's own limit on a
    /// `#!` line (execve(2)).
    pub const HEAD_BYTES: usize = 256;

    /// Tells by a file's name and its first [`Script::HEAD_BYTES`] bytes what it is.
    ///
    /// The name comes first, as it does for node: the `#!` line of a `.js` file is for those who
    /// start the file itself, and its flags are not taken.
    pub fn classify(name: &str, head: &[u8]) -> Result<Self, Refusal> {
        match extension(name) {
            Some("js" | "cjs" | "mjs") => Ok(Self { typescript: false, flags: Vec::new() }),
            Some("ts" | "cts" | "mts") => Ok(Self { typescript: true, flags: Vec::new() }),
            Some(_) | None => by_first_line(name, head),
        }
    }
}

/// The files that `node <script>` would look for, in its order, as far as they can be programs: a
/// package's `main` is often `lib/server`, or a directory with an `index.js` (Node's
/// `lib/internal/modules/cjs/loader.js`, `Module._findPath`).
pub fn candidates(script: &str) -> Vec<String> {
    let mut files = vec![script.to_owned()];
    let directory = script.trim_end_matches('/');
    // What is written as a directory is not completed to a file.
    if directory == script && !matches!(script.rsplit('/').next(), Some("." | "..")) {
        files.push(format!("{script}.js"));
    }
    files.push(format!("{directory}/index.js"));
    files
}

/// Whether `name` ends as JavaScript or TypeScript that node can run does.
pub(crate) fn is_named_as_script(name: &str) -> bool {
    matches!(extension(name), Some("js" | "cjs" | "mjs" | "ts" | "cts" | "mts"))
}

/// The last component of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn extension(name: &str) -> Option<&str> {
    base_name(name).rsplit_once('.').map(|(_, extension)| extension)
}

fn by_first_line(name: &str, head: &[u8]) -> Result<Script, Refusal> {
    let refuse = |because: String| Refusal::NotJavaScript { script: name.to_owned(), because };
    if head.is_empty() {
        return Err(refuse("it is empty".to_owned()));
    }
    if head.starts_with(b"\x7fELF") {
        return Err(refuse("it is a compiled program".to_owned()));
    }
    let Some(line) = head.strip_prefix(b"#!") else {
        return Err(refuse(
            "it has neither such a name nor a `#!` line that names node".to_owned(),
        ));
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let Some(flags) = flags_for_node(line.trim()) else {
        return Err(refuse(format!("it begins with `#!{}`", shown(line.trim(), 80))));
    };
    let flags: Vec<String> = flags.map(str::to_owned).collect();
    check_node_args(&flags)?;
    Ok(Script { typescript: false, flags })
}

/// The words after node in a `#!` line (without the `#!`) that names node.
///
/// Without `-S`, env(1) gets all the rest as one word, and would not find a program `node --x`.
/// Such a line means what it looks like, so it is read that way.
fn flags_for_node(line: &str) -> Option<std::str::SplitAsciiWhitespace<'_>> {
    let (interpreter, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    match base_name(interpreter) {
        "node" | "nodejs" => Some(rest.split_ascii_whitespace()),
        "env" => {
            let rest = rest.trim_start();
            let command = rest
                .strip_prefix("-S")
                .or_else(|| rest.strip_prefix("--split-string="))
                .or_else(|| rest.strip_prefix("--split-string "))
                .unwrap_or(rest);
            let mut words = command.split_ascii_whitespace();
            matches!(base_name(words.next()?), "node" | "nodejs").then_some(words)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_first() {
        for name in ["app.js", "./a/b.cjs", "c.mjs"] {
            let script = Script { typescript: false, flags: Vec::new() };
            assert_eq!(Script::classify(name, b"#!/bin/sh\n"), Ok(script), "{name}");
        }
        for name in ["app.ts", "a.mts", "a.b.cts"] {
            assert!(Script::classify(name, b"").unwrap().typescript, "{name}");
        }
    }

    #[test]
    fn a_first_line_that_names_node_decides_next() {
        let flags = |head: &str| Script::classify("bin/next", head.as_bytes()).unwrap().flags;
        assert_eq!(flags("#!/usr/bin/env node\nx"), [""; 0]);
        assert_eq!(flags("#! /usr/bin/env node\r\n"), [""; 0]);
        assert_eq!(flags("#!/usr/bin/node"), [""; 0]);
        assert_eq!(flags("#!/usr/local/bin/nodejs --inspect\n"), ["--inspect"]);
        assert_eq!(flags("#!/usr/bin/env -S node --import tsx\n"), ["--import", "tsx"]);
        assert_eq!(flags("#!/usr/bin/env -Snode --inspect\n"), ["--inspect"]);
        assert_eq!(flags("#!/usr/bin/env --split-string=node -r x\n"), ["-r", "x"]);
        assert_eq!(flags("#!/usr/bin/env node --inspect\n"), ["--inspect"]);
    }

    #[test]
    fn everything_else_is_not_javascript() {
        let cases: [(&str, &[u8], &str); 9] = [
            ("start", b"#!/bin/sh\nexec node", "begins with `#!/bin/sh`"),
            ("app.py", b"#!/usr/bin/env python3\n", "python3"),
            ("server", b"\x7fELF\x02", "compiled"),
            ("server", b"", "empty"),
            ("server", b"require('x')", "neither"),
            ("app.tsx", b"import x", "neither"),
            ("a.json", b"{}", "neither"),
            ("x", b"#!/usr/bin/env\n", "begins with"),
            ("x", b"#!/usr/bin/env -S A=b node\n", "begins with"),
        ];
        for (name, head, because) in cases {
            let refusal = Script::classify(name, head).unwrap_err().to_string();
            assert!(refusal.contains("is not a JavaScript file, it"), "{refusal}");
            assert!(refusal.contains(because), "{refusal}");
        }
    }

    #[test]
    fn flags_with_which_node_does_not_serve_are_refused_here_too() {
        let refusal = Script::classify("x", b"#!/usr/bin/env -S node --watch\n").unwrap_err();
        assert!(matches!(refusal, Refusal::Flag { .. }));
    }

    #[test]
    fn candidates_are_nodes() {
        assert_eq!(candidates("lib/a"), ["lib/a", "lib/a.js", "lib/a/index.js"]);
        assert_eq!(candidates("lib/"), ["lib/", "lib/index.js"]);
        assert_eq!(candidates("."), [".", "./index.js"]);
    }
}
