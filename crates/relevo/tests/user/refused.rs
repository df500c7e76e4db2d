//! Who cannot be.

use rustix::process::{getegid, geteuid};

use crate::support::fixture;
use crate::support::relevo::Relevo;

#[track_caller]
fn check(line: &str, words: &[&str]) {
    let line: Vec<&str> = line.split_whitespace().collect();
    let ended = Relevo::new(&line).directory(fixture("")).run();
    ended.assert_code(2).assert_one_sentence(words).assert_nothing_left();
}

#[test]
fn who_is_not_there() {
    check("run --user nobdy kitchen.js", &["--user: there is no user `nobdy`", "`nobody`?"]);
    check("run --user zzqx kitchen.js", &["--user: there is no user `zzqx`", "/etc/passwd"]);
    check("run --group rot kitchen.js", &["--group: there is no group `rot`", "`root`?"]);
    check("run --user 3999999999 kitchen.js", &["has no entry in passwd", "--group"]);
    check("run --user a:b kitchen.js", &["--user: `a:b` is nobody's name"]);
    // An empty one takes back what a file says: a name that is no file is the next fault.
    check("run --user= nope.js", &["nope.js does not exist"]);
}

/// Whoever is not root may name itself, and nobody else.
#[test]
fn others_than_root_can_be_nobody_but_themselves() {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    if uid == 0 {
        // Become somebody else for that: the command of util-linux is there wherever root is.
        return as_nobody();
    }
    check("run --user root kitchen.js", &["--user: only root can run workers as another user"]);
    let other = format!("run --group {} kitchen.js", gid + 1);
    check(&other, &["--group: only root can run workers with another group"]);
}

fn as_nobody() {
    use std::os::unix::process::CommandExt;

    use crate::support::TempDir;
    use crate::support::service::RELEVO;
    let directory = TempDir::new("user");
    // The checkout may be where nobody but us can go.
    let relevo = directory.join("relevo");
    std::fs::hard_link(RELEVO, &relevo)
        .or_else(|_| std::fs::copy(RELEVO, &relevo).map(drop))
        .expect("a copy of the binary");
    for (line, word) in [
        ("run --user root app.js", "--user: only root can run workers as another user"),
        ("run --group root app.js", "--group: only root can run workers with another group"),
    ] {
        let mut command = std::process::Command::new(&relevo);
        command.args(line.split(' ')).uid(65534).gid(65534).current_dir("/");
        let output = command.env("PWD", "/").output().expect("relevo runs");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains(word) && words.contains("start Relevo as root"), "{words}");
    }
}
