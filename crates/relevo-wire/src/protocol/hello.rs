//! The first line of each side.

use serde::{Deserialize, Serialize};

use super::strict::{Object, Problem};
use super::{BadReply, Failure, VERSION, reply, to_line};
use crate::ExitCode;

/// What a client says first: the version of the protocol that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hello {
    /// The version.
    pub hello: u32,
}

/// What the primary answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply {
    /// The version of the protocol.
    pub hello: u32,
    /// The service's name.
    pub name: String,
    /// The primary's process.
    pub pid: u32,
    /// The primary's own version.
    pub version: String,
}

/// Why a first line was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct BadHello(#[from] pub Problem);

impl Hello {
    /// The version that this crate speaks.
    pub const CURRENT: Self = Self { hello: VERSION };

    /// Reads a client's first line; its version is known.
    pub fn parse(line: &[u8]) -> Result<Self, BadHello> {
        let mut object = Object::parse(line, "the hello", &["hello"], r#"{"hello":1}"#)?;
        let version = object.number("hello")?;
        // The version comes first: a later one may well have fields that are not known here.
        if version != u64::from(VERSION) {
            let version = version.to_string();
            return Err(Problem::UnknownVersion { version, known: VERSION }.into());
        }
        object.end()?;
        Ok(Self::CURRENT)
    }

    /// The line to send.
    pub fn to_line(self) -> Vec<u8> {
        to_line(&self)
    }
}

impl HelloReply {
    /// Reads the primary's first line, which may be an error.
    pub fn parse(line: &[u8]) -> Result<Self, BadReply> {
        reply::refused(line)?;
        Ok(serde_json::from_slice(line)?)
    }

    /// The line to send.
    pub fn to_line(&self) -> Vec<u8> {
        to_line(self)
    }
}

impl BadHello {
    /// The line that tells the client.
    pub fn to_line(&self) -> Vec<u8> {
        Failure::new(ExitCode::Usage, self.to_string()).to_line(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        Hello::parse(line.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_hello_and_its_answer() {
        assert_eq!(Hello::CURRENT.to_line(), b"{\"hello\":1}\n");
        assert_eq!(Hello::parse(&Hello::CURRENT.to_line()), Ok(Hello::CURRENT));
        let reply = HelloReply { hello: 1, name: "web".into(), pid: 42, version: "0.1.0".into() };
        let line = reply.to_line();
        let text = r#"{"hello":1,"name":"web","pid":42,"version":"0.1.0"}"#;
        assert_eq!(std::str::from_utf8(&line).unwrap().trim_end(), text);
        assert_eq!(HelloReply::parse(&line).unwrap(), reply);
        let more = r#"{"hello":1,"name":"web","pid":42,"version":"0.1.0","new":[1]}"#;
        assert_eq!(HelloReply::parse(more.as_bytes()).unwrap(), reply);
    }

    #[test]
    fn errors_name_what_is_known() {
        assert_eq!(error(r#"{"hello":2}"#), "unknown version 2 of the control protocol; known: 1");
        assert!(error(r#"{"hello":2,"x":1}"#).contains("unknown version"));
        assert!(error(r#"{"hello":1,"x":1}"#).contains("unknown field `x`; known: `hello`"));
        assert!(error(r#"{"hello":"1"}"#).contains("is a string, not a whole number"));
        assert!(error(r#"{"id":1,"do":"status"}"#).contains("has no `hello`"));
        assert!(error("[1]").contains(r#"an array, not an object such as {"hello":1}"#));
        assert!(error("GET / HTTP/1.1").contains("not JSON"));
        assert!(error("").contains("not JSON"));
    }

    #[test]
    fn a_refused_hello_reaches_the_client() {
        let bad = Hello::parse(br#"{"hello":7}"#).unwrap_err();
        match HelloReply::parse(&bad.to_line()) {
            Err(BadReply::Refused(failure)) => {
                assert_eq!(failure.code, ExitCode::Usage);
                assert!(failure.reason.contains("version 7"));
            }
            other => panic!("{other:?}"),
        }
    }
}
