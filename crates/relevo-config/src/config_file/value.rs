//! Values of the types that options take.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{Key, Reader, Value};
use crate::{EnvPair, Setting};

/// What was read for a setting: a value, none for a flag that is set, and its place.
type Given = Vec<(Option<String>, Range<usize>)>;

impl Reader<'_> {
    pub(super) fn text_of(&mut self, key: &str, value: &Value<'_>) -> Option<String> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(text.to_string());
        }
        self.wrong_type(key, value, "a text between quotes");
        None
    }

    /// A text, or a number as it is written.
    pub(super) fn text_or_number(
        &mut self,
        key: &str,
        value: &Value<'_>,
    ) -> Option<(Option<String>, Range<usize>)> {
        let span = value.span();
        match value.get_ref() {
            DeValue::String(text) => Some((Some(text.to_string()), span)),
            DeValue::Integer(_) | DeValue::Float(_) => {
                let text = self.text.get(span.clone()).unwrap_or_default();
                Some((Some(text.to_owned()), span))
            }
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                self.wrong_type(key, value, "a text between quotes, or a number");
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &str, value: &Value<'_>) -> Given {
        match value.get_ref() {
            DeValue::Boolean(true) => vec![(None, value.span())],
            DeValue::Boolean(false) => Vec::new(),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type(key, value, "`true` or `false`");
                Vec::new()
            }
        }
    }

    /// `true`, `false`, or what [`Self::texts_with_places`] takes.
    pub(super) fn path_or_flag(&mut self, key: &str, value: &Value<'_>) -> Given {
        if value.get_ref().is_bool() {
            return self.flag(key, value);
        }
        let texts = self.texts_with_places(key, value);
        texts.into_iter().map(|(text, span)| (Some(text), span)).collect()
    }

    /// A list of texts, or a single one.
    pub(super) fn texts_with_places(
        &mut self,
        key: &str,
        value: &Value<'_>,
    ) -> Vec<(String, Range<usize>)> {
        const WANTED: &str = "a text between quotes, or a list of such";
        let mut texts = Vec::new();
        match value.get_ref() {
            DeValue::String(text) => texts.push((text.to_string(), value.span())),
            DeValue::Array(all) => {
                for one in all.iter() {
                    match one.get_ref() {
                        DeValue::String(text) => texts.push((text.to_string(), one.span())),
                        DeValue::Integer(_)
                        | DeValue::Float(_)
                        | DeValue::Boolean(_)
                        | DeValue::Datetime(_)
                        | DeValue::Array(_)
                        | DeValue::Table(_) => {
                            self.wrong_type(key, one, "texts between quotes in its list");
                        }
                    }
                }
            }
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => self.wrong_type(key, value, WANTED),
        }
        texts
    }

    pub(super) fn texts_of(&mut self, key: &str, value: &Value<'_>) -> Vec<String> {
        self.texts_with_places(key, value).into_iter().map(|(text, _)| text).collect()
    }

    /// The table of variables.
    pub(super) fn env(&mut self, value: &Value<'_>) {
        let Some(table) = value.get_ref().as_table() else {
            let help = "write `[env]`, and below it one `KEY = \"value\"` a line";
            return self.fault(value.span(), "`env` takes a table of variables", Some(help));
        };
        self.variables(table);
    }

    fn variables(&mut self, table: &DeTable<'_>) {
        let Some(env) = Setting::named("env") else { return };
        // A table of this format is sorted by name; variables have no order of their own.
        for (key, value) in table {
            if let Some(text) = self.variable(key, value) {
                let pair = EnvPair { key: key.get_ref().to_string(), value: text };
                self.file.choices.add_variable(env, pair);
            }
        }
    }

    /// A variable's value, if all of it is right. No message repeats it: it may be a secret.
    fn variable(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<String> {
        let name = key.get_ref().as_ref();
        let shown = crate::invalid_value::shown(name, 80);
        if name.is_empty() || name.contains(['=', '\0']) {
            let help = "a name is not empty and has neither `=` nor NUL (environ(7))";
            self.fault(key.span(), "this is not a variable's name", Some(help));
            return None;
        }
        let is_quoted = self.text.get(key.span()).is_some_and(|text| text.starts_with(['"', '\'']));
        if !is_quoted
            && (Setting::named(name).is_some() || matches!(name, super::SCRIPT | super::ARGS))
        {
            let message = format!("`{shown}` stands in the table `env`, so it would be a variable");
            let help = format!(
                "write options above `[env]`; if it is a variable, quote its name: `\"{shown}\" = …`"
            );
            self.fault(key.span(), message, Some(&help));
            return None;
        }
        let written = self.text.get(value.span()).unwrap_or_default();
        let plain =
            written.strip_prefix('-').unwrap_or(written).bytes().all(|b| b.is_ascii_digit());
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Integer(_) if plain => written.to_owned(),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
                let help = "put quotes around it, so that there is no doubt about its characters";
                self.fault(value.span(), format!("the variable `{shown}` is no text"), Some(help));
                return None;
            }
            DeValue::Array(_) | DeValue::Table(_) => {
                let message = format!("the variable `{shown}` is {}", kind(value.get_ref()));
                let help = "a variable has one value, a text between quotes";
                self.fault(value.span(), message, Some(help));
                return None;
            }
        };
        if text.contains('\0') {
            let help = "an environment cannot hold it (environ(7)): leave it out";
            self.fault(value.span(), format!("`{shown}` has a NUL character"), Some(help));
            return None;
        }
        Some(text)
    }

    fn wrong_type(&mut self, key: &str, value: &Value<'_>, wanted: &str) {
        let message = format!("`{key}` is {} here", kind(value.get_ref()));
        self.fault(value.span(), message, Some(&format!("it takes {wanted}")));
    }
}

/// What a value is, with its article.
const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
