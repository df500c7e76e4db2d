//! Whom clients talk to.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;

/// Why a URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` {reason}: write it as in `http://127.0.0.1:3000/`")]
pub struct BadUrl {
    url: String,
    reason: &'static str,
}

/// A server's address, and the path clients ask for if they have no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As it was given.
    pub url: String,
    /// Whether to speak TLS.
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What the `Host` header says.
    pub authority: String,
    /// With the query.
    pub path: String,
    /// Where to connect to instead.
    pub unix_socket: Option<PathBuf>,
}

impl FromStr for Target {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let bad = |reason| BadUrl { url: text.chars().take(80).collect(), reason };
        let uri: Uri = text.parse().map_err(|_| bad("is not a URL"))?;
        let (tls, usual_port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            Some("ws" | "wss") => {
                return Err(bad(
                    "names WebSockets by its scheme, they are a kind of client (`--path websocket=/live`)",
                ));
            }
            Some(_) => return Err(bad("is neither http nor https")),
            None => return Err(bad("does not begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("has a user's name in it (use `--header 'Authorization: …'`)"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad("names no host"));
        }
        Ok(Self {
            url: text.to_owned(),
            tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(usual_port),
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            unix_socket: None,
        })
    }
}

impl Target {
    /// The addresses that the host's name stands for.
    pub(crate) fn addresses(&self) -> Result<Vec<SocketAddr>, std::io::Error> {
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }

    /// Where clients connect to, as people are told.
    pub(crate) fn place(&self) -> String {
        match &self.unix_socket {
            Some(path) => path.display().to_string(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_a_host_and_perhaps_more() {
        let target: Target = "http://127.0.0.1:3000".parse().unwrap();
        assert_eq!(
            (target.host.as_str(), target.port, target.path.as_str()),
            ("127.0.0.1", 3000, "/")
        );
        let target: Target = "https://[::1]/a?b=c".parse().unwrap();
        assert_eq!((target.tls, target.host.as_str(), target.port), (true, "::1", 443));
        assert_eq!((target.authority.as_str(), target.path.as_str()), ("[::1]", "/a?b=c"));
        assert_eq!(target.place(), "[::1]:443");
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        #[track_caller]
        fn check(url: &str, expected: &str) {
            let error = url.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(expected), "{url}: {error}");
        }
        check("127.0.0.1:3000", "write it as in `http://127.0.0.1:3000/`");
        check("localhost", "does not begin with http://");
        check("ftp://a/", "neither http nor https");
        check("ws://a/", "kind of client");
        check("http://u:p@a/", "user's name");
        check("http:///a", "is not a URL");
        check("", "is not a URL");
    }
}
