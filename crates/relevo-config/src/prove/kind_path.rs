//! What clients ask for.

use std::str::FromStr;

use super::ClientKind;
use crate::InvalidValue;

/// A value of `--path`: `slow-response=/export` for one kind of client, `/health` for all that have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindPath {
    /// Whose path it is; `None` for all others.
    pub kind: Option<ClientKind>,
    /// It begins with `/`, and may have a query.
    pub path: String,
}

impl FromStr for KindPath {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        // A path may have an `=` in its query, but then begins with the slash.
        let (kind, path) = match text.split_once('=') {
            Some((kind, path)) if !text.starts_with('/') => (Some(kind.parse()?), path),
            Some(_) | None => (None, text),
        };
        let remedy = "write a path as it stands in a request, such as `/` or `websocket=/live`";
        if !path.starts_with('/') {
            return Err(InvalidValue::new(text, "does not begin with a slash", remedy));
        }
        // RFC 9112 section 3.2: a request's target has no white space.
        if path.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'#') {
            let reason = "has characters that a request's target cannot have";
            return Err(InvalidValue::new(text, reason, "write them as %20 and so on"));
        }
        Ok(Self { kind, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_for_one_kind_or_for_all() {
        let parse = |text: &str| text.parse::<KindPath>().map(|path| (path.kind, path.path));
        assert_eq!(parse("/a?b=c"), Ok((None, "/a?b=c".to_owned())));
        let upload = parse("slow-upload=/in?x=1");
        assert_eq!(upload, Ok((Some(ClientKind::SlowUpload), "/in?x=1".to_owned())));
        for (text, expected) in [
            ("a", "does not begin with a slash"),
            ("new=a", "does not begin with a slash"),
            ("old=/", "`old` is no kind of client"),
            ("/a b", "write them as %20"),
            ("/a#b", "write them as %20"),
            ("/a\r\nX: y", "write them as %20"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
