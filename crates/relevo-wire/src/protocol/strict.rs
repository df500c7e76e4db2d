//! Reading an object of which every field must be known.

use serde_json::{Map, Value};

/// What is wrong with a line from a client. Each names what would have been right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The line is not JSON.
    #[error("the line is not JSON (at byte {column}: {reason})")]
    NotJson {
        /// Where, from 1.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// The line is JSON, but not an object.
    #[error("the line is {found}, not an object such as {example}")]
    NotAnObject {
        /// What it is.
        found: &'static str,
        /// What it should look like.
        example: &'static str,
    },
    /// A field that must be there is not.
    #[error("{place} has no `{field}`; it has the fields {known}")]
    Missing {
        /// The object.
        place: String,
        /// The field.
        field: &'static str,
        /// The fields it may have.
        known: String,
    },
    /// A field that is not known.
    #[error("{place} has the unknown field `{field}`; known: {known}")]
    UnknownField {
        /// The object.
        place: String,
        /// The field.
        field: String,
        /// The fields it may have.
        known: String,
    },
    /// A field of another type.
    #[error("`{field}` in {place} is {found}, not {wanted}")]
    WrongType {
        /// The object.
        place: String,
        /// The field.
        field: &'static str,
        /// What it is.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A number below 0 where there is none.
    #[error("`{field}` in {place} is less than 0; `{other}` takes a difference")]
    Negative {
        /// The object.
        place: String,
        /// The field.
        field: &'static str,
        /// The field that may be less.
        other: &'static str,
    },
    /// A word that is none of those that a field may have.
    #[error("`{field}` in {place} is `{word}`; known: {known}")]
    UnknownWord {
        /// The object.
        place: String,
        /// The field.
        field: &'static str,
        /// What it is.
        word: String,
        /// What it may be.
        known: String,
    },
    /// None, or both, of two fields of which there must be one.
    #[error("{place} wants either `{}` or `{}`", fields[0], fields[1])]
    NotOneOf {
        /// The object.
        place: String,
        /// The fields.
        fields: [&'static str; 2],
    },
    /// A verb that is not known.
    #[error("unknown verb `{verb}`; known: {known}")]
    UnknownVerb {
        /// The verb.
        verb: String,
        /// The verbs there are.
        known: String,
    },
    /// A version of the protocol that is not known.
    #[error("unknown version {version} of the control protocol; known: {known}")]
    UnknownVersion {
        /// The version asked for.
        version: String,
        /// The version there is.
        known: u32,
    },
}

/// The most characters of a client's word that an error repeats.
const SHOWN: usize = 64;

/// An object whose fields are taken one by one.
pub(super) struct Object {
    place: String,
    known: &'static [&'static str],
    fields: Map<String, Value>,
}

impl Object {
    /// Reads a line.
    pub(super) fn parse(
        line: &[u8],
        place: &str,
        known: &'static [&'static str],
        example: &'static str,
    ) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(line).map_err(|error| {
            let text = error.to_string();
            let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
            Problem::NotJson { column: error.column().max(1), reason: reason.to_owned() }
        })?;
        let found = kind(&value);
        let Value::Object(fields) = value else {
            return Err(Problem::NotAnObject { found, example });
        };
        Ok(Self { place: place.to_owned(), known, fields })
    }

    /// An object within this one; an empty one if it is not there.
    pub(super) fn object(
        &mut self,
        field: &'static str,
        place: String,
        known: &'static [&'static str],
    ) -> Result<Self, Problem> {
        match self.fields.remove(field) {
            None => Ok(Self { place, known, fields: Map::new() }),
            Some(Value::Object(fields)) => Ok(Self { place, known, fields }),
            Some(other) => Err(self.wrong_type(field, &other, "an object")),
        }
    }

    pub(super) fn number(&mut self, field: &'static str) -> Result<u64, Problem> {
        let value = self.take(field)?;
        value.as_u64().ok_or_else(|| self.wrong_type(field, &value, "a whole number of 0 or more"))
    }

    /// A whole number, if there is one.
    pub(super) fn integer(&mut self, field: &'static str) -> Result<Option<i64>, Problem> {
        let Some(value) = self.fields.remove(field) else { return Ok(None) };
        match value.as_i64() {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong_type(field, &value, "a whole number")),
        }
    }

    /// A number of things, which may be left out. More than can be counted is as many as can.
    pub(super) fn count(&mut self, field: &'static str) -> Result<Option<u32>, Problem> {
        let Some(value) = self.fields.remove(field) else { return Ok(None) };
        match value.as_u64() {
            Some(count) => Ok(Some(u32::try_from(count).unwrap_or(u32::MAX))),
            None => Err(self.wrong_type(field, &value, "a whole number of 0 or more")),
        }
    }

    pub(super) fn negative(&self, field: &'static str, other: &'static str) -> Problem {
        Problem::Negative { place: self.place.clone(), field, other }
    }

    pub(super) fn not_one_of(&self, fields: [&'static str; 2]) -> Problem {
        Problem::NotOneOf { place: self.place.clone(), fields }
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<String, Problem> {
        let value = self.take(field)?;
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| self.wrong_type(field, &value, "a string"))
    }

    pub(super) fn bool_or(&mut self, field: &'static str, default: bool) -> Result<bool, Problem> {
        match self.fields.remove(field) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(value),
            Some(other) => Err(self.wrong_type(field, &other, "true or false")),
        }
    }

    /// One of the words that are known, if there is any.
    pub(super) fn word_or(
        &mut self,
        field: &'static str,
        known: &[&'static str],
    ) -> Result<Option<&'static str>, Problem> {
        if !self.fields.contains_key(field) {
            return Ok(None);
        }
        let word = self.text(field)?;
        let found = known.iter().find(|known| **known == word).copied();
        found.map(Some).ok_or_else(|| Problem::UnknownWord {
            place: self.place.clone(),
            field,
            word: shown(&word),
            known: list(known),
        })
    }

    /// The number in `field`, if there is one, without taking it.
    pub(super) fn peek_number(&self, field: &str) -> Option<u64> {
        self.fields.get(field)?.as_u64()
    }

    /// All known fields have been taken: what is left is not known.
    pub(super) fn end(mut self) -> Result<(), Problem> {
        match std::mem::take(&mut self.fields).into_iter().next() {
            None => Ok(()),
            Some((field, _)) => Err(Problem::UnknownField {
                known: list(self.known),
                place: self.place,
                field: shown(&field),
            }),
        }
    }

    fn take(&mut self, field: &'static str) -> Result<Value, Problem> {
        self.fields.remove(field).ok_or_else(|| Problem::Missing {
            place: self.place.clone(),
            field,
            known: list(self.known),
        })
    }

    fn wrong_type(&self, field: &'static str, value: &Value, wanted: &'static str) -> Problem {
        Problem::WrongType { place: self.place.clone(), field, found: kind(value), wanted }
    }
}

/// The words of `known` as an error lists them.
pub(super) fn list(known: &[&str]) -> String {
    if known.is_empty() {
        return "none".to_owned();
    }
    known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// A client's word, bounded and without control characters, for an error.
pub(super) fn shown(word: &str) -> String {
    let mut shown: String =
        word.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if word.chars().count() > SHOWN {
        shown.push('…');
    }
    shown
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
