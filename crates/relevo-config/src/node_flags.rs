//! Node's own flags: which take the next word as their value, and with which node does not serve.
//!
//! A flag's kind decides where the script begins, so the list below is complete rather than short.
//! It is taken from the option tables of Node 18, 20, 22, 24 and 26 (`src/node_options.cc`): all
//! options of the types string, list, number and host:port. Any other flag stands alone, as V8's
//! do, whose values node wants after `=`.

use crate::Refusal;

/// A command line of node's, cut at the script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NodeCall {
    pub(crate) flags: Vec<String>,
    pub(crate) script: String,
    pub(crate) args: Vec<String>,
}

/// Checks words that are given to node before the script (`--node-arg`): each must be a flag or
/// the value of the flag before it.
pub fn check_node_args(args: &[String]) -> Result<(), Refusal> {
    let mut rest = args;
    while let Some(word) = rest.first() {
        if !word.starts_with('-') || word == "-" || word == "--" {
            return Err(Refusal::NotAFlag { word: word.clone() });
        }
        rest = &rest[flag_length(rest)?..];
    }
    Ok(())
}

/// Cuts the words after `node`.
pub(crate) fn parse(words: &[String]) -> Result<NodeCall, Refusal> {
    let mut at = 0;
    let script = loop {
        match words.get(at).map(String::as_str) {
            None => return Err(Refusal::NodeWithoutScript),
            Some("-") => return Err(Refusal::StandardInput),
            Some("") => return Err(Refusal::EmptyScript),
            Some("--") => {
                let script = words.get(at + 1).ok_or(Refusal::NodeWithoutScript)?;
                if script.is_empty() {
                    return Err(Refusal::EmptyScript);
                }
                break at + 1;
            }
            Some(flag) if flag.starts_with('-') => at += flag_length(&words[at..])?,
            // Only as the first word: after a flag, node takes it for a script's name.
            Some("inspect" | "debug") if at == 0 => {
                return Err(Refusal::Flag {
                    flag: words[0].clone(),
                    because: "starts the debugger at this terminal",
                    remedy: "use `relevo run node --inspect app.js` and attach to that",
                });
            }
            Some(_) => break at,
        }
    };
    // Without the `--`, which would hide flags that are added later.
    let flags = words[..script].iter().filter(|word| *word != "--").cloned().collect();
    Ok(NodeCall { flags, script: words[script].clone(), args: words[script + 1..].to_vec() })
}

/// How many words the flag at the beginning of `words` takes: one or, with its value, two.
fn flag_length(words: &[String]) -> Result<usize, Refusal> {
    let flag = &words[0];
    let (name, has_value) = match flag.split_once('=') {
        Some((name, _)) => (name, true),
        None => (flag.as_str(), false),
    };
    // Node takes `--max_http_header_size` for `--max-http-header-size`.
    let name = if name.starts_with("--") { name.replace('_', "-") } else { name.to_owned() };
    if let Some((because, remedy)) = does_not_serve(&name) {
        return Err(Refusal::Flag { flag: flag.clone(), because, remedy });
    }
    if has_value || !takes_value(&name) {
        return Ok(1);
    }
    match words.get(1) {
        // Node itself refuses a value that looks like a flag.
        Some(value) if !value.starts_with('-') => Ok(2),
        Some(_) | None => Err(Refusal::FlagWithoutValue { flag: flag.clone() }),
    }
}

fn does_not_serve(name: &str) -> Option<(&'static str, &'static str)> {
    const TO_A_FILE: &str = "put the code into a file and run that";
    const LEAVE_OUT: &str = "leave the flag out";
    Some(match name {
        "-e" | "--eval" | "-p" | "--print" | "-pe" => ("runs code that is in no file", TO_A_FILE),
        "-i" | "--interactive" => ("starts a prompt", TO_A_FILE),
        "--run" => (
            "runs a script of package.json through a shell",
            "run the program that it starts, as in `relevo run app.js`",
        ),
        "--watch" | "--watch-path" => (
            "starts the program in a process of its own, behind Relevo's back",
            "leave the flag out, and give `--watch` to `relevo run` itself",
        ),
        "--test"
        | "-c"
        | "--check"
        | "-v"
        | "--version"
        | "-h"
        | "--help"
        | "--v8-options"
        | "--completion-bash"
        | "--prof-process"
        | "--build-snapshot"
        | "--build-snapshot-config"
        | "--build-sea"
        | "--experimental-sea-config" => ("does not run a server", LEAVE_OUT),
        _ => return None,
    })
}

fn takes_value(name: &str) -> bool {
    matches!(
        name,
        "-r" | "--require"
            | "--import"
            | "--loader"
            | "--experimental-loader"
            | "-C"
            | "--conditions"
            | "--env-file"
            | "--env-file-if-exists"
            | "--allow-fs-read"
            | "--allow-fs-write"
            | "--cpu-prof-dir"
            | "--cpu-prof-interval"
            | "--cpu-prof-name"
            | "--debug-port"
            | "--diagnostic-dir"
            | "--disable-proto"
            | "--disable-warning"
            | "--dns-result-order"
            | "--es-module-specifier-resolution"
            | "--experimental-config-file"
            | "--experimental-default-type"
            | "--experimental-package-map"
            | "--experimental-policy"
            | "--experimental-specifier-resolution"
            | "--heap-prof-dir"
            | "--heap-prof-interval"
            | "--heap-prof-name"
            | "--heapsnapshot-near-heap-limit"
            | "--heapsnapshot-signal"
            | "--icu-data-dir"
            | "--input-type"
            | "--inspect-port"
            | "--inspect-publish-uid"
            | "--localstorage-file"
            | "--max-http-header-size"
            | "--max-old-space-size-percentage"
            | "--network-family-autoselection-attempt-timeout"
            | "--openssl-config"
            | "--policy-integrity"
            | "--redirect-warnings"
            | "--report-dir"
            | "--report-directory"
            | "--report-filename"
            | "--report-signal"
            | "--secure-heap"
            | "--secure-heap-min"
            | "--security-revert"
            | "--security-reverts"
            | "--snapshot-blob"
            | "--title"
            | "--tls-cipher-list"
            | "--tls-keylog"
            | "--trace-event-categories"
            | "--trace-event-file-pattern"
            | "--trace-require-module"
            | "--unhandled-rejections"
            | "--use-largepages"
            | "--v8-pool-size"
            | "--vfs-load"
            | "--vfs-mount"
            | "--watch-kill-signal"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[track_caller]
    fn check(line: &str, flags: &str, script: &str, args: &str) {
        let expected =
            NodeCall { flags: words(flags), script: script.to_owned(), args: words(args) };
        assert_eq!(parse(&words(line)), Ok(expected));
    }

    #[test]
    fn the_script_is_the_first_word_that_is_no_flag_or_value() {
        check("app.js", "", "app.js", "");
        check("app.js --port 1", "", "app.js", "--port 1");
        check("--inspect app.js -e x", "--inspect", "app.js", "-e x");
        check("-r ./a --import tsx app.ts", "-r ./a --import tsx", "app.ts", "");
        check("--import=tsx app.ts", "--import=tsx", "app.ts", "");
        check("-C dev --env-file .env app", "-C dev --env-file .env", "app", "");
        check("--max_http_header_size 9000 a.js", "--max_http_header_size 9000", "a.js", "");
        check("--max-old-space-size=400 a.js", "--max-old-space-size=400", "a.js", "");
        check("--inspect=0 a.js", "--inspect=0", "a.js", "");
        check("--inspect -- -a.js -- b", "--inspect", "-a.js", "-- b");
        check("--no-warnings inspect", "--no-warnings", "inspect", "");
    }

    #[test]
    fn what_does_not_serve_is_refused() {
        for line in [
            "-e 1",
            "--eval=1",
            "-p 1",
            "-pe 1",
            "-i",
            "--run start",
            "--watch app.js",
            "--test",
            "-v",
            "inspect app.js",
        ] {
            assert!(matches!(parse(&words(line)), Err(Refusal::Flag { .. })), "{line}");
        }
        for line in ["", "--inspect", "--", "-r ./a"] {
            assert_eq!(parse(&words(line)), Err(Refusal::NodeWithoutScript), "{line}");
        }
        assert_eq!(parse(&words("-")), Err(Refusal::StandardInput));
        assert_eq!(parse(&[String::new()]), Err(Refusal::EmptyScript));
    }

    #[test]
    fn a_missing_value_is_named() {
        for line in ["--import", "--import --inspect app.js"] {
            let refusal = Refusal::FlagWithoutValue { flag: "--import".to_owned() };
            assert_eq!(parse(&words(line)), Err(refusal), "{line}");
        }
    }

    #[test]
    fn node_args_are_flags_and_their_values() {
        assert_eq!(check_node_args(&[]), Ok(()));
        assert_eq!(check_node_args(&words("--import tsx --inspect -r x")), Ok(()));
        for (line, word) in [("app.js", "app.js"), ("--inspect 0", "0"), ("--", "--")] {
            let refusal = Refusal::NotAFlag { word: word.to_owned() };
            assert_eq!(check_node_args(&words(line)), Err(refusal));
        }
        assert!(matches!(check_node_args(&words("-e 1")), Err(Refusal::Flag { .. })));
        assert!(check_node_args(&words("--import")).is_err());
    }
}
