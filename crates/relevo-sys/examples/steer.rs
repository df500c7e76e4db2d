//! How long it takes to rewrite the weights of a group while connections come: `steer [SOCKETS]`.
//!
//! Rewrites them a thousand times, each time others, with no two neighbours alike. Prints the median and the
//! 99th percentile in microseconds. The benchmark runs it.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use relevo_sys::Errno;
use relevo_sys::listen::{steer, tcp_first, tcp_further};
use relevo_sys::socket::{SocketName, accept, local_address};

const TIMES: usize = 1000;
const CLIENTS: usize = 4;
const BACKLOG: u32 = 4096;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let size = std::env::args().nth(1).map_or(Ok(64), |text| text.parse())?;
    let (members, address) = group(size)?;
    let over = AtomicBool::new(false);
    let served = AtomicU64::new(0);
    let mut times = thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    visit(address);
                }
            });
        }
        scope.spawn(|| serve(&members, &served, &over));
        let times = rewrite(&members, &served);
        over.store(true, Ordering::Relaxed);
        times
    })?;
    times.sort_unstable();
    let [median, highest] = [TIMES / 2, TIMES * 99 / 100].map(|at| times[at].as_secs_f64() * 1e6);
    println!("{median:.1} {highest:.1}");
    Ok(())
}

fn group(size: usize) -> Result<(Vec<OwnedFd>, SocketAddr), Failure> {
    let first = tcp_first((Ipv4Addr::LOCALHOST, 0).into(), false, BACKLOG, true)?;
    let SocketName::Inet(address) = local_address(&first)? else {
        return Err("a TCP socket has another address".into());
    };
    let mut members = vec![first];
    while members.len() < size {
        members.push(tcp_further(address, false, BACKLOG)?);
    }
    Ok((members, address))
}

/// Each time after at least one more connection, so that they do go on.
fn rewrite(members: &[OwnedFd], served: &AtomicU64) -> Result<Vec<Duration>, Errno> {
    let mut times = Vec::with_capacity(TIMES);
    for round in 0..TIMES {
        let before = served.load(Ordering::Relaxed);
        while served.load(Ordering::Relaxed) == before {
            thread::sleep(Duration::from_micros(100));
        }
        let weights: Vec<u32> =
            (0..members.len()).map(|at| ((at * 7 + round) % 97 + 1) as u32).collect();
        let began = Instant::now();
        steer(&members[0], &weights)?;
        times.push(began.elapsed());
    }
    Ok(times)
}

/// Lets everybody in, and out.
fn serve(members: &[OwnedFd], served: &AtomicU64, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let mut idle = true;
        for member in members {
            while let Ok(Some(_)) = accept(member) {
                served.fetch_add(1, Ordering::Relaxed);
                idle = false;
            }
        }
        if idle {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Waits for the end of its connection. One that is refused or cut is of no importance: the group is
/// closed in the midst of it.
fn visit(address: SocketAddr) {
    if let Ok(mut client) = TcpStream::connect(address) {
        drop(client.set_read_timeout(Some(Duration::from_secs(1))));
        drop(client.read(&mut [0; 1]));
    }
}
