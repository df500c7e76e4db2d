//! What the primary answers.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::to_line;
use crate::status::Phase;
use crate::{Event, ExitCode};

/// One line of an answer. `T` is what the verb asked for is answered with, see [`super::Verb`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply<T> {
    /// The request's id; `null` for an error about a line whose id could not be read.
    pub id: Option<u64>,
    /// What it says, in one field named after its kind.
    #[serde(flatten)]
    pub body: Body<T>,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body<T> {
    /// It goes on; more lines follow.
    Progress(Progress),
    /// Something happened that was asked about; more lines follow.
    Event(Box<Event>),
    /// It is done. The last line.
    Ok(T),
    /// It is refused, has failed or was undone. The last line.
    Error(Failure),
}

/// How far a rollout, or a scaling, has come. What is not known is `null`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The slot that is being replaced, or that joins or leaves.
    pub slot: Option<u32>,
    /// Of how many.
    pub of: Option<u32>,
    /// What is going on there; `null` when it is done.
    pub phase: Option<Phase>,
    /// The worker that it is about.
    pub worker: Option<u64>,
}

/// An answer without anything to tell: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// The code the client should exit with.
    pub code: ExitCode,
    /// What was tried, what happened, what to do.
    pub reason: String,
    /// More lines, such as the last words of the worker.
    #[serde(default)]
    pub detail: Vec<String>,
}

/// Why a primary's line could not be used.
#[derive(Debug, thiserror::Error)]
pub enum BadReply {
    /// It is not what the protocol says.
    #[error("the primary answered with something that this version does not understand")]
    NotUnderstood(#[from] serde_json::Error),
    /// It is an error where a hello was expected.
    #[error(transparent)]
    Refused(Failure),
}

impl<T> Reply<T> {
    /// The last line for a request that is done.
    pub const fn ok(id: u64, value: T) -> Self {
        Self { id: Some(id), body: Body::Ok(value) }
    }
}

impl Reply<Nothing> {
    /// A line on the way, which is the same for every verb.
    pub const fn progress(id: u64, progress: Progress) -> Self {
        Self { id: Some(id), body: Body::Progress(progress) }
    }

    /// Something that happened, for who asked for that.
    pub fn event(id: u64, event: Event) -> Self {
        Self { id: Some(id), body: Body::Event(Box::new(event)) }
    }

    /// The last line for a request that is not done, which is the same for every verb.
    pub const fn error(id: Option<u64>, failure: Failure) -> Self {
        Self { id, body: Body::Error(failure) }
    }
}

impl<T: Serialize> Reply<T> {
    /// The line to send.
    pub fn to_line(&self) -> Vec<u8> {
        to_line(self)
    }
}

impl<T: DeserializeOwned> Reply<T> {
    /// Reads a primary's line. Fields that are not known are passed over.
    pub fn parse(line: &[u8]) -> Result<Self, BadReply> {
        Ok(serde_json::from_slice(line)?)
    }
}

impl Failure {
    /// A failure without detail.
    pub fn new(code: ExitCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), detail: Vec::new() }
    }

    /// The line to send.
    pub fn to_line(&self, id: Option<u64>) -> Vec<u8> {
        Reply::error(id, self.clone()).to_line()
    }
}

/// The error in a line that is one, whatever it was expected to be.
pub(super) fn refused(line: &[u8]) -> Result<(), BadReply> {
    #[derive(Deserialize)]
    struct Refused {
        error: Failure,
    }
    match serde_json::from_slice::<Refused>(line) {
        Ok(Refused { error }) => Err(BadReply::Refused(error)),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T>(reply: &Reply<T>, text: &str)
    where
        T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        assert_eq!(reply.to_line(), format!("{text}\n").into_bytes());
        assert_eq!(Reply::<T>::parse(text.as_bytes()).unwrap(), *reply);
    }

    #[test]
    fn replies_go_there_and_back() {
        check(&Reply::ok(1, Nothing {}), r#"{"id":1,"ok":{}}"#);
        check(
            &Reply::progress(
                1,
                Progress { slot: Some(0), of: Some(4), phase: Some(Phase::Starting), worker: None },
            ),
            r#"{"id":1,"progress":{"slot":0,"of":4,"phase":"starting","worker":null}}"#,
        );
        let detail = vec!["Error: no".to_owned()];
        check(
            &Reply::error(
                None,
                Failure { code: ExitCode::Failed, reason: "it exited".to_owned(), detail },
            ),
            r#"{"id":null,"error":{"code":1,"reason":"it exited","detail":["Error: no"]}}"#,
        );
    }

    #[test]
    fn a_client_passes_over_what_it_does_not_know() {
        let line = br#"{"id":1,"at":5,"ok":{"new":1}}"#;
        assert_eq!(Reply::<Nothing>::parse(line).unwrap(), Reply::ok(1, Nothing {}));
        let line = br#"{"id":1,"error":{"code":99,"reason":"x","new":1}}"#;
        let failure = Failure::new(ExitCode::Failed, "x");
        assert_eq!(Reply::<Nothing>::parse(line).unwrap(), Reply::error(Some(1), failure));
        let line = br#"{"id":1,"progress":{"new":1}}"#;
        let progress = Reply::progress(1, Progress::default());
        assert_eq!(Reply::<Nothing>::parse(line).unwrap(), progress);
    }

    #[test]
    fn other_lines_are_not_understood() {
        for line in ["", "{}", "[]", r#"{"id":1}"#, r#"{"id":1,"ok":5}"#, r#"{"id":"x","ok":{}}"#] {
            let reply = Reply::<Nothing>::parse(line.as_bytes());
            assert!(matches!(reply, Err(BadReply::NotUnderstood(_))), "{line}");
        }
    }
}
