//! A request's bytes, made once; only the id in it changes.

use relevo_config::prove::ClientKind;

use crate::ledger::text_of;
use crate::plan::Plan;

/// What follows a request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The plan's own body, complete.
    Plan,
    /// So many bytes, to be sent apart.
    Length(usize),
    /// Chunks, to be sent apart.
    Chunked,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where the id is.
    id_at: usize,
    id_length: usize,
}

impl Template {
    pub(crate) fn new(plan: &Plan, kind: ClientKind, framing: Framing, closes: bool) -> Self {
        let (method, path) = (plan.method(kind), plan.path(kind));
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let own =
            |name: &str| plan.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
        let mut add = |name: &str, value: &str| {
            if !own(name) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        };
        add("Host", &plan.target.authority);
        add("User-Agent", concat!("relevo-prove/", env!("CARGO_PKG_VERSION")));
        add("Accept", "*/*");
        for header in &plan.headers {
            head.push_str(&format!("{}: {}\r\n", header.name, header.value));
        }
        if closes {
            head.push_str("Connection: close\r\n");
        }
        match framing {
            Framing::Plan if plan.body.is_empty() => {}
            Framing::Plan => head.push_str(&format!("Content-Length: {}\r\n", plan.body.len())),
            Framing::Length(length) => head.push_str(&format!("Content-Length: {length}\r\n")),
            Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\nTrailer: X-End\r\n"),
        }
        head.push_str(&format!("{}: ", plan.id_header));
        let id = text_of(0);
        let (id_at, id_length) = (head.len(), id.len());
        head.push_str(&id);
        head.push_str("\r\n\r\n");
        let mut bytes = head.into_bytes();
        if framing == Framing::Plan {
            bytes.extend_from_slice(&plan.body);
        }
        Self { bytes, id_at, id_length }
    }

    /// The request with this id.
    pub(crate) fn with_id(&mut self, id: u64) -> &[u8] {
        let text = text_of(id);
        debug_assert_eq!(text.len(), self.id_length, "an id is always as long");
        self.bytes[self.id_at..self.id_at + self.id_length].copy_from_slice(text.as_bytes());
        &self.bytes
    }
}
