//! Which signal asks a worker to end.

use std::fmt;
use std::str::FromStr;

use crate::InvalidValue;

/// The value of `--stop-signal`: a signal that a process can catch, by its name (with or without
/// `SIG`) or its number.
///
/// The numbers are those of signal(7) for x86, ARM and most others; Linux on Alpha, SPARC, MIPS
/// and PA-RISC, where some differ, does not run Node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopSignal {
    name: &'static str,
    number: i32,
}

/// All standard signals but the two that cannot be caught.
const CATCHABLE: [StopSignal; 29] = [
    StopSignal { name: "SIGHUP", number: 1 },
    StopSignal { name: "SIGINT", number: 2 },
    StopSignal { name: "SIGQUIT", number: 3 },
    StopSignal { name: "SIGILL", number: 4 },
    StopSignal { name: "SIGTRAP", number: 5 },
    StopSignal { name: "SIGABRT", number: 6 },
    StopSignal { name: "SIGBUS", number: 7 },
    StopSignal { name: "SIGFPE", number: 8 },
    StopSignal { name: "SIGUSR1", number: 10 },
    StopSignal { name: "SIGSEGV", number: 11 },
    StopSignal { name: "SIGUSR2", number: 12 },
    StopSignal { name: "SIGPIPE", number: 13 },
    StopSignal { name: "SIGALRM", number: 14 },
    StopSignal { name: "SIGTERM", number: 15 },
    StopSignal { name: "SIGSTKFLT", number: 16 },
    StopSignal { name: "SIGCHLD", number: 17 },
    StopSignal { name: "SIGCONT", number: 18 },
    StopSignal { name: "SIGTSTP", number: 20 },
    StopSignal { name: "SIGTTIN", number: 21 },
    StopSignal { name: "SIGTTOU", number: 22 },
    StopSignal { name: "SIGURG", number: 23 },
    StopSignal { name: "SIGXCPU", number: 24 },
    StopSignal { name: "SIGXFSZ", number: 25 },
    StopSignal { name: "SIGVTALRM", number: 26 },
    StopSignal { name: "SIGPROF", number: 27 },
    StopSignal { name: "SIGWINCH", number: 28 },
    StopSignal { name: "SIGIO", number: 29 },
    StopSignal { name: "SIGPWR", number: 30 },
    StopSignal { name: "SIGSYS", number: 31 },
];

impl StopSignal {
    /// `SIGTERM`, what process managers and orchestrators send.
    pub const TERM: Self = Self { name: "SIGTERM", number: 15 };

    /// The name, beginning with `SIG`.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The number, as kill(2) wants it.
    pub const fn number(self) -> i32 {
        self.number
    }
}

impl Default for StopSignal {
    fn default() -> Self {
        Self::TERM
    }
}

impl FromStr for StopSignal {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        // `+15` and `015` are numbers to Rust, but hardly what anybody means.
        let number = text.parse::<i32>().ok().filter(|number| number.to_string() == text);
        let found = CATCHABLE.into_iter().find(|signal| {
            signal.name.strip_prefix("SIG") == Some(bare) || number == Some(signal.number)
        });
        if let Some(signal) = found {
            return Ok(signal);
        }
        if bare == "KILL" || number == Some(9) {
            return Err(InvalidValue::new(
                text,
                "cannot be caught, so a worker could not finish its work",
                "use SIGTERM; a worker that does not end is killed after --stop-timeout anyway",
            ));
        }
        if bare == "STOP" || number == Some(19) {
            let reason = "suspends a worker instead of ending it, and cannot be caught";
            return Err(InvalidValue::new(text, reason, "use SIGTERM"));
        }
        let remedy = "use one such as SIGTERM, SIGINT, SIGQUIT, SIGHUP or SIGUSR2";
        Err(InvalidValue::new(text, "is not a signal", remedy))
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<StopSignal>().unwrap_err().to_string()
    }

    #[test]
    fn name_bare_name_and_number_are_the_same() {
        for text in ["SIGTERM", "TERM", "15", "sigterm", "term"] {
            assert_eq!(text.parse(), Ok(StopSignal::TERM), "{text}");
        }
        for signal in CATCHABLE {
            assert_eq!(signal.name().parse(), Ok(signal));
            assert_eq!(signal.number().to_string().parse(), Ok(signal));
        }
    }

    #[test]
    fn the_uncatchable_are_refused_with_their_reason() {
        for text in ["SIGKILL", "KILL", "9", "kill"] {
            assert!(error(text).contains("cannot be caught, so"), "{text}");
        }
        for text in ["SIGSTOP", "STOP", "19"] {
            assert!(error(text).contains("suspends"), "{text}");
        }
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["", "SIG", "0", "32", "-15", "+15", "015", "SIGSIGTERM", "FOO", "SIG15"] {
            assert!(error(text).contains("is not a signal"), "{text}");
        }
    }
}
