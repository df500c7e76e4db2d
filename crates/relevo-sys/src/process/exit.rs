//! How a process ended.

use std::fmt;

use rustix::process::{Signal, WaitIdStatus};

use crate::signals;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It called `exit` with this code, 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The signal's number, which may be a real-time signal's.
        number: i32,
        /// Whether a core file was written.
        core_dumped: bool,
    },
}

impl Exit {
    /// `None` for what is no end: stopped, continued.
    pub(super) fn from_status(status: &WaitIdStatus) -> Option<Self> {
        if let Some(code) = status.exit_status() {
            return Some(Self::Code(code));
        }
        let number = status.terminating_signal()?;
        Some(Self::Signal { number, core_dumped: status.dumped() })
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { number, core_dumped } => {
                match Signal::from_named_raw(number) {
                    Some(signal) => f.write_str(signals::name(signal))?,
                    None => write!(f, "signal {number}")?,
                }
                if core_dumped { f.write_str(" (core dumped)") } else { Ok(()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display() {
        let by = |number, core_dumped| Exit::Signal { number, core_dumped }.to_string();
        assert_eq!(Exit::Code(3).to_string(), "exit code 3");
        assert_eq!(by(9, false), "SIGKILL");
        assert_eq!(by(11, true), "SIGSEGV (core dumped)");
        assert_eq!(by(40, false), "signal 40");
    }
}
