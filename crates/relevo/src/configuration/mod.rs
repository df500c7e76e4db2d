//! What a service is to be, from everything that says so: the command line, `relevo.toml`, env files,
//! `package.json`, the environment. Read at the start, and again at each reload.
//!
//! | file | |
//! | --- | --- |
//! | `file.rs` | finding and reading a `relevo.toml` |
//! | `variables.rs` | what env files and options add to the environment |
//! | `directory.rs` | where workers are started |
//! | `identity.rs` | who workers run as |
//! | `entry.rs` | which program to run, with which node |
//! | `faults.rs` | everything that is wrong, as a command's end |

mod directory;
mod entry;
mod faults;
mod file;
mod identity;
mod variables;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use relevo_config::{Choices, Options, ServiceName, Setting, config_file, contradiction};

use crate::cli::{Failure, error_text};
pub(crate) use directory::logical_current_directory;
pub(crate) use entry::Entry;
pub(crate) use faults::{Fault, Faults};
use file::{Found, read};
pub(crate) use file::{find, read_beginning};
pub(crate) use identity::Identity;
use variables::EnvFile;

/// Where a configuration is read from, as often as is wanted.
#[derive(Debug)]
pub(crate) struct Source {
    /// The command line's options, which win over the file's.
    choices: Choices,
    /// The command line's script, or command, and arguments.
    words: Vec<String>,
    /// The `relevo.toml`, if the service has one.
    file: Option<PathBuf>,
    /// Where the command line was typed.
    here: PathBuf,
}

/// A configuration as it was read at one moment.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) options: Options,
    /// The script, or command, and arguments; empty where package.json says what to run.
    pub(crate) words: Vec<String>,
    pub(crate) name: ServiceName,
    /// Where workers are started.
    pub(crate) directory: PathBuf,
    pub(crate) entry: Rc<Entry>,
    /// Files and directories whose changes bring a reload.
    pub(crate) watched: Vec<PathBuf>,
    /// Who workers run as, if not as Relevo itself.
    pub(crate) identity: Option<Rc<Identity>>,
    /// The variables that all workers share, by name.
    pub(crate) variables: Vec<(OsString, OsString)>,
    env_files: Vec<EnvFile>,
}

impl Source {
    pub(crate) fn new(
        choices: Choices,
        words: Vec<String>,
        file: Option<&Path>,
        here: PathBuf,
    ) -> Self {
        // The link that `here` may be is followed each time, which the process itself does not do.
        let file = file.map(|file| here.join(file));
        Self { choices, words, file, here }
    }

    /// A file that has come since a start without one.
    pub(crate) fn passed_over(&self) -> Option<PathBuf> {
        find(&self.here).filter(|_| self.file.is_none())
    }

    /// Reads everything. Where the service runs already, `running` is what it runs with: what cannot
    /// be read twice is taken from there, and so is the program, if what names it is unchanged.
    pub(crate) fn read(
        &self,
        running: Option<&Configuration>,
    ) -> Result<Configuration, Box<Faults>> {
        let found = self.file.as_deref().map(|path| read(path, &self.here)).transpose()?;
        let merged = self.merge(found.as_ref());
        let mut faults = Faults::new(found.as_ref());
        let directory = faults.keep(merged.directory(&self.here));
        let env_files = merged.env_files(running, &mut faults);
        let watched =
            directory.as_ref().map(|directory| merged.watched(&self.here, directory, &mut faults));
        let _counted = faults.keep(merged.requests_are_counted());
        let identity = faults.keep(merged.identity());
        faults.keep(merged.fit_together());
        let Merged { options, words, .. } = merged;
        // Without a directory there is nowhere to look for the program.
        let Some(directory) = directory else { return Err(faults.into()) };
        let entry = Self::entry(&words, &directory, &options, running);
        let entry = faults.keep(entry.map_err(|fault| fault.at(self.words.is_empty())));
        let Some(entry) = entry.filter(|_| faults.is_empty()) else { return Err(faults.into()) };
        // A name that nobody chose stays, though a new start might derive another.
        let name = options.name.as_ref().or(running.map(|running| &running.name));
        let Some(name) = name.or(entry.name.as_ref()).cloned() else {
            let why = "neither package.json nor the directory gives the service a name: use --name";
            return Err(Faults::alone(Failure::usage(why)).into());
        };
        let identity = identity.flatten().map(Rc::new);
        let variables = variables::shared(identity.as_deref(), &env_files, &options.env);
        let watched = watched.unwrap_or_default();
        Ok(Configuration {
            options,
            words,
            name,
            directory,
            entry,
            watched,
            identity,
            variables,
            env_files,
        })
    }

    /// The file's choices with those of the command line on top.
    fn merge(&self, found: Option<&Found>) -> Merged {
        let mut options = Options::default();
        let mut base = self.here.clone();
        let mut words = self.words.clone();
        if let Some(found) = found {
            base = found.directory().to_owned();
            let mut choices = found.file.choices.clone();
            choices.rebase(&base);
            choices.apply(&mut options);
            if words.is_empty() {
                words.clone_from(&found.file.words);
            }
        }
        let of_file = options.clone();
        self.choices.apply(&mut options);
        Merged { options, of_file, words, base }
    }

    /// The program. Asking node again would not change it where the words are the same.
    fn entry(
        words: &[String],
        directory: &Path,
        options: &Options,
        running: Option<&Configuration>,
    ) -> Result<Rc<Entry>, Fault> {
        let is_same = |running: &&Configuration| {
            running.words == words
                && running.directory == directory
                && running.options.node_args == options.node_args
        };
        match running.filter(is_same) {
            Some(running) => Ok(Rc::clone(&running.entry)),
            None => entry::resolve(words, directory, &options.node_args)
                .map(Rc::new)
                .map_err(Fault::of_program),
        }
    }
}

/// What the file and the command line say together.
struct Merged {
    options: Options,
    /// What the file says alone.
    of_file: Options,
    words: Vec<String>,
    /// Where workers are started unless an option says otherwise.
    base: PathBuf,
}

impl Merged {
    fn directory(&self, here: &Path) -> Result<PathBuf, Fault> {
        directory::working_directory(&self.base, here, &self.options)
            .map_err(|fault| fault.at(self.of_file.cwd == self.options.cwd))
    }

    /// What `--watch` names, links on the way kept; a path that is not there is a fault.
    fn watched(&self, here: &Path, directory: &Path, faults: &mut Faults) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for (index, path) in self.options.watch.iter().enumerate() {
            let path = path.as_ref().map_or_else(|| directory.to_owned(), |path| here.join(path));
            let is_there = std::fs::metadata(&path).map(|_| path.components().collect());
            let fault = |error| {
                let (path, why) = (path.display(), error_text(&error));
                let sentence = format!("{path}: {why}: name a file or directory that is there");
                let is_of_file = index < self.of_file.watch.len();
                Fault::new("watch", sentence).with_index(index).at(is_of_file)
            };
            paths.extend(faults.keep(is_there.map_err(fault)));
        }
        paths
    }

    /// The agent does it.
    fn requests_are_counted(&self) -> Result<(), Fault> {
        let Options { max_requests, agent, .. } = self.options;
        if agent || max_requests.is_none() {
            return Ok(());
        }
        let why = "requests are counted by the agent, which is left out by --no-agent: drop one of the two, or use --max-age";
        let is_of_file = self.of_file.max_requests == max_requests;
        Err(Fault::new("max-requests", why.to_owned()).at(is_of_file))
    }

    fn identity(&self) -> Result<Option<Identity>, Fault> {
        let (own, of_file) = (&self.options, &self.of_file);
        Identity::of(own)
            .map_err(|fault| fault.at(own.user == of_file.user && own.group == of_file.group))
    }

    /// Whether no option makes another one senseless.
    fn fit_together(&self) -> Result<(), Fault> {
        let Some((key, why)) = contradiction(&self.options) else { return Ok(()) };
        let set = |options| Setting::named(key).map(|setting| setting.values(options));
        let is_of_file = set(&self.of_file) == set(&self.options);
        Err(Fault::new(key, why.to_owned()).at(is_of_file))
    }

    /// Those that can be read, with the faults of the others. The file's come first.
    fn env_files(&self, running: Option<&Configuration>, faults: &mut Faults) -> Vec<EnvFile> {
        let before = running.map(|running| running.env_files.as_slice());
        let mut files = Vec::new();
        for (index, path) in self.options.env_files.iter().enumerate() {
            let is_of_file = index < self.of_file.env_files.len();
            let file = variables::read(path, before);
            let file = file.map_err(|fault| fault.with_index(index).at(is_of_file));
            files.extend(faults.keep(file));
        }
        files
    }
}

/// The name that the file in this directory gives its service. A file that cannot be used is as good
/// as none: here it is only a hint.
pub(crate) fn name_in(directory: &Path) -> Option<ServiceName> {
    read(&directory.join(config_file::FILE_NAME), directory).ok()?.file.name()
}
