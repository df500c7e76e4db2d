//! An address that a row serves, and a client that asks there on a connection of its own.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::support::{nodes, root};

/// How long one request may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// Where to ask, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
    Abstract(String),
    Udp(SocketAddr),
    Https(u16),
    Http2(u16),
}

impl Target {
    pub(crate) fn v4(port: u16) -> Self {
        Self::Tcp(([127, 0, 0, 1], port).into())
    }

    pub(crate) fn v6(port: u16) -> Self {
        Self::Tcp((std::net::Ipv6Addr::LOCALHOST, port).into())
    }

    /// Whether somebody listens there. Nobody can tell for datagrams.
    pub(crate) fn is_open(&self) -> Option<bool> {
        let limit = ANSWER_LIMIT;
        match self {
            Self::Tcp(address) => Some(TcpStream::connect_timeout(address, limit).is_ok()),
            Self::Https(port) | Self::Http2(port) => Self::v4(*port).is_open(),
            Self::Unix(path) => Some(UnixStream::connect(path).is_ok()),
            Self::Abstract(name) => Some(connect_abstract(name).is_ok()),
            Self::Udp(_) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Abstract(name) => write!(f, "@{name}"),
            Self::Udp(address) => write!(f, "udp {address}"),
            Self::Https(port) => write!(f, "https {port}"),
            Self::Http2(port) => write!(f, "http2 {port}"),
        }
    }
}

/// Asks one target, again and again.
pub(crate) struct Client {
    target: Target,
    asker: Option<Asker>,
}

impl Client {
    pub(crate) fn new(target: Target) -> Self {
        let asker = matches!(target, Target::Https(_) | Target::Http2(_)).then(Asker::start);
        Self { target, asker }
    }

    /// One request on a new connection; answered by the pid of who served it.
    pub(crate) fn ask(&mut self) -> Result<u32, String> {
        let text = match (&self.target, &mut self.asker) {
            (Target::Tcp(address), _) => over(TcpStream::connect(address).and_then(|stream| {
                stream.set_read_timeout(Some(ANSWER_LIMIT))?;
                Ok(stream)
            })),
            (Target::Unix(path), _) => over(UnixStream::connect(path).and_then(limited)),
            (Target::Abstract(name), _) => over(connect_abstract(name).and_then(limited)),
            (Target::Udp(address), _) => datagram(*address),
            (Target::Https(port), Some(asker)) => asker.ask("https", *port),
            (Target::Http2(port), Some(asker)) => asker.ask("http2", *port),
            (Target::Https(_) | Target::Http2(_), None) => Err("no asker".to_owned()),
        }?;
        text.trim().parse().map_err(|_| format!("not a pid: {text:?}"))
    }
}

fn limited(stream: UnixStream) -> std::io::Result<UnixStream> {
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    Ok(stream)
}

fn connect_abstract(name: &str) -> std::io::Result<UnixStream> {
    UnixStream::connect_addr(&UnixAddress::from_abstract_name(name)?)
}

/// A GET and the body of its answer.
fn over(stream: std::io::Result<impl Read + Write>) -> Result<String, String> {
    let mut stream = stream.map_err(|error| format!("connecting: {error}"))?;
    let request = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    stream.write_all(request).map_err(|error| format!("asking: {error}"))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| format!("reading: {error}"))?;
    let body = answer.strip_prefix("HTTP/1.1 200").and_then(|rest| rest.split_once("\r\n\r\n"));
    body.map(|(_, body)| body.to_owned()).ok_or_else(|| format!("the answer was {answer:?}"))
}

fn datagram(to: SocketAddr) -> Result<String, String> {
    let any = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let ask = || {
        let socket = UdpSocket::bind(any)?;
        socket.set_read_timeout(Some(ANSWER_LIMIT))?;
        socket.connect(to)?;
        socket.send(b"who?")?;
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    ask().map_err(|error: std::io::Error| format!("no datagram came back: {error}"))
}

/// A running `asker.js`.
pub(crate) struct Asker {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Asker {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(nodes::node(22))
            .arg(root().join("crates/relevo/tests/forms/asker.js"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let questions = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, questions, answers }
    }

    pub(crate) fn ask(&mut self, kind: &str, port: u16) -> Result<String, String> {
        writeln!(self.questions, "{kind} {port}").expect("the asker runs");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the asker runs");
        let answer = answer.trim();
        match answer.strip_prefix("! ") {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer.to_owned()),
        }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
