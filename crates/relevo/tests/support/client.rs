//! A small HTTP/1.1 client over raw sockets, which tells exactly how a request ended.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The one way in which a request ended that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lost {
    /// The connection was refused.
    Refused,
    /// The connection was reset before the answer was complete.
    Reset,
    /// The connection was closed before the answer was complete.
    Closed,
    /// No answer came in time.
    TimedOut,
    /// What came was not the answer.
    Wrong,
}

/// Names and values of a header, or of trailers.
pub(crate) type Fields = Vec<(String, String)>;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What came behind a chunked body.
    pub(crate) trailers: Vec<(String, String)>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        value_of(&self.headers, name)
    }

    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        value_of(&self.trailers, name)
    }

    /// Whether the server says that it closes the connection after this.
    pub(crate) fn says_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A connection that is kept for several requests.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> Result<Self, Lost> {
        Self::open_at("127.0.0.1", port)
    }

    pub(crate) fn open_at(host: &str, port: u16) -> Result<Self, Lost> {
        let stream = TcpStream::connect((host, port)).map_err(|error| lost(&error))?;
        Ok(Self::new(stream, Duration::from_secs(20)))
    }

    /// At a Unix socket. Whatever is done with the stream afterwards both kinds of socket know.
    pub(crate) fn open_unix(path: &Path) -> Result<Self, Lost> {
        let stream = UnixStream::connect(path).map_err(|error| lost(&error))?;
        let stream = TcpStream::from(OwnedFd::from(stream));
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Ok(Self { stream, unread: Vec::new() })
    }

    fn new(stream: TcpStream, patience: Duration) -> Self {
        stream.set_read_timeout(Some(patience)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Self { stream, unread: Vec::new() }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.stream.write_all(bytes).map_err(|error| lost(&error))
    }

    /// Sends a GET.
    pub(crate) fn send_get(&mut self, path: &str) -> Result<(), Lost> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes())
    }

    /// One whole request and its answer.
    pub(crate) fn get(&mut self, path: &str) -> Result<Response, Lost> {
        self.send_get(path)?;
        self.receive()
    }

    /// Reads one answer: its body has a Content-Length, is chunked, or ends with the connection.
    pub(crate) fn receive(&mut self) -> Result<Response, Lost> {
        let mut response = self.receive_head()?;
        if matches!(response.status, 100..200 | 204 | 304) {
            // These have none (RFC 9112, 6.3).
        } else if let Some(length) = response.header("content-length") {
            let length: usize = length.parse().map_err(|_| Lost::Wrong)?;
            response.body = self.take(length)?;
        } else if response.header("transfer-encoding").is_some() {
            (response.body, response.trailers) = self.take_chunks()?;
        } else {
            while self.read_more().is_ok() {}
            response.body = std::mem::take(&mut self.unread);
        }
        Ok(response)
    }

    /// Reads the head of an answer alone: all there is of one to HEAD, and of `100 Continue`.
    pub(crate) fn receive_head(&mut self) -> Result<Response, Lost> {
        let head_end = loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more()?;
        };
        let head: Vec<u8> = self.unread.drain(..head_end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok())
            .ok_or(Lost::Wrong)?;
        let headers = lines.filter_map(field).collect();
        Ok(Response { status, headers, body: Vec::new(), trailers: Vec::new() })
    }

    /// Whether the server has closed the connection while nothing was asked.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        self.stream.set_nonblocking(true).expect("an option");
        let closed = match self.stream.peek(&mut byte) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        self.stream.set_nonblocking(false).expect("an option");
        closed
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Lost> {
        while self.unread.len() < length {
            self.read_more()?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// A chunked body and its trailers.
    fn take_chunks(&mut self) -> Result<(Vec<u8>, Fields), Lost> {
        let mut body = Vec::new();
        loop {
            let size = self.take_line()?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| Lost::Wrong)?;
            if size == 0 {
                break;
            }
            body.extend(self.take(size)?);
            self.take(2)?;
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.take_line()?;
            if line.is_empty() {
                return Ok((body, trailers));
            }
            trailers.push(field(&line).ok_or(Lost::Wrong)?);
        }
    }

    /// A line without its end.
    fn take_line(&mut self) -> Result<String, Lost> {
        let end = loop {
            if let Some(at) = find(&self.unread, b"\r\n") {
                break at;
            }
            self.read_more()?;
        };
        let line: Vec<u8> = self.unread.drain(..end + 2).collect();
        Ok(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    fn read_more(&mut self) -> Result<(), Lost> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Lost::Closed),
            Ok(n) => {
                self.unread.extend_from_slice(&buffer[..n]);
                Ok(())
            }
            Err(error) => Err(lost(&error)),
        }
    }
}

/// One request on a connection of its own.
pub(crate) fn get(port: u16, path: &str) -> Result<Response, Lost> {
    get_on(Connection::open(port)?, path)
}

/// The same at any address, and too late is lost.
pub(crate) fn get_within(
    limit: Duration,
    address: SocketAddr,
    path: &str,
) -> Result<Response, Lost> {
    let until = Instant::now() + limit;
    let stream = TcpStream::connect_timeout(&address, limit).map_err(|error| lost(&error))?;
    let response = get_on(Connection::new(stream, limit), path)?;
    if Instant::now() < until { Ok(response) } else { Err(Lost::TimedOut) }
}

fn get_on(mut connection: Connection, path: &str) -> Result<Response, Lost> {
    connection.send(
        format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    connection.receive()
}

fn lost(error: &io::Error) -> Lost {
    let kind = error.kind();
    if matches!(kind, io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) {
        Lost::Refused
    } else if matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
        Lost::TimedOut
    } else if kind == io::ErrorKind::UnexpectedEof {
        Lost::Closed
    } else {
        Lost::Reset
    }
}

/// A header or a trailer.
fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_owned(), value.trim().to_owned()))
}

fn value_of<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
