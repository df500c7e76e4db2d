//! What workers write: unchanged where no terminal is, by slot where one is, and never waited for.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;
use support::client::get;
use support::ports::port;
use support::relevo::{path_with, unique_name, write};
use support::service::{RELEVO, signal_process, wait_for_exit};
use support::{TempDir, eventually, proc};

/// A `relevo run` of a small app, its output wherever a test wants it.
struct Talk {
    directory: TempDir,
    app: &'static str,
    port: u16,
    name: String,
}

impl Talk {
    fn new(app: &'static str) -> Self {
        let directory = TempDir::new("output");
        write(directory.join("app.js"), app);
        Self { directory, app: "app.js", port: port(), name: unique_name("output") }
    }

    fn command(&self, workers: &str) -> Command {
        let mut command = Command::new(RELEVO);
        command.args(["run", "--name", &self.name, "-w", workers, self.app]);
        self.surround(&mut command);
        command
    }

    fn surround(&self, command: &mut Command) {
        command
            .current_dir(self.directory.path())
            .env("PWD", self.directory.path())
            .env("PATH", path_with(22))
            .env("PORT", self.port.to_string())
            .env("RELEVO_RUNTIME_DIR", self.directory.join("runtime"))
            .stdin(Stdio::null());
    }

    /// Has it stopped when it has answered, and returns what it wrote to stdout and to stderr.
    fn collect(&self, mut child: Child) -> (Vec<u8>, String) {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let read = |stream: Option<Box<dyn Read + Send>>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut stream) = stream {
                    stream.read_to_end(&mut bytes).expect("it can be read");
                }
                bytes
            })
        };
        let stdout = read(stdout.map(|stream| Box::new(stream) as _));
        let stderr = read(stderr.map(|stream| Box::new(stream) as _));
        eventually("an answer", || get(self.port, "/"));
        signal_process(child.id(), Signal::TERM);
        assert_eq!(wait_for_exit(&mut child).code(), Some(0));
        let stderr = String::from_utf8_lossy(&stderr.join().expect("no panic")).into_owned();
        (stdout.join().expect("no panic"), stderr)
    }
}

const SERVE: &str =
    "require('http').createServer((q, r) => r.end()).listen(Number(process.env.PORT));";

#[test]
fn lines_pass_unchanged_to_where_they_belong() {
    let talk = Talk::new(
        "const fs = require('fs');
         const out = Buffer.concat([Buffer.from('one\\r\\n\\n\\ttwo \\x1b[1mbold\\x1b[0m\\n'), Buffer.from([0xff, 0xfe, 0x00, 0x0a]), Buffer.alloc(200000, 'x'), Buffer.from('\\nend without newline')]);
         for (let at = 0; at < out.length;) { try { at += fs.writeSync(1, out, at, Math.min(5000, out.length - at)); } catch (error) { if (error.code !== 'EAGAIN') throw error; } }
         fs.writeSync(2, 'to stderr\\nno end');
         require('http').createServer((q, r) => r.end()).listen(Number(process.env.PORT));",
    );
    let mut command = talk.command("1");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (stdout, stderr) = talk.collect(child);
    let mut expected = b"one\r\n\n\ttwo \x1b[1mbold\x1b[0m\n\xff\xfe\0\n".to_vec();
    expected.extend(vec![b'x'; 200_000]);
    // What was begun is written at the end, and ended.
    expected.extend(b"\nend without newline\n");
    assert!(stdout == expected, "{} bytes, not {}", stdout.len(), expected.len());
    assert!(stderr.contains("to stderr\n"), "{stderr}");
    assert!(stderr.lines().any(|line| line == "no end"), "{stderr}");
    let words = stderr.lines().filter(|line| !["to stderr", "no end"].contains(line));
    assert!(words.clone().all(|line| line.starts_with("relevo: ")), "{stderr}");
    assert!(words.count() >= 3, "{stderr}");
}

/// Several workers write at once: lines may come in any order, but whole.
#[test]
fn lines_of_several_workers_do_not_mix() {
    let talk = Talk::new(
        "const letter = 'abcd'[process.env.RELEVO_SLOT];
         for (let n = 0; n < 500; n += 1) { process.stdout.write(letter.repeat(40)); process.stdout.write(letter.repeat(40) + '\\n'); }
         require('http').createServer((q, r) => r.end()).listen(Number(process.env.PORT));",
    );
    let mut command = talk.command("4");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    eventually("all workers", || {
        let mut status = Command::new(RELEVO);
        talk.surround(status.args(["status", &talk.name, "--json"]));
        let output = status.output().expect("relevo runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.contains("\"state\":\"running\"") { Ok(()) } else { Err(text) }
    });
    let (stdout, _) = talk.collect(child);
    let text = String::from_utf8(stdout).expect("text");
    assert_eq!(text.lines().count(), 2000);
    for line in text.lines() {
        let first = &line[..1];
        assert_eq!(line, first.repeat(80));
    }
}

#[test]
fn a_terminal_gets_the_slot_before_each_line() {
    let talk = Talk::new(
        "console.log('to stdout'); console.error('to stderr');
         require('http').createServer((q, r) => r.end()).listen(Number(process.env.PORT));",
    );
    let mut command = Command::new("script");
    let line = format!("{RELEVO} run --name {} -w 2 app.js", talk.name);
    command.args(["-qec", &line, "/dev/null"]);
    talk.surround(&mut command);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("script(1)");
    let mut stop = Command::new(RELEVO);
    talk.surround(stop.args(["stop", &talk.name]));
    eventually("a stop", || {
        let mut status = Command::new(RELEVO);
        talk.surround(status.args(["status", &talk.name, "--json"]));
        let output = status.output().expect("relevo runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.contains("\"state\":\"running\"") { Ok(()) } else { Err(text) }
    });
    assert!(stop.output().expect("relevo runs").status.success());
    let output = child.wait_with_output().expect("script(1) ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in ["0 | to stdout", "0 | to stderr", "1 | to stdout", "1 | to stderr"] {
        assert!(text.lines().any(|found| found.trim_end() == line), "{line}: {text}");
    }
    assert!(text.contains("relevo: ready: 2 workers"), "{text}");
}

/// A pipe that nobody reads, but that is open.
fn stalled() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).expect("a pipe")
}

#[test]
fn a_reader_that_stalls_holds_up_no_worker_and_is_told_what_it_missed() {
    let talk = Talk::new(
        "const line = 'y'.repeat(99) + '\\n';
         const http = require('http');
         const server = http.createServer((q, r) => {
           if (q.url !== '/write') return r.end('here');
           let left = 500000;
           const more = () => {
             while (left > 0) { left -= 1000; if (!process.stdout.write(line.repeat(1000))) return process.stdout.once('drain', more); }
             process.stdout.write('the last line\\n', () => r.end('written'));
           };
           more();
         });
         server.listen(Number(process.env.PORT));",
    );
    let (reader, writer) = stalled();
    let ours = writer.try_clone().expect("a duplicate");
    let mut child = talk
        .command("2")
        .stdout(Stdio::from(writer))
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    eventually("an answer", || get(talk.port, "/"));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let port = talk.port;
            std::thread::spawn(move || get(port, "/write").expect("it is written").text())
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), "written");
    }
    // 100 MB were written, and nobody has read a byte.
    let resident = proc::resident_kib(child.id());
    assert!(resident < 24 * 1024, "{resident} KiB");
    assert_eq!(get(talk.port, "/").expect("an answer").text(), "here");
    // The description is shared with whoever else has that pipe, as a shell: it blocks as before.
    let flags = fcntl_getfl(ours.as_fd()).expect("its flags");
    assert!(!flags.contains(OFlags::NONBLOCK), "{flags:?}");
    drop(ours);
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).expect("text");
        text
    });
    signal_process(child.id(), Signal::TERM);
    assert_eq!(wait_for_exit(&mut child).code(), Some(0));
    let text = reader.join().expect("no panic");
    let dropped: u64 = text
        .lines()
        .filter_map(|line| line.strip_prefix("relevo: ")?.split_once(" lines dropped: "))
        .map(|(count, _)| count.parse::<u64>().expect("a number"))
        .sum();
    let kept = text.lines().filter(|line| line.starts_with('y') || *line == "the last line");
    assert_eq!(dropped + kept.count() as u64, 1_000_002, "every line is passed on or counted");
    assert!(text.lines().any(|line| line == "the last line"), "the newest are kept");
    assert!(text.len() < 3 << 20, "{} bytes were kept", text.len());
}

/// `relevo run | head -1`, and a terminal that was closed.
#[test]
fn a_reader_that_leaves_ends_nothing() {
    let talk = Talk::new(
        "setInterval(() => console.log('x'.repeat(1000)), 1);
         require('http').createServer((q, r) => r.end()).listen(Number(process.env.PORT));",
    );
    let (reader, writer) = stalled();
    let mut child = talk
        .command("1")
        .stdout(Stdio::from(writer))
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut first = [0; 10];
    let mut reader = File::from(reader);
    reader.read_exact(&mut first).expect("some");
    drop(reader);
    for _ in 0..20 {
        eventually("an answer", || get(talk.port, "/"));
    }
    assert!(child.try_wait().expect("our child").is_none());
    signal_process(child.id(), Signal::TERM);
    assert_eq!(wait_for_exit(&mut child).code(), Some(0));
}

/// A full disk is not the workers' affair either.
#[test]
fn an_output_that_takes_nothing_ends_nothing() {
    let talk = Talk::new(SERVE);
    let full = File::options().write(true).open("/dev/full").expect("the device");
    assert!((&full).write_all(b"x").is_err());
    let mut command = talk.command("1");
    command.stdout(full.try_clone().expect("a duplicate")).stderr(full);
    let child = command.spawn().expect("it starts");
    talk.collect(child);
}
