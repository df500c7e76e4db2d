//! From the wish for a service to a primary that can run it.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;

use relevo_config::WeightsWord;
use relevo_core::{Dealer, Supervisor};
use relevo_sys::Errno;
use relevo_sys::activation::InheritedSocket;
use relevo_sys::launch::close_on_exec_from;
use relevo_sys::lock::{LockError, LockGuard, take_lock};
use relevo_sys::poll::{Interest, Poller};
use relevo_sys::process::{become_subreaper, effective_uid};
use relevo_wire::ExitCode;

use super::agent_file::AgentFile;
use super::clock::Clock;
use super::control::Control;
use super::examine::Examinations;
use super::history::History;
use super::hooks::Hooks;
use super::hub::{DrainWords, HubHandle, HubSettings, Inherited};
use super::notifications::Notifications;
use super::notify::Notifier;
use super::output::Output;
use super::probes::Probes;
use super::processes::Processes;
use super::schedule::Schedule;
use super::signals::SignalSource;
use super::terminal::Terminal;
use super::token::Token;
use super::watch::Watch;
use super::{Primary, Reading, Trial};
use crate::cli::{Failure, error_text};
use crate::runtime_dir::{self, RuntimeDirError};

/// Everything that is known of a service before it runs.
pub(crate) struct Service {
    pub(crate) inherited: Vec<InheritedSocket>,
    pub(crate) reading: Reading,
    /// Whether it is only tried, beside one that may run.
    pub(crate) is_trial: bool,
}

/// Why a service could not even be begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// A service of this name runs already.
    #[error("a service named {name} runs already{}: stop it, or choose another --name", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Runs {
        /// Its name.
        name: String,
        /// Its primary.
        pid: Option<i32>,
    },
    /// The runtime directory is not ours.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
    /// The system refused something without which nothing goes.
    #[error("{what}: {errno}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        errno: Errno,
    },
    /// The same, from the standard library.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

impl StartError {
    /// The error as a command's end.
    pub(crate) fn into_failure(self) -> Failure {
        let code = match &self {
            Self::RuntimeDir(_) => ExitCode::Usage,
            Self::Runs { .. } | Self::System { .. } | Self::Io { .. } => ExitCode::Failed,
        };
        Failure::new(code, self.to_string())
    }
}

impl Primary {
    /// Takes the name, the signals and the places that the service needs. No worker is started yet.
    pub(crate) fn start(service: Service) -> Result<Self, StartError> {
        let system = |what| move |errno| StartError::System { what, errno };
        // Before the first thread: all of them inherit which signals are blocked.
        let signals = SignalSource::take().map_err(system("cannot take signals"))?;
        // What we were started with (a shell's, a job server's) must not reach the workers.
        close_on_exec_from(3).map_err(system("cannot mark descriptors close-on-exec"))?;
        let Service { inherited, reading, is_trial } = service;
        let options = &reading.current().options;
        let name = reading.current().name.to_string();
        let lock = lock(&name)?;
        become_subreaper().map_err(system("cannot become the reaper of orphans"))?;
        let poller = Rc::new(Poller::new().map_err(system("cannot make an epoll instance"))?);
        poller
            .add(signals.fd(), Token::Signals.pack(), Interest::READ)
            .map_err(system("cannot wait for signals"))?;
        let output = Output::new(is_trial)
            .map_err(|error| StartError::Io { what: "cannot start threads", error })?;
        let clock = Clock::start();
        let balance = options.balance.balance();
        let dealer = Dealer::new(balance, options.weights == WeightsWord::Load);
        let settings = HubSettings {
            backlog: u32::from(options.backlog.get()),
            aside: is_trial,
            inherited: inherited.into_iter().filter_map(Inherited::examine).collect(),
            drain_words: DrainWords::of(options),
        };
        let hub = HubHandle::start(clock, dealer, settings)
            .map_err(|error| StartError::Io { what: "cannot start threads", error })?;
        poller
            .add(hub.reported(), Token::Hub.pack(), Interest::READ)
            .map_err(system("cannot wait for the hub"))?;
        let examinations =
            Examinations::new(&poller).map_err(system("cannot wait for what threads find"))?;
        let control = Control::new(Rc::clone(&poller), name.clone());
        let notify_socket = std::env::var("NOTIFY_SOCKET").ok().filter(|_| !is_trial);
        let wants_agent = options.agent;
        let mut primary = Self {
            balance,
            agent: None,
            poller,
            clock,
            supervisor: Supervisor::new(reading.spec(reading.current()), clock.now(), seed()),
            hub,
            processes: Processes::default(),
            notifications: Notifications::default(),
            probes: Probes::default(),
            examinations,
            hooks: Hooks::default(),
            output,
            history: History::default(),
            control,
            notifier: Notifier::new(notify_socket.as_deref()),
            signals,
            watch: Watch::default(),
            terminal: Terminal::default(),
            schedule: Schedule::default(),
            events: VecDeque::new(),
            exit: None,
            trial: is_trial.then(Trial::default),
            name,
            reading,
            lock,
        };
        primary.settle_in(wants_agent)?;
        Ok(primary)
    }

    /// Makes the control socket anew if somebody has cleaned it away, or if there was no place for it
    /// at the start. The agent's file looks after itself.
    pub(super) fn return_control_socket(&mut self) {
        if self.trial.is_some() || self.control.is_in_place() {
            return;
        }
        let directory = runtime_dir::create(&self.name).map_err(io::Error::other);
        let opened = directory.and_then(|directory| {
            self.control.open(&directory)?;
            Ok(directory)
        });
        // Where that still fails, it was said at the start, and will be tried again.
        if let Ok(directory) = opened {
            let directory = directory.display();
            self.say(&format!("there was no control socket; made one in {directory}"));
        }
    }

    /// Puts the control socket and the agent's file in place. Where no place can be written to, the
    /// service runs without them and says so; a place that is somebody else's is an error.
    fn settle_in(&mut self, wants_agent: bool) -> Result<(), StartError> {
        let directory = match runtime_dir::create(&self.name) {
            Ok(directory) => directory,
            Err(RuntimeDirError::Unusable { path, source }) => {
                let (path, why) = (path.display(), error_text(&source));
                self.say(&format!(
                    "warning: {path} cannot be used ({why}): there is no control socket and no agent, only signals work; set RELEVO_RUNTIME_DIR to a directory of your own"
                ));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if self.trial.is_some() {
            // Nobody is to find it.
            let _ = fs::remove_dir(&directory);
        } else if let Err(error) = self.control.open(&directory) {
            let (path, why) = (directory.display(), error_text(&error));
            self.say(&format!("warning: no control socket in {path}: {why}; only signals work"));
            // It is there for the socket alone.
            let _ = fs::remove_dir(&directory);
        }
        if wants_agent {
            let identity = self.reading.current().identity.clone();
            let placed = match identity.filter(|identity| identity.is_somebody_else()) {
                Some(identity) => AgentFile::place_for(&identity),
                None => AgentFile::place(directory.parent().unwrap_or(Path::new("/"))),
            };
            match placed {
                Ok(agent) => self.agent = Some(agent),
                Err(error) => self.say(&format!(
                    "warning: the agent cannot be put in place ({error}): workers run as with --no-agent"
                )),
            }
        }
        Ok(())
    }
}

/// The name of a service's lock.
pub(crate) fn lock_name(service: &str) -> String {
    format!("relevo/{}/{service}", effective_uid())
}

fn lock(service: &str) -> Result<LockGuard, StartError> {
    take_lock(lock_name(service).as_bytes()).map_err(|error| match error {
        LockError::Held(held) => StartError::Runs { name: service.to_owned(), pid: held.pid },
        LockError::Failed(errno) => StartError::System { what: "cannot take the name", errno },
    })
}

/// Different for each run, so that services that crash together are not started again in step.
fn seed() -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    (u64::from(std::process::id()) << 32) ^ u64::from(now)
}
