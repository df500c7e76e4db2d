//! Bytes in as they come, whole lines out.

/// The longest line a primary takes from a client, in bytes, without its newline.
pub const MAX_LINE: usize = 64 * 1024;

/// The longest line a client takes from its primary. It is larger than [`MAX_LINE`], because the
/// status of a service with all the slots one may have is some 500 KiB; the limit on requests
/// guards the primary, this one only a client against a peer that is no primary.
pub const MAX_REPLY_LINE: usize = 8 * 1024 * 1024;

/// A line over the limit. What follows it cannot be made sense of: the connection should be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line of more than {limit} bytes; the control protocol allows no longer one")]
pub struct LineTooLong {
    /// The limit, in bytes.
    pub limit: usize,
}

/// Cuts a stream into lines. It keeps at most the limit and what was last pushed.
#[derive(Debug)]
pub struct LineReader {
    limit: usize,
    buffer: Vec<u8>,
    /// Where the next line begins in the buffer.
    start: usize,
    /// How far the buffer has been searched for that line's end.
    searched: usize,
    too_long: bool,
}

impl LineReader {
    /// A reader for a primary.
    pub const fn for_requests() -> Self {
        Self::with_limit(MAX_LINE)
    }

    /// A reader for a client.
    pub const fn for_replies() -> Self {
        Self::with_limit(MAX_REPLY_LINE)
    }

    /// A reader of lines of at most `limit` bytes.
    pub const fn with_limit(limit: usize) -> Self {
        Self { limit, buffer: Vec::new(), start: 0, searched: 0, too_long: false }
    }

    /// Takes what was read. After a line that was too long, it is dropped.
    ///
    /// Ask [`LineReader::next_line`] for all lines before pushing again: only then is the memory
    /// bounded.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.too_long {
            return;
        }
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line, without its newline; `None` if more bytes are wanted. Once a line was
    /// too long, the error is all there is.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, LineTooLong> {
        if self.too_long {
            return Err(LineTooLong { limit: self.limit });
        }
        let newline = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let end = newline.map_or(self.buffer.len(), |offset| self.searched + offset);
        if end - self.start > self.limit {
            self.too_long = true;
            self.buffer = Vec::new();
            return Err(LineTooLong { limit: self.limit });
        }
        if newline.is_none() {
            self.searched = end;
            return Ok(None);
        }
        let line = self.start..end;
        self.start = end + 1;
        self.searched = self.start;
        Ok(Some(&self.buffer[line]))
    }

    /// Whether a line has begun and not ended: at the end of a stream, it was cut off.
    pub const fn is_within_line(&self) -> bool {
        self.start < self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines of `stream`, pushed in pieces of `size` bytes.
    fn lines(stream: &[u8], size: usize, limit: usize) -> (Vec<Vec<u8>>, bool) {
        let mut reader = LineReader::with_limit(limit);
        let mut lines = Vec::new();
        for piece in stream.chunks(size) {
            reader.push(piece);
            loop {
                match reader.next_line() {
                    Ok(Some(line)) => lines.push(line.to_vec()),
                    Ok(None) => break,
                    Err(_) => return (lines, true),
                }
            }
        }
        (lines, false)
    }

    #[test]
    fn lines_come_out_wherever_the_stream_is_cut() {
        let stream = b"a\n\nbcd\nefgh\nrest";
        for size in 1..=stream.len() {
            let (lines, too_long) = lines(stream, size, 4);
            assert_eq!(lines, [&b"a"[..], b"", b"bcd", b"efgh"], "{size}");
            assert!(!too_long);
        }
    }

    #[test]
    fn a_long_line_is_an_error_after_those_before_it() {
        let stream = b"a\nbcdef\ng\n";
        for size in 1..=stream.len() {
            assert_eq!(lines(stream, size, 4), (vec![b"a".to_vec()], true), "{size}");
        }
    }

    #[test]
    fn the_error_stays_and_nothing_is_kept() {
        let mut reader = LineReader::for_requests();
        let mut most = 0;
        for _ in 0..1000 {
            reader.push(&[b'x'; 4096]);
            let _ = reader.next_line();
            most = most.max(reader.buffer.capacity());
        }
        assert_eq!(reader.next_line(), Err(LineTooLong { limit: MAX_LINE }));
        assert!(most <= 4 * MAX_LINE, "{most}");
        assert_eq!(reader.buffer.capacity(), 0);
    }

    #[test]
    fn a_line_that_was_cut_off_shows() {
        let mut reader = LineReader::with_limit(9);
        assert!(!reader.is_within_line());
        reader.push(b"a\nb");
        assert_eq!(reader.next_line(), Ok(Some(&b"a"[..])));
        assert!(reader.is_within_line());
        reader.push(b"\n");
        assert_eq!(reader.next_line(), Ok(Some(&b"b"[..])));
        assert!(!reader.is_within_line());
    }
}
