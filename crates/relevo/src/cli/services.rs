//! Which services of this user run, and where they can be spoken to.
//!
//! A service runs as long as its lock is held; what lies in a directory says nothing about that. The
//! control sockets are searched in every place a runtime directory may be, because a hook or a cron
//! job need not have the environment that the service was started with.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use relevo_config::{Package, ServiceName};
use relevo_sys::peer::peer_credentials;
use relevo_sys::proc::holder_of_abstract;
use relevo_sys::process::effective_uid;
use relevo_sys::{Errno, Pid};
use relevo_wire::ExitCode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::Failure;
use crate::configuration::name_in;
use crate::runtime_dir;

/// The file in a service's directory that its primary listens on.
const SOCKET: &str = "control.sock";

/// Where the kernel lists all Unix sockets: proc_net_unix in proc(5).
const UNIX_SOCKETS: &str = "/proc/self/net/unix";

/// A service that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    /// Its primary, if that was told at no cost: see [`Service::pid`].
    known_pid: Option<u32>,
    /// Where its control socket may be, the likeliest first. A primary that was killed may have
    /// left a file in one place, and run now with another.
    pub(crate) sockets: Vec<PathBuf>,
}

impl Service {
    /// The primary's process, searched in all of `/proc` if need be.
    pub(crate) fn pid(&self) -> Option<u32> {
        let search = || {
            let held = holder_of_abstract(lock_name(effective_uid(), &self.name).as_bytes());
            number(held.and_then(|holder| holder.pid))
        };
        self.known_pid.or_else(search)
    }

    /// Whether the primary with this pid is gone, whatever may run under the name by now.
    pub(crate) fn is_gone(&self, then: Option<u32>) -> bool {
        match (find(&self.name), then) {
            (None, _) => true,
            (Some(Self { known_pid: Some(now), .. }), Some(then)) => now != then,
            (Some(_), _) => false,
        }
    }

    #[cfg(test)]
    pub(crate) fn stand_in(name: &str, pid: Option<u32>, sockets: Vec<PathBuf>) -> Self {
        Self { name: name.parse().unwrap(), known_pid: pid, sockets }
    }
}

/// The service that a command is about.
pub(crate) fn resolve(given: Option<&ServiceName>) -> Result<Service, Failure> {
    if let Some(service) = given.and_then(find) {
        return Ok(service);
    }
    let running = all();
    let names: Vec<ServiceName> = running.iter().map(|service| service.name.clone()).collect();
    let here = Path::new("");
    let hint = name_in(here).or_else(|| package_name(&here.join("package.json")));
    let name = choose(given, &names, hint.as_ref(), &places())?;
    let gone = || not_running(&name, &names, &places());
    running.into_iter().find(|service| service.name == name).ok_or_else(gone)
}

/// All services of this user that run, by name.
pub(crate) fn all() -> Vec<Service> {
    let uid = effective_uid();
    let mut names = BTreeSet::new();
    if let Ok(table) = fs::read(UNIX_SOCKETS) {
        names.extend(locked_names(&String::from_utf8_lossy(&table), uid));
    }
    // For systems that do not show that table.
    for place in usable_places() {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        names.extend(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()));
    }
    names.iter().filter_map(find).collect()
}

/// The service of this name, if it runs.
pub(crate) fn find(name: &ServiceName) -> Option<Service> {
    let holder = holder(name)?;
    let sockets = usable_places()
        .into_iter()
        .map(|place| place.join(name.as_str()))
        .filter(|directory| runtime_dir::check_owner(directory).is_ok())
        .map(|directory| directory.join(SOCKET))
        .filter(|socket| fs::symlink_metadata(socket).is_ok())
        .collect();
    Some(Service { name: name.clone(), known_pid: holder.pid, sockets })
}

/// Every directory that commands look in.
pub(crate) fn places() -> Vec<PathBuf> {
    let mut places = runtime_dir::candidates();
    // Where `XDG_RUNTIME_DIR` would point, for those who have no such variable.
    places.push(PathBuf::from(format!("/run/user/{}/relevo", effective_uid())));
    let mut seen = BTreeSet::new();
    places.retain(|place| seen.insert(place.clone()));
    places
}

/// Why places that are there are passed over.
pub(crate) fn passed_over() -> Vec<String> {
    let faults = places().into_iter().filter_map(|place| runtime_dir::check_owner(&place).err());
    faults
        .filter(|fault| match fault {
            runtime_dir::RuntimeDirError::Unusable { source, .. } => {
                source.kind() != io::ErrorKind::NotFound
            }
            runtime_dir::RuntimeDirError::Owner { .. }
            | runtime_dir::RuntimeDirError::NotADirectory { .. } => true,
        })
        .map(|fault| format!("passed over: {fault}"))
        .collect()
}

/// The places as a sentence lists them.
pub(crate) fn list(places: &[PathBuf]) -> String {
    let shown: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    shown.join(", ")
}

fn usable_places() -> Vec<PathBuf> {
    places().into_iter().filter(|place| runtime_dir::check_owner(place).is_ok()).collect()
}

/// Decides by the facts which service is meant.
fn choose(
    given: Option<&ServiceName>,
    running: &[ServiceName],
    hint: Option<&ServiceName>,
    places: &[PathBuf],
) -> Result<ServiceName, Failure> {
    match (given, running) {
        (Some(name), _) if running.contains(name) => Ok(name.clone()),
        (Some(name), _) => Err(not_running(name, running, places)),
        (None, []) => {
            let reason = "no service runs: start one, as in `relevo run app.js`";
            Err(Failure::new(ExitCode::Unreachable, reason))
        }
        (None, [only]) => Ok(only.clone()),
        (None, several) => match hint.filter(|name| several.contains(name)) {
            Some(name) => Ok(name.clone()),
            None => Err(Failure::usage(format!(
                "{} services run: name one of {}",
                several.len(),
                quoted(several)
            ))),
        },
    }
}

fn not_running(name: &ServiceName, running: &[ServiceName], places: &[PathBuf]) -> Failure {
    let others = match running {
        [] => "no other does, either: start it by `relevo run`".to_owned(),
        [only] => format!("one that does is `{only}`"),
        several => format!("those that do are {}", quoted(several)),
    };
    let reason = format!("no service `{name}` runs; {others}");
    let looked = format!("nobody holds its lock; sockets are looked for in {}", list(places));
    Failure::new(ExitCode::Unreachable, reason).with_detail(vec![looked])
}

fn quoted(names: &[ServiceName]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The name that the package in this directory gives its service. A file that cannot be used is as
/// good as none: here it is only a hint.
fn package_name(path: &Path) -> Option<ServiceName> {
    let mut text = String::new();
    let most = u64::try_from(Package::MAX_BYTES).ok()?;
    fs::File::open(path).ok()?.take(most + 1).read_to_string(&mut text).ok()?;
    ServiceName::from_package_name(Package::parse(&text).ok()?.name?.as_str())
}

/// The name of the abstract socket that the primary listens on all its life.
fn lock_name(uid: u32, name: &ServiceName) -> String {
    format!("relevo/{uid}/{name}")
}

/// The services whose locks are in the kernel's table of Unix sockets. Every connection to one has
/// the name, too.
fn locked_names(table: &str, uid: u32) -> BTreeSet<ServiceName> {
    let prefix = format!("@relevo/{uid}/");
    let paths = table.lines().filter_map(|line| line.split_ascii_whitespace().nth(7));
    paths.filter_map(|path| path.strip_prefix(&prefix)?.parse().ok()).collect()
}

/// Who holds a lock.
struct LockHolder {
    pid: Option<u32>,
}

/// Asks the lock who holds it. Nobody ever accepts there, so after some asking its queue is full:
/// that still says that it is held.
fn holder(name: &ServiceName) -> Option<LockHolder> {
    let uid = effective_uid();
    let address = SocketAddrUnix::new_abstract_name(lock_name(uid, name).as_bytes()).ok()?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
    match connect(&socket, &address) {
        Ok(()) => {
            let peer = peer_credentials(&socket).ok()?;
            // Abstract names are free for all: another user's socket is none of our services.
            (peer.uid == uid).then(|| LockHolder { pid: number(peer.pid) })
        }
        Err(Errno::AGAIN) => Some(LockHolder { pid: None }),
        Err(_) => None,
    }
}

fn number(pid: Option<Pid>) -> Option<u32> {
    u32::try_from(pid?.as_raw_pid()).ok()
}

/// The directory of a control socket.
pub(crate) fn directory_of(socket: &Path) -> &Path {
    debug_assert_eq!(socket.file_name(), Some(OsStr::new(SOCKET)));
    socket.parent().unwrap_or(socket)
}
