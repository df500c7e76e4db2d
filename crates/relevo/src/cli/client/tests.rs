//! Against primaries that are made up: each is a thread with a listener and a script.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use relevo_wire::status::{Outcome, Phase};

use super::*;

const HELLO: &str = r#"{"hello":1,"name":"web","pid":42,"version":"0.1.0"}"#;
const ROLLOUT: &str = concat!(
    r#"{"generation":4,"outcome":"succeeded","phase":null,"slot":null,"of":2,"reason":null,"#,
    r#""duration_ms":812,"new":true,"cut":{"request":0}}"#,
);

/// Long enough for any machine; whoever waits so long has failed.
const AGES: Duration = Duration::from_secs(60);
/// As long as a silent primary is waited for.
const MOMENT: Duration = Duration::from_millis(50);

/// What a made-up primary does, in order.
enum Act {
    /// Reads a line, which must be this one.
    Read(&'static str),
    /// Writes a line.
    Write(String),
    /// Writes this many bytes without a newline, or until nobody reads them.
    Flood(usize),
    /// Says nothing until the client has gone.
    WaitForEnd,
}

struct Primary {
    socket: PathBuf,
    thread: JoinHandle<()>,
}

impl Primary {
    /// A primary that says hello and then does what it is told.
    fn greeting(acts: Vec<Act>) -> Self {
        let hello = [Act::Read(r#"{"hello":1}"#), Act::Write(HELLO.to_owned())];
        Self::new(hello.into_iter().chain(acts).collect())
    }

    fn new(acts: Vec<Act>) -> Self {
        let socket = socket_path();
        let listener = UnixListener::bind(&socket).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            for act in acts {
                let mut line = String::new();
                match act {
                    Act::Read(expected) => {
                        reader.read_line(&mut line).unwrap();
                        assert_eq!(line.trim_end(), expected);
                    }
                    Act::Write(line) => stream.write_all(format!("{line}\n").as_bytes()).unwrap(),
                    Act::Flood(count) => {
                        let _ = stream.write_all(&vec![b'x'; count]);
                    }
                    Act::WaitForEnd => assert_eq!(reader.read_line(&mut line).unwrap(), 0),
                }
            }
        });
        Self { socket, thread }
    }

    fn service(&self) -> Service {
        Service::stand_in("web", Some(42), vec![self.socket.clone()])
    }

    fn connect(&self) -> Result<Connection, ClientError> {
        Connection::open(&self.service(), AGES)
    }

    /// Ends it, and fails if it met anything else than it was to.
    fn end(self) {
        self.thread.join().unwrap();
        std::fs::remove_file(self.socket).unwrap();
    }
}

fn socket_path() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("relevo-client-{}-{count}.sock", std::process::id()))
}

fn write(line: &str) -> Act {
    Act::Write(line.to_owned())
}

fn until(wait: Duration) -> Until<'static> {
    Until { deadline: Instant::now().checked_add(wait), interrupt: None }
}

fn failure(error: ClientError) -> (u8, String) {
    let failure = error.into_failure(&Service::stand_in("web", Some(42), Vec::new()));
    (failure.code.code(), failure.reason)
}

#[test]
fn progress_comes_before_the_answer() {
    let primary = Primary::greeting(vec![
        Act::Read(r#"{"id":1,"do":"reload","args":{"wait":true}}"#),
        write(r#"{"id":1,"progress":{"slot":0,"of":2,"phase":"starting","worker":9}}"#),
        write(r#"{"id":7,"ok":{"for":"somebody else"}}"#),
        write(r#"{"id":1,"progress":{"slot":0,"of":2,"phase":null,"worker":9,"new":1}}"#),
        Act::Write(format!(r#"{{"id":1,"ok":{ROLLOUT}}}"#)),
        Act::Read(r#"{"id":2,"do":"stop","args":{}}"#),
        write(r#"{"ok":{"as":"you like"},"id":2}"#),
    ]);
    let mut connection = primary.connect().unwrap();
    assert_eq!(connection.pid, Some(std::process::id()));
    let mut seen = Vec::new();
    let mut see = |progress: Progress| seen.push((progress.slot, progress.phase));
    let answer = connection
        .ask(Verb::Reload { wait: true, changed_listeners: false }, until(AGES), &mut see)
        .unwrap();
    assert_eq!(seen, [(Some(0), Some(Phase::Starting)), (Some(0), None)]);
    assert_eq!(answer.json, ROLLOUT);
    let rollout = answer.rollout().unwrap();
    assert_eq!((rollout.generation, rollout.outcome), (4, Some(Outcome::Succeeded)));
    assert!(matches!(answer.status(), Err(ClientError::NotUnderstood(_))));
    let answer = connection.ask(Verb::Stop, until(AGES), &mut |_| {}).unwrap();
    assert_eq!(answer.json, r#"{"as":"you like"}"#);
    assert!(connection.wait_closed(until(AGES)));
    primary.end();
}

#[test]
fn an_error_keeps_its_code_and_detail() {
    let primary = Primary::greeting(vec![
        Act::Read(r#"{"id":1,"do":"reload","args":{"wait":true}}"#),
        write(r#"{"id":1,"error":{"code":1,"reason":"worker 9 exited","detail":["Error: no"]}}"#),
    ]);
    let mut connection = primary.connect().unwrap();
    let error = connection
        .ask(Verb::Reload { wait: true, changed_listeners: false }, until(AGES), &mut |_| {})
        .unwrap_err();
    let failure = error.into_failure(&primary.service());
    assert_eq!(failure.code, ExitCode::Failed);
    assert_eq!(failure.reason, "worker 9 exited");
    assert_eq!(failure.detail, ["Error: no"]);
    primary.end();
}

#[test]
fn an_error_about_a_line_that_had_no_id_is_ours() {
    let primary = Primary::greeting(vec![
        Act::Read(r#"{"id":1,"do":"stop","args":{}}"#),
        write(r#"{"id":null,"error":{"code":2,"reason":"not JSON","detail":[]}}"#),
    ]);
    let mut connection = primary.connect().unwrap();
    let error = connection.ask(Verb::Stop, until(AGES), &mut |_| {}).unwrap_err();
    assert_eq!(failure(error), (2, "not JSON".to_owned()));
    primary.end();
}

#[test]
fn a_line_without_end_is_given_up() {
    let flood = Act::Flood(protocol::MAX_REPLY_LINE + 1024 * 1024);
    let primary = Primary::greeting(vec![Act::Read(r#"{"id":1,"do":"status","args":{}}"#), flood]);
    let mut connection = primary.connect().unwrap();
    let error = connection.ask(Verb::Status, until(AGES), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ClientError::TooLong(_)));
    drop(connection);
    primary.end();
}

#[test]
fn versions_that_differ_are_named() {
    let primary = Primary::new(vec![
        Act::Read(r#"{"hello":1}"#),
        write(r#"{"hello":2,"name":"web","pid":42,"version":"9.0.0"}"#),
    ]);
    let (code, reason) = failure(primary.connect().unwrap_err());
    assert_eq!(code, 3);
    assert!(reason.contains("it is relevo 9.0.0 and speaks version 2"), "{reason}");
    primary.end();
    let primary = Primary::new(vec![
        Act::Read(r#"{"hello":1}"#),
        write(r#"{"id":null,"error":{"code":2,"reason":"unknown version 1; known: 2"}}"#),
    ]);
    let (code, reason) = failure(primary.connect().unwrap_err());
    assert_eq!(code, 3);
    assert!(reason.ends_with("it refuses this client: unknown version 1; known: 2"), "{reason}");
    primary.end();
}

#[test]
fn a_silent_primary_is_not_waited_for() {
    let primary = Primary::new(vec![Act::Read(r#"{"hello":1}"#), Act::WaitForEnd]);
    let error = Connection::open(&primary.service(), MOMENT).unwrap_err();
    assert!(matches!(error, ClientError::TimedOut));
    let (code, reason) = failure(error);
    assert_eq!(code, 3);
    assert!(reason.starts_with("the primary of `web` (pid 42): it does not answer"), "{reason}");
    primary.end();
}

#[test]
fn a_primary_that_accepts_nobody_is_not_waited_for() {
    let socket = socket_path();
    let listener = UnixListener::bind(&socket).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let service = Service::stand_in("web", Some(42), vec![socket.clone()]);
    // The queue takes one; the next has to wait for a place in it.
    let first = UnixStream::connect(&socket).unwrap();
    let error = Connection::open(&service, MOMENT).unwrap_err();
    assert!(matches!(error, ClientError::TimedOut), "{error}");
    drop((first, listener));
    std::fs::remove_file(socket).unwrap();
}

#[test]
fn the_wait_for_an_answer_ends_at_its_deadline() {
    let primary = Primary::greeting(vec![
        Act::Read(r#"{"id":1,"do":"reload","args":{"wait":true}}"#),
        Act::WaitForEnd,
    ]);
    let mut connection = primary.connect().unwrap();
    let asked = connection.ask(
        Verb::Reload { wait: true, changed_listeners: false },
        until(MOMENT),
        &mut |_| {},
    );
    assert!(matches!(asked, Err(ClientError::TimedOut)));
    drop(connection);
    primary.end();
}

#[test]
fn a_connection_that_is_closed_midway_is_told_apart() {
    let primary = Primary::greeting(vec![
        Act::Read(r#"{"id":1,"do":"reload","args":{"wait":true}}"#),
        write(r#"{"id":1,"progress":{"slot":0}}"#),
        Act::Flood(10),
    ]);
    let mut connection = primary.connect().unwrap();
    let asked = connection.ask(
        Verb::Reload { wait: true, changed_listeners: false },
        until(AGES),
        &mut |_| {},
    );
    assert!(matches!(asked, Err(ClientError::Closed)));
    primary.end();
    let primary = Primary::new(vec![]);
    assert!(matches!(primary.connect(), Err(ClientError::Closed)));
    primary.end();
}

#[test]
fn an_answer_that_makes_no_sense() {
    for line in ["", "hello", r#"{"id":1}"#, r#"{"id":1,"maybe":{}}"#] {
        let primary =
            Primary::greeting(vec![Act::Read(r#"{"id":1,"do":"status","args":{}}"#), write(line)]);
        let mut connection = primary.connect().unwrap();
        let error = connection.ask(Verb::Status, until(AGES), &mut |_| {}).unwrap_err();
        assert!(matches!(error, ClientError::NotUnderstood(_)), "{line}: {error}");
        primary.end();
    }
}

#[test]
fn a_file_that_a_dead_primary_left_is_passed_over() {
    let stale = socket_path();
    drop(UnixListener::bind(&stale).unwrap());
    let primary = Primary::greeting(vec![Act::WaitForEnd]);
    let sockets = vec![stale.clone(), primary.socket.clone()];
    let both = Service::stand_in("web", Some(42), sockets);
    let connection = Connection::open(&both, AGES).unwrap();
    assert_eq!(connection.socket, primary.socket);
    drop(connection);
    primary.end();
    let only = Service::stand_in("web", Some(42), vec![stale.clone()]);
    let (code, reason) = failure(Connection::open(&only, AGES).unwrap_err());
    assert_eq!(code, 3);
    assert!(reason.contains("cannot be connected to: "), "{reason}");
    std::fs::remove_file(stale).unwrap();
}

#[test]
fn without_a_socket_the_places_are_named() {
    let none = Service::stand_in("web", Some(42), Vec::new());
    let (code, reason) = failure(Connection::open(&none, AGES).unwrap_err());
    assert_eq!(code, 3);
    let tmp = format!("/tmp/relevo-{}", relevo_sys::process::effective_uid());
    assert!(reason.contains(&tmp) && reason.contains("RELEVO_RUNTIME_DIR"), "{reason}");
}

#[test]
fn ctrl_c_ends_the_wait_but_not_an_answer_that_is_there() {
    let primary = Primary::greeting(vec![
        Act::Read(r#"{"id":1,"do":"status","args":{}}"#),
        write(r#"{"id":1,"ok":{}}"#),
        Act::Read(r#"{"id":2,"do":"stop","args":{}}"#),
        Act::WaitForEnd,
    ]);
    let mut connection = primary.connect().unwrap();
    let (mut keyboard, signals) = UnixStream::pair().unwrap();
    let interrupt = Until { deadline: None, interrupt: Some(signals.as_fd()) };
    connection.ask(Verb::Status, interrupt, &mut |_| {}).unwrap();
    keyboard.write_all(b"x").unwrap();
    let stopped = connection.ask(Verb::Stop, interrupt, &mut |_| {});
    assert!(matches!(stopped, Err(ClientError::Interrupted)));
    drop(connection);
    primary.end();
}
