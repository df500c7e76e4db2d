//! The words for what makes a new worker ready.

use std::fmt;
use std::str::FromStr;

use relevo_core::ReadyWhen;

use crate::InvalidValue;

/// The longest path of a request, in bytes.
const MAX_PATH: usize = 1024;

/// The value of `--ready`: when a new worker counts as ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReadyWord {
    /// When it listens.
    #[default]
    Listening,
    /// When it has said so by a message.
    Message,
    /// When it has sent `READY=1` to its `NOTIFY_SOCKET`.
    Notify,
    /// When it answers a request for this path with 2xx.
    Http(String),
    /// When its program runs.
    Spawned,
}

impl ReadyWord {
    /// What the core has to know of it.
    pub const fn when(&self) -> ReadyWhen {
        match self {
            Self::Listening => ReadyWhen::Listening,
            Self::Message => ReadyWhen::Message,
            Self::Notify => ReadyWhen::Notify,
            Self::Http(_) => ReadyWhen::Probe,
            Self::Spawned => ReadyWhen::Spawned,
        }
    }

    /// The path that is asked for.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Http(path) => Some(path),
            Self::Listening | Self::Message | Self::Notify | Self::Spawned => None,
        }
    }
}

impl FromStr for ReadyWord {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "listening" => Ok(Self::Listening),
            "message" => Ok(Self::Message),
            "notify" => Ok(Self::Notify),
            "spawned" => Ok(Self::Spawned),
            _ => match text.strip_prefix("http:") {
                Some(path) => http(text, path),
                None => Err(InvalidValue::new(
                    text,
                    "does not say when a worker is ready",
                    "use `listening`, `message`, `notify`, `http:/PATH` or `spawned`",
                )),
            },
        }
    }
}

/// It stands in the first line of a request as it is.
fn http(text: &str, path: &str) -> Result<ReadyWord, InvalidValue> {
    let refused = |why, remedy| Err(InvalidValue::new(text, why, remedy));
    if !path.starts_with('/') {
        return refused("names no path to ask for", "write it as in `http:/healthz`");
    }
    if path.len() > MAX_PATH {
        return refused("names too long a path", "use one of at most 1024 bytes");
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        let remedy = "write such characters in percent-encoding, as in `http:/is%20ready`";
        return refused("names a path with characters that no request can have", remedy);
    }
    Ok(ReadyWord::Http(path.to_owned()))
}

impl fmt::Display for ReadyWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening => f.write_str("listening"),
            Self::Message => f.write_str("message"),
            Self::Notify => f.write_str("notify"),
            Self::Http(path) => write!(f, "http:{path}"),
            Self::Spawned => f.write_str("spawned"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for text in ["listening", "message", "notify", "http:/healthz?deep=1", "spawned"] {
            assert_eq!(text.parse::<ReadyWord>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn others_are_refused() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(text.parse::<ReadyWord>().unwrap_err().to_string(), expected);
        }
        check(
            "listen",
            "`listen` does not say when a worker is ready: use `listening`, `message`, `notify`, `http:/PATH` or `spawned`",
        );
        check(
            "http:healthz",
            "`http:healthz` names no path to ask for: write it as in `http:/healthz`",
        );
        for text in ["http:/a b", "http:/a\r\nHost: x", "http:/ä", "http:/a#b"] {
            let error = text.parse::<ReadyWord>().unwrap_err().to_string();
            assert!(error.contains("percent-encoding"), "{error}");
        }
        let long = format!("http:/{}", "x".repeat(MAX_PATH));
        assert!(long.parse::<ReadyWord>().unwrap_err().to_string().contains("too long"));
    }
}
