//! What is wrong in a file, and where, shown with the line in question.

use std::fmt::Write as _;

/// One fault in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The line it is in, from 1.
    pub line: usize,
    /// The character it begins at, from 1.
    pub column: usize,
    /// How many characters it covers; at least one is underlined.
    pub length: usize,
    /// What is wrong. It repeats no value of a variable, which may be a secret.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// The faults of one text: the first [`Diagnostics::MAX_SHOWN`], and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    shown: Vec<Diagnostic>,
    more: usize,
}

/// The most characters of a source line that are shown.
const WIDTH: usize = 100;

/// How many of them stand before the fault when the line is cut.
const BEFORE: usize = 40;

impl Diagnostics {
    /// A file of nothing but faults is told in a screenful.
    pub const MAX_SHOWN: usize = 20;

    /// The one fault of a text.
    pub(crate) fn alone(line: usize, column: usize, message: &str, help: &str) -> Self {
        let (message, help) = (message.to_owned(), Some(help.to_owned()));
        Self { shown: vec![Diagnostic { line, column, length: 1, message, help }], more: 0 }
    }

    /// Adds a fault; past the limit it is only counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.shown.len() < Self::MAX_SHOWN {
            self.shown.push(diagnostic);
        } else {
            self.more += 1;
        }
    }

    /// Puts those that are told into the order of their places.
    pub fn sort(&mut self) {
        self.shown.sort_by_key(|fault| (fault.line, fault.column));
    }

    /// Whether there is no fault.
    pub const fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// The faults that are told.
    pub fn shown(&self) -> &[Diagnostic] {
        &self.shown
    }

    /// How many faults there are beyond those.
    pub const fn more(&self) -> usize {
        self.more
    }

    /// The text for a user: `label` is the file's name, `source` the text that was parsed.
    pub fn render(&self, label: &str, source: &[u8]) -> String {
        let lines: Vec<&[u8]> = source.split(|byte| *byte == b'\n').collect();
        let mut out = String::new();
        for diagnostic in &self.shown {
            let line = diagnostic.line.checked_sub(1).and_then(|index| lines.get(index));
            render_one(&mut out, label, diagnostic, line.copied().unwrap_or_default());
        }
        if self.more > 0 {
            append(&mut out, format_args!("and {} more in {label}\n", self.more));
        }
        out
    }
}

/// The text of a file of at most `most` bytes, without a byte order mark. `help` says what to do
/// about one that is too large.
pub(crate) fn decode<'t>(text: &'t [u8], most: usize, help: &str) -> Result<&'t str, Diagnostics> {
    if text.len() > most {
        let message = format!("the file is larger than {} MiB", most / (1024 * 1024));
        return Err(Diagnostics::alone(1, 1, &message, help));
    }
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let valid = String::from_utf8_lossy(&text[..error.valid_up_to()]);
            let line = valid.matches('\n').count() + 1;
            let column = valid.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
            let help = "save the file as UTF-8";
            Err(Diagnostics::alone(line, column, "this is not UTF-8", help))
        }
    }
}

fn render_one(out: &mut String, label: &str, diagnostic: &Diagnostic, line: &[u8]) {
    let Diagnostic { line: number, column, length, message, help } = diagnostic;
    let gutter = " ".repeat(number.to_string().len());
    let (shown, before, underlined) = window(line, *column, *length);
    let blank = " ".repeat(before);
    let underline = "^".repeat(underlined);
    append(
        out,
        format_args!(
            "error: {message}\n\
             {gutter}--> {label}:{number}:{column}\n\
             {gutter} |\n\
             {number} | {shown}\n\
             {gutter} | {blank}{underline}\n"
        ),
    );
    if let Some(help) = help {
        append(out, format_args!("{gutter} = help: {help}\n"));
    }
}

fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String does not fail");
}

/// The part of `line` around the fault, how far into it the fault begins, and how much of the
/// fault is in it, in characters.
fn window(line: &[u8], column: usize, length: usize) -> (String, usize, usize) {
    let text = String::from_utf8_lossy(line);
    // One character each, so that the underline stays under the fault and no escape sequence of
    // the file reaches the terminal.
    let printable = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let chars: Vec<char> = text.trim_end_matches('\r').chars().map(printable).collect();
    let start = column.saturating_sub(1).min(chars.len());
    let from = if chars.len() > WIDTH { start.saturating_sub(BEFORE) } else { 0 };
    let to = chars.len().min(from + WIDTH);
    let mut shown = String::new();
    let mut before = start - from;
    if from > 0 {
        shown.push('…');
        before += 1;
    }
    shown.extend(&chars[from..to]);
    if to < chars.len() {
        shown.push('…');
    }
    (shown, before, length.min(to - start).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: usize, column: usize, length: usize) -> Diagnostic {
        let help = Some("put it right".to_owned());
        Diagnostic { line, column, length, message: "it is wrong".to_owned(), help }
    }

    fn render(faults: &[Diagnostic], source: &str) -> String {
        let mut diagnostics = Diagnostics::default();
        faults.iter().cloned().for_each(|fault| diagnostics.push(fault));
        diagnostics.render(".env", source.as_bytes())
    }

    #[test]
    fn a_fault_is_shown_in_its_line() {
        let expected = "\
error: it is wrong
  --> .env:10:3
   |
10 | é bcd
   |   ^^
   = help: put it right
";
        let source = format!("{}é\tbcd\r\n", "\n".repeat(9));
        assert_eq!(render(&[fault(10, 3, 2)], &source), expected);
    }

    #[test]
    fn places_outside_the_text_are_harmless() {
        for (line, column, length) in [(0, 0, 0), (9, 9, 9), (1, 100, 1), (1, 1, usize::MAX)] {
            let text = render(&[fault(line, column, length)], "abc");
            assert!(text.contains('^'), "{text}");
        }
        assert!(Diagnostics::default().render(".env", b"").is_empty());
    }

    #[test]
    fn a_long_line_is_cut_around_the_fault() {
        let source = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let text = render(&[fault(1, 5001, 1)], &source);
        let mut lines = text.lines().skip(3);
        let (line, underline) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(line.chars().count() < 120);
        let place = line.chars().position(|c| c == 'X');
        assert_eq!(place, underline.chars().position(|c| c == '^'));
    }

    #[test]
    fn no_control_character_passes() {
        let text = render(&[fault(1, 1, 1)], "\x1b[31mred\x07");
        assert!(!text.contains(['\x1b', '\x07']));
    }

    #[test]
    fn the_rest_is_counted() {
        let faults: Vec<_> = (1..=50).map(|line| fault(line, 1, 1)).collect();
        let text = render(&faults, &"x\n".repeat(50));
        assert_eq!(text.matches("error:").count(), Diagnostics::MAX_SHOWN);
        assert!(text.ends_with("and 30 more in .env\n"), "{text}");
    }
}
