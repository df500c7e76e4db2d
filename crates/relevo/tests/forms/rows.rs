//! The table: every form of `listen`, and what is to be seen of it.

use std::path::PathBuf;

use serde_json::Value;

use super::target::Target;
use crate::support::TempDir;
use crate::support::ports::port;

/// One form.
pub(crate) struct Row {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// `FORM` of `fixtures/apps/forms.js`.
    pub(crate) form: &'static str,
    /// The first Node major that has it.
    pub(crate) since: u32,
    pub(crate) workers: usize,
    /// How many lines each worker writes once all is open.
    pub(crate) lines: usize,
    /// Where it is reached.
    pub(crate) at: fn(&Place, &[Value]) -> Vec<Target>,
    /// Where it is not.
    pub(crate) not_at: fn(&Place) -> Vec<Target>,
    pub(crate) besides: Besides,
}

/// What else is to be seen of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Besides {
    Nothing,
    /// Every worker, also a later one, has the same addresses.
    SameAddresses,
    /// The second `listen` on the port fails as it does under bare node.
    SecondFails,
    /// TLS sessions are resumed by every worker, also by later ones.
    Resumption,
    /// The file is gone after the stop.
    NoFile,
    /// Relevo is started with a socket, on the port and every IPv4 address.
    Activated,
    /// Relevo is started with a socket, at the path. Its file is not ours to remove.
    ActivatedPath,
    /// The second port is the worker's own, which a warning says.
    Unprotected {
        /// Whether a second process can have it at the same time.
        is_shareable: bool,
    },
}

/// What one service of the table has for itself.
pub(crate) struct Place {
    pub(crate) port: u16,
    pub(crate) second_port: u16,
    pub(crate) directory: TempDir,
    pub(crate) abstract_name: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let (port, second_port) = (port(), port());
        let abstract_name = format!("relevo-forms-{port}");
        Self { port, second_port, directory: TempDir::new("forms"), abstract_name }
    }

    pub(crate) fn socket_file(&self) -> PathBuf {
        self.directory.join("app.sock")
    }

    /// The existence of this file makes new workers fail.
    pub(crate) fn fail_file(&self) -> PathBuf {
        self.directory.join("fail")
    }
}

const ORDINARY: Row = Row {
    name: "",
    form: "port",
    since: 18,
    workers: 2,
    lines: 1,
    at: both_families,
    not_at: |_| Vec::new(),
    besides: Besides::Nothing,
};

/// All of them; without IPv6, those that can be had.
pub(crate) fn rows() -> Vec<Row> {
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !has_ipv6 {
        println!("skipped, as this machine has no IPv6: ipv6, dual stack, udp6");
    }
    let mut rows: Vec<Row> = table().into();
    rows.retain(|row| has_ipv6 || !matches!(row.form, "ipv6" | "dual" | "udp6"));
    rows
}

fn table() -> [Row; 23] {
    [
        Row { name: "port", ..ORDINARY },
        Row {
            name: "host and port",
            form: "host-port",
            at: first_port,
            not_at: |place| vec![Target::v6(place.port)],
            ..ORDINARY
        },
        Row {
            name: "IPv6",
            form: "ipv6",
            at: |place, _| vec![Target::v6(place.port)],
            not_at: |place| vec![Target::v4(place.port)],
            ..ORDINARY
        },
        Row { name: "dual stack", form: "dual", ..ORDINARY },
        Row {
            name: "port 0",
            form: "port0",
            at: |_, listening| ports_of(listening),
            besides: Besides::SameAddresses,
            ..ORDINARY
        },
        Row {
            name: "port 0 twice",
            form: "port0-twice",
            at: |_, listening| ports_of(listening),
            besides: Besides::SameAddresses,
            ..ORDINARY
        },
        Row {
            name: "unix path",
            form: "unix",
            at: socket_file,
            besides: Besides::NoFile,
            ..ORDINARY
        },
        Row {
            name: "relative unix path",
            form: "unix-relative",
            at: socket_file,
            besides: Besides::NoFile,
            ..ORDINARY
        },
        Row {
            name: "abstract name",
            form: "abstract",
            at: |place, _| vec![Target::Abstract(place.abstract_name.clone())],
            ..ORDINARY
        },
        Row { name: "two servers", form: "two-servers", at: two_ports, ..ORDINARY },
        Row { name: "closed and opened again", form: "close-and-listen-again", ..ORDINARY },
        Row {
            name: "twice at once",
            form: "twice-at-once",
            lines: 2,
            besides: Besides::SecondFails,
            ..ORDINARY
        },
        Row {
            name: "second port late",
            form: "late-second-port",
            lines: 2,
            at: two_ports,
            ..ORDINARY
        },
        Row {
            name: "UDP 4",
            form: "udp4",
            at: |place, _| vec![Target::Udp(([127, 0, 0, 1], place.port).into())],
            ..ORDINARY
        },
        Row {
            name: "UDP 6",
            form: "udp6",
            at: |place, _| vec![Target::Udp((std::net::Ipv6Addr::LOCALHOST, place.port).into())],
            ..ORDINARY
        },
        Row {
            name: "TLS",
            form: "tls",
            at: |place, _| vec![Target::Https(place.port)],
            besides: Besides::Resumption,
            ..ORDINARY
        },
        Row {
            name: "HTTP/2",
            form: "http2",
            at: |place, _| vec![Target::Http2(place.port)],
            ..ORDINARY
        },
        Row {
            name: "passed descriptor",
            form: "fd",
            at: first_port,
            besides: Besides::Activated,
            ..ORDINARY
        },
        Row {
            name: "passed descriptor, by its address",
            at: first_port,
            besides: Besides::Activated,
            ..ORDINARY
        },
        Row {
            name: "passed descriptor, by its path",
            form: "unix",
            at: socket_file,
            besides: Besides::ActivatedPath,
            ..ORDINARY
        },
        Row {
            name: "exclusive beside an ordinary one",
            form: "exclusive-beside",
            workers: 1,
            lines: 2,
            besides: Besides::Unprotected { is_shareable: false },
            ..ORDINARY
        },
        Row {
            name: "reusePort beside an ordinary one",
            form: "reuse-port-beside",
            since: 22,
            lines: 2,
            besides: Besides::Unprotected { is_shareable: true },
            ..ORDINARY
        },
        Row {
            name: "a thread's beside an ordinary one",
            form: "worker-thread-beside",
            workers: 1,
            lines: 2,
            besides: Besides::Unprotected { is_shareable: false },
            ..ORDINARY
        },
    ]
}

fn first_port(place: &Place, _: &[Value]) -> Vec<Target> {
    vec![Target::v4(place.port)]
}

fn both_families(place: &Place, _: &[Value]) -> Vec<Target> {
    let mut both = vec![Target::v4(place.port)];
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        both.push(Target::v6(place.port));
    }
    both
}

fn two_ports(place: &Place, _: &[Value]) -> Vec<Target> {
    vec![Target::v4(place.port), Target::v4(place.second_port)]
}

fn socket_file(place: &Place, _: &[Value]) -> Vec<Target> {
    vec![Target::Unix(place.socket_file())]
}

/// The ports that a worker says it has.
fn ports_of(listening: &[Value]) -> Vec<Target> {
    let port = |address: &Value| address["port"].as_u64().and_then(|port| u16::try_from(port).ok());
    listening.iter().filter_map(port).map(Target::v4).collect()
}
