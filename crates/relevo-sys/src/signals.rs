//! Signals as something to wait for: `signalfd(2)`; and their names: `signal(7)`.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// Every signal that has a name of its own. Real-time signals have none and are not used.
const NAMES: [(Signal, &str); 31] = [
    (Signal::HUP, "SIGHUP"),
    (Signal::INT, "SIGINT"),
    (Signal::QUIT, "SIGQUIT"),
    (Signal::ILL, "SIGILL"),
    (Signal::TRAP, "SIGTRAP"),
    (Signal::ABORT, "SIGABRT"),
    (Signal::BUS, "SIGBUS"),
    (Signal::FPE, "SIGFPE"),
    (Signal::KILL, "SIGKILL"),
    (Signal::USR1, "SIGUSR1"),
    (Signal::SEGV, "SIGSEGV"),
    (Signal::USR2, "SIGUSR2"),
    (Signal::PIPE, "SIGPIPE"),
    (Signal::ALARM, "SIGALRM"),
    (Signal::TERM, "SIGTERM"),
    (Signal::STKFLT, "SIGSTKFLT"),
    (Signal::CHILD, "SIGCHLD"),
    (Signal::CONT, "SIGCONT"),
    (Signal::STOP, "SIGSTOP"),
    (Signal::TSTP, "SIGTSTP"),
    (Signal::TTIN, "SIGTTIN"),
    (Signal::TTOU, "SIGTTOU"),
    (Signal::URG, "SIGURG"),
    (Signal::XCPU, "SIGXCPU"),
    (Signal::XFSZ, "SIGXFSZ"),
    (Signal::VTALARM, "SIGVTALRM"),
    (Signal::PROF, "SIGPROF"),
    (Signal::WINCH, "SIGWINCH"),
    (Signal::IO, "SIGIO"),
    (Signal::POWER, "SIGPWR"),
    (Signal::SYS, "SIGSYS"),
];

/// The signal's name with its prefix: `SIGTERM`.
pub fn name(signal: Signal) -> &'static str {
    let found = NAMES.iter().find(|(named, _)| *named == signal);
    found.map_or("a real-time signal", |(_, name)| name)
}

/// The signal that people write as `SIGTERM`, `TERM`, `term` or `15`.
pub fn parse(text: &str) -> Option<Signal> {
    if let Ok(number) = text.parse() {
        return Signal::from_named_raw(number);
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES.iter().find(|(_, name)| &name["SIG".len()..] == bare).map(|(signal, _)| *signal)
}

/// Whether this process ignores the signal: what `nohup` arranges for SIGHUP before it starts a
/// program. An ignored signal should stay ignored, so ask before [`Signals::take`].
pub fn is_ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null new action this only writes the present one to `action`.
    let result = unsafe { libc::sigaction(signal.as_raw(), std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zero bytes are a value of this structure of integers and an optional function.
    let action = unsafe { action.assume_init() };
    result == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Lets every signal through to this thread again.
///
/// A program started by a process that took signals begins with these blocked, and hands that on:
/// so whatever runs last before a worker's program calls this.
pub fn unblock_all() -> Result<(), Errno> {
    change_mask(libc::SIG_SETMASK, &empty_set())
}

/// A set of signals that arrive as something to read instead of interrupting.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
}

impl Signals {
    /// Blocks the signals for this thread and opens a descriptor that is readable when one of them
    /// is pending for the process or this thread.
    ///
    /// To be called before any other thread is started: threads inherit the mask, and a signal goes
    /// to any thread that does not block it. The signals stay blocked when this is dropped.
    pub fn take(signals: &[Signal]) -> Result<Self, Errno> {
        let mut set = empty_set();
        for signal in signals {
            // SAFETY: `set` is an initialised set; the number is a signal's.
            unsafe { libc::sigaddset(&raw mut set, signal.as_raw()) };
        }
        change_mask(libc::SIG_BLOCK, &set)?;
        // SAFETY: -1 asks for a new descriptor; `set` is initialised and outlives the call.
        let number =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if number < 0 {
            return Err(crate::last_errno());
        }
        // SAFETY: the call has just opened this descriptor, and nothing else knows of it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        Ok(Self { descriptor })
    }

    /// To wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// The next pending signal and who sent it (`None`: the kernel, or a process that cannot be
    /// seen from here). Several of one kind may have become one.
    pub fn next(&self) -> Result<Option<(Signal, Option<Pid>)>, Errno> {
        const RECORD_BYTES: usize = size_of::<libc::signalfd_siginfo>();
        loop {
            let mut record = [0; RECORD_BYTES];
            match rustix::io::read(&self.descriptor, &mut record) {
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
                Ok(count) if count != RECORD_BYTES => return Err(Errno::IO),
                Ok(_) => {}
            }
            // SAFETY: the array has the size of the structure, which is made of integers only; the
            // read is unaligned because the array is.
            let info: libc::signalfd_siginfo =
                unsafe { std::ptr::read_unaligned(record.as_ptr().cast()) };
            // Only named signals are ever in the set, so this never skips one.
            if let Some(signal) =
                i32::try_from(info.ssi_signo).ok().and_then(Signal::from_named_raw)
            {
                let sender = i32::try_from(info.ssi_pid).ok().and_then(Pid::from_raw);
                return Ok(Some((signal, sender)));
            }
        }
    }
}

fn empty_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the pointer is to a set, which the call initialises; it cannot fail.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call above.
    unsafe { set.assume_init() }
}

fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> Result<(), Errno> {
    // SAFETY: `set` is initialised, and the null pointer asks for no old mask.
    let error = unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) };
    if error == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(error)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_parsed_back() {
        for (signal, text) in NAMES {
            assert_eq!(name(signal), text);
            assert_eq!(parse(text), Some(signal));
            assert_eq!(parse(&text[3..].to_lowercase()), Some(signal));
            assert_eq!(parse(&signal.as_raw().to_string()), Some(signal));
        }
    }

    #[test]
    fn what_names_no_signal_is_refused() {
        for text in ["", "SIG", "NOPE", "0", "-15", "99", "SIGSIGTERM", "15 "] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn rust_programs_ignore_sigpipe_and_nothing_else() {
        assert!(is_ignored(Signal::PIPE));
        assert!(!is_ignored(Signal::USR1));
    }
}
