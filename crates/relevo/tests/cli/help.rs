//! Help teaches, and speaks of nothing that is not there.

use crate::support::relevo::Relevo;

/// Words of the whole interface that are not built yet.
const ABSENT: &[&str] = &[
    "start",
    "restart",
    "logs",
    "top",
    "import",
    "upgrade",
    "replay",
    "service install",
    "completions",
    "man",
    "--admin",
    "steer",
];

#[test]
fn every_page_teaches_and_mentions_nothing_absent() {
    for words in [
        vec!["--help"],
        vec!["-h"],
        vec!["help", "run"],
        vec!["run", "--help"],
        vec!["run", "-h"],
        vec!["reload", "--help"],
        vec!["rollback", "--help"],
        vec!["abort", "--help"],
        vec!["pause", "--help"],
        vec!["resume", "--help"],
        vec!["scale", "--help"],
        vec!["status", "--help"],
        vec!["events", "--help"],
        vec!["ps", "--help"],
        vec!["stop", "--help"],
        vec!["prove", "--help"],
        vec!["check", "--help"],
    ] {
        let ended = Relevo::new(&words).run();
        ended.assert_code(0);
        assert_eq!(ended.stderr, "", "{}", ended.told());
        let page = &ended.stdout;
        assert!(page.contains("Usage: relevo"), "{}", ended.told());
        for absent in ABSENT {
            // Commands stand at a line's beginning or after `relevo`.
            let command = absent.chars().all(|c| c.is_ascii_lowercase());
            let found = if command {
                page.contains(&format!("\n  {absent} "))
                    || page.contains(&format!("relevo {absent}"))
            } else {
                page.contains(absent)
            };
            assert!(!found, "`{absent}` is mentioned: {}", ended.told());
        }
        assert!(!page.contains("__exec"), "{}", ended.told());
        let widest = page.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= 100, "{widest} columns: {}", ended.told());
    }
}

#[test]
fn the_main_page_names_every_command_and_runs_all_options() {
    let page = Relevo::new(&["--help"]).run().stdout;
    for command in [
        "run", "reload", "rollback", "abort", "pause", "resume", "scale", "status", "ps", "stop",
        "prove", "check",
    ] {
        assert!(page.contains(&format!("\n  {command} ")), "{page}");
    }
    let page = Relevo::new(&["run", "--help"]).run().stdout;
    for option in [
        "--name",
        "-w, --workers",
        "--balance",
        "--weights",
        "--backlog",
        "--ready <",
        "--ready-timeout",
        "--probation",
        "--canary-requests",
        "--canary-share",
        "--canary-timeout",
        "--canary-inconclusive",
        "--drain-timeout",
        "--handover",
        "--linger",
        "--drain-spread",
        "--hold <",
        "--shutdown-timeout",
        "--stop-signal",
        "--stop-timeout",
        "--no-agent",
        "--node-arg",
        "--cwd",
        "--user",
        "--group",
        "--env <",
        "--env-file",
        "--watch[=<PATH>]",
        "--ignore",
        "--reload-at",
        "--keep-trying",
        "--final-exit-codes",
        "--hook-before",
        "--hook-ready",
        "--hook-success",
        "--hook-failure",
        "--hook-crash",
        "--hook-timeout",
        "--config",
    ] {
        assert!(page.contains(option), "{option}: {page}");
    }
    for default in
        ["[default: auto", "4096]", "30s]", "1s]", "25s]", "10s]", "SIGTERM]", "auto]", "load]"]
    {
        assert!(page.contains(default), "{default}: {page}");
    }
}

#[test]
fn the_version_goes_to_stdout() {
    let ended = Relevo::new(&["--version"]).run();
    ended.assert_code(0);
    assert_eq!(ended.stdout, format!("relevo {}\n", env!("CARGO_PKG_VERSION")));
}
