//! Every framework, at a version that runs on the Node major.

use crate::clients::{Site, kept, large, new, pipelined, slow, unhurried, upload};
use crate::crowd::Crowd;
use crate::report::{self, Row};
use crate::support::installed::{installed, version};
use crate::support::nodes::{MAJORS, OLDEST};
use crate::support::ports::port;
use crate::support::service::Setup;
use crate::trial::{self, Figures};

/// The balances that differ in who accepts.
pub(crate) const BALANCES: [&str; 3] = ["auto", "kernel", "round-robin"];

/// What the report waits for beside the frameworks.
pub(crate) const ON_THE_OLDEST: &str = "http on the oldest majors";

/// The first major whose idle connections can be handed over.
const FIRST_TO_MOVE: u32 = 18;

/// An app of `fixtures/frameworks`.
pub(crate) struct Framework {
    pub(crate) name: &'static str,
    /// Its folder for a Node major, and the package whose version is told; none for what Node brings itself.
    place: fn(u32) -> (&'static str, Option<&'static str>),
    speaks: Protocol,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http,
    WebSocket,
    SocketIo,
    Https,
    Http2,
    Http2InClear,
}

pub(crate) const FRAMEWORKS: [Framework; 12] = [
    Framework { name: "http", place: |_| ("http", None), speaks: Protocol::Http },
    Framework { name: "Express", place: |_| ("express", Some("express")), speaks: Protocol::Http },
    Framework {
        name: "Fastify",
        place: |major| ("fastify", Some(if major < 20 { "fastify4" } else { "fastify5" })),
        speaks: Protocol::Http,
    },
    Framework { name: "Koa", place: |_| ("koa", Some("koa")), speaks: Protocol::Http },
    Framework { name: "Hapi", place: |_| ("hapi", Some("@hapi/hapi")), speaks: Protocol::Http },
    Framework { name: "NestJS", place: nestjs, speaks: Protocol::Http },
    Framework { name: "Next.js", place: next, speaks: Protocol::Http },
    Framework { name: "ws", place: |_| ("ws", Some("ws")), speaks: Protocol::WebSocket },
    Framework {
        name: "Socket.IO",
        place: |_| ("socketio", Some("socket.io")),
        speaks: Protocol::SocketIo,
    },
    Framework { name: "https", place: |_| ("https", None), speaks: Protocol::Https },
    Framework { name: "http2", place: |_| ("http2", None), speaks: Protocol::Http2 },
    Framework {
        name: "http2 in clear text",
        place: |_| ("http2", None),
        speaks: Protocol::Http2InClear,
    },
];

fn nestjs(major: u32) -> (&'static str, Option<&'static str>) {
    let folder = match major {
        ..20 => "nestjs/10",
        20..24 => "nestjs/11",
        24.. => "nestjs/12",
    };
    (folder, Some("@nestjs/core"))
}

fn next(major: u32) -> (&'static str, Option<&'static str>) {
    (if major < 20 { "next/15" } else { "next/16" }, Some("next"))
}

impl Framework {
    fn folder(&self, major: u32) -> String {
        format!("fixtures/frameworks/{}", (self.place)(major).0)
    }

    /// Its version on a Node major.
    pub(crate) fn version(&self, major: u32) -> Option<String> {
        (self.place)(major).1.map(|package| version(&self.folder(major), package))
    }

    fn setup(&self, major: u32, port: u16) -> Setup {
        let directory = installed(&self.folder(major));
        let script = ["app.js", "app.mjs"].into_iter().find(|name| directory.join(name).exists());
        // Next.js brings its server.
        let script = script.unwrap_or("node_modules/next/dist/bin/next");
        let setup = Setup::new(major, script).directory(directory).env("PORT", port);
        let setup = if self.name == "Next.js" { setup.arg("start") } else { setup };
        if self.speaks == Protocol::Http2InClear { setup.env("CLEAR", 1) } else { setup }
    }

    fn crowd(&self, port: u16) -> Crowd {
        let crowd = Crowd::at(Site::at(port));
        let some = |crowd: Crowd| {
            crowd.with(1, new()).with(2, kept()).with(8, unhurried()).with(1, pipelined())
        };
        match self.speaks {
            Protocol::Http => {
                some(some(crowd)).with(2, slow()).with(2, upload()).with(1, large())
            }
            Protocol::WebSocket => some(crowd).foreign(port, "ws=4 ws-unhurried=8"),
            Protocol::SocketIo => some(crowd).foreign(port, "socketio=4 socketio-unhurried=8"),
            Protocol::Https => crowd.foreign(
                port,
                "https-new=2 https-kept=3 https-unhurried=8 https-slow=2 https-upload=2 https-large=1",
            ),
            Protocol::Http2 => crowd.foreign(
                port,
                "h2-new=1 h2-kept=3 h2-unhurried=8 h2-slow=2 h2-upload=2 h2-large=1",
            ),
            Protocol::Http2InClear => crowd.foreign(
                port,
                "h2c-new=2 h2c-kept=3 h2c-unhurried=8 h2c-slow=2 h2c-upload=2 h2c-large=1",
            ),
        }
    }

    /// Whether its connections may be moved; those of the WebSockets themselves may not.
    fn is_movable(&self, major: u32) -> bool {
        major >= FIRST_TO_MOVE
            && matches!(self.speaks, Protocol::Http | Protocol::WebSocket | Protocol::SocketIo)
    }

    fn run(&self, major: u32, balance: &str) -> Figures {
        let port = port();
        let what = format!("{} on Node {major}, {balance}", self.name);
        let setup = self.setup(major, port).options(&format!("--balance {balance}"));
        let figures = trial::run(&what, setup, self.crowd(port), Some(port));
        if self.is_movable(major) {
            figures.assert_moved(&what);
        }
        figures
    }
}

/// On one major under one balance, or on all under all.
fn try_framework(name: &str, major: u32, balance: &'static str) {
    let framework = FRAMEWORKS.iter().find(|known| known.name == name).expect("a known name");
    if !report::is_wanted() {
        framework.run(major, balance);
        return;
    }
    note_all(framework, &MAJORS);
    report::finish(name);
}

fn note_all(framework: &Framework, majors: &[u32]) {
    for major in majors {
        for balance in BALANCES {
            let figures = framework.run(*major, balance);
            report::note(Row::of_framework(framework, *major, balance, &figures));
        }
    }
}

#[test]
fn plain_http() {
    try_framework("http", 18, "auto");
}

/// What is not moved there is served until it has been told, in time before the keep-alive timeout.
#[test]
fn plain_http_on_the_oldest_majors() {
    let framework = &FRAMEWORKS[0];
    if report::is_wanted() {
        note_all(framework, &OLDEST);
        report::finish(ON_THE_OLDEST);
        return;
    }
    for (major, balance) in [(14, "auto"), (16, "kernel"), (14, "round-robin")] {
        framework.run(major, balance);
    }
}

#[test]
fn express() {
    try_framework("Express", 20, "kernel");
}

#[test]
fn fastify() {
    try_framework("Fastify", 22, "round-robin");
}

#[test]
fn koa() {
    try_framework("Koa", 24, "auto");
}

#[test]
fn hapi() {
    try_framework("Hapi", 26, "kernel");
}

#[test]
fn nest() {
    try_framework("NestJS", 20, "round-robin");
}

#[test]
fn next_js() {
    try_framework("Next.js", 24, "auto");
}

#[test]
fn ws() {
    try_framework("ws", 22, "kernel");
}

#[test]
fn socket_io() {
    try_framework("Socket.IO", 26, "round-robin");
}

#[test]
fn https() {
    try_framework("https", 18, "kernel");
}

#[test]
fn http2() {
    try_framework("http2", 26, "auto");
}

#[test]
fn http2_in_clear_text() {
    try_framework("http2 in clear text", 22, "round-robin");
}
