//! `relevo run`: gather what is needed, then become the primary.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Parser;
use relevo_config::{HandoverWord, Options, Span, WeightsWord, cpu, env_file};

use super::chosen::Chosen;
use super::{Failure, entry, error_text, options_with_value, text};
use crate::primary::{self, DrainWords, Launch, Primary, Service, environment};
use relevo_core::Spec;
use relevo_node::HandoverMode;
use relevo_sys::activation::{self, InheritedSocket};
use relevo_sys::process::own_pid;

/// Run an app in the foreground, on every core; Ctrl-C drains and exits
///
/// Without a script, package.json's `scripts.start` is run if it is `node …`, else its `main`.
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

    #[command(flatten)]
    chosen: Chosen,
}

impl Args {
    fn options(&self) -> Options {
        let mut options = Options::default();
        self.chosen.0.apply(&mut options);
        options
    }
}

/// Becomes the primary, until the service ends.
pub(crate) fn run(args: Args) -> Result<u8, Failure> {
    // Before anything else is opened: the descriptors we were started with have the numbers that
    // an app's `listen({fd})` means.
    let inherited = inherited_sockets()?;
    let options = args.options();
    let directory = working_directory(options.cwd.as_deref())?;
    let entry = entry::resolve(&args.words, &directory, &options.node_args)?;
    let name = match options.name.clone().or(entry.name) {
        Some(name) => name,
        None => {
            return Err(Failure::usage(
                "neither package.json nor the directory gives the service a name: use --name",
            ));
        }
    };
    let added = added_variables(&options)?;
    let nofile = relevo_sys::process::raise_nofile_limit().map_err(|errno| {
        Failure::new(
            relevo_wire::ExitCode::Failed,
            format!("cannot read the limit of open files: {errno}"),
        )
    })?;
    let slots =
        options.workers.slots(cpu::workers_for(cpu_quota(), relevo_sys::proc::allowed_cpus()));
    let service = Service {
        name: name.as_str().to_owned(),
        spec: Spec { synack_retries: synack_retries(), ..options.spec(slots) },
        backlog: u32::from(options.backlog.get()),
        drain_words: DrainWords {
            linger_ms: milliseconds(options.linger),
            spread_ms: milliseconds(options.drain_spread),
            handover: match options.handover {
                HandoverWord::Auto => HandoverMode::Auto,
                HandoverWord::All => HandoverMode::All,
                HandoverWord::Off => HandoverMode::Off,
            },
        },
        weights_by_load: options.weights == WeightsWord::Load,
        stop_signal: relevo_sys::Signal::from_named_raw(options.stop_signal.number())
            .unwrap_or(relevo_sys::Signal::TERM),
        agent: options.agent,
        inherited,
        launch: Launch {
            node: entry.node,
            node_args: entry.node_args,
            script: entry.script,
            args: entry.args,
            directory,
            variables: environment::shared(std::env::vars_os(), added.into_iter()),
            nofile,
        },
    };
    drop(args);
    Primary::start(service).map(Primary::run).map_err(primary::StartError::into_failure)
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

/// The directory for the workers, as the user knows it: symbolic links on the way to it are resolved
/// for each worker anew, so that a link that moved on takes effect.
fn working_directory(asked: Option<&Path>) -> Result<PathBuf, Failure> {
    let here = logical_current_directory()?;
    let directory = asked.map_or_else(|| here.clone(), |asked| here.join(asked));
    let refuse = |why: &str| {
        let shown = directory.display();
        Err(Failure::usage(format!("--cwd: {shown}: {why}: name a directory that is there")))
    };
    match std::fs::metadata(&directory) {
        Ok(metadata) if metadata.is_dir() => Ok(directory),
        Ok(_) => refuse("it is not a directory"),
        Err(error) => refuse(&error_text(&error)),
    }
}

/// `PWD` keeps the links that `getcwd(3)` has resolved, where it tells the truth.
fn logical_current_directory() -> Result<PathBuf, Failure> {
    use std::os::unix::fs::MetadataExt;
    let identity =
        |path: &Path| std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let logical = std::env::var_os("PWD").map(PathBuf::from).filter(|pwd| pwd.is_absolute());
    if let Some(logical) = logical
        && identity(&logical).is_some_and(|id| Some(id) == identity(Path::new(".")))
    {
        return Ok(logical);
    }
    std::env::current_dir()
        .map_err(|error| Failure::usage(format!("the current directory cannot be used: {error}")))
}

/// The variables of env files, then those given by `--env`.
fn added_variables(options: &Options) -> Result<Vec<(String, String)>, Failure> {
    let mut added = Vec::new();
    for path in &options.env_files {
        let label = path.display().to_string();
        let bytes = read_env_file(path).map_err(|error| {
            let why = error_text(&error);
            let remedy = "name a file of KEY=value lines that is there and may be read";
            Failure::usage(format!("--env-file: {label}: {why}: {remedy}"))
        })?;
        match env_file::parse(&bytes) {
            Ok(pairs) => added.extend(pairs),
            Err(faults) => {
                // What such files hold are secrets, and what we write goes to logs.
                let rendered = faults.render(&label, &env_file::masked(&bytes));
                let detail = rendered.lines().map(str::to_owned).collect();
                let reason =
                    format!("--env-file: {label} has faults: correct them, values are not shown");
                return Err(Failure::usage(reason).with_detail(detail));
            }
        }
    }
    added.extend(options.env.iter().map(|pair| (pair.key.clone(), pair.value.clone())));
    Ok(added)
}

/// No more than is needed to have a file refused that is too large, or has no end.
fn read_env_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let most = u64::try_from(env_file::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
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

fn milliseconds(span: Span) -> u64 {
    u64::try_from(span.duration().as_millis()).unwrap_or(u64::MAX)
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
