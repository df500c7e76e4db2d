//! The example units: systemd takes them, and Relevo takes their command lines.

use std::process::Command;

use crate::support::TempDir;
use crate::support::relevo::{Relevo, write};
use crate::support::root;
use crate::support::service::RELEVO;

const UNITS: [&str; 2] = ["web-notify.service", "web-notify-reload.service"];

fn unit(name: &str) -> String {
    std::fs::read_to_string(root().join("examples/systemd").join(name)).expect("the unit")
}

/// The values of a unit's field.
fn values<'u>(unit: &'u str, field: &str) -> Vec<&'u str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == field).map(|(_, value)| value).collect()
}

#[test]
fn the_command_lines_are_taken() {
    for name in UNITS {
        let unit = unit(name);
        let start = values(&unit, "ExecStart");
        let words: Vec<&str> = start[0].split(' ').collect();
        assert_eq!((start.len(), words[0]), (1, "/usr/local/bin/relevo"), "{name}");
        // Nothing is at that place here, so the one fault there is must be that.
        let ended = Relevo::new(&words[1..]).run();
        ended.assert_code(2).assert_one_sentence(&["/srv/web", "a directory that is there"]);
        let reload = values(&unit, "ExecReload");
        match values(&unit, "Type")[0] {
            "notify" => {
                let words: Vec<&str> = reload[0].split(' ').collect();
                assert_eq!(words[0], "/usr/local/bin/relevo", "{name}");
                let with_help = [&words[1..], &["--help"]].concat();
                Relevo::new(&with_help).run().assert_code(0);
            }
            "notify-reload" => {
                assert!(reload.is_empty(), "{name}");
                assert_eq!(values(&unit, "ReloadSignal"), ["SIGUSR2"], "{name}");
            }
            other => panic!("{name}: {other}"),
        }
        let stop: u32 = values(&unit, "TimeoutStopSec")[0].parse().expect("seconds");
        assert!(stop > 25, "{name}: systemd must not kill before --shutdown-timeout has passed");
    }
}

#[test]
fn systemd_takes_the_units() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        eprintln!("skipped: there is no systemd-analyze here");
        return;
    };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let version = version.split_whitespace().nth(1).and_then(|word| word.parse::<u32>().ok());
    for name in UNITS {
        if name.contains("reload") && version.is_none_or(|version| version < 253) {
            eprintln!("skipped {name}: this systemd is {version:?}, not 253 or later");
            continue;
        }
        // It wants to find the programs.
        let directory = TempDir::new("units");
        let text = unit(name).replace("/usr/local/bin/relevo", RELEVO).replace("User=web\n", "");
        let file = write(directory.join(name), text);
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&file)
            .output()
            .expect("systemd-analyze");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let about: Vec<&str> = said.lines().filter(|line| line.contains(name)).collect();
        assert!(about.is_empty(), "{name}: {said}");
    }
}
