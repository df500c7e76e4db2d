//! `relevo run`: gather what is needed, then become the primary.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;
use relevo_config::cpu;

use super::chosen::Chosen;
use super::{Failure, options_with_value, text};
use crate::configuration::{self, Faults, Source, logical_current_directory};
use crate::primary::{self, Machine, Primary, Reading, Service};
use relevo_core::Spec;
use relevo_sys::activation::{self, InheritedSocket};
use relevo_sys::process::own_pid;

/// Run an app in the foreground, on every core; Ctrl-C drains and exits
///
/// Without a script, that of relevo.toml is run; without one there, package.json's `scripts.start` if
/// it is `node …`, else its `main`.
/// SIGUSR2, SIGHUP or `relevo reload` replace the workers one by one; SIGTERM, Ctrl-C or
/// `relevo stop` finish the work and exit.
#[derive(Debug, Parser)]
#[command(
    override_usage = "relevo run [OPTIONS] [SCRIPT] [-- ARGS…]\n       relevo run [OPTIONS] node [NODE FLAGS] SCRIPT [ARGS…]",
    after_help = "Examples:\n  relevo run app.js\n  relevo run -w 4 --env PORT=8080 server.mjs\n  relevo run app.js -- --verbose\n  relevo run node --inspect app.js"
)]
pub(crate) struct Args {
    /// The script, or a command that begins with `node`; then the app's own arguments
    #[arg(value_name = "SCRIPT")]
    words: Vec<String>,

    /// A file with the options of this service; what stands here wins [default: relevo.toml, if it is
    /// in the current directory]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    chosen: Chosen,
}

/// Becomes the primary, until the service ends.
pub(crate) fn run(args: Args) -> Result<u8, Failure> {
    // Before anything else is opened: the descriptors we were started with have the numbers that
    // an app's `listen({fd})` means.
    let inherited = inherited_sockets()?;
    let here = logical_current_directory()?;
    let file = args.config.or_else(|| configuration::find(&here));
    let source = Source::new(args.chosen.0, args.words, file.as_deref(), here);
    let configuration = source.read(None).map_err(Faults::into_failure)?;
    let reading = Reading::new(source, configuration, machine()?);
    let service = Service { inherited, reading, is_trial: false };
    Primary::start(service).map(Primary::run).map_err(primary::StartError::into_failure)
}

/// What this machine adds to any configuration.
pub(super) fn machine() -> Result<Machine, Failure> {
    let nofile = relevo_sys::process::raise_nofile_limit().map_err(|errno| {
        Failure::new(
            relevo_wire::ExitCode::Failed,
            format!("cannot read the limit of open files: {errno}"),
        )
    })?;
    let slots = cpu::workers_for(cpu_quota(), relevo_sys::proc::allowed_cpus());
    Ok(Machine { auto_slots: slots, synack_retries: synack_retries(), nofile })
}

/// Moves options that stand after the script before it, so that `run app.js -w 2` means what it
/// looks like. What follows `--`, and all that follows `node`, is the app's and node's.
pub(crate) fn options_first(words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).map(text) != Some("run") {
        return words;
    }
    let with_value = options_with_value();
    let mut own: Vec<OsString> = words[..2].to_vec();
    let mut apps: Vec<OsString> = Vec::new();
    let mut rest = words.into_iter().skip(2);
    while let Some(word) = rest.next() {
        let as_text = text(&word).to_owned();
        if as_text == "--" {
            // What is after it belongs to the app: as it is, with the `--` kept for a script that
            // follows it.
            apps.extend(rest);
            break;
        } else if as_text.starts_with('-') && as_text.len() > 1 {
            own.push(word);
            if with_value.contains(&as_text) {
                own.extend(rest.next());
            }
        } else {
            let command = apps.is_empty() && is_command(&as_text);
            apps.push(word);
            if command {
                apps.extend(rest);
                break;
            }
        }
    }
    if !apps.is_empty() {
        own.push("--".into());
        own.extend(apps);
    }
    own
}

/// Whether the first word names a command, whose own flags follow, rather than a script.
fn is_command(word: &str) -> bool {
    let base = word.rsplit('/').next().unwrap_or(word);
    matches!(base, "node" | "nodejs") || (!word.contains(['.', '/']) && !Path::new(word).exists())
}

fn inherited_sockets() -> Result<Vec<InheritedSocket>, Failure> {
    let variable = |name: &str| std::env::var(name).ok();
    activation::inherited_sockets(
        variable("LISTEN_PID").as_deref(),
        variable("LISTEN_FDS").as_deref(),
        variable("LISTEN_FDNAMES").as_deref(),
        own_pid(),
    )
    .map_err(|errno| {
        Failure::usage(format!("LISTEN_FDS does not name sockets that were passed on: {errno}"))
    })
}

/// The smallest CPU quota of our control group and those above it.
fn cpu_quota() -> Option<f64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let groups = read("/proc/self/cgroup")?;
    let quotas = cpu::quota_files(&groups).into_iter().filter_map(|files| match files {
        cpu::QuotaFiles::V2 { max } => cpu::v2_quota(&read(&max)?),
        cpu::QuotaFiles::V1 { quota, period } => cpu::v1_quota(&read(&quota)?, &read(&period)?),
    });
    cpu::smallest(quotas)
}

/// How often the kernel repeats a SYN-ACK: tcp(7).
fn synack_retries() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_synack_retries");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(Spec::SYNACK_RETRIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, meant: &str) {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(options_first(words(written)), words(meant));
    }

    #[test]
    fn options_after_the_script_are_ours_until_the_dashes() {
        check("relevo run app.js -w 2", "relevo run -w 2 -- app.js");
        check("relevo run -w 2 app.js", "relevo run -w 2 -- app.js");
        check("relevo run app.js --name=x -- -w 3", "relevo run --name=x -- app.js -w 3");
        check("relevo run app.js one --no-agent two", "relevo run --no-agent -- app.js one two");
        check("relevo run -- app.js --x", "relevo run -- app.js --x");
        check("relevo run --node-arg --inspect a.js", "relevo run --node-arg --inspect -- a.js");
    }

    #[test]
    fn what_follows_a_command_is_the_commands() {
        check(
            "relevo run -w 2 node --inspect a.js -w 3",
            "relevo run -w 2 -- node --inspect a.js -w 3",
        );
        check("relevo run npm start --silent", "relevo run -- npm start --silent");
        check(
            "relevo run /opt/node/bin/node -r x a.js",
            "relevo run -- /opt/node/bin/node -r x a.js",
        );
    }

    #[test]
    fn other_commands_are_left_alone() {
        check("relevo reload web", "relevo reload web");
        check("relevo run", "relevo run");
    }
}
