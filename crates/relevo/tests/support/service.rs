//! A real `relevo run`, with a runtime directory of its own.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use super::relevo::path_with;
use super::{PATIENCE, TempDir, eventually, nodes};

/// The binary under test.
pub(crate) const RELEVO: &str = env!("CARGO_BIN_EXE_relevo");

/// How a service is to be started.
pub(crate) struct Setup {
    node: PathBuf,
    script: PathBuf,
    options: Vec<String>,
    flags: Vec<String>,
    args: Vec<String>,
    through: Vec<String>,
    stdin: Stdio,
    environment: Vec<(String, String)>,
    directory: Option<PathBuf>,
    name: String,
    /// The command line says neither the script nor the name.
    is_bare: bool,
}

/// A running `relevo run`. Dropping it kills it and everything it started.
pub(crate) struct Service {
    child: Child,
    pub(crate) name: String,
    pub(crate) runtime: TempDir,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Setup {
    /// A service of `script` on the given Node major.
    pub(crate) fn new(major: u32, script: impl Into<PathBuf>) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            node: nodes::node(major),
            script: script.into(),
            options: Vec::new(),
            flags: Vec::new(),
            args: Vec::new(),
            through: Vec::new(),
            stdin: Stdio::null(),
            environment: Vec::new(),
            directory: None,
            name: format!("test-{}-{number}", std::process::id()),
            is_bare: false,
        }
    }

    /// A service of which `relevo.toml` in this directory says all, its `name` included.
    pub(crate) fn of_file(name: &str, directory: impl Into<PathBuf>) -> Self {
        let (name, directory) = (name.to_owned(), Some(directory.into()));
        Self { name, directory, is_bare: true, ..Self::new(22, "") }
    }

    /// The same with any program in node's place.
    pub(crate) fn with_node(node: impl Into<PathBuf>, script: impl Into<PathBuf>) -> Self {
        Self { node: node.into(), ..Self::new(22, script) }
    }

    /// Options of `run`, as on a command line, parted by spaces.
    pub(crate) fn options(mut self, options: &str) -> Self {
        self.options.extend(options.split_whitespace().map(str::to_owned));
        self
    }

    /// One word of the options, spaces and all.
    pub(crate) fn option(mut self, word: &str) -> Self {
        self.options.push(word.to_owned());
        self
    }

    /// An option whose value has spaces.
    pub(crate) fn option_of(mut self, name: &str, value: &str) -> Self {
        self.options.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// A flag of node's, as in `run node --inspect app.js`.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// A command that becomes `relevo`: it is given its command line as arguments.
    pub(crate) fn through(mut self, command: &[&str]) -> Self {
        self.through = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// What is passed as standard input, in place of nothing.
    pub(crate) fn stdin(mut self, descriptor: OwnedFd) -> Self {
        self.stdin = Stdio::from(descriptor);
        self
    }

    /// Arguments of the app.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// A variable in the environment that `relevo` itself is started with.
    pub(crate) fn env(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.environment.push((name.to_owned(), format!("{value}")));
        self
    }

    /// The directory that `relevo` is started in.
    pub(crate) fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// The service's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The command line, for those who want to start it otherwise.
    pub(crate) fn command(&self, runtime: &Path) -> Command {
        let mut words = self.through.iter().map(String::as_str).chain([RELEVO]);
        let mut command = Command::new(words.next().expect("at least one"));
        command.args(words).arg("run");
        if self.is_bare {
            command.args(&self.options).env("PATH", path_with(22));
        } else {
            command.arg("--name").arg(&self.name).args(&self.options);
            command.arg("--").arg(&self.node).args(&self.flags).arg(&self.script).args(&self.args);
        }
        command.env("RELEVO_RUNTIME_DIR", runtime);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
            command.env("PWD", directory);
        }
        command
    }

    /// Starts it and does not wait for anything.
    pub(crate) fn spawn(self) -> Service {
        let runtime = TempDir::new("runtime");
        let mut command = self.command(runtime.path());
        command.stdin(self.stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("relevo starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().expect("piped"), &lines);
        collect(child.stderr.take().expect("piped"), &lines);
        Service { child, name: self.name, runtime, lines }
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(self) -> Service {
        let service = self.spawn();
        service.wait_for_line("relevo: ready");
        service
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Output {
        let runtime = TempDir::new("runtime");
        let mut child = self
            .command(runtime.path())
            .stdin(self.stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("relevo starts");
        wait_for_exit(&mut child);
        child.wait_with_output().expect("its output")
    }
}

impl Service {
    /// The primary's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that was written to its stdout and stderr so far, by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no collector panics").clone()
    }

    /// The whole log as one text, for messages of assertions.
    pub(crate) fn log(&self) -> String {
        self.lines().join("\n")
    }

    /// How many lines have this text in them.
    pub(crate) fn count_lines(&self, text: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits for a line with this text.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        self.wait_for_lines(text, 1)
    }

    /// Waits until so many lines have this text, and returns the last of them.
    pub(crate) fn wait_for_lines(&self, text: &str, count: usize) -> String {
        eventually(&format!("{count} lines with `{text}`"), || {
            let lines = self.lines();
            let with: Vec<&String> = lines.iter().filter(|line| line.contains(text)).collect();
            match with.get(count - 1) {
                Some(line) => Ok((*line).clone()),
                None => Err(lines.join("\n")),
            }
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(self.pid()), signal).expect("relevo runs");
    }

    /// A command about this service.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(RELEVO);
        command.args(words).env("RELEVO_RUNTIME_DIR", self.runtime.path()).stdin(Stdio::null());
        command
    }

    /// `relevo VERB NAME` with more words.
    pub(crate) fn ask(&self, verb: &str, more: &[&str]) -> Output {
        let mut words = vec![verb, self.name.as_str()];
        words.extend(more);
        self.command(&words).output().expect("relevo runs")
    }

    /// `relevo status --json`.
    pub(crate) fn status(&self) -> Value {
        let output = self.ask("status", &["--json"]);
        assert!(output.status.success(), "status failed: {output:?}\n{}", self.log());
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Waits until the status is as wanted.
    pub(crate) fn wait_for_status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || {
            let status = self.status();
            if wanted(&status) { Ok(status) } else { Err(status.to_string()) }
        })
    }

    /// Waits until the service is `running` and nothing of a rollout is left.
    pub(crate) fn wait_until_calm(&self) -> Value {
        self.wait_for_status("a calm service", |status| {
            let slots = status["slots"].as_array().cloned().unwrap_or_default();
            status["state"] == "running"
                && slots.iter().all(|slot| slot["workers"].as_array().map_or(0, Vec::len) == 1)
        })
    }

    /// Replaces every worker and waits for it; fails the test if that is refused.
    pub(crate) fn reload(&self) -> Value {
        let output = self.ask("reload", &["--json"]);
        assert!(output.status.success(), "reload failed: {output:?}\n{}", self.log());
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// A reload that goes on while the test looks at the service.
    pub(crate) fn begin_reload(&self, more: &[&str]) -> Child {
        let mut command = self.command(&["reload", &self.name]);
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("relevo runs")
    }

    /// Changes the number of workers and waits for it; fails the test if that is refused.
    pub(crate) fn scale(&self, to: &str) -> Value {
        let output = self.ask("scale", &[to, "--json"]);
        assert!(output.status.success(), "scale failed: {output:?}\n{}", self.log());
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The pids of all ready workers, by slot.
    pub(crate) fn worker_pids(&self) -> Vec<u32> {
        let status = self.status();
        let slots = status["slots"].as_array().expect("slots");
        slots
            .iter()
            .flat_map(|slot| slot["workers"].as_array().expect("workers"))
            .filter(|worker| worker["state"] == "ready")
            .filter_map(|worker| worker["pid"].as_u64())
            .map(|pid| pid as u32)
            .collect()
    }

    /// Asks it to stop by SIGTERM and waits for its end.
    pub(crate) fn stop(mut self) -> (ExitStatus, Vec<String>) {
        self.signal(Signal::TERM);
        let status = self.wait();
        (status, self.lines())
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for_exit(&mut self.child)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our child")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // QUIT ends it and its workers at once; KILL is for a primary that does not obey.
            let _ = kill_process(pid(self.pid()), Signal::QUIT);
            let until = Instant::now() + Duration::from_secs(5);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}", self.name, self.log());
        }
    }
}

/// Whether there is such a process (a zombie counts as one).
pub(crate) fn is_alive(number: u32) -> bool {
    test_kill_process(pid(number)).is_ok()
}

/// Sends a signal to a process that the test knows.
pub(crate) fn signal_process(number: u32, signal: Signal) {
    let _ = kill_process(pid(number), signal);
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number as i32).expect("a pid is not 0")
}

/// Waits for a child, and kills it when that takes too long.
pub(crate) fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("our child") {
            return status;
        }
        if Instant::now() >= until {
            let _ = child.kill();
            panic!("pid {} did not end within {PATIENCE:?}", child.id());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn collect(stream: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&line).into_owned();
            lines.lock().expect("no collector panics").push(text);
        }
    });
}
