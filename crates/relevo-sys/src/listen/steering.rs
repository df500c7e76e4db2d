//! Which member of an `SO_REUSEPORT` group gets how much: a program on the group; see `socket(7)`
//! and the kernel's `networking/filter`.
//!
//! The kernel runs it for each SYN, in place of its choice by hash. For weights 5, 3 and 2 it reads:
//!
//! ```text
//!       load   a random number
//!       modulo 10
//!       if at least 5, skip one
//!       return 0
//!       if at least 8, skip one
//!       return 1
//!       return 2
//! ```
//!
//! Members that stand beside each other with the same weight are answered for together, by a
//! division, so that a group of equals, or of two releases, costs a few instructions however large
//! it is. No jump is longer than such an answer: a classic program's conditional jumps reach 255
//! instructions and no further.

use std::os::fd::{AsFd, AsRawFd};

use libc::{
    BPF_A, BPF_ABS, BPF_ADD, BPF_ALU, BPF_DIV, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_MOD, BPF_RET,
    BPF_SUB, BPF_W, sock_filter, sock_fprog,
};
use rustix::io::Errno;

/// Of the kernel's `asm-generic/socket.h`; `libc` has it for Android only.
const SO_ATTACH_REUSEPORT_CBPF: libc::c_int = 51;

/// The place in a packet that is none: loading from there gives a random word.
const RANDOM: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM).cast_unsigned();

/// Has new connections go to the members of a group by weight: of all, the member with index `i`
/// gets `weights[i]` parts of their sum, and one with weight 0 none.
///
/// The index of a member is the order in which it began to listen; when one closes, the last takes
/// its place. So the weights hold until the group changes, and are then to be set again. `member`
/// can be any of the group. What was set before is replaced between one SYN and the next, and what
/// waits in a queue, or is in the middle of its handshake, stays where it is. Members without a
/// weight get nothing. Where a weight has no member, the kernel's hash decides among all of them,
/// so that nothing is lost, but a member with weight 0 can get something.
///
/// Each connection is drawn for itself: shares are as even as chance is. (The drawing is modulo the
/// sum, so that a share can be off by one part in 2³² divided by the sum.)
///
/// A worker that has a duplicate of a member could do the same.
///
/// # Errors
///
/// `EINVAL` before a second member has joined, also for a socket that is not of a group; when the
/// weights are none, have the sum 0 or one beyond [`u32::MAX`], or change from one member to the next
/// more than some 2,000 times. `ENOMEM` when they do so more often than `net.core.optmem_max` has
/// room for: some 800 times by the default of kernels before 6.8, for which that is 20 KiB. `EPERM`
/// or `ENOPROTOOPT` where a sandbox forbids the option or does not know it (gVisor). After an error,
/// what was set before is still in force.
pub fn steer(member: impl AsFd, weights: &[u32]) -> Result<(), Errno> {
    let mut program = program(weights).ok_or(Errno::INVAL)?;
    let fprog = sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Errno::INVAL)?,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the pointer is to `fprog`, whose size is given, and whose own pointer is to as many
    // instructions as it says; the kernel only reads both, and both outlive the call.
    let result = unsafe {
        libc::setsockopt(
            member.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_ATTACH_REUSEPORT_CBPF,
            (&raw const fprog).cast(),
            size_of_val(&fprog) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(crate::last_errno()) }
}

/// The program for these weights; `None` if their sum is 0 or too large.
fn program(weights: &[u32]) -> Option<Vec<sock_filter>> {
    let sum = weights.iter().try_fold(0_u32, |sum, weight| sum.checked_add(*weight))?;
    if sum == 0 {
        return None;
    }
    let mut program = vec![
        statement(BPF_LD | BPF_W | BPF_ABS, RANDOM),
        statement(BPF_ALU | BPF_MOD | BPF_K, sum),
    ];
    let (mut index, mut from) = (0, 0);
    for equals in weights.chunk_by(|one, other| one == other) {
        let (weight, count) = (equals[0], u32::try_from(equals.len()).ok()?);
        let to = from + weight * count;
        if weight > 0 {
            let answer = answer(index, from, weight, count);
            if to < sum {
                let length = u8::try_from(answer.len()).ok()?;
                program
                    .push(sock_filter { jt: length, ..statement(BPF_JMP | BPF_JGE | BPF_K, to) });
            }
            program.extend(answer);
        }
        (index, from) = (index + count, to);
    }
    Some(program)
}

/// Returns one of `count` indices from `index` on, each for `weight` numbers from `from` on.
fn answer(index: u32, from: u32, weight: u32, count: u32) -> Vec<sock_filter> {
    if count == 1 {
        return vec![statement(BPF_RET | BPF_K, index)];
    }
    vec![
        statement(BPF_ALU | BPF_SUB | BPF_K, from),
        statement(BPF_ALU | BPF_DIV | BPF_K, weight),
        statement(BPF_ALU | BPF_ADD | BPF_K, index),
        statement(BPF_RET | BPF_A, 0),
    ]
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{SocketAddr, TcpStream};
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::net::sockopt::{set_socket_linger, socket_reuseport};

    use super::*;
    use crate::diag::listeners_on;
    use crate::listen::{tcp_first, tcp_further};
    use crate::process::raise_nofile_limit;
    use crate::socket::accept;
    use crate::test_support::{address_of, eventually, loopback};

    const BACKLOG: u32 = 511;

    /// A group in the order of its indices.
    fn group(size: usize) -> Vec<OwnedFd> {
        let first = tcp_first(loopback(0), false, BACKLOG, true).unwrap();
        let address = address_of(&first);
        let further = (1..size).map(|_| tcp_further(address, false, BACKLOG).unwrap());
        std::iter::once(first).chain(further).collect()
    }

    /// Connects, is let in, sees the end, and leaves nothing behind in `TIME_WAIT`.
    fn visit(address: SocketAddr) {
        let mut client = TcpStream::connect(address).unwrap();
        set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    }

    /// How many of `count` connections each member gets, with `between` called after each.
    fn visits(members: &[OwnedFd], count: usize, mut between: impl FnMut(usize)) -> Vec<usize> {
        const CLIENTS: usize = 4;
        assert_eq!(count % CLIENTS, 0);
        let address = address_of(&members[0]);
        let mut counts = vec![0; members.len()];
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(move || (0..count / CLIENTS).for_each(|_| visit(address)));
            }
            for done in 1..=count {
                let at = eventually("a connection", || {
                    members.iter().position(|member| accept(member).unwrap().is_some())
                });
                counts[at] += 1;
                between(done);
            }
        });
        counts
    }

    /// The only member that gets anything.
    fn only(members: &[OwnedFd]) -> usize {
        let counts = visits(members, 12, |_| ());
        let got = counts.iter().position(|count| *count > 0).unwrap();
        assert_eq!(counts[got], 12, "{counts:?}");
        got
    }

    fn one_of(size: usize, index: usize) -> Vec<u32> {
        (0..size).map(|at| u32::from(at == index)).collect()
    }

    /// What the kernel makes of a random number.
    fn run(program: &[sock_filter], random: u32) -> u32 {
        let (mut a, mut at) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            match u32::from(code) {
                code if code == BPF_LD | BPF_W | BPF_ABS => a = random,
                code if code == BPF_ALU | BPF_MOD | BPF_K => a %= k,
                code if code == BPF_ALU | BPF_SUB | BPF_K => a -= k,
                code if code == BPF_ALU | BPF_DIV | BPF_K => a /= k,
                code if code == BPF_ALU | BPF_ADD | BPF_K => a += k,
                code if code == BPF_JMP | BPF_JGE | BPF_K => {
                    at += usize::from(if a >= k { jt } else { jf });
                }
                code if code == BPF_RET | BPF_K => return k,
                code if code == BPF_RET | BPF_A => return a,
                code => panic!("{code:#x}"),
            }
        }
    }

    #[test]
    fn each_number_belongs_to_one_member() {
        for weights in [
            &[1][..],
            &[0, 0, 7],
            &[5, 3, 2, 0],
            &[0, 1, 1, 1, 0, 0, 4, 4, 2, 2, 2, 0],
            &[3; 300],
            &[1, 2].repeat(550),
        ] {
            let program = program(weights).unwrap();
            let members = weights.iter().enumerate();
            let owners: Vec<_> =
                members.flat_map(|(index, weight)| vec![index as u32; *weight as usize]).collect();
            let sum = owners.len() as u32;
            let got: Vec<_> = (0..sum).map(|random| run(&program, random)).collect();
            assert_eq!(got, owners);
            assert_eq!(run(&program, sum), owners[0]);
        }
    }

    #[test]
    fn sums_reach_to_the_end_of_the_numbers() {
        let large = program(&[1 << 31, (1 << 31) - 2, 1]).unwrap();
        let got = [0, (1 << 31) - 1, 1 << 31, u32::MAX - 2, u32::MAX - 1, u32::MAX]
            .map(|random| run(&large, random));
        assert_eq!(got, [0, 0, 1, 1, 2, 0]);
        assert!(program(&[1 << 31, 1 << 31]).is_none());
        assert!(program(&[u32::MAX, 0, 1]).is_none());
    }

    #[test]
    fn equals_are_answered_for_together() {
        assert_eq!(program(&[7; 1100]).unwrap().len(), 6);
        assert_eq!(program(&[&[90; 60][..], &[10; 4]].concat()).unwrap().len(), 11);
        assert!(program(&[1, 2].repeat(550)).unwrap().len() <= libc::BPF_MAXINSNS as usize);
    }

    #[test]
    fn connections_are_shared_by_weight() {
        let members = group(4);
        steer(&members[2], &[5, 3, 2, 0]).unwrap();
        let counts = visits(&members, 2000, |_| ());
        for (count, share) in counts.iter().zip([0.5, 0.3, 0.2]) {
            let sigma = f64::sqrt(2000.0 * share * (1.0 - share));
            assert!((*count as f64 - 2000.0 * share).abs() < 6.0 * sigma, "{counts:?}");
        }
        assert_eq!(counts[3], 0);
    }

    #[test]
    fn no_connection_is_lost_while_weights_change() {
        let members = group(3);
        let mut changes = 0;
        let counts = visits(&members, 2000, |done| {
            if done % 10 == 0 {
                let weights = [[1, 0, 0], [0, 1, 0], [1, 2, 3], [0, 0, 1]][changes % 4];
                steer(&members[changes % 3], &weights).unwrap();
                changes += 1;
            }
        });
        assert_eq!((changes, counts.iter().sum()), (200, 2000));
        assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
    }

    #[test]
    fn indices_are_in_the_order_of_listening_and_the_last_fills_a_gap() {
        let mut members = group(4);
        for index in 0..4 {
            steer(&members[0], &one_of(4, index)).unwrap();
            assert_eq!(only(&members), index);
        }
        drop(members.swap_remove(1));
        // A process that another test is starting may have it a moment longer.
        let address = address_of(&members[0]);
        eventually("one less", || (listeners_on(address).unwrap().len() == 3).then_some(()));
        for index in 0..3 {
            steer(&members[0], &one_of(3, index)).unwrap();
            assert_eq!(only(&members), index);
        }
        members.push(tcp_further(address, false, BACKLOG).unwrap());
        steer(&members[0], &one_of(4, 3)).unwrap();
        assert_eq!(only(&members), 3);
    }

    #[test]
    fn a_weight_without_a_member_loses_nothing() {
        let members = group(2);
        steer(&members[0], &[0, 0, 1]).unwrap();
        assert_eq!(visits(&members, 40, |_| ()).iter().sum::<usize>(), 40);
    }

    #[test]
    fn a_group_needs_two_members_and_a_weight() {
        let first = tcp_first(loopback(0), false, BACKLOG, true).unwrap();
        assert_eq!(socket_reuseport(&first), Ok(true));
        assert_eq!(steer(&first, &[1]), Err(Errno::INVAL));
        let second = tcp_further(address_of(&first), false, BACKLOG).unwrap();
        assert_eq!(steer(&first, &[1]), Ok(()));
        for weights in [&[][..], &[0, 0], &[u32::MAX, 1], &[1, 2].repeat(2048)] {
            assert_eq!(steer(&second, weights), Err(Errno::INVAL));
        }
        let alone = tcp_first(loopback(0), false, BACKLOG, false).unwrap();
        assert_eq!(steer(&alone, &[1]), Err(Errno::INVAL));
    }

    #[test]
    fn large_groups_are_steered() {
        raise_nofile_limit().unwrap();
        for size in [64, 1024] {
            let members = group(size);
            steer(&members[size - 1], &vec![1; size]).unwrap();
            // Each differs from its neighbours; where an older kernel has no room for that, the
            // program before stays.
            let uneven: Vec<_> = (1..=size as u32).collect();
            match steer(&members[0], &uneven) {
                Ok(()) => {}
                Err(errno) => assert_eq!((errno, size), (Errno::NOMEM, 1024)),
            }
            steer(&members[1], &one_of(size, size - 7)).unwrap();
            assert_eq!(only(&members), size - 7);
        }
    }
}
