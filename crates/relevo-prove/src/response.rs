//! One answer of HTTP/1.1, from bytes as they come. No I/O.
//!
//! Heads and chunks are parsed by `httparse`; here is the framing around: RFC 9112 sections 6 and 7.

use httparse::{EMPTY_HEADER, Status};

/// The largest head that is read; Node's own limit for what it reads is 16 KiB.
const MOST_HEAD: usize = 64 * 1024;

/// How much of a body is kept to look for a request's id in it.
const MOST_KEPT: usize = 16 * 1024;

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether the server closes the connection after it.
    pub(crate) closes: bool,
    /// The idle time that it announces, in seconds.
    pub(crate) keep_alive_s: Option<u32>,
    /// What the id's header said.
    pub(crate) echo: Option<String>,
    /// How long the body was.
    pub(crate) body_bytes: u64,
}

/// What is no answer, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) String);

/// What became of bytes that were offered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// So many were used; the answer goes on.
    More(usize),
    /// So many were used, and with them the answer is complete.
    Done(usize, Answer),
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes.
    Length(u64),
    ChunkSize,
    /// So many bytes, with the line's end.
    Chunk(u64),
    Trailers,
    UntilClose,
}

/// Reads one answer after the other.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    id_header: String,
    /// Whether answers have no body whatever they say: RFC 9110 section 9.3.2.
    to_head: bool,
    keeps_body: bool,
    answer: Answer,
    body: Vec<u8>,
}

impl Decoder {
    pub(crate) fn new(id_header: &str, method: &str) -> Self {
        Self {
            state: State::Head,
            id_header: id_header.to_owned(),
            to_head: method == "HEAD",
            keeps_body: false,
            answer: nothing(),
            body: Vec::new(),
        }
    }

    /// Keeps the beginning of every body.
    pub(crate) fn keep_body(mut self) -> Self {
        self.keeps_body = true;
        self
    }

    /// The beginning of the last answer's body, if it is kept.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether no byte of an answer has come yet, but perhaps a part of its head.
    pub(crate) fn is_before_head(&self) -> bool {
        self.state == State::Head
    }

    /// Takes what it can of `bytes`. What it leaves must be offered again, with more behind.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Taken, Malformed> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let (count, goes_on) = match self.state {
                State::Head => self.head(rest)?,
                State::Length(left) | State::Chunk(left) => self.piece(rest, left),
                State::ChunkSize => self.chunk_size(rest)?,
                State::Trailers => self.trailers(rest)?,
                State::UntilClose => {
                    self.count(rest);
                    (rest.len(), Step::Wait)
                }
            };
            used += count;
            match goes_on {
                Step::On => {}
                Step::Wait => return Ok(Taken::More(used)),
                Step::Done => {
                    self.state = State::Head;
                    return Ok(Taken::Done(used, std::mem::replace(&mut self.answer, nothing())));
                }
            }
        }
    }

    /// The connection's end: it ends an answer that says so.
    pub(crate) fn end(&mut self) -> Option<Answer> {
        (self.state == State::UntilClose).then(|| {
            self.state = State::Head;
            std::mem::replace(&mut self.answer, nothing())
        })
    }

    fn head(&mut self, bytes: &[u8]) -> Result<(usize, Step), Malformed> {
        if bytes.is_empty() {
            return Ok((0, Step::Wait));
        }
        let mut headers = [EMPTY_HEADER; 96];
        let mut parsed = httparse::Response::new(&mut headers);
        let length = match parsed.parse(bytes) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) if bytes.len() < MOST_HEAD => return Ok((0, Step::Wait)),
            Ok(Status::Partial) => return Err(Malformed("a head of more than 64 KiB".to_owned())),
            Err(error) => return Err(malformed(bytes, error)),
        };
        self.body.clear();
        let status = parsed.code.unwrap_or(0);
        // An interim answer: RFC 9110 section 15.2. 101 is the last one in HTTP.
        if (100..200).contains(&status) && status != 101 {
            return Ok((length, Step::On));
        }
        let framing = Framing::of(&parsed, &self.id_header)?;
        self.answer = Answer {
            status,
            closes: framing.close || (parsed.version == Some(0) && !framing.keep_alive),
            keep_alive_s: framing.keep_alive_s,
            echo: framing.echo,
            body_bytes: 0,
        };
        let bodiless = self.to_head || matches!(status, 101 | 204 | 304);
        let step = match (bodiless, framing.chunked, framing.length) {
            (true, _, _) | (false, false, Some(0)) => Step::Done,
            (false, true, _) => self.go(State::ChunkSize),
            (false, false, Some(length)) => self.go(State::Length(length)),
            (false, false, None) => {
                self.answer.closes = true;
                self.go(State::UntilClose)
            }
        };
        Ok((length, step))
    }

    const fn go(&mut self, state: State) -> Step {
        self.state = state;
        Step::On
    }

    /// A part of a body, or of a chunk with the line's end behind it.
    fn piece(&mut self, bytes: &[u8], left: u64) -> (usize, Step) {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - count as u64;
        let ended = left == 0;
        if let State::Chunk(_) = self.state {
            // The two last bytes are the line's end.
            self.count(&bytes[..count.min((left as usize + count).saturating_sub(2))]);
            self.state = if ended { State::ChunkSize } else { State::Chunk(left) };
            return (count, if ended { Step::On } else { Step::Wait });
        }
        self.count(&bytes[..count]);
        self.state = State::Length(left);
        (count, if ended { Step::Done } else { Step::Wait })
    }

    fn chunk_size(&mut self, bytes: &[u8]) -> Result<(usize, Step), Malformed> {
        match httparse::parse_chunk_size(bytes) {
            Ok(Status::Complete((length, 0))) => Ok((length, self.go(State::Trailers))),
            Ok(Status::Complete((length, size))) => {
                let with_end = size.checked_add(2).ok_or_else(|| bad_chunk(bytes))?;
                Ok((length, self.go(State::Chunk(with_end))))
            }
            Ok(Status::Partial) if bytes.len() < MOST_HEAD => Ok((0, Step::Wait)),
            Ok(Status::Partial) | Err(_) => Err(bad_chunk(bytes)),
        }
    }

    fn trailers(&mut self, bytes: &[u8]) -> Result<(usize, Step), Malformed> {
        let mut headers = [EMPTY_HEADER; 32];
        match httparse::parse_headers(bytes, &mut headers) {
            Ok(Status::Complete((length, _))) => Ok((length, Step::Done)),
            Ok(Status::Partial) if bytes.len() < MOST_HEAD => Ok((0, Step::Wait)),
            Ok(Status::Partial) => Err(Malformed("trailers of more than 64 KiB".to_owned())),
            Err(error) => Err(malformed(bytes, error)),
        }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.answer.body_bytes += bytes.len() as u64;
        if self.keeps_body {
            let room = MOST_KEPT - self.body.len().min(MOST_KEPT);
            self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
}

/// What reading a part leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There is more to be read of what is there.
    On,
    /// More bytes are needed.
    Wait,
    Done,
}

/// What headers say about the message they are in.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    keep_alive_s: Option<u32>,
    echo: Option<String>,
}

impl Framing {
    fn of(parsed: &httparse::Response<'_, '_>, id_header: &str) -> Result<Self, Malformed> {
        let mut framing = Self::default();
        for header in parsed.headers.iter() {
            let name = header.name;
            let value = || String::from_utf8_lossy(header.value);
            if name.eq_ignore_ascii_case("content-length") {
                let length = value().trim().parse().ok();
                framing.length = Some(length.ok_or_else(|| {
                    Malformed(format!("a Content-Length of `{}`", value().escape_debug()))
                })?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                framing.chunked = value().to_ascii_lowercase().contains("chunked");
            } else if name.eq_ignore_ascii_case("connection") {
                let words = value().to_ascii_lowercase();
                framing.close |= words.contains("close");
                framing.keep_alive |= words.contains("keep-alive");
            } else if name.eq_ignore_ascii_case("keep-alive") {
                framing.keep_alive_s = announced(&value());
            } else if name.eq_ignore_ascii_case(id_header) {
                framing.echo = Some(value().trim().to_owned());
            }
        }
        Ok(framing)
    }
}

/// The seconds in `Keep-Alive: timeout=5, max=100`.
fn announced(value: &str) -> Option<u32> {
    let mut parameters = value.split(',').filter_map(|part| part.trim().split_once('='));
    let (_, seconds) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("timeout"))?;
    seconds.trim().parse().ok()
}

const fn nothing() -> Answer {
    Answer { status: 0, closes: false, keep_alive_s: None, echo: None, body_bytes: 0 }
}

fn bad_chunk(bytes: &[u8]) -> Malformed {
    Malformed(format!("no chunk's size: {}", beginning(bytes)))
}

fn malformed(bytes: &[u8], error: httparse::Error) -> Malformed {
    Malformed(format!("no answer in HTTP ({error}): {}", beginning(bytes)))
}

/// The first bytes, fit for a terminal.
fn beginning(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(40).copied().flat_map(std::ascii::escape_default);
    let dots = if bytes.len() > 40 { "…" } else { "" };
    format!("`{}{dots}`", shown.map(char::from).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All answers in `bytes`, which come in pieces of `step` bytes, and whether the end was one.
    fn read(bytes: &[u8], step: usize, method: &str) -> Result<Vec<Answer>, Malformed> {
        let mut decoder = Decoder::new("x-id", method).keep_body();
        let mut answers = Vec::new();
        let mut held = Vec::new();
        for piece in bytes.chunks(step) {
            held.extend_from_slice(piece);
            loop {
                match decoder.take(&held)? {
                    Taken::More(used) => {
                        held.drain(..used);
                        break;
                    }
                    Taken::Done(used, answer) => {
                        held.drain(..used);
                        answers.push(answer);
                        if held.is_empty() {
                            break;
                        }
                    }
                }
            }
        }
        answers.extend(decoder.end());
        Ok(answers)
    }

    const TWO: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-Id: 7\r\n\
        Keep-Alive: timeout=5\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\
        Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nT: u\r\n\r\n";

    #[test]
    fn answers_are_the_same_however_they_are_cut() {
        let first = Answer {
            status: 200,
            closes: false,
            keep_alive_s: Some(5),
            echo: Some("7".to_owned()),
            body_bytes: 3,
        };
        let second =
            Answer { closes: true, keep_alive_s: None, echo: None, body_bytes: 4, ..first.clone() };
        for step in 1..=TWO.len() {
            assert_eq!(read(TWO, step, "GET").unwrap(), [first.clone(), second.clone()], "{step}");
        }
    }

    #[test]
    fn bodies_that_are_not_there() {
        let answers =
            read(b"HTTP/1.1 204 No\r\n\r\nHTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", 9, "GET");
        assert_eq!(answers.unwrap().len(), 2);
        let answers = read(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            99,
            "HEAD",
        );
        assert_eq!(answers.unwrap().len(), 2);
    }

    #[test]
    fn an_old_answer_ends_with_its_connection() {
        let answers = read(b"HTTP/1.0 200 OK\r\n\r\nall of it", 4, "GET").unwrap();
        assert_eq!((answers.len(), answers[0].body_bytes, answers[0].closes), (1, 9, true));
        // One that says how long it is does not.
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall", 4, "GET").unwrap(), []);
    }

    #[test]
    fn what_is_no_http_is_said_in_words() {
        let error = read(b"SSH-2.0-OpenSSH_9.2\r\n", 99, "GET").unwrap_err().to_string();
        assert!(error.contains("no answer in HTTP") && error.contains("`SSH-2.0"), "{error}");
        let error = read(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 99, "GET").unwrap_err();
        assert_eq!(error.to_string(), "a Content-Length of `x`");
        let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
        assert!(read(chunk, 99, "GET").unwrap_err().to_string().contains("no chunk's size"));
        let endless = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &vec![b'a'; MOST_HEAD]].concat();
        assert!(read(&endless, 4096, "GET").unwrap_err().to_string().contains("64 KiB"));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1_usize..50) {
            let _ = read(&bytes, step, "GET");
            let _ = read(&[TWO, &bytes, TWO].concat(), step, "GET");
        }
    }
}
