//! Apps that are hard to replace: what they do with their connections is legal, and easily broken.

use crate::clients::{
    KEEP_ALIVE, MAX_REQUESTS, Site, bodiless, counting, expecting, expiring, kept, new, pipelined,
    silent, slow, trailers, unhurried, upload,
};
use crate::crowd::Crowd;
use crate::report::{self, Row};
use crate::support::TempDir;
use crate::support::installed::installed;
use crate::support::nodes::MAJORS;
use crate::support::ports::port;
use crate::support::service::Setup;
use crate::trial::{self, Figures};

/// The rows of the report, in its order.
pub(crate) const HARD: [&str; 17] = [
    "a PROXY protocol wrapper (findhit-proxywrap)",
    "a login per connection, on the socket",
    "a login per connection, in a map, kept",
    "clear-text HTTP/2 with a late preface",
    "Expect: 100-continue, checked by the app",
    "two servers, one of which exits the process on 'close'",
    "stoppable",
    "terminus",
    "maxConnections",
    "maxRequestsPerSocket",
    "chunked uploads with trailers",
    "HEAD, 204 and 304",
    "a Unix socket",
    "idle beyond headersTimeout and keepAliveTimeout",
    "pipelined requests, split at every byte",
    "OpenTelemetry's instrumentations",
    "dd-trace",
];

/// What may be said of a row's connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Movable {
    Yes,
    No,
}

/// Tries one row on one major, or on all of them.
fn try_row(name: &str, major: u32, movable: Movable, app: impl Fn(u32, u16) -> (Setup, Crowd)) {
    assert!(HARD.contains(&name), "`{name}` has no row in the report");
    let run = |major: u32| -> Figures {
        let port = port();
        let what = format!("{name}, on Node {major}");
        let (setup, crowd) = app(major, port);
        let figures = trial::run(&what, setup, crowd, None);
        if movable == Movable::Yes {
            figures.assert_moved(&what);
        }
        figures
    };
    if !report::is_wanted() {
        run(major);
        return;
    }
    for major in MAJORS {
        report::note(Row::of_hard_app(name, major, &run(major)));
    }
    report::finish(name);
}

/// An app of `fixtures/hard`.
fn hard(folder: &str, script: &str, major: u32, port: u16) -> Setup {
    let directory = installed(&format!("fixtures/hard/{folder}"));
    Setup::new(major, script).directory(directory).env("PORT", port)
}

fn corners(major: u32, port: u16) -> Setup {
    hard(".", "corners.js", major, port)
}

/// A bit of everything.
fn everybody(site: Site) -> Crowd {
    let crowd = Crowd::at(site).with(1, new()).with(2, kept()).with(8, unhurried());
    crowd.with(1, slow()).with(1, upload())
}

/// Its line says who the client is; a connection that were moved would wait for another one.
#[test]
fn proxy_protocol() {
    try_row(HARD[0], 20, Movable::No, |major, port| {
        let site = Site::at(port)
            .greeting("PROXY TCP4 10.0.0.7 10.0.0.1 4711 80\r\n")
            .mark("x-client", Some("10.0.0.7:4711"));
        (hard("proxywrap", "app.js", major, port), everybody(site))
    });
}

fn logged_in(port: u16) -> Crowd {
    let site = Site::at(port).login("/login?user=ann").mark("x-user", Some("ann"));
    Crowd::at(site).with(2, kept()).with(8, unhurried()).with(1, slow())
}

#[test]
fn login_on_the_socket() {
    try_row(HARD[1], 22, Movable::No, |major, port| {
        (hard(".", "login.js", major, port), logged_in(port))
    });
}

#[test]
fn login_in_a_map() {
    try_row(HARD[2], 24, Movable::No, |major, port| {
        (hard(".", "login.js", major, port).env("REMEMBER", "map"), logged_in(port))
    });
}

#[test]
fn late_preface() {
    try_row(HARD[3], 20, Movable::No, |major, port| {
        let setup = hard("../frameworks/http2", "app.js", major, port).env("CLEAR", 1);
        (setup, Crowd::at(Site::at(port)).foreign(port, "h2c-late=12"))
    });
}

#[test]
fn expectations() {
    try_row(HARD[4], 26, Movable::Yes, |major, port| {
        let crowd = Crowd::at(Site::at(port)).with(8, expecting()).with(4, unhurried());
        (hard(".", "expect.js", major, port), crowd)
    });
}

#[test]
fn two_servers() {
    try_row(HARD[5], 18, Movable::Yes, |major, port| {
        let second = crate::support::ports::port();
        (hard(".", "two-servers.js", major, port).env("PORT2", second), everybody(Site::at(port)))
    });
}

#[test]
fn stoppable() {
    try_row(HARD[6], 22, Movable::Yes, |major, port| {
        (hard("stoppable", "app.js", major, port), everybody(Site::at(port)))
    });
}

#[test]
fn terminus() {
    try_row(HARD[7], 24, Movable::Yes, |major, port| {
        (hard("terminus", "app.js", major, port), everybody(Site::at(port)))
    });
}

/// There is room for everybody, but not with any one worker.
#[test]
fn max_connections() {
    try_row(HARD[8], 26, Movable::Yes, |major, port| {
        let crowd = Crowd::at(Site::at(port)).with(2, kept()).with(6, unhurried());
        (corners(major, port).env("MAX_CONNECTIONS", 6), crowd)
    });
}

#[test]
fn max_requests_per_socket() {
    try_row(HARD[9], 18, Movable::Yes, |major, port| {
        let crowd = Crowd::at(Site::at(port)).with(8, counting());
        (corners(major, port).env("MAX_REQUESTS", MAX_REQUESTS), crowd)
    });
}

#[test]
fn trailers_of_uploads() {
    try_row(HARD[10], 20, Movable::Yes, |major, port| {
        (corners(major, port), Crowd::at(Site::at(port)).with(8, trailers()).with(4, unhurried()))
    });
}

#[test]
fn answers_without_a_body() {
    try_row(HARD[11], 22, Movable::Yes, |major, port| {
        (corners(major, port), Crowd::at(Site::at(port)).with(8, bodiless()).with(4, unhurried()))
    });
}

#[test]
fn unix_socket() {
    let directory = TempDir::new("zero");
    try_row(HARD[12], 24, Movable::Yes, |major, port| {
        let path = directory.join(&format!("{port}.sock"));
        let setup = corners(major, port).env("LISTEN_PATH", path.display());
        (setup, everybody(Site::unix(path)))
    });
}

#[test]
fn short_timeouts() {
    try_row(HARD[13], 26, Movable::Yes, |major, port| {
        let setup = corners(major, port)
            .env("KEEP_ALIVE_MS", KEEP_ALIVE.as_millis())
            .env("HEADERS_TIMEOUT_MS", 500);
        let crowd = Crowd::at(Site::at(port)).with(2, silent()).with(8, expiring()).with(2, kept());
        (setup, crowd)
    });
}

#[test]
fn pipelines() {
    try_row(HARD[14], 18, Movable::Yes, |major, port| {
        (corners(major, port), Crowd::at(Site::at(port)).with(8, pipelined()).with(4, unhurried()))
    });
}

#[test]
fn opentelemetry() {
    try_row(HARD[15], 22, Movable::Yes, |major, port| {
        let setup = hard("opentelemetry", "app.js", major, port).flag("--require=./tracing.js");
        (setup, everybody(Site::at(port).mark("x-trace", None)))
    });
}

#[test]
fn dd_trace() {
    try_row(HARD[16], 20, Movable::Yes, |major, port| {
        let setup = hard("dd-trace", "app.js", major, port)
            .flag("--require=dd-trace/init")
            .env("DD_TRACE_AGENT_URL", "unix:///nobody/listens/here.sock")
            .env("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false")
            .env("DD_REMOTE_CONFIGURATION_ENABLED", "false")
            .env("DD_TRACE_STARTUP_LOGS", "false");
        (setup, everybody(Site::at(port).mark("x-trace", None)))
    });
}
