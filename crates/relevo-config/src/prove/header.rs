//! A header that clients send.

use std::str::FromStr;

use crate::InvalidValue;

/// A value of `--header`: `Authorization: Bearer abc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The field's name, as it was written.
    pub name: String,
    /// Its value, without the white space around.
    pub value: String,
}

impl Header {
    /// Those that say how a message is framed: each kind of client writes its own.
    const OURS: [&'static str; 6] =
        ["connection", "content-length", "transfer-encoding", "expect", "upgrade", "keep-alive"];
}

impl FromStr for Header {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const REMEDY: &str = "write it as in `Accept: text/html`";
        let Some((name, value)) = text.split_once(':') else {
            return Err(InvalidValue::new(text, "has no colon", REMEDY));
        };
        let value = value.trim();
        // RFC 9110 section 5.6.2: a token; section 5.5: no control characters in a value.
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(InvalidValue::new(text, "does not begin with a header's name", REMEDY));
        }
        if value.bytes().any(|byte| byte != b'\t' && (byte < 0x20 || byte == 0x7f)) {
            return Err(InvalidValue::new(text, "has control characters", REMEDY));
        }
        if Self::OURS.contains(&name.to_ascii_lowercase().as_str()) {
            let reason = "is a header that each kind of client writes as it needs it";
            return Err(InvalidValue::new(text, reason, "leave it out"));
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_a_name_and_a_value() {
        let header: Header = "Authorization:  Bearer a:b ".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.as_str()), ("Authorization", "Bearer a:b"));
        for (text, expected) in [
            ("Accept", "has no colon"),
            (": x", "does not begin with a header's name"),
            ("a b: x", "does not begin with a header's name"),
            ("a: x\r\nb: y", "has control characters"),
            ("Content-Length: 5", "leave it out"),
        ] {
            let error = text.parse::<Header>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
