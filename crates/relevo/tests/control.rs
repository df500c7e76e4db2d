//! The control socket, spoken to by raw clients, well-behaved and not.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Gid, Signal, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde_json::{Value, json};
use support::ports::port;
use support::relevo::Relevo;
use support::service::{Service, Setup, signal_process, wait_for_exit};
use support::{PATIENCE, eventually, fixture, proc};

/// How many clients a primary takes at once.
const MAX_CLIENTS: usize = 64;

struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connected, and not a word said.
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the control socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self { stream: BufReader::new(stream) }
    }

    /// Past the hello.
    fn greeted(service: &Service) -> Self {
        let mut client = Self::connect(&socket(service));
        client.say("{\"hello\":1}\n");
        let hello = client.hear();
        assert_eq!(hello["hello"], 1, "{hello}");
        client
    }

    fn say(&mut self, text: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(text.as_ref()).expect("it is taken");
    }

    /// The next line.
    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// The end of the connection, with nothing said before it.
    fn hear_the_end(&mut self) {
        let mut rest = String::new();
        match self.stream.read_to_string(&mut rest) {
            Ok(_) => {}
            // What it had not read of ours when it closed.
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        assert_eq!(rest, "");
    }

    #[track_caller]
    fn check_error(&mut self, request: &str, id: &Value, words: &[&str]) {
        self.say(format!("{request}\n"));
        let answer = self.hear();
        assert_eq!(answer["id"], *id, "{answer}");
        assert_eq!(answer["error"]["code"], 2, "{answer}");
        for word in words {
            let reason = answer["error"]["reason"].as_str().expect("a reason");
            assert!(reason.contains(word), "`{word}` is not in: {reason}");
        }
    }

    #[track_caller]
    fn check_serves(&mut self, id: u64) {
        self.say(format!("{{\"id\":{id},\"do\":\"status\",\"args\":{{}}}}\n"));
        let answer = self.hear();
        assert_eq!(answer["id"], id, "{answer}");
        assert_eq!(answer["ok"]["state"], "running", "{answer}");
    }
}

fn socket(service: &Service) -> PathBuf {
    service.runtime.path().join(&service.name).join("control.sock")
}

fn start() -> Service {
    Setup::new(22, fixture("kitchen.js")).options("-w 1").env("PORT", port()).start()
}

#[test]
fn the_protocol() {
    let service = start();
    let mut client = Client::connect(&socket(&service));
    client.say("{\"hello\":1}\n");
    let version = env!("CARGO_PKG_VERSION");
    let hello = json!({"hello": 1, "name": service.name, "pid": service.pid(), "version": version});
    assert_eq!(client.hear(), hello);

    client.check_serves(1);
    // Who follows twice on a connection could not tell the two apart.
    let mut follower = Client::greeted(&service);
    follower.say("{\"id\":1,\"do\":\"events\",\"args\":{\"follow\":true}}\n");
    let first = follower.hear();
    assert_eq!((&first["id"], &first["event"]["number"]), (&json!(1), &json!(1)), "{first}");
    while follower.hear()["event"]["kind"] != "service_ready" {}
    follower.check_error(
        r#"{"id":2,"do":"events","args":{"follow":true}}"#,
        &json!(2),
        &["follows", "use another one"],
    );
    follower.check_serves(3);
    client.check_error(
        r#"{"id":2,"do":"explode","args":{}}"#,
        &json!(2),
        &["explode", "status", "reload", "stop"],
    );
    client.check_error(r#"{"id":3,"do":"status","args":{"deep":1}}"#, &json!(3), &["deep"]);
    client.check_error(r#"{"id":4,"do":"status","args":{},"x":1}"#, &json!(4), &["x"]);
    client.check_error(r#"{"id":5,"do":"reload","args":{"wait":"yes"}}"#, &json!(5), &["wait"]);
    client.check_error(r#"{"id":"six","do":"status"}"#, &Value::Null, &["id"]);
    client.check_error(r#"{"do":"status","args":{}}"#, &Value::Null, &["id"]);
    client.check_error("[1]", &Value::Null, &["array"]);
    client.check_error("nonsense", &Value::Null, &["JSON"]);
    client.check_error("", &Value::Null, &["JSON"]);
    client.check_error("\u{0}\u{7f}", &Value::Null, &["JSON"]);
    client.check_error(&"[".repeat(60_000), &Value::Null, &[]);
    client.check_error(&format!("{{\"id\":7,\"do\":{}1", "[".repeat(30_000)), &Value::Null, &[]);
    // None of that has done any harm.
    client.check_serves(8);
    assert_eq!(service.count_lines("bug in Relevo"), 0);
}

#[test]
fn a_first_line_that_is_no_hello_is_told_so_and_is_the_last() {
    let service = start();
    for (line, words) in [
        ("{\"hello\":2}\n", vec!["unknown version 2", "known: 1"]),
        ("{\"hello\":1,\"x\":1}\n", vec!["unknown field `x`"]),
        ("{\"id\":1,\"do\":\"status\",\"args\":{}}\n", vec!["hello"]),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", vec!["not JSON"]),
        ("\n", vec!["not JSON"]),
    ] {
        let mut client = Client::connect(&socket(&service));
        client.say(line);
        let answer = client.hear();
        assert_eq!(answer["error"]["code"], 2, "{answer}");
        for word in words {
            assert!(answer["error"]["reason"].as_str().unwrap().contains(word), "{answer}");
        }
        client.hear_the_end();
    }
    Client::greeted(&service).check_serves(1);
}

#[test]
fn a_line_over_the_limit_is_told_so_and_is_the_last() {
    let service = start();
    for greeted in [false, true] {
        let path = socket(&service);
        let mut client = if greeted { Client::greeted(&service) } else { Client::connect(&path) };
        // The primary may have closed before all of it is taken.
        let _ = client.stream.get_mut().write_all(&vec![b'x'; 10 << 20]);
        let answer = client.hear();
        assert_eq!(answer["id"], Value::Null, "{answer}");
        assert!(answer["error"]["reason"].as_str().unwrap().contains("65536 bytes"), "{answer}");
        client.hear_the_end();
    }
    // A line that just fits is none of these.
    let mut client = Client::greeted(&service);
    let filler = "y".repeat(64 * 1024 - 40);
    client.check_error(&format!("{{\"id\":1,\"do\":\"{filler}\"}}"), &json!(1), &["unknown"]);
    client.check_serves(2);
    assert!(proc::resident_kib(service.pid()) < 40 * 1024);
}

#[test]
fn lines_come_in_pieces_and_several_at_once() {
    let service = start();
    let mut client = Client::connect(&socket(&service));
    for byte in b"{\"hello\":1}\n{\"id\":1,\"do\":\"status\",\"args\":{}}\n" {
        client.say([*byte]);
    }
    assert_eq!(client.hear()["hello"], 1);
    assert_eq!(client.hear()["id"], 1);
    let many: String =
        (2..100).map(|id| format!("{{\"id\":{id},\"do\":\"status\",\"args\":{{}}}}\n")).collect();
    client.say(many);
    for id in 2..100 {
        assert_eq!(client.hear()["id"], id);
    }
    // Half a line, and gone.
    for half in ["{\"hel", "{\"hello\":1}\n{\"id\":1,\"do\":\"st"] {
        Client::connect(&socket(&service)).say(half);
    }
    client.check_serves(100);
}

#[test]
fn more_clients_than_there_is_room_for_are_told_so() {
    let service = start();
    let mut clients: Vec<Client> = (0..MAX_CLIENTS).map(|_| Client::greeted(&service)).collect();
    for _ in 0..10 {
        let mut turned_away = Client::connect(&socket(&service));
        let answer = turned_away.hear();
        assert!(answer["error"]["reason"].as_str().unwrap().contains("64 clients"), "{answer}");
        turned_away.hear_the_end();
    }
    let output = service.ask("status", &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("64 clients are connected already"), "{said}");
    for (id, client) in clients.iter_mut().enumerate() {
        client.check_serves(id as u64);
    }
    clients.truncate(MAX_CLIENTS - 1);
    eventually("room for one more", || {
        let output = service.ask("status", &[]);
        if output.status.success() { Ok(()) } else { Err(output) }
    });
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_costs_little() {
    let service = start();
    let before = proc::descriptors(service.pid());
    let requests = "{\"id\":1,\"do\":\"status\",\"args\":{}}\n".repeat(1000);
    let mut deaf = Client::greeted(&service);
    let stream = deaf.stream.get_mut();
    stream.set_write_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let refused = (0..1000).find_map(|_| stream.write_all(requests.as_bytes()).err());
    let kind = refused.expect("it is dropped some time").kind();
    assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind:?}");
    assert!(proc::resident_kib(service.pid()) < 64 * 1024, "{}", proc::resident_kib(service.pid()));
    Client::greeted(&service).check_serves(1);
    drop(deaf);
    eventually("its descriptor closed", || {
        let now = proc::descriptors(service.pid());
        if now <= before { Ok(()) } else { Err((before, now)) }
    });
}

/// Its answer waits for a reader, and what it goes on saying is not read: neither may keep the
/// primary busy.
#[test]
fn a_client_that_is_being_closed_does_not_spin_the_primary() {
    let service = start();
    let mut deaf = Client::greeted(&service);
    // Answers to all of these fill the socket; then comes a line that ends the conversation.
    deaf.say("{\"id\":1,\"do\":\"status\",\"args\":{}}\n".repeat(400));
    let _ = deaf.stream.get_mut().write_all(&vec![b'x'; 100 * 1024]);
    // The service has taken all that when it has answered somebody else.
    Client::greeted(&service).check_serves(1);
    let used = proc::cpu_time(service.pid());
    std::thread::sleep(Duration::from_millis(500));
    let spent = proc::cpu_time(service.pid()) - used;
    assert!(spent < Duration::from_millis(100), "{spent:?} of 500 ms");
    for _ in 0..400 {
        assert_eq!(deaf.hear()["id"], 1);
    }
    assert!(deaf.hear()["error"]["reason"].as_str().unwrap().contains("65536 bytes"));
    deaf.hear_the_end();
}

#[test]
fn all_who_wait_for_a_reload_are_answered_and_who_leaves_stops_nothing() {
    let service = start();
    let ask = "{\"id\":7,\"do\":\"reload\",\"args\":{\"wait\":true}}\n";
    let mut waiting = [Client::greeted(&service), Client::greeted(&service)];
    let mut leaving = Client::greeted(&service);
    leaving.say(ask);
    assert_eq!(leaving.hear()["progress"]["phase"], "starting");
    drop(leaving);
    for client in &mut waiting {
        client.say(ask);
    }
    let generations = waiting.each_mut().map(|client| {
        loop {
            let line = client.hear();
            assert_eq!(line["id"], 7, "{line}");
            if line["progress"].is_null() {
                assert_eq!(line["ok"]["outcome"], "succeeded", "{line}");
                break line["ok"]["generation"].as_u64().expect("a number");
            }
        }
    });
    // The rollout that the first one asked for was in progress; theirs began after they asked.
    assert_eq!(generations, [3, 3]);
    assert_eq!(service.count_lines("reload done: generation 2"), 1);
    let mut client = Client::greeted(&service);
    client.say("{\"id\":1,\"do\":\"reload\",\"args\":{\"wait\":false}}\n");
    assert_eq!(client.hear(), json!({"id": 1, "ok": {}}));
    service.wait_for_line("reload done: generation 4");
}

#[test]
fn a_client_that_waits_for_the_stop_is_answered_before_the_end() {
    let mut service = start();
    let mut client = Client::greeted(&service);
    let mut other = Client::greeted(&service);
    client.say("{\"id\":1,\"do\":\"stop\",\"args\":{}}\n");
    assert_eq!(client.hear(), json!({"id": 1, "ok": {}}));
    client.hear_the_end();
    other.hear_the_end();
    assert_eq!(service.wait().code(), Some(0));
    assert!(!socket(&service).exists());
    assert!(!service.runtime.path().join(&service.name).exists());
}

#[test]
fn nobody_else_gets_an_answer() {
    let service = start();
    let path = socket(&service);
    let directory = path.parent().expect("a directory").to_owned();
    let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o7777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(service.runtime.path()), 0o700);
    if !geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let refused = as_nobody({
        let path = path.clone();
        move || UnixStream::connect(path).expect_err("no way in").kind()
    });
    assert_eq!(refused, ErrorKind::PermissionDenied);
    // Where somebody has opened the doors, who comes in is still asked for his name.
    for (path, mode) in [(service.runtime.path(), 0o755), (&directory, 0o755), (&path, 0o666)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
    as_nobody(move || {
        let mut client = Client::connect(&path);
        // It may be closed already.
        let _ = client.stream.get_mut().write_all(b"{\"hello\":1}\n");
        client.hear_the_end();
    });
    Client::greeted(&service).check_serves(1);
}

/// Runs it in a thread of another user: to the kernel, threads have users of their own.
fn as_nobody<T: Send + 'static>(action: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        let (user, group) = (Uid::from_raw(65534), Gid::from_raw(65534));
        set_thread_groups(&[]).expect("root may");
        set_thread_res_gid(group, group, group).expect("root may");
        set_thread_res_uid(user, user, user).expect("root may");
        action()
    });
    thread.join().expect("it does not panic")
}

#[test]
fn the_name_is_free_at_once_when_its_primary_was_killed() {
    let port = port();
    let setup = || Setup::new(22, fixture("kitchen.js")).options("-w 2").env("PORT", port);
    let mut service = setup().start();
    let workers = service.worker_pids();
    signal_process(service.pid(), Signal::KILL);
    service.wait();
    // The socket's file is left over, and says nothing.
    assert!(socket(&service).exists());
    let output = service.ask("status", &[]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    eventually("the workers to follow", || {
        let left: Vec<_> = workers.iter().filter(|pid| proc::lives(**pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(left.len()) }
    });
    let again = Relevo::new(&["run", "-w", "2", "--name", &service.name])
        .arg(fixture("kitchen.js"))
        .env("PORT", port.to_string())
        .env("RELEVO_RUNTIME_DIR", service.runtime.path());
    let (mut again, _) = again.spawn();
    let status = eventually("the second one", || {
        let output = service.ask("status", &["--json"]);
        if output.status.success() { Ok(output.stdout) } else { Err(output) }
    });
    let status: Value = serde_json::from_slice(&status).expect("JSON");
    assert_eq!(status["pid"], again.id());
    assert!(service.ask("stop", &[]).status.success());
    assert_eq!(wait_for_exit(&mut again).code(), Some(0));
}

#[test]
fn a_directory_that_was_cleaned_away_is_made_anew_with_the_next_worker() {
    let service = start();
    fs::remove_dir_all(service.runtime.path()).expect("removed");
    let output = service.ask("status", &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let hint = format!("kill -USR2 {}", service.pid());
    assert!(said.contains(&hint), "{said}");
    service.signal(Signal::USR2);
    service.wait_for_line("relevo: there was no control socket; made one in");
    service.wait_for_line("reload done: generation 2");
    assert_eq!(service.status()["generation"], 2);
    // A crash brings it back, too; and a file that is not the socket is no socket.
    service.wait_until_calm();
    let worker = service.worker_pids()[0];
    fs::remove_file(socket(&service)).expect("removed");
    fs::write(socket(&service), "").expect("a file");
    signal_process(worker, Signal::KILL);
    service.wait_for_lines("made one in", 2);
    service.wait_until_calm();
    let runtime = service.runtime.path().join(&service.name);
    let (status, _) = service.stop();
    assert_eq!(status.code(), Some(0));
    assert!(!runtime.exists(), "it leaves nothing behind");
}
