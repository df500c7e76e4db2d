//! The text of an environment file, as `dotenv` and `node --env-file` take it.
//!
//! ```text
//! # a comment
//! PORT=3000                      # a comment, after white space
//! export NAME = 'as it stands'
//! KEY="a\nb"                     # \n \r \t \" \\ \$ in double quotes; other backslashes stay
//! PEM="-----BEGIN …
//! -----END …"                    # quoted values go on over lines; `…` may be quotes, too
//! ```
//!
//! Nothing is expanded: `$HOME` stands for itself. The last of several entries of one name counts.
//! All faults are found in one go.

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Diagnostics, decode};

/// The largest file that is taken, in bytes. An environment must fit the kernel's `ARG_MAX` anyway
/// (execve(2)).
pub const MAX_BYTES: usize = 1024 * 1024;

/// The variables of the file, in the order of their first entries, or all its faults.
///
/// A reader need not take in more than [`MAX_BYTES`] + 1 bytes of a file to have it refused here.
pub fn parse(text: &[u8]) -> Result<Vec<(String, String)>, Diagnostics> {
    let help = "an environment file holds lines of KEY=value; is this the right file?";
    let text = decode(text, MAX_BYTES, help)?;
    Parser::new(text).run()
}

/// The text with its values made unreadable, to show a fault in: names, quotes, `=`, `#` and white
/// space stay, and every character keeps its place.
///
/// A line without a name before its `=` may be the rest of a value, and is masked as a whole.
pub fn masked(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (name, rest) = match line.split_once('=') {
            // A name before nothing but `=` may be the last line of something in base64.
            Some((name, value)) if is_name(name) && !value.trim().trim_matches('=').is_empty() => {
                line.split_at(name.len())
            }
            Some(_) | None => ("", line),
        };
        out.push_str(name);
        out.extend(rest.chars().map(|c| match c {
            '=' | '#' | '"' | '\'' | '`' => c,
            c if c.is_whitespace() => c,
            _ => '*',
        }));
    }
    out.into_bytes()
}

/// Whether this can stand before the `=`, and is not the tail of something longer.
fn is_name(text: &str) -> bool {
    let text = text.trim();
    let name = text.strip_prefix("export ").map_or(text, str::trim_start);
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

struct Parser<'t> {
    lines: Vec<&'t str>,
    entries: Vec<(String, String)>,
    index: HashMap<&'t str, usize>,
    faults: Diagnostics,
}

/// A place in the text: a line's index and a byte's index in that line.
#[derive(Clone, Copy)]
struct Place {
    line: usize,
    byte: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
        Self { lines, entries: Vec::new(), index: HashMap::new(), faults: Diagnostics::default() }
    }

    fn run(mut self) -> Result<Vec<(String, String)>, Diagnostics> {
        let mut line = 0;
        while line < self.lines.len() {
            line = self.entry(line);
        }
        if self.faults.is_empty() { Ok(self.entries) } else { Err(self.faults) }
    }

    /// Takes the entry that begins in `line`; returns the line after it.
    fn entry(&mut self, line: usize) -> usize {
        let text = self.lines[line];
        let content = text.trim();
        if content.is_empty() || content.starts_with('#') {
            return line + 1;
        }
        let Some(equals) = text.find('=') else {
            let byte = text.len() - text.trim_start().len();
            let help = match content.split_once(':') {
                Some(_) => "write KEY=value, not KEY: value",
                None => "write KEY=value, or KEY= for an empty value",
            };
            self.fault(Place { line, byte }, content, "this line has no `=`", help);
            return line + 1;
        };
        let key = self.key(line, &text[..equals], equals);
        let after = &text[equals + 1..];
        let value = equals + 1 + (after.len() - after.trim_start().len());
        let place = Place { line, byte: value };
        let (value, next) = match text[value..].chars().next() {
            Some(quote @ ('"' | '\'' | '`')) => self.quoted(place, quote),
            Some(_) | None => (self.unquoted(place), line + 1),
        };
        if let (Some(key), Some(value)) = (key, value) {
            self.set(key, value);
        }
        next
    }

    fn key(&mut self, line: usize, before: &'t str, equals: usize) -> Option<&'t str> {
        let mut key = before.trim();
        if let Some(rest) = key.strip_prefix("export")
            && (rest.is_empty() || rest.starts_with([' ', '\t']))
        {
            key = rest.trim_start();
        }
        if key.is_empty() {
            let place = Place { line, byte: equals };
            self.fault(place, "=", "there is no name before the `=`", "write KEY=value");
            return None;
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !key.chars().all(allowed) {
            let place = Place { line, byte: before.trim_end().len() - key.len() };
            let help = "names have letters, digits, `_`, `.` and `-`";
            self.fault(place, key, "this is not a variable's name", help);
            return None;
        }
        Some(key)
    }

    fn unquoted(&mut self, place: Place) -> Option<String> {
        let text = self.lines[place.line];
        let value = &text[place.byte..];
        let end = value.find('#').unwrap_or(value.len());
        if end < value.len() {
            let at = Place { byte: place.byte + end, ..place };
            // Dotenv and Node cut the value here, shells and Docker do not. A password that is cut
            // in silence costs more than two quotes.
            if !text[..at.byte].ends_with([' ', '\t']) {
                let message = "this `#` would end the value for some readers and not for others";
                let help = "quote the value, or put a space before the `#` to begin a comment";
                self.fault(at, "#", message, help);
                return None;
            }
        }
        let value = &value[..end];
        self.without_nul(place, value).then(|| value.trim_end().to_owned())
    }

    /// Takes a quoted value whose opening quote is at `open`.
    fn quoted(&mut self, open: Place, quote: char) -> (Option<String>, usize) {
        let Some((value, close)) = self.unquote(open, quote) else {
            let message = format!("this {quote} is never closed");
            let help = "close it, or put the value between quotes of another kind";
            let text: String = quote.into();
            self.fault(open, &text, &message, help);
            return (None, open.line + 1);
        };
        let next = close.line + 1;
        let mut sound = true;
        for line in open.line..next {
            let byte = if line == open.line { open.byte } else { 0 };
            let place = Place { line, byte };
            sound &= self.without_nul(place, &self.lines[line][byte..]);
        }
        let rest = &self.lines[close.line][close.byte + 1..];
        let trailing = rest.trim();
        if !trailing.is_empty() && !trailing.starts_with('#') {
            let byte = close.byte + 1 + (rest.len() - rest.trim_start().len());
            let help = if close.line == open.line {
                "put quotes around the whole value, or of another kind".to_owned()
            } else {
                format!("the quote that ends here was opened in line {}", open.line + 1)
            };
            let place = Place { line: close.line, byte };
            self.fault(place, trailing, "there is text after the closing quote", &help);
            sound = false;
        }
        (sound.then_some(value), next)
    }

    /// The value between `open` and its closing quote, and where that is.
    fn unquote(&self, open: Place, quote: char) -> Option<(String, Place)> {
        let mut value = String::new();
        for line in open.line..self.lines.len() {
            let skipped = if line == open.line { open.byte + 1 } else { 0 };
            let mut chars = self.lines[line][skipped..].char_indices();
            while let Some((index, c)) = chars.next() {
                if c == quote {
                    return Some((value, Place { line, byte: skipped + index }));
                }
                if c == '\\' && quote == '"' {
                    // At a line's end the backslash stands for itself, and the loop ends by itself.
                    escape(&mut value, chars.next().map(|(_, c)| c));
                } else {
                    value.push(c);
                }
            }
            value.push('\n');
        }
        None
    }

    fn without_nul(&mut self, place: Place, text: &str) -> bool {
        let Some(index) = text.find('\0') else { return true };
        let at = Place { byte: place.byte + index, ..place };
        let help = "a variable cannot hold it; leave it out";
        self.fault(at, "\0", "this is a NUL character", help);
        false
    }

    fn set(&mut self, key: &'t str, value: String) {
        let next = self.entries.len();
        let index = *self.index.entry(key).or_insert(next);
        match self.entries.get_mut(index) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key.to_owned(), value)),
        }
    }

    fn fault(&mut self, place: Place, covered: &str, message: &str, help: &str) {
        let before = &self.lines[place.line][..place.byte];
        self.faults.push(Diagnostic {
            line: place.line + 1,
            column: before.chars().count() + 1,
            length: covered.chars().count(),
            message: message.to_owned(),
            help: Some(help.to_owned()),
        });
    }
}

fn escape(value: &mut String, escaped: Option<char>) {
    match escaped {
        Some('n') => value.push('\n'),
        Some('r') => value.push('\r'),
        Some('t') => value.push('\t'),
        Some(c @ ('"' | '\\' | '$')) => value.push(c),
        other => {
            value.push('\\');
            value.extend(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let entries = parse(text.as_bytes()).unwrap();
        let entries: Vec<_> = entries.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(entries, expected, "{text:?}");
    }

    /// The line, column and length of each fault.
    fn faults(text: &str) -> Vec<(usize, usize, usize)> {
        let faults = parse(text.as_bytes()).unwrap_err();
        faults.shown().iter().map(|d| (d.line, d.column, d.length)).collect()
    }

    #[test]
    fn plain_entries() {
        check("", &[]);
        check("\n  \n# c\n  # c=d\n", &[]);
        check("A=b", &[("A", "b")]);
        check("A=b\r\nC=d\r\n", &[("A", "b"), ("C", "d")]);
        check("\u{feff}A=b\n", &[("A", "b")]);
        check("  A =  b c  \n", &[("A", "b c")]);
        check("A=\nB=  \n", &[("A", ""), ("B", "")]);
        check("A=b=c\n", &[("A", "b=c")]);
        check(
            "export A=b\nexport\tB=c\nexported=1\n",
            &[("A", "b"), ("B", "c"), ("exported", "1")],
        );
        check("A=$HOME ${X}\n", &[("A", "$HOME ${X}")]);
        check("A=it's \"so\"\n", &[("A", "it's \"so\"")]);
        check("A=C:\\new\n", &[("A", "C:\\new")]);
        check("A.b-C_1=x\n", &[("A.b-C_1", "x")]);
    }

    #[test]
    fn comments_after_values() {
        check("A=b # c\n", &[("A", "b")]);
        check("A=b\t#c#d\n", &[("A", "b")]);
        check("A= # c\n", &[("A", "")]);
        check("A='b' # c\nB=\"c\"#d\n", &[("A", "b"), ("B", "c")]);
        check("A='b # c'\n", &[("A", "b # c")]);
    }

    #[test]
    fn quotes() {
        check("A='b\\n $C \"d\"'\n", &[("A", "b\\n $C \"d\"")]);
        check(r#"A="b\n\t\r\"\\\$\d""#, &[("A", "b\n\t\r\"\\$\\d")]);
        check("A=`it's \"so\"`\n", &[("A", "it's \"so\"")]);
        check("A=\"\"\nB=''\n", &[("A", ""), ("B", "")]);
        check("A = ' b '\n", &[("A", " b ")]);
    }

    #[test]
    fn quoted_values_go_on_over_lines() {
        check("A=\"b\r\n c\r\n\"\r\nD=e\n", &[("A", "b\n c\n"), ("D", "e")]);
        check("A='b\n# c\nX=y'\nD=e", &[("A", "b\n# c\nX=y"), ("D", "e")]);
        check("A=\"b\\\nc\"\n", &[("A", "b\\\nc")]);
    }

    #[test]
    fn the_last_entry_of_a_name_counts() {
        check("A=1\nB=2\nA=3\n", &[("A", "3"), ("B", "2")]);
    }

    #[test]
    fn all_faults_are_found_at_once() {
        let text = "A\n =b\nA B=c\nOK=1\nC='d' e\nD: x\nE=f#g\nF=\"\nG=1\n";
        let expected =
            [(1, 1, 1), (2, 2, 1), (3, 1, 3), (5, 7, 1), (6, 1, 4), (7, 4, 1), (8, 3, 1)];
        assert_eq!(faults(text), expected);
    }

    #[test]
    fn each_fault_has_its_place() {
        assert_eq!(faults("é=1"), [(1, 1, 1)]);
        assert_eq!(faults("export é b=1"), [(1, 8, 3)]);
        assert_eq!(faults("export =1"), [(1, 8, 1)]);
        assert_eq!(faults("A=#fff"), [(1, 3, 1)]);
        assert_eq!(faults("A=b\0c"), [(1, 4, 1)]);
        assert_eq!(faults("A='b\nc\0'"), [(2, 2, 1)]);
        assert_eq!(faults("A='b\nB='c'"), [(2, 4, 2)]);
        assert_eq!(faults("export A"), [(1, 1, 8)]);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let fault = |text: &[u8]| parse(text).unwrap_err().shown()[0].clone();
        assert_eq!((fault(b"A=b\nC=\xff").line, fault(b"A=b\nC=\xff").column), (2, 3));
        assert!(fault(&vec![b'#'; MAX_BYTES + 1]).message.contains("1 MiB"));
        assert!(parse(&vec![b'#'; MAX_BYTES]).is_ok());
    }

    #[test]
    fn a_megabyte_of_faults_is_quick_and_bounded() {
        for line in ["A=\"\n", "A\n", "A='\\\n", "A=\"\\\"\n", "`='\"\n"] {
            let text = line.repeat(MAX_BYTES / line.len());
            if let Err(faults) = parse(text.as_bytes()) {
                assert!(faults.shown().len() <= Diagnostics::MAX_SHOWN);
            }
        }
    }

    #[test]
    fn masked_text_keeps_its_places_and_no_value() {
        let text =
            "export TOKEN = \"s3cr#ét\" x # c\r\nPASSWORD s3cret\nX='a\nb c+d==\nQQ==\n'\nOK=1";
        let expected =
            "export TOKEN = \"****#**\" * # *\r\n******** ******\nX='*\n* ***==\n**==\n'\nOK=*";
        assert_eq!(String::from_utf8(masked(text.as_bytes())).unwrap(), expected);
        assert_eq!(masked(b"A=\xff\xfe"), b"A=**");
    }

    #[test]
    fn messages_do_not_repeat_values() {
        let faults = parse(b"TOKEN=s3cr#et\nPASSWORD s3cret\nX='s3cret' s3cret\n").unwrap_err();
        for fault in faults.shown() {
            assert!(!fault.message.contains("s3cr"), "{}", fault.message);
        }
    }
}
