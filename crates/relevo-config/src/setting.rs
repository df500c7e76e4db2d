//! Every option of a service: its name, its help, how its value is read and shown, and what a reload
//! can do about it. The command line and `relevo.toml` are both made of this one table.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use relevo_core::HookKind;

use crate::{EnvPair, InvalidValue, Options, Span};

/// One option, under the same name on the command line and in a file.
#[derive(Debug)]
pub struct Setting {
    /// What it is called, without the dashes.
    pub name: &'static str,
    /// The letter for it on the command line.
    pub short: Option<char>,
    /// What stands for its value in help; empty where there is none.
    pub placeholder: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// What becomes of a new value at a reload.
    pub on_reload: OnReload,
    default_in_words: Option<&'static str>,
    takes: Takes,
    is_repeatable: bool,
    shown: fn(&Options) -> Vec<String>,
}

/// What a reload does about a setting that has another value by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReload {
    /// It counts from that rollout on.
    Applied,
    /// The number of workers is changed when the rollout has succeeded.
    Scaled,
    /// Only a new start can change it, for this reason.
    Refused(&'static str),
}

/// What a setting is given as, for whoever reads it from somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It has no value: it is given or not.
    Flag,
    /// A text.
    Text,
    /// A text that may well be a bare number.
    Number,
    /// A path, which need not be UTF-8.
    Path,
    /// A path, or nothing: then it is a flag.
    PathOrFlag,
    /// A name and a value.
    Variable,
}

#[derive(Clone, Copy, Debug)]
enum Takes {
    Flag(fn(&mut Options)),
    Text(fn(&mut Options, &str) -> Result<(), InvalidValue>),
    Number(fn(&mut Options, &str) -> Result<(), InvalidValue>),
    Path(fn(&mut Options, PathBuf)),
    PathOrFlag(fn(&mut Options, Option<PathBuf>)),
    Variable(fn(&mut Options, EnvPair)),
}

impl Setting {
    /// All of them, in the order in which help lists them.
    pub const ALL: &[Self] = &TABLE;

    /// The setting of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|setting| setting.name == name)
    }

    /// What it is given as.
    pub const fn form(&self) -> Form {
        match self.takes {
            Takes::Flag(_) => Form::Flag,
            Takes::Text(_) => Form::Text,
            Takes::Number(_) => Form::Number,
            Takes::Path(_) => Form::Path,
            Takes::PathOrFlag(_) => Form::PathOrFlag,
            Takes::Variable(_) => Form::Variable,
        }
    }

    /// Whether it can be given several times.
    pub const fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// What counts where it is not given, in words; `None` where nothing does.
    pub fn default(&self) -> Option<String> {
        let value = || (self.shown)(&Options::default()).pop();
        self.default_in_words.map(str::to_owned).or_else(value)
    }

    /// The values it has in `options`, as they would be written; none where it is not set.
    pub fn values(&self, options: &Options) -> Vec<String> {
        (self.shown)(options)
    }

    const fn new(
        name: &'static str,
        placeholder: &'static str,
        help: &'static str,
        takes: Takes,
        shown: fn(&Options) -> Vec<String>,
    ) -> Self {
        let on_reload = OnReload::Applied;
        Self {
            name,
            short: None,
            placeholder,
            help,
            on_reload,
            default_in_words: None,
            takes,
            is_repeatable: false,
            shown,
        }
    }

    const fn refused(mut self, why: &'static str) -> Self {
        self.on_reload = OnReload::Refused(why);
        self
    }

    const fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    const fn default_in_words(mut self, words: &'static str) -> Self {
        self.default_in_words = Some(words);
        self
    }
}

/// A setting with a value that it takes: [`Choices`](crate::Choices) are made of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Flag,
    Text(String),
    Path(PathBuf),
    Variable(EnvPair),
}

impl Setting {
    /// Reads what the command line gives. A flag has no value.
    pub(crate) fn read(&self, value: Option<OsString>) -> Result<Given, InvalidValue> {
        let is_given = value.as_ref().is_some_and(|value| !value.is_empty());
        let value = value.unwrap_or_default();
        let text = || {
            let not_text = || {
                let shown = value.to_string_lossy();
                InvalidValue::new(&shown, "is not UTF-8", "write it in UTF-8")
            };
            value.to_str().ok_or_else(not_text)
        };
        Ok(match self.takes {
            Takes::Flag(_) => Given::Flag,
            Takes::Text(set) | Takes::Number(set) => {
                set(&mut Options::default(), text()?)?;
                Given::Text(text()?.to_owned())
            }
            Takes::PathOrFlag(_) if !is_given => Given::Flag,
            Takes::Path(_) | Takes::PathOrFlag(_) => Given::Path(value.into()),
            Takes::Variable(_) => Given::Variable(text()?.parse()?),
        })
    }

    /// Puts a value that was read into `options`.
    pub(crate) fn apply(&self, given: &Given, options: &mut Options) {
        match (self.takes, given) {
            (Takes::Flag(set), Given::Flag) => set(options),
            (Takes::Text(set) | Takes::Number(set), Given::Text(text)) => {
                set(options, text).expect("a value is tried before it is kept");
            }
            (Takes::Path(set), Given::Path(path)) => set(options, path.clone()),
            (Takes::PathOrFlag(set), Given::Path(path)) => set(options, Some(path.clone())),
            (Takes::PathOrFlag(set), Given::Flag) => set(options, None),
            (Takes::Variable(set), Given::Variable(pair)) => set(options, pair.clone()),
            (
                Takes::Flag(_)
                | Takes::Text(_)
                | Takes::Number(_)
                | Takes::Path(_)
                | Takes::PathOrFlag(_)
                | Takes::Variable(_),
                Given::Flag | Given::Text(_) | Given::Path(_) | Given::Variable(_),
            ) => unreachable!("what a setting is given has the form that it takes"),
        }
    }
}

fn one(value: &impl ToString) -> Vec<String> {
    vec![value.to_string()]
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// A name of a user or a group, or a number; an empty text takes back what a file says.
fn account(text: &str) -> Result<Option<String>, InvalidValue> {
    if text.contains(['\0', ':', '\n']) {
        let remedy = "write one that passwd(5) or group(5) has, or a number";
        return Err(InvalidValue::new(text, "is nobody's name", remedy));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// The function that reads a value by its `FromStr` into a field.
macro_rules! set {
    ($field:ident) => {
        |options, text| {
            options.$field = text.parse()?;
            Ok(())
        }
    };
}

/// A setting whose value is one word or number.
macro_rules! value {
    ($takes:ident $field:ident, $name:literal, $placeholder:literal, $help:literal) => {
        Setting::new($name, $placeholder, $help, Takes::$takes(set!($field)), |o| one(&o.$field))
    };
}

const TABLE: [Setting; 46] = [
    Setting::new(
        "name",
        "NAME",
        "The service's name",
        Takes::Text(|options, text| {
            options.name = Some(text.parse()?);
            Ok(())
        }),
        |options| options.name.iter().map(ToString::to_string).collect(),
    )
    .default_in_words("package.json's name, else the directory's")
    .refused("the service's lock and its control socket have the name"),
    Setting {
        short: Some('w'),
        on_reload: OnReload::Scaled,
        ..value!(Number workers, "workers", "N|auto", "How many workers")
            .default_in_words("auto, the CPU quota of the container or machine")
    },
    value!(Text balance, "balance", "HOW",
        "Who gets a connection: auto (dealt by fewest connections while few come, by the kernel when many do), kernel (a socket each, by weights), least-connections, round-robin (dealt in turn), shared (one socket)")
    .refused("the listening sockets that are open were made for the other one"),
    value!(Text weights, "weights", "load|even",
        "How the kernel shares new connections among slots: load (busier ones get fewer), even")
    .refused("the groups of listening sockets that are open were made for the other one"),
    value!(Number backlog, "backlog", "N", "How many connections may wait in a socket's queue")
        .refused("the listening sockets that are open keep their queues"),
    value!(Text ready, "ready", "WHEN",
        "When a new worker is ready: listening (it listens), message (process.send('ready')), notify (READY=1 to NOTIFY_SOCKET), http:/PATH (it answers 2xx there), spawned (its program runs, for apps without a port)"),
    Setting::new(
        "ready-timeout",
        "TIME",
        "How long a new worker may take until it is ready",
        Takes::Number(|options, text| {
            options.ready_timeout = Span::parse_positive(text)?;
            Ok(())
        }),
        |options| one(&options.ready_timeout),
    ),
    value!(Number probation, "probation", "TIME",
        "How long the first new worker of a reload serves before the others follow, and the last one before there is no way back: if one fails till then, the old workers serve again"),
    Setting::new(
        "canary-requests",
        "N",
        "How many requests the first new worker of a reload must have answered, with no more errors than the old ones, before the others follow; else the old workers serve again",
        Takes::Number(|options, text| {
            options.canary_requests = Some(text.parse()?);
            Ok(())
        }),
        |options| options.canary_requests.iter().map(ToString::to_string).collect(),
    ),
    Setting::new(
        "canary-share",
        "N%",
        "How much of the new connections the first new worker of a reload gets until the others follow",
        Takes::Text(|options, text| {
            options.canary_share = Some(text.parse()?);
            Ok(())
        }),
        |options| options.canary_share.iter().map(ToString::to_string).collect(),
    )
    .default_in_words("as much as any other worker"),
    Setting::new(
        "canary-timeout",
        "TIME",
        "How long the first new worker may take to answer --canary-requests",
        Takes::Number(|options, text| {
            options.canary_timeout = Span::parse_positive(text)?;
            Ok(())
        }),
        |options| one(&options.canary_timeout),
    ),
    value!(Text canary_inconclusive, "canary-inconclusive", "undo|go-on",
        "What follows where the first new worker had too few requests, or the old ones too few to compare with: undo (the old workers serve again), go-on"),
    value!(Number surge, "surge", "N|N%",
        "How many new workers a reload starts at once, when the first one has proved itself"),
    Setting::new(
        "all-first",
        "",
        "Load every new worker of a reload up to its listen() before any of them serves",
        Takes::Flag(|options| options.all_first = true),
        |options| if options.all_first { one(&true) } else { Vec::new() },
    ),
    value!(Number standby, "standby", "K",
        "How many spare workers are kept loaded: one of them takes over within milliseconds when another crashes. Their timers and pools run; they have not had their server's `listening` event"),
    value!(Number drain_timeout, "drain-timeout", "TIME", "How long a replaced worker may finish its work"),
    value!(Text handover, "handover", "auto|all|off",
        "Which idle connections of a replaced worker move to the others: auto (those that remember nothing), all (also those that the app has put something on), off"),
    value!(Number linger, "linger", "TIME",
        "How long a replaced worker may wait for idle connections that cannot move, such as TLS; that holds nothing up"),
    value!(Number drain_spread, "drain-spread", "TIME",
        "Over how long WebSockets and event streams of a replaced worker are told to go, so that their clients do not return all at once"),
    value!(Number hold, "hold", "TIME",
        "How long connections may wait while no worker is there; then the listeners close until one is"),
    value!(Number shutdown_timeout, "shutdown-timeout", "TIME", "How long a stop may take in all"),
    value!(Number lame_duck, "lame-duck", "TIME",
        "How long a stop goes on serving first, each response with `Connection: close`, so that clients and balancers go elsewhere"),
    value!(Number stop_signal, "stop-signal", "SIGNAL", "The signal that ends a worker whose work is done"),
    value!(Number stop_timeout, "stop-timeout", "TIME", "How long after that signal a worker is killed"),
    Setting::new(
        "max-memory",
        "SIZE",
        "How much memory a worker may have, as in 512M or 1.5G: one that has more is replaced, losing nothing",
        Takes::Text(|options, text| {
            options.max_memory = Some(text.parse()?);
            Ok(())
        }),
        |options| options.max_memory.iter().map(ToString::to_string).collect(),
    ),
    Setting::new(
        "max-age",
        "TIME",
        "How long a worker may serve before it is replaced; each gets 90 to 100 % of it, so that they do not go together",
        Takes::Number(|options, text| {
            options.max_age = Some(Span::parse_positive(text)?);
            Ok(())
        }),
        |options| options.max_age.iter().map(ToString::to_string).collect(),
    ),
    Setting::new(
        "max-requests",
        "N",
        "How many requests a worker may be asked before it is replaced; each gets 90 to 100 % of it",
        Takes::Number(|options, text| {
            options.max_requests = Some(text.parse()?);
            Ok(())
        }),
        |options| options.max_requests.iter().map(ToString::to_string).collect(),
    ),
    value!(Number hang_timeout, "hang-timeout", "TIME",
        "How long a worker's event loop may stand still before it is killed and started anew; 0: for ever"),
    Setting::new(
        "no-agent",
        "",
        "Do not load the agent into workers: drains are then the app's own care",
        Takes::Flag(|options| options.agent = false),
        |options| if options.agent { Vec::new() } else { one(&true) },
    )
    .refused("how connections are dealt and drained was settled for all workers at the start"),
    Setting::new(
        "node-arg",
        "FLAG",
        "A flag for node; may be given several times",
        Takes::Text(|options, text| {
            options.node_args.push(text.to_owned());
            Ok(())
        }),
        |options| options.node_args.clone(),
    )
    .repeatable(),
    Setting::new(
        "cwd",
        "DIR",
        "The directory that workers are started in; a link is followed anew at each reload",
        Takes::Path(|options, path| options.cwd = Some(path)),
        |options| options.cwd.iter().map(|cwd| path(cwd)).collect(),
    ),
    Setting::new(
        "user",
        "NAME|UID",
        "Who the workers run as; only root can choose anybody but itself",
        Takes::Number(|options, text| {
            options.user = account(text)?;
            Ok(())
        }),
        |options| options.user.iter().cloned().collect(),
    )
    .refused("whose rights the workers have was settled at the start"),
    Setting::new(
        "group",
        "NAME|GID",
        "The workers' group, in place of their user's first one",
        Takes::Number(|options, text| {
            options.group = account(text)?;
            Ok(())
        }),
        |options| options.group.iter().cloned().collect(),
    )
    .refused("whose rights the workers have was settled at the start"),
    Setting::new(
        "env",
        "K=V",
        "A variable for the workers; may be given several times",
        Takes::Variable(|options, pair| options.env.push(pair)),
        |options| options.env.iter().map(ToString::to_string).collect(),
    )
    .repeatable(),
    Setting::new(
        "env-file",
        "FILE",
        "A file of variables for the workers; may be given several times",
        Takes::Path(|options, path| options.env_files.push(path)),
        |options| options.env_files.iter().map(|file| path(file)).collect(),
    )
    .repeatable(),
    Setting::new(
        "watch",
        "PATH",
        "Reload when a file changes: anywhere in the workers' directory, or in the file or directory named by `--watch=PATH`; may be given several times. What .gitignore names is left out, and so are node_modules and .git",
        Takes::PathOrFlag(|options, path| options.watch.push(path)),
        |options| {
            let written = |it: &Option<PathBuf>| it.as_deref().map_or_else(|| "true".to_owned(), path);
            options.watch.iter().map(written).collect()
        },
    )
    .repeatable(),
    Setting::new(
        "ignore",
        "GLOB",
        "Changes that are no reason to reload under --watch, as a line of a .gitignore; may be given several times",
        Takes::Text(|options, text| {
            options.ignore.push(text.parse()?);
            Ok(())
        }),
        |options| options.ignore.iter().map(ToString::to_string).collect(),
    )
    .repeatable(),
    Setting::new(
        "reload-at",
        "CRON",
        "Reload at these times, a cron expression in local time such as '30 4 * * *'; may be given several times",
        Takes::Text(|options, text| {
            options.reload_at.push(text.parse()?);
            Ok(())
        }),
        |options| options.reload_at.iter().map(ToString::to_string).collect(),
    )
    .repeatable(),
    Setting::new(
        "keep-trying",
        "",
        "Go on although no worker of the first start became ready",
        Takes::Flag(|options| options.keep_trying = true),
        |options| if options.keep_trying { one(&true) } else { Vec::new() },
    ),
    Setting::new(
        "final-exit-codes",
        "CODES",
        "Exit codes after which a worker is not replaced, such as 0,64-78; if all have ended so, the service ends; may be given several times",
        Takes::Text(|options, text| {
            options.final_exit_codes.extend(&text.parse()?);
            Ok(())
        }),
        |options| options.final_exit_codes.shown(),
    )
    .repeatable(),
    Setting::new(
        "hook-before",
        "CMD",
        "A command that is run before a reload starts anything; if it fails, the reload is refused",
        Takes::Text(|options, text| options.hooks.set(HookKind::Before, text)),
        |options| options.hooks.get(HookKind::Before).iter().map(ToString::to_string).collect(),
    ),
    Setting::new(
        "hook-ready",
        "CMD",
        "A command that is run when the first new worker of a reload is ready; if it fails, the reload is undone",
        Takes::Text(|options, text| options.hooks.set(HookKind::Ready, text)),
        |options| options.hooks.get(HookKind::Ready).iter().map(ToString::to_string).collect(),
    ),
    Setting::new(
        "hook-success",
        "CMD",
        "A command that is run when a reload has succeeded",
        Takes::Text(|options, text| options.hooks.set(HookKind::Success, text)),
        |options| options.hooks.get(HookKind::Success).iter().map(ToString::to_string).collect(),
    ),
    Setting::new(
        "hook-failure",
        "CMD",
        "A command that is run when a reload was refused, undone or aborted",
        Takes::Text(|options, text| options.hooks.set(HookKind::Failure, text)),
        |options| options.hooks.get(HookKind::Failure).iter().map(ToString::to_string).collect(),
    ),
    Setting::new(
        "hook-crash",
        "CMD",
        "A command that is run when a worker has ended although nobody asked it to",
        Takes::Text(|options, text| options.hooks.set(HookKind::Crash, text)),
        |options| options.hooks.get(HookKind::Crash).iter().map(ToString::to_string).collect(),
    ),
    Setting::new(
        "hook-timeout",
        "TIME",
        "How long such a command may take; then it is ended, and has failed",
        Takes::Number(|options, text| {
            options.hook_timeout = Span::parse_positive(text)?;
            Ok(())
        }),
        |options| one(&options.hook_timeout),
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_those_of_options_and_unlike() {
        let names: BTreeSet<&str> = Setting::ALL.iter().map(|setting| setting.name).collect();
        assert_eq!(names.len(), Setting::ALL.len());
        for name in names {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
            assert_eq!(Setting::named(name).map(|setting| setting.name), Some(name));
        }
        assert!(Setting::named("throttle").is_none());
    }

    /// What is shown of a value is what would be written for it.
    #[test]
    fn what_is_shown_is_read_again() {
        for setting in Setting::ALL {
            for value in setting.values(&Options::default()) {
                let given = setting.read(Some(value.into())).unwrap();
                let mut options = Options::default();
                setting.apply(&given, &mut options);
                assert_eq!(options, Options::default(), "{}", setting.name);
            }
        }
    }

    #[test]
    fn defaults_are_told() {
        let default = |name| Setting::named(name).unwrap().default();
        assert_eq!(default("hold").as_deref(), Some("10s"));
        assert_eq!(default("stop-signal").as_deref(), Some("SIGTERM"));
        assert_eq!(default("cwd"), None);
        assert_eq!(default("no-agent"), None);
        assert!(default("workers").unwrap().starts_with("auto"));
    }

    #[test]
    fn a_value_is_refused_where_it_is_read() {
        let hold = Setting::named("hold").unwrap();
        let error = hold.read(Some("soon".into())).unwrap_err();
        assert!(error.to_string().starts_with("`soon` is not a time"), "{error}");
    }
}
