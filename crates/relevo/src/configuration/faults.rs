//! Everything that is wrong with a configuration, as a command's end.
//!
//! What the file says wrong is shown in its line, all of it at once; what the command line says wrong
//! is one sentence.

use relevo_config::{ConfigFile, Diagnostic, Diagnostics, config_file};

use super::Found;
use crate::cli::Failure;

/// Something that an option, of the command line or the file, says wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The option's name.
    key: &'static str,
    /// Which of its values, where it has several.
    index: usize,
    is_of_file: bool,
    sentence: String,
    detail: Vec<String>,
}

/// All faults; at least one, when it is an error.
#[derive(Debug)]
pub(crate) struct Faults {
    /// The file's text and those faults that have a place in it.
    label: Option<String>,
    text: Vec<u8>,
    placed: Diagnostics,
    /// Lines about files that the file names, which go with those faults.
    detail: Vec<String>,
    /// The first fault that has no place.
    elsewhere: Option<Failure>,
    file: Option<ConfigFile>,
}

impl Fault {
    pub(super) fn new(key: &'static str, sentence: String) -> Self {
        Self { key, index: 0, is_of_file: false, sentence, detail: Vec::new() }
    }

    /// A fault of what is to be run.
    pub(super) fn of_program(failure: Failure) -> Self {
        let (sentence, detail) = failure.into_parts();
        Self { key: config_file::SCRIPT, index: 0, is_of_file: false, sentence, detail }
    }

    pub(super) fn with_detail(self, detail: Vec<String>) -> Self {
        Self { detail, ..self }
    }

    pub(super) fn with_index(self, index: usize) -> Self {
        Self { index, ..self }
    }

    /// Says whether the file is the place to mend it.
    pub(super) fn at(self, is_of_file: bool) -> Self {
        Self { is_of_file, ..self }
    }

    fn into_failure(self) -> Failure {
        let reason = match self.key {
            config_file::SCRIPT => self.sentence,
            key => format!("--{key}: {}", self.sentence),
        };
        Failure::usage(reason).with_detail(self.detail)
    }
}

impl Faults {
    /// None as yet, for what was found in a file.
    pub(super) fn new(found: Option<&Found>) -> Self {
        Self {
            label: found.map(|found| found.label.clone()),
            text: found.map(|found| found.text.clone()).unwrap_or_default(),
            file: found.map(|found| found.file.clone()),
            placed: Diagnostics::default(),
            detail: Vec::new(),
            elsewhere: None,
        }
    }

    /// Those of a file's text.
    pub(super) fn of_text(label: String, text: Vec<u8>, placed: Diagnostics) -> Self {
        Self { label: Some(label), text, placed, ..Self::new(None) }
    }

    pub(super) fn alone(failure: Failure) -> Self {
        Self { elsewhere: Some(failure), ..Self::new(None) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.placed.is_empty() && self.elsewhere.is_none()
    }

    /// What was read, or its fault on the list.
    pub(super) fn keep<T>(&mut self, read: Result<T, Fault>) -> Option<T> {
        read.map_err(|fault| self.add(fault)).ok()
    }

    fn add(&mut self, mut fault: Fault) {
        let file = self.file.as_ref().filter(|_| fault.is_of_file);
        let message = match fault.key {
            config_file::SCRIPT => fault.sentence.clone(),
            key => format!("{key}: {}", fault.sentence),
        };
        match file.and_then(|file| file.fault(fault.key, fault.index, &message)) {
            Some(diagnostic) => {
                self.placed.push(diagnostic);
                self.placed.sort();
                self.detail.append(&mut fault.detail);
            }
            None if self.elsewhere.is_none() => self.elsewhere = Some(fault.into_failure()),
            None => {}
        }
    }

    /// Those that have a place in the file, for who wants to tell them in another form.
    pub(crate) fn placed(&self) -> (&[Diagnostic], usize) {
        (self.placed.shown(), self.placed.more())
    }

    /// The first that has none.
    pub(crate) const fn elsewhere(&self) -> Option<&Failure> {
        self.elsewhere.as_ref()
    }

    /// One sentence, with the lines in question.
    pub(crate) fn into_failure(self: Box<Self>) -> Failure {
        let Some(label) = self.label.filter(|_| !self.placed.is_empty()) else {
            return self.elsewhere.unwrap_or_else(|| Failure::usage("nothing is wrong"));
        };
        let rendered = self.placed.render(&label, &config_file::masked(&self.text));
        let mut detail: Vec<String> = rendered.lines().map(str::to_owned).collect();
        detail.extend(self.detail);
        detail.extend(self.elsewhere.map(|failure| format!("error: {}", failure.into_parts().0)));
        let count = self.placed.shown().len() + self.placed.more();
        let faults = if count == 1 { "a fault".to_owned() } else { format!("{count} faults") };
        Failure::usage(format!("{label} has {faults}: correct the file")).with_detail(detail)
    }
}
