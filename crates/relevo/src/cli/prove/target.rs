//! Which service is behind a URL.

use std::net::{IpAddr, TcpListener, ToSocketAddrs};

use relevo_config::ServiceName;
use relevo_prove::Target;
use relevo_wire::Status;
use relevo_wire::protocol::Verb;
use relevo_wire::status::ListenerKind;

use crate::cli::Failure;
use crate::cli::client::{ClientError, Connection, PATIENCE};
use crate::cli::services::{self, Service};

/// The service to reload: the one that is named, else the one that listens where clients go.
pub(super) fn service(named: Option<&ServiceName>, target: &Target) -> Result<Service, Failure> {
    if let Some(name) = named {
        return services::resolve(Some(name));
    }
    if !is_here(target) {
        return Err(Failure::usage(format!(
            "{} is not on this machine: say how it is reloaded, as in `--on-reload 'ssh {} relevo \
             reload'`",
            target.url, target.host
        )));
    }
    let mut others = Vec::new();
    for service in services::all() {
        let Ok(status) = status(&service) else { continue };
        if status.listeners.iter().any(|listener| is_target(listener, target)) {
            return Ok(service);
        }
        let addresses = status.listeners.iter().map(|listener| listener.address.clone());
        others.push(format!("`{}` ({})", service.name, addresses.collect::<Vec<_>>().join(", ")));
    }
    let place = match &target.unix_socket {
        Some(path) => path.display().to_string(),
        None => format!("port {}", target.port),
    };
    let running = match others.is_empty() {
        true => "none of this user runs".to_owned(),
        false => format!("there are {}", others.join(", ")),
    };
    Err(Failure::usage(format!(
        "no service listens on {place}: {running}; name one by --service, replace another server by \
         `--on-reload COMMAND`, or only drive it by `--reloads 0`"
    )))
}

/// How a service is now.
pub(super) fn status(service: &Service) -> Result<Status, ClientError> {
    let mut connection = Connection::open(service, PATIENCE)?;
    connection.ask_within(PATIENCE, Verb::Status)?.status()
}

fn is_target(listener: &relevo_wire::status::Listener, target: &Target) -> bool {
    match (&target.unix_socket, listener.kind) {
        (Some(path), ListenerKind::Unix) => path.as_os_str() == listener.address.as_str(),
        (None, ListenerKind::Tcp) => {
            let port = listener.address.rsplit_once(':').map(|(_, port)| port);
            port == Some(target.port.to_string().as_str())
        }
        (Some(_), ListenerKind::Tcp | ListenerKind::Udp)
        | (None, ListenerKind::Unix | ListenerKind::Udp) => false,
    }
}

/// Whether the target's address is one of this machine's: only such a one can be bound to.
fn is_here(target: &Target) -> bool {
    if target.unix_socket.is_some() {
        return true;
    }
    let addresses = (target.host.as_str(), target.port).to_socket_addrs();
    let is_own = |ip: IpAddr| TcpListener::bind((ip, 0)).is_ok();
    // A name that stands for nothing is the rehearsal's to complain about.
    addresses.map_or(true, |mut addresses| addresses.any(|address| is_own(address.ip())))
}
