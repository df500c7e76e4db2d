//! One command line of `relevo`, run to its end in surroundings of its own, and what it left behind.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::service::{RELEVO, wait_for_exit};
use super::{TempDir, nodes};

/// A command line that is going to be run.
pub(crate) struct Relevo {
    command: Command,
    /// Everything it starts has this in its environment.
    mark: String,
    pub(crate) runtime: TempDir,
}

/// How it ended.
pub(crate) struct Ended {
    pub(crate) words: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    mark: String,
    runtime: TempDir,
}

impl Relevo {
    /// With Node 22 in `PATH`, a runtime directory of its own, and no other variable of ours.
    pub(crate) fn new(words: &[&str]) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let runtime = TempDir::new("runtime");
        let mut command = Command::new(RELEVO);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("RELEVO_RUNTIME_DIR", runtime.path()).env("RELEVO_TEST_MARK", &mark);
        for variable in ["NO_COLOR", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "NODE_OPTIONS"] {
            command.env_remove(variable);
        }
        command.env("PATH", path_with(22));
        Self { command, mark, runtime }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Another Node major in `PATH`.
    pub(crate) fn node(self, major: u32) -> Self {
        self.env("PATH", path_with(major))
    }

    pub(crate) fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(&directory).env("PWD", directory.as_ref());
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Ended {
        let mut child = self.command.spawn().expect("relevo starts");
        let stdout = drain(child.stdout.take().expect("piped"));
        let stderr = drain(child.stderr.take().expect("piped"));
        let status = wait_for_exit(&mut child);
        let words: Vec<_> = self.command.get_args().map(OsStr::to_string_lossy).collect();
        Ended {
            words: words.join(" "),
            code: status.code(),
            stdout: stdout.join().expect("no panic"),
            stderr: stderr.join().expect("no panic"),
            mark: self.mark,
            runtime: self.runtime,
        }
    }

    /// Starts it, for those who want to watch.
    pub(crate) fn spawn(mut self) -> (Child, TempDir) {
        (self.command.spawn().expect("relevo starts"), self.runtime)
    }
}

impl Ended {
    /// Panics unless it ended with this code, and shows what it said.
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.told());
        self
    }

    /// Panics unless stderr is one sentence with all of these words, and lines of detail at most.
    #[track_caller]
    pub(crate) fn assert_one_sentence(&self, words: &[&str]) -> &Self {
        let lines: Vec<&str> = self.stderr.lines().collect();
        let (sentence, detail) = lines.split_first().unwrap_or_else(|| panic!("{}", self.told()));
        assert!(sentence.starts_with("relevo: "), "{}", self.told());
        assert!(!sentence.contains("os error"), "{}", self.told());
        assert!(detail.iter().all(|line| line.starts_with("    ")), "{}", self.told());
        self.assert_says(words)
    }

    /// Panics unless stderr has all of these words.
    #[track_caller]
    pub(crate) fn assert_says(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not said: {}", self.told());
        }
        self
    }

    /// Panics if a process, a service's directory or a Unix socket of it is still there.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) -> &Self {
        assert_eq!(marked_processes(&self.mark), Vec::<u32>::new(), "{}", self.told());
        let entries = fs::read_dir(self.runtime.path()).into_iter().flatten().flatten();
        // The agent's file is shared by all services, and stays.
        let left: Vec<OsString> = entries
            .map(|entry| entry.file_name())
            .filter(|name| !name.to_string_lossy().starts_with("agent-"))
            .collect();
        assert!(left.is_empty(), "{left:?}: {}", self.told());
        let sockets = fs::read_to_string("/proc/net/unix").expect("the kernel's table");
        let ours = self.runtime.path().to_str().expect("an ASCII path");
        assert!(!sockets.contains(ours), "{}", self.told());
        self
    }

    pub(crate) fn told(&self) -> String {
        let Self { words, code, stdout, stderr, .. } = self;
        format!("`relevo {words}` ended with {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// `PATH` with this Node major first.
pub(crate) fn path_with(major: u32) -> OsString {
    let node = nodes::node(major);
    let mut path = node.parent().expect("a directory").as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path
}

/// A name that no other test uses.
pub(crate) fn unique_name(purpose: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{purpose}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Writes a file, with the directories above it.
pub(crate) fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> PathBuf {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().expect("a directory above")).expect("directories");
    fs::write(path, text).expect("a file");
    path.to_owned()
}

/// Every process that was started with the mark in its environment.
pub(crate) fn marked_processes(mark: &str) -> Vec<u32> {
    let wanted = format!("RELEVO_TEST_MARK={mark}\0");
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(wanted.len()).any(|window| window == wanted.as_bytes())
        })
        .collect()
}

fn drain(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
