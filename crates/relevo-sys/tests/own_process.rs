//! What changes the whole process, or depends on all of it, tested in processes of its own.
//!
//! This program starts itself once for each case, and for each part that a case needs somebody to
//! play: `own_process play <part>`. So nothing here needs `fork`, and no case disturbs another.

#![expect(clippy::unwrap_used, reason = "a test, though not of the built-in harness")]
#![expect(clippy::zombie_processes, reason = "reaped through this crate, which is what is tested")]

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use relevo_sys::launch::{self, Report};
use relevo_sys::poll::{Interest, Poller};
use relevo_sys::process::{self, Exit, Pidfd};
use relevo_sys::signals::{self, Signals};
use relevo_sys::{Errno, Pid, Signal, activation, listen, scm, socket};

type Case = (&'static str, fn());
type Part = (&'static str, fn() -> ExitCode);

const CASES: [Case; 9] = [
    ("signals_are_read_with_their_sender", signals_are_read_with_their_sender),
    ("an_ignored_signal_is_seen", an_ignored_signal_is_seen),
    ("a_worker_is_launched_with_its_channel", a_worker_is_launched_with_its_channel),
    ("a_launch_that_fails_says_where", a_launch_that_fails_says_where),
    ("a_primary_that_dies_ends_the_launch", a_primary_that_dies_ends_the_launch),
    ("strangers_are_reaped_and_known_children_kept", strangers_are_reaped_and_known_children_kept),
    ("a_limit_is_raised_and_set", a_limit_is_raised_and_set),
    ("activated_sockets_are_taken", activated_sockets_are_taken),
    ("a_descriptor_missing_from_activation", a_descriptor_missing_from_activation),
];

const PARTS: [Part; 4] = [
    ("shim", play_shim),
    ("worker", play_worker),
    ("activator", play_activator),
    ("activated", play_activated),
];

/// Where the shim's program is at fault.
const EXEC_STAGE: u8 = 9;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["play", part] => {
            let found = PARTS.iter().find(|(name, _)| name == part);
            found.map_or(ExitCode::FAILURE, |(_, play)| play())
        }
        ["case", case] => {
            let found = CASES.iter().find(|(name, _)| name == case);
            found.map_or(ExitCode::FAILURE, |(_, case)| {
                case();
                ExitCode::SUCCESS
            })
        }
        // Test runners that list before they run.
        rest if rest.contains(&"--list") => {
            if !rest.contains(&"--ignored") {
                CASES.iter().for_each(|(name, _)| println!("{name}: test"));
            }
            ExitCode::SUCCESS
        }
        rest => run_cases(|name| {
            let mut filters = rest.iter().filter(|argument| !argument.starts_with('-')).peekable();
            filters.peek().is_none() || filters.any(|filter| name.contains(filter))
        }),
    }
}

fn run_cases(wanted: impl Fn(&str) -> bool) -> ExitCode {
    let mut all_passed = true;
    for (name, _) in CASES.iter().filter(|(name, _)| wanted(name)) {
        let passed = ourselves().args(["case", name]).status().unwrap().success();
        println!("case {name} ... {}", if passed { "ok" } else { "FAILED" });
        all_passed &= passed;
    }
    if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn ourselves() -> Command {
    Command::new("/proc/self/exe")
}

/// Waits until one of the descriptor's events comes, for 10 s at most.
fn wait_for(what: &str, descriptor: impl AsFd) {
    let poller = Poller::new().unwrap();
    poller.add(descriptor, 0, Interest::READ).unwrap();
    let (mut out, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(10));
    while out.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "10 s went by without: {what}");
        poller.wait(Some(left), &mut out).unwrap();
    }
}

fn exit_of(child: &Child) -> Exit {
    let process = Pidfd::open(Pid::from_child(child)).unwrap();
    wait_for("the end of a process", process.fd());
    process::reap(&process).unwrap().unwrap()
}

fn status_line(name: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    line.unwrap().to_owned()
}

// ---- signals

fn signals_are_read_with_their_sender() {
    let taken = Signals::take(&[Signal::TERM, Signal::USR1, Signal::CHILD]).unwrap();
    assert_eq!(taken.next(), Ok(None));
    let own = process::own_pid();
    Pidfd::open(own).unwrap().signal(Signal::USR1).unwrap();
    wait_for("our own signal", taken.fd());
    assert_eq!(taken.next(), Ok(Some((Signal::USR1, Some(own)))));
    assert_eq!(taken.next(), Ok(None));

    let script = format!("kill -TERM {own}");
    let mut child = Command::new("/bin/sh").args(["-c", &script]).spawn().unwrap();
    let sender = Pid::from_child(&child);
    child.wait().unwrap();
    // Which of the two comes first is the kernel's affair.
    let mut both = vec![taken.next().unwrap().unwrap(), taken.next().unwrap().unwrap()];
    both.sort_by_key(|(signal, _)| signal.as_raw());
    assert_eq!(both, [(Signal::TERM, Some(sender)), (Signal::CHILD, Some(sender))]);
    assert_eq!(taken.next(), Ok(None));
}

fn an_ignored_signal_is_seen() {
    assert!(!signals::is_ignored(Signal::HUP));
    // What `nohup` does.
    let script = "trap '' HUP; exec \"$0\" play worker";
    let exe = std::env::current_exe().unwrap();
    let status = Command::new("/bin/sh")
        .args([OsStr::new("-c"), OsStr::new(script), exe.as_os_str()])
        .env("EXPECT_HUP_IGNORED", "1")
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0), "{:?}", status.signal());
}

// ---- launching

fn launch(program: &str) -> (Child, OwnedFd, OwnedFd) {
    launch::close_on_exec_from(3).unwrap();
    let (status, shims) = scm::channel_pair().unwrap();
    let shim = ourselves()
        .args(["play", "shim"])
        .env("PROGRAM", program)
        .stdin(Stdio::from(shims))
        .spawn()
        .unwrap();
    let (channel, workers) = scm::channel_pair().unwrap();
    launch::send_channel(status.as_fd(), workers.as_fd()).unwrap();
    (shim, status, channel)
}

/// Does what the real shim does, in its order.
fn play_shim() -> ExitCode {
    let status = launch::take_status_socket().unwrap();
    let Some(channel) = launch::receive_channel(status.as_fd()).unwrap() else {
        return ExitCode::from(77);
    };
    process::new_session().unwrap();
    process::set_nofile(100, 200).unwrap();
    launch::close_on_exec_from(3).unwrap();
    launch::place_descriptor(channel, 3).unwrap();
    let program = std::env::var_os("PROGRAM").unwrap();
    let errno = process::exec(&program, ["play", "worker"], [("LAUNCHED", "1")]);
    launch::report_failure(status.as_fd(), EXEC_STAGE, errno);
    ExitCode::FAILURE
}

/// Checks what it was started with, and answers on the channel if it has one.
fn play_worker() -> ExitCode {
    if std::env::var_os("EXPECT_HUP_IGNORED").is_some() {
        return ExitCode::from(u8::from(!signals::is_ignored(Signal::HUP)));
    }
    assert_eq!(std::env::vars().collect::<Vec<_>>(), [("LAUNCHED".into(), "1".into())]);
    assert_eq!(status_line("SigBlk"), "0000000000000000");
    assert_eq!(process::nofile_limit(), process::NofileLimit { soft: 100, hard: 200 });
    let own = process::own_pid().to_string();
    assert_eq!(status_line("NSsid").split('\t').next_back(), Some(own.as_str()));
    assert_eq!(std::fs::read_link("/proc/self/fd/0").unwrap(), OsStr::new("/dev/null"));

    let mut open: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    open.sort_unstable();
    // 4 is the directory that was just read.
    assert_eq!(open, [0, 1, 2, 3, 4]);
    let written = Command::new("/bin/sh").args(["-c", "echo hello >&3"]).status().unwrap();
    ExitCode::from(if written.success() { 5 } else { 6 })
}

fn a_worker_is_launched_with_its_channel() {
    // As in the primary, whose blocked signals and raised limit must not reach the worker.
    let _signals = Signals::take(&[Signal::TERM, Signal::CHILD]).unwrap();
    let exe = std::env::current_exe().unwrap();
    let (worker, status, channel) = launch(exe.to_str().unwrap());
    wait_for("the launch", &status);
    assert_eq!(launch::read_report(status.as_fd()), Ok(Report::Execed));
    wait_for("the worker's line", &channel);
    let (mut line, mut descriptors) = ([0; 16], Vec::new());
    let received = scm::receive(channel.as_fd(), &mut line, &mut descriptors).unwrap();
    assert_eq!(&line[..received.bytes], b"hello\n");
    assert_eq!(exit_of(&worker), Exit::Code(5));
    let end = scm::receive(channel.as_fd(), &mut line, &mut descriptors).unwrap();
    assert_eq!(end.bytes, 0);
}

fn a_launch_that_fails_says_where() {
    let (shim, status, channel) = launch("/nowhere/to/be/found");
    wait_for("the report", &status);
    let failed = Report::Failed { stage: EXEC_STAGE, errno: Errno::NOENT };
    assert_eq!(launch::read_report(status.as_fd()), Ok(failed));
    assert_eq!(exit_of(&shim), Exit::Code(1));
    drop(channel);
}

fn a_primary_that_dies_ends_the_launch() {
    let (status, shims) = scm::channel_pair().unwrap();
    let shim = ourselves().args(["play", "shim"]).stdin(Stdio::from(shims)).spawn().unwrap();
    drop(status);
    assert_eq!(exit_of(&shim), Exit::Code(77));
}

// ---- reaping

fn strangers_are_reaped_and_known_children_kept() {
    process::become_subreaper().unwrap();
    // The first child ends at once and stays in front of the others, unreaped.
    let ours = Command::new("/bin/sh").args(["-c", "exit 3"]).spawn().unwrap();
    let ours_pid = Pid::from_child(&ours);
    let process = Pidfd::open(ours_pid).unwrap();
    wait_for("our child's end", process.fd());

    // The orphan's parent ends first, and so it becomes ours; it ends when its stdin does.
    let mut parent = Command::new("/bin/sh")
        .args(["-c", "exec 3<&0; (read line <&3) >&2 & echo $!"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let keeps_it_alive = parent.stdin.take().unwrap();
    let output = parent.wait_with_output().unwrap();
    let orphan = String::from_utf8(output.stdout).unwrap();
    let orphan = Pid::from_raw(orphan.trim().parse().unwrap()).unwrap();
    drop(keeps_it_alive);
    wait_for("the orphan's end", Pidfd::open(orphan).unwrap().fd());

    let reaped = process::reap_strangers(|pid| pid == ours_pid);
    assert_eq!(reaped, [orphan]);
    assert_eq!(process::reap_strangers(|pid| pid == ours_pid), []);
    assert_eq!(process::reap(&process), Ok(Some(Exit::Code(3))));
    assert_eq!(process::reap_strangers(|_| false), []);

    let stranger = Command::new("/bin/sh").args(["-c", "exit 4"]).spawn().unwrap();
    let stranger = Pid::from_child(&stranger);
    wait_for("the stranger's end", Pidfd::open(stranger).unwrap().fd());
    assert_eq!(process::reap_strangers(|_| false), [stranger]);
}

// ---- limits

fn a_limit_is_raised_and_set() {
    let hard = process::nofile_limit().hard;
    process::set_nofile(100, hard).unwrap();
    let before = process::raise_nofile_limit().unwrap();
    assert_eq!(before, process::NofileLimit { soft: 100, hard });
    assert_eq!(process::nofile_limit().soft, hard);
    assert_eq!(process::set_nofile(200, 100), Err(Errno::INVAL));
}

// ---- activation

fn activated_sockets_are_taken() {
    launch::close_on_exec_from(3).unwrap();
    let status = ourselves().args(["play", "activator"]).status().unwrap();
    assert_eq!(status.code(), Some(0), "{:?}", status.signal());
}

/// Does what a service manager does between `fork` and `exec`.
fn play_activator() -> ExitCode {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let tcp = listen::tcp_first(any, false, 5, false).unwrap();
    let udp = listen::udp(any, false, false).unwrap();
    let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let held = [tcp, udp, file].map(|descriptor| launch::hold_high(descriptor).unwrap());
    for (number, descriptor) in (3..).zip(held) {
        launch::place_descriptor(descriptor, number).unwrap();
    }
    let exe = std::env::current_exe().unwrap();
    let own = process::own_pid().to_string();
    let environment =
        [("LISTEN_PID", own.as_str()), ("LISTEN_FDS", "3"), ("LISTEN_FDNAMES", "web:stats")];
    panic!("{}", process::exec(exe.as_os_str(), ["play", "activated"], environment));
}

fn play_activated() -> ExitCode {
    let variable = |name| std::env::var(name).unwrap();
    let (pid, count, names) =
        (variable("LISTEN_PID"), variable("LISTEN_FDS"), variable("LISTEN_FDNAMES"));
    let take = || {
        let own = process::own_pid();
        activation::inherited_sockets(Some(&pid), Some(&count), Some(&names), own).unwrap()
    };
    let taken = take();
    let summary: Vec<_> = taken
        .iter()
        .map(|one| (one.number, one.name.as_str(), socket::socket_type(&one.descriptor).ok()))
        .collect();
    use socket::SocketKind::{Datagram, Listener};
    let expect = [(3, "web", Some(Listener)), (4, "stats", Some(Datagram)), (5, "unknown", None)];
    assert_eq!(summary, expect);
    assert!(taken[..2].iter().all(|one| socket::is_nonblocking(&one.descriptor).unwrap()));
    assert!(take().is_empty());

    let listed = Command::new("ls").arg("/proc/self/fd").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"], "a leak");
    ExitCode::SUCCESS
}

fn a_descriptor_missing_from_activation() {
    let own = process::own_pid();
    let taken = activation::inherited_sockets(Some(&own.to_string()), Some("900"), None, own);
    assert_eq!(taken.unwrap_err(), Errno::BADF);
}
