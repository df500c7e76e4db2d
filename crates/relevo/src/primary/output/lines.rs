//! Cutting what a worker writes into lines.

/// The longest piece passed on as one. A longer line is passed on in pieces, with nothing added.
const PIECE: usize = 64 * 1024;

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Calls `each` for every complete line (its newline included), and for pieces of lines that are
    /// longer than 64 KiB. What is left over is kept for the next call.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end + 1);
            if self.partial.is_empty() {
                each(line);
            } else {
                self.partial.extend_from_slice(line);
                each(&self.partial);
                self.partial = Vec::new();
            }
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() >= PIECE {
            each(&self.partial);
            self.partial = Vec::new();
        }
    }

    /// Calls `each` with what is left when no more will come, ended by a newline.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            self.partial.push(b'\n');
            each(&self.partial);
            self.partial = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&str], expected: &[&str]) {
        let mut lines = Lines::default();
        let mut got = Vec::new();
        for chunk in chunks {
            lines.push(chunk.as_bytes(), |line| {
                got.push(String::from_utf8_lossy(line).into_owned());
            });
        }
        lines.finish(|line| got.push(String::from_utf8_lossy(line).into_owned()));
        assert_eq!(got, expected);
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        check(&["one\ntwo\n"], &["one\n", "two\n"]);
        check(&["o", "ne\ntw", "o\n"], &["one\n", "two\n"]);
        check(&["no end"], &["no end\n"]);
        check(&["", "\n", "\n"], &["\n", "\n"]);
    }

    #[test]
    fn a_line_without_end_is_passed_on_in_pieces() {
        let mut lines = Lines::default();
        let mut passed = 0;
        for _ in 0..1000 {
            lines.push(&[b'x'; 1000], |piece| passed += piece.len());
            assert!(lines.partial.len() < PIECE);
        }
        assert!(passed > 900_000);
    }
}
