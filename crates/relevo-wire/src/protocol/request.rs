//! What a client asks for.

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use super::strict::{Object, Problem, list, shown};
use super::{Failure, to_line};
use crate::ExitCode;

/// A verb and its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// How the service is; answered by a [`crate::Status`].
    Status,
    /// What has happened: told in [`crate::Event`]s, then answered by [`super::Nothing`].
    Events {
        /// Whether what happens from now on is told, too; the answer then comes never.
        follow: bool,
        /// How many of those that are remembered are told at most; all of them if that is not said.
        last: Option<u32>,
    },
    /// Replace every worker; answered by the [`crate::status::Rollout`].
    Reload {
        /// Whether the answer waits until the rollout is over; else it comes once it is accepted.
        wait: bool,
        /// Whether the new workers may listen on other addresses than the old ones.
        changed_listeners: bool,
    },
    /// Replace every worker by one of the release before the present one; answered likewise.
    Rollback {
        /// Whether the answer waits until the rollout is over; else it comes once it is accepted.
        wait: bool,
    },
    /// Tell what a reload would change; answered by the [`crate::difference::Difference`].
    DryRun,
    /// Change the number of workers; answered by the [`crate::status::Scaling`].
    Scale {
        /// How many there are to be.
        to: Count,
        /// Whether the answer waits until they are; else it comes once it is accepted.
        wait: bool,
    },
    /// Undo the rollout in progress; answered by the [`crate::status::Rollout`] when that is done.
    Abort,
    /// Hold the rollout in progress where it is; answered by a [`crate::status::Held`].
    Pause,
    /// Let it go on; answered likewise.
    Resume,
    /// Drain and stop; answered by [`super::Nothing`] when no worker is left, just before the
    /// primary exits.
    Stop,
}

/// What `listeners` of a `reload` may be.
const LISTENERS: [&str; 2] = ["same", "changed"];

/// A number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// This many: `to`.
    To(u32),
    /// So many more, or fewer: `by`.
    By(i32),
}

impl Count {
    /// What is beyond any service's range is so afterwards, too.
    fn parse(args: &mut Object) -> Result<Self, Problem> {
        let to = args.integer("to")?;
        let by = args.integer("by")?;
        match (to, by) {
            (Some(to), None) if to >= 0 => Ok(Self::To(u32::try_from(to).unwrap_or(u32::MAX))),
            (Some(_), None) => Err(args.negative("to", "by")),
            (None, Some(by)) => {
                let most = if by < 0 { i32::MIN } else { i32::MAX };
                Ok(Self::By(i32::try_from(by).unwrap_or(most)))
            }
            (None, None) | (Some(_), Some(_)) => Err(args.not_one_of(["to", "by"])),
        }
    }
}

impl Verb {
    const WORDS: [&'static str; 9] =
        ["status", "events", "reload", "rollback", "scale", "abort", "pause", "resume", "stop"];

    /// The word for it on the wire and on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Events { .. } => "events",
            Self::Reload { .. } | Self::DryRun => "reload",
            Self::Rollback { .. } => "rollback",
            Self::Scale { .. } => "scale",
            Self::Abort => "abort",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
        }
    }

    fn parse(object: &mut Object) -> Result<Self, Problem> {
        let word = object.text("do")?;
        let mut args = |known| object.object("args", format!("`args` of `{word}`"), known);
        let (verb, args) = match word.as_str() {
            "status" => (Self::Status, args(&[])?),
            "events" => {
                let mut args = args(&["follow", "last"])?;
                let follow = args.bool_or("follow", false)?;
                (Self::Events { follow, last: args.count("last")? }, args)
            }
            "reload" => {
                let mut args = args(&["wait", "dry_run", "listeners"])?;
                let wait = args.bool_or("wait", true)?;
                let is_dry = args.bool_or("dry_run", false)?;
                let listeners = args.word_or("listeners", &LISTENERS)?;
                let changed_listeners = listeners == Some(LISTENERS[1]);
                let reload = Self::Reload { wait, changed_listeners };
                (if is_dry { Self::DryRun } else { reload }, args)
            }
            "rollback" => {
                let mut args = args(&["wait"])?;
                (Self::Rollback { wait: args.bool_or("wait", true)? }, args)
            }
            "scale" => {
                let mut args = args(&["to", "by", "wait"])?;
                let to = Count::parse(&mut args)?;
                (Self::Scale { to, wait: args.bool_or("wait", true)? }, args)
            }
            "abort" => (Self::Abort, args(&[])?),
            "pause" => (Self::Pause, args(&[])?),
            "resume" => (Self::Resume, args(&[])?),
            "stop" => (Self::Stop, args(&[])?),
            _ => {
                let known = list(&Self::WORDS);
                return Err(Problem::UnknownVerb { verb: shown(&word), known });
            }
        };
        args.end()?;
        Ok(verb)
    }
}

/// One request; a connection may carry several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the client, and repeated in every answer.
    pub id: u64,
    /// What to do.
    pub verb: Verb,
}

impl Request {
    /// Reads a client's line.
    pub fn parse(line: &[u8]) -> Result<Self, BadRequest> {
        const EXAMPLE: &str = r#"{"id":1,"do":"status","args":{}}"#;
        let mut object = Object::parse(line, "the request", &["id", "do", "args"], EXAMPLE)
            .map_err(|problem| BadRequest { id: None, problem })?;
        let known_id = object.peek_number("id");
        let parse = || {
            let id = object.number("id")?;
            let verb = Verb::parse(&mut object)?;
            object.end()?;
            Ok(Self { id, verb })
        };
        parse().map_err(|problem| BadRequest { id: known_id, problem })
    }

    /// The line to send.
    pub fn to_line(self) -> Vec<u8> {
        to_line(&self)
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut request = serializer.serialize_struct("Request", 3)?;
        request.serialize_field("id", &self.id)?;
        request.serialize_field("do", self.verb.word())?;
        request.serialize_field("args", &Args(self.verb))?;
        request.end()
    }
}

struct Args(Verb);

impl Serialize for Args {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut args = serializer.serialize_map(None)?;
        match self.0 {
            Verb::Status | Verb::Abort | Verb::Pause | Verb::Resume | Verb::Stop => {}
            Verb::Events { follow, last } => {
                args.serialize_entry("follow", &follow)?;
                if let Some(last) = last {
                    args.serialize_entry("last", &last)?;
                }
            }
            Verb::DryRun => args.serialize_entry("dry_run", &true)?,
            Verb::Reload { wait, changed_listeners } => {
                args.serialize_entry("wait", &wait)?;
                if changed_listeners {
                    args.serialize_entry("listeners", LISTENERS[1])?;
                }
            }
            Verb::Rollback { wait } => args.serialize_entry("wait", &wait)?,
            Verb::Scale { to, wait } => {
                match to {
                    Count::To(to) => args.serialize_entry("to", &to)?,
                    Count::By(by) => args.serialize_entry("by", &by)?,
                }
                args.serialize_entry("wait", &wait)?;
            }
        }
        args.end()
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct BadRequest {
    /// The request's id, if that could be read.
    pub id: Option<u64>,
    /// What is wrong.
    pub problem: Problem,
}

impl BadRequest {
    /// The line that tells the client.
    pub fn to_line(&self) -> Vec<u8> {
        Failure::new(ExitCode::Usage, self.to_string()).to_line(self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, BadRequest> {
        Request::parse(line.as_bytes())
    }

    #[track_caller]
    fn check(line: &str, id: Option<u64>, expected: &str) {
        let error = parse(line).unwrap_err();
        assert_eq!((error.id, error.to_string().as_str()), (id, expected));
    }

    #[test]
    fn requests_go_there_and_back() {
        let cases = [
            (Verb::Status, r#"{"id":7,"do":"status","args":{}}"#),
            (
                Verb::Events { follow: true, last: None },
                r#"{"id":7,"do":"events","args":{"follow":true}}"#,
            ),
            (
                Verb::Events { follow: false, last: Some(9) },
                r#"{"id":7,"do":"events","args":{"follow":false,"last":9}}"#,
            ),
            (
                Verb::Reload { wait: true, changed_listeners: false },
                r#"{"id":7,"do":"reload","args":{"wait":true}}"#,
            ),
            (
                Verb::Reload { wait: false, changed_listeners: false },
                r#"{"id":7,"do":"reload","args":{"wait":false}}"#,
            ),
            (
                Verb::Reload { wait: true, changed_listeners: true },
                r#"{"id":7,"do":"reload","args":{"wait":true,"listeners":"changed"}}"#,
            ),
            (Verb::DryRun, r#"{"id":7,"do":"reload","args":{"dry_run":true}}"#),
            (Verb::Rollback { wait: true }, r#"{"id":7,"do":"rollback","args":{"wait":true}}"#),
            (
                Verb::Scale { to: Count::To(4), wait: true },
                r#"{"id":7,"do":"scale","args":{"to":4,"wait":true}}"#,
            ),
            (
                Verb::Scale { to: Count::By(-1), wait: false },
                r#"{"id":7,"do":"scale","args":{"by":-1,"wait":false}}"#,
            ),
            (Verb::Abort, r#"{"id":7,"do":"abort","args":{}}"#),
            (Verb::Pause, r#"{"id":7,"do":"pause","args":{}}"#),
            (Verb::Resume, r#"{"id":7,"do":"resume","args":{}}"#),
            (Verb::Stop, r#"{"id":7,"do":"stop","args":{}}"#),
        ];
        for (verb, text) in cases {
            let request = Request { id: 7, verb };
            assert_eq!(request.to_line(), format!("{text}\n").into_bytes());
            assert_eq!(parse(text), Ok(request));
            assert!(Verb::WORDS.contains(&verb.word()));
        }
    }

    #[test]
    fn what_may_be_left_out() {
        let verb = Verb::Reload { wait: true, changed_listeners: false };
        let reload = Request { id: 1, verb };
        let same = r#"{"id":1,"do":"reload","args":{"listeners":"same"}}"#;
        assert_eq!(parse(same), Ok(reload));
        assert_eq!(parse(r#"{"id":1,"do":"reload","args":{}}"#), Ok(reload));
        assert_eq!(parse(r#"{"id":1,"do":"reload"}"#), Ok(reload));
        let scale = Request { id: 1, verb: Verb::Scale { to: Count::By(2), wait: true } };
        assert_eq!(parse(r#"{"id":1,"do":"scale","args":{"by":2}}"#), Ok(scale));
    }

    #[test]
    fn errors_name_what_is_known() {
        check(
            r#"{"id":1,"do":"dance","args":{}}"#,
            Some(1),
            "unknown verb `dance`; known: `status`, `events`, `reload`, `rollback`, `scale`, `abort`, `pause`, `resume`, `stop`",
        );
        check(
            r#"{"id":1,"do":"reload","args":{"now":true}}"#,
            Some(1),
            "`args` of `reload` has the unknown field `now`; known: `wait`, `dry_run`, `listeners`",
        );
        check(
            r#"{"id":1,"do":"reload","args":{"listeners":"any"}}"#,
            Some(1),
            "`listeners` in `args` of `reload` is `any`; known: `same`, `changed`",
        );
        check(
            r#"{"id":1,"do":"events","args":{"last":-1}}"#,
            Some(1),
            "`last` in `args` of `events` is a number, not a whole number of 0 or more",
        );
        check(
            r#"{"id":1,"do":"stop","args":{"now":true}}"#,
            Some(1),
            "`args` of `stop` has the unknown field `now`; known: none",
        );
        check(
            r#"{"id":1,"do":"stop","extra":0}"#,
            Some(1),
            "the request has the unknown field `extra`; known: `id`, `do`, `args`",
        );
        check(
            r#"{"id":1,"do":"reload","args":{"wait":1}}"#,
            Some(1),
            "`wait` in `args` of `reload` is a number, not true or false",
        );
        check(
            r#"{"id":1}"#,
            Some(1),
            "the request has no `do`; it has the fields `id`, `do`, `args`",
        );
        check(
            r#"{"do":"stop"}"#,
            None,
            "the request has no `id`; it has the fields `id`, `do`, `args`",
        );
        check(
            r#"{"id":-1,"do":"stop"}"#,
            None,
            "`id` in the request is a number, not a whole number of 0 or more",
        );
        check(
            r#"{"id":1,"do":"stop","args":[]}"#,
            Some(1),
            "`args` in the request is an array, not an object",
        );
        check(
            "null",
            None,
            r#"the line is null, not an object such as {"id":1,"do":"status","args":{}}"#,
        );
    }

    #[test]
    fn a_number_of_workers_is_one_of_two() {
        let wrong = "`args` of `scale` wants either `to` or `by`";
        check(r#"{"id":1,"do":"scale"}"#, Some(1), wrong);
        check(r#"{"id":1,"do":"scale","args":{"to":1,"by":1}}"#, Some(1), wrong);
        check(
            r#"{"id":1,"do":"scale","args":{"to":-1}}"#,
            Some(1),
            "`to` in `args` of `scale` is less than 0; `by` takes a difference",
        );
        check(
            r#"{"id":1,"do":"scale","args":{"by":1.5}}"#,
            Some(1),
            "`by` in `args` of `scale` is a number, not a whole number",
        );
        let far = |args: &str| parse(&format!(r#"{{"id":1,"do":"scale","args":{args}}}"#));
        let verb = |to| Ok(Request { id: 1, verb: Verb::Scale { to, wait: true } });
        assert_eq!(far(r#"{"to":9000000000}"#), verb(Count::To(u32::MAX)));
        assert_eq!(far(r#"{"by":-9000000000}"#), verb(Count::By(i32::MIN)));
        assert_eq!(far(r#"{"by":9000000000}"#), verb(Count::By(i32::MAX)));
    }

    #[test]
    fn hostile_lines_are_errors() {
        let deep = "[".repeat(super::super::MAX_LINE);
        for line in ["", "{", "{}x", "\u{0}", deep.as_str()] {
            let error = parse(line).unwrap_err();
            assert!(matches!(error.problem, Problem::NotJson { .. }), "{error}");
        }
        assert!(Request::parse(b"\xff\xfe").is_err());
        let long = format!(r#"{{"id":1,"do":"{}"}}"#, "\\u001b".repeat(9000));
        let text = parse(&long).unwrap_err().to_string();
        assert!(text.len() < 1000 && !text.contains('\x1b'), "{text}");
    }
}
