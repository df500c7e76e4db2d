//! The text of a `relevo.toml`: one service, every option under its own name.
//!
//! ```toml
//! script = "server.js"
//! args = ["--verbose"]
//! workers = 4                  # or "auto"
//! drain-timeout = "1m"
//! env-file = [".env", "/etc/web.env"]
//!
//! [env]
//! PORT = 3000
//! ```
//!
//! All faults are found in one go, as far as the text can be understood around them.

mod masked;
mod suggestion;
mod value;

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Diagnostics, decode};
use crate::{Choices, Form, Options, ServiceName, Setting};

pub use masked::masked;
use suggestion::similar;

/// The largest file that is taken, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// What is looked for where no file is named.
pub const FILE_NAME: &str = "relevo.toml";

/// The key for what stands on the command line as the first word that is no option.
pub const SCRIPT: &str = "script";

/// The key for the words after it.
pub const ARGS: &str = "args";

/// The option of the command line that names the file, and so has no place in it.
pub const CONFIG: &str = "config";

/// What a file says.
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    /// The options.
    pub choices: Choices,
    /// `script`, then `args`; empty where there is no script.
    pub words: Vec<String>,
    /// Where the values of each key are, in their order.
    places: Vec<(&'static str, Place)>,
}

/// Where something is in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    length: usize,
}

impl ConfigFile {
    /// Reads the text of a file, or finds all its faults.
    ///
    /// A reader need not take in more than [`MAX_BYTES`] + 1 bytes of a file to have it refused here.
    pub fn parse(text: &[u8]) -> Result<Self, Diagnostics> {
        let help = "it holds the options of one service; is this the right file?";
        let text = decode(text, MAX_BYTES, help)?;
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader =
            Reader { text, file: Self::default(), spans: Vec::new(), faults: Vec::new() };
        for error in &errors {
            reader.syntax(error);
        }
        reader.table(table.get_ref());
        reader.finish()
    }

    /// A fault of the value that `key` has here, found out elsewhere: of its value `index`, where it
    /// has several. `None` where the file says nothing about it.
    pub fn fault(&self, key: &str, index: usize, message: &str) -> Option<Diagnostic> {
        let mut places = self.places.iter().filter(|(name, _)| *name == key);
        let (_, Place { line, column, length }) = *places.nth(index)?;
        Some(Diagnostic { line, column, length, message: message.to_owned(), help: None })
    }

    /// The service's name, if the file gives it one.
    pub fn name(&self) -> Option<ServiceName> {
        let mut options = Options::default();
        self.choices.apply(&mut options);
        options.name
    }
}

type Key<'t> = Spanned<DeString<'t>>;
type Value<'t> = Spanned<DeValue<'t>>;

struct Reader<'t> {
    text: &'t str,
    file: ConfigFile,
    /// Where the values of each key are, as far as they could be read.
    spans: Vec<(&'static str, Range<usize>)>,
    faults: Vec<Fault>,
}

/// A fault, and where in the text it is.
struct Fault {
    span: Range<usize>,
    is_syntax: bool,
    message: String,
    help: Option<String>,
}

impl Reader<'_> {
    fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let mut message = error.message().lines().collect::<Vec<_>>().join("; ");
        let mut help = None;
        if message == "duplicate key" {
            message = "this key is here twice".to_owned();
            help = Some("leave one of them out".to_owned());
        } else if message.contains("string values must be quoted") {
            message = "this value has no quotes".to_owned();
            help = Some("put texts between double quotes, as in `hold = \"10s\"`".to_owned());
        }
        self.faults.push(Fault { span, is_syntax: true, message, help });
    }

    fn table(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            match key.get_ref().as_ref() {
                SCRIPT | ARGS => {}
                "env" => self.env(value),
                name => match Setting::named(name) {
                    Some(setting) => self.setting(setting, value),
                    None => self.unknown(key, value),
                },
            }
        }
        self.words(table);
    }

    /// What to run, with which arguments.
    fn words(&mut self, table: &DeTable<'_>) {
        let script = table.get(SCRIPT);
        let args = table.get_key_value(ARGS);
        if let (None, Some((key, _))) = (script, args) {
            let help = "add `script`, which they are for";
            self.fault(key.span(), "`args` stand here without a `script`", Some(help));
        }
        if let Some((value, text)) =
            script.and_then(|value| Some((value, self.text_of(SCRIPT, value)?)))
        {
            self.spans.push((SCRIPT, value.span()));
            self.file.words.push(text);
        }
        if let Some((_, args)) = args {
            let args = self.texts_of(ARGS, args);
            self.file.words.extend(args);
        }
    }

    fn setting(&mut self, setting: &'static Setting, value: &Value<'_>) {
        let given = match setting.form() {
            Form::Flag => self.flag(setting.name, value),
            Form::Number => self.text_or_number(setting.name, value).into_iter().collect(),
            Form::PathOrFlag => self.path_or_flag(setting.name, value),
            Form::Text | Form::Path | Form::Variable if setting.is_repeatable() => {
                let all = self.texts_with_places(setting.name, value);
                all.into_iter().map(|(text, span)| (Some(text), span)).collect()
            }
            Form::Text | Form::Path | Form::Variable => {
                let text = self.text_of(setting.name, value);
                text.map(|text| (Some(text), value.span())).into_iter().collect::<Vec<_>>()
            }
        };
        for (text, span) in given {
            match self.file.choices.add(setting, text.map(Into::into)) {
                Ok(()) => self.spans.push((setting.name, span)),
                Err(error) => self.fault(span, format!("{}: {error}", setting.name), None),
            }
        }
    }

    fn unknown(&mut self, key: &Key<'_>, value: &Value<'_>) {
        let name = key.get_ref().as_ref();
        let shown = crate::invalid_value::shown(name, 80);
        let is_table = |value: &Value<'_>| value.get_ref().is_table();
        let tables = value.get_ref().as_array().is_some_and(|all| all.iter().any(is_table));
        if tables || value.get_ref().is_table() {
            let message = format!("there is no table `{shown}`: a file is about one service");
            let help = "write the service's options at the top of the file, above any `[table]`, and give each service a file of its own";
            return self.fault(key.span(), message, Some(help));
        }
        if name == CONFIG {
            let help = "leave it out: it is for the command line";
            return self.fault(key.span(), "`config` names this very file", Some(help));
        }
        let help = match similar(name) {
            Some(similar) => format!("did you mean `{similar}`?"),
            None => "the keys are the options that `relevo run --help` lists, `script` and `args`"
                .into(),
        };
        self.fault(key.span(), format!("there is no option `{shown}`"), Some(&help));
    }

    fn fault(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<&str>) {
        let (message, help) = (message.into(), help.map(str::to_owned));
        self.faults.push(Fault { span, is_syntax: false, message, help });
    }

    /// All faults in the order of their places. What follows from a line that could not be read is
    /// no fault of its own.
    fn finish(mut self) -> Result<ConfigFile, Diagnostics> {
        let mut walk = Walk::new(self.text);
        if self.faults.is_empty() {
            self.spans.sort_by_key(|(_, span)| span.start);
            let placed = self.spans.into_iter().map(|(key, span)| (key, walk.place(span)));
            self.file.places = placed.collect();
            return Ok(self.file);
        }
        self.faults.sort_by_key(|fault| (fault.span.start, !fault.is_syntax));
        let mut diagnostics = Diagnostics::default();
        let mut broken_line = 0;
        for Fault { span, is_syntax, message, help } in self.faults {
            let Place { line, column, length } = walk.place(span);
            if line != broken_line {
                diagnostics.push(Diagnostic { line, column, length, message, help });
            }
            if is_syntax {
                broken_line = line;
            }
        }
        Err(diagnostics)
    }
}

/// Finds the places of many spans, each not before the last, in one walk over the text.
struct Walk<'t> {
    text: &'t str,
    offset: usize,
    line: usize,
    column: usize,
}

impl<'t> Walk<'t> {
    const fn new(text: &'t str) -> Self {
        Self { text, offset: 0, line: 1, column: 1 }
    }

    fn place(&mut self, span: Range<usize>) -> Place {
        let passed = self.text.as_bytes().get(self.offset..span.start).unwrap_or_default();
        for byte in passed {
            if *byte == b'\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else if !is_continuation(*byte) {
                self.column += 1;
            }
        }
        self.offset += passed.len();
        let covered = self.text.get(span).unwrap_or_default();
        let length = covered.lines().next().unwrap_or_default().chars().count();
        Place { line: self.line, column: self.column, length }
    }
}

/// Whether this byte goes on with the character that the one before it belongs to (UTF-8, RFC 3629).
const fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

#[cfg(test)]
mod tests;
