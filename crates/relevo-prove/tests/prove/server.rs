//! Servers for the trials: a thread each, one thread for every connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use relevo_prove::{Disturb, Plan, Refusal, Schedule, Trust, prove};
use relevo_wire::prove::Report;

/// A request as a server of ours sees it.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// How many came before it, over all connections.
    pub(crate) number: u64,
    /// How many came before it on its connection.
    pub(crate) before: u64,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) wants_close: bool,
}

/// What a server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with these bytes.
    Bytes(String),
    /// Answers, then closes without a word.
    BytesAndClose(String),
    /// Closes.
    Close,
    /// Resets.
    Reset,
    /// Says nothing, ever.
    Silence,
}

/// An answer with this body, as it should be.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Starts a server that replies by this rule.
pub(crate) fn serve(rule: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (rule, count) = (Arc::new(rule), Arc::new(AtomicU64::new(0)));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (rule, count) = (Arc::clone(&rule), Arc::clone(&count));
            thread::spawn(move || converse(&stream, &*rule, &count));
        }
    });
    address
}

fn converse(stream: &TcpStream, rule: &dyn Fn(&Request) -> Reply, count: &AtomicU64) {
    let mut reader = BufReader::new(stream);
    let mut before = 0;
    while let Some(mut request) = read(&mut reader) {
        request.number = count.fetch_add(1, Ordering::Relaxed);
        request.before = before;
        before += 1;
        let mut writer = stream;
        let goes_on = match rule(&request) {
            Reply::Bytes(bytes) => {
                writer.write_all(bytes.as_bytes()).is_ok() && !request.wants_close
            }
            Reply::BytesAndClose(bytes) => {
                let _ = writer.write_all(bytes.as_bytes());
                false
            }
            Reply::Close => false,
            Reply::Reset => {
                let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
                return;
            }
            Reply::Silence => {
                thread::sleep(Duration::from_secs(5));
                false
            }
        };
        if !goes_on {
            let _ = stream.shutdown(Shutdown::Write);
            return;
        }
    }
}

/// The next request with its body, which is thrown away; `None` at the end.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut request = Request::default();
    let (mut length, mut chunked) = (0, false);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let text = line.trim_end().to_ascii_lowercase();
        if text.is_empty() {
            break;
        }
        match text.split_once(": ") {
            Some(("x-request-id", id)) => id.clone_into(&mut request.id),
            Some(("connection", value)) => request.wants_close = value == "close",
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(("transfer-encoding", _)) => chunked = true,
            Some(_) => {}
            None => {
                let mut words = line.split(' ');
                request.method = words.next()?.to_owned();
                request.path = words.next()?.to_owned();
            }
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    if chunked {
        skip_chunks(reader)?;
    }
    Some(request)
}

/// Reads chunks and trailers to their end.
fn skip_chunks(reader: &mut BufReader<&TcpStream>) -> Option<()> {
    let mut line = String::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match u64::from_str_radix(line.trim(), 16).ok()? {
            0 => break,
            size => {
                std::io::copy(&mut reader.take(size + 2), &mut std::io::sink()).ok()?;
            }
        }
    }
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    }
    Some(())
}

/// A plan for a trial of about a second.
pub(crate) fn plan(address: SocketAddr, mix: &str) -> Plan {
    Plan {
        target: format!("http://{address}/").parse().expect("a URL"),
        mix: Some(mix.parse().expect("a mix")),
        paths: Vec::new(),
        method: None,
        body: Vec::new(),
        upload_bytes: 4096,
        headers: Vec::new(),
        id_header: "x-request-id".to_owned(),
        expect: None,
        think: Duration::from_millis(10),
        slow: Duration::from_millis(100),
        timeout: Duration::from_millis(500),
        trust: Trust::System,
        strict: false,
        schedule: Schedule {
            disturbances: 0,
            at_least: Duration::from_millis(800),
            pause: Duration::from_millis(100),
        },
    }
}

/// Runs a trial without looking at how it stands.
pub(crate) fn run(plan: Plan, disturb: Option<Box<dyn Disturb>>) -> Result<Report, Refusal> {
    prove(plan, disturb, &mut |_| ControlFlow::Continue(()))
}

/// Runs a trial without a disturbance; its account adds up whatever happens.
#[track_caller]
pub(crate) fn trial(plan: Plan) -> Report {
    let report = run(plan, None).expect("a trial");
    assert_eq!(report.requests.begun, report.requests.ended(), "{report:#?}");
    assert!(report.requests.begun > 0, "{report:#?}");
    report
}
