//! A network device with a program at its far end: the kernel's `networking/tuntap`. Relevo itself
//! has no use for one. Its end-to-end tests make a long way out of it, and need an `ioctl` for that,
//! which only this crate may call.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// Makes a device between these two addresses, in our network namespace, and takes it up. What is
/// sent to the far one is read from the descriptor, one packet at a time, and what is written there
/// arrives as if from the far one. The device is gone when the descriptor is closed.
///
/// # Errors
///
/// `ENOENT`, `ENXIO`, `EACCES` or `EPERM` where there is no `/dev/net/tun` for us; `EPERM` without
/// `CAP_NET_ADMIN`; `EBUSY` when somebody has the device.
pub fn tun(name: &str, near: Ipv4Addr, far: Ipv4Addr) -> Result<OwnedFd, Errno> {
    let device = open("/dev/net/tun", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let kind = (libc::IFF_TUN | libc::IFF_NO_PI) as u16;
    set(&device, libc::TUNSETIFF, name, &kind.to_ne_bytes())?;
    let any = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    set(&any, libc::SIOCSIFADDR, name, &address(near))?;
    set(&any, libc::SIOCSIFDSTADDR, name, &address(far))?;
    let up = (libc::IFF_UP | libc::IFF_RUNNING) as u16;
    set(&any, libc::SIOCSIFFLAGS, name, &up.to_ne_bytes())?;
    Ok(device)
}

/// A `struct ifreq`: what is asked about a device stands at the beginning of `value`, whatever it is.
#[repr(C, align(8))]
struct Request {
    name: [u8; libc::IF_NAMESIZE],
    value: [u8; 24],
}

/// The beginning of a `struct sockaddr_in`.
fn address(ip: Ipv4Addr) -> [u8; 8] {
    let [a, b] = (libc::AF_INET as u16).to_ne_bytes();
    let [c, d, e, f] = ip.octets();
    [a, b, 0, 0, c, d, e, f]
}

fn set(of: impl AsFd, request: libc::Ioctl, name: &str, value: &[u8]) -> Result<(), Errno> {
    let mut asked = Request { name: [0; libc::IF_NAMESIZE], value: [0; 24] };
    // The name's last byte stays 0.
    let room = asked.name[..libc::IF_NAMESIZE - 1].get_mut(..name.len()).ok_or(Errno::INVAL)?;
    room.copy_from_slice(name.as_bytes());
    asked.value[..value.len()].copy_from_slice(value);
    // SAFETY: the four requests of this file read a `struct ifreq`, and TUNSETIFF writes one back;
    // `asked` is as large as that, aligned as that, and outlives the call.
    let result = unsafe { libc::ioctl(of.as_fd().as_raw_fd(), request, &raw mut asked) };
    if result == 0 { Ok(()) } else { Err(crate::last_errno()) }
}
