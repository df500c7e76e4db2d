//! How a command of Relevo's ends.

use serde::{Deserialize, Serialize};

/// The exit codes of every command, which are also the codes of the control protocol's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", from = "u8")]
pub enum ExitCode {
    /// 0: what was asked for is done.
    Done,
    /// 1: it was refused, it failed, or it was undone; workers that served still do.
    Failed,
    /// 2: the command or the configuration is wrong.
    Usage,
    /// 3: there is no such service, or its primary cannot be reached.
    Unreachable,
    /// 4: the time to wait was over; what was waited for goes on.
    TimedOut,
    /// 70: a bug in Relevo (`EX_SOFTWARE` of sysexits.h).
    Bug,
}

impl ExitCode {
    /// Every code, for documentation and completions.
    pub const ALL: [Self; 6] =
        [Self::Done, Self::Failed, Self::Usage, Self::Unreachable, Self::TimedOut, Self::Bug];

    /// The number a shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::TimedOut => 4,
            Self::Bug => 70,
        }
    }
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        code.code()
    }
}

impl From<u8> for ExitCode {
    /// A code that is not known here comes from a newer primary; it is some kind of failure.
    fn from(code: u8) -> Self {
        Self::ALL.into_iter().find(|known| known.code() == code).unwrap_or(Self::Failed)
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_a_contract() {
        assert_eq!(ExitCode::ALL.map(ExitCode::code), [0, 1, 2, 3, 4, 70]);
        for code in ExitCode::ALL {
            assert_eq!(ExitCode::from(code.code()), code);
        }
        assert_eq!(ExitCode::from(99), ExitCode::Failed);
        assert_eq!(serde_json::to_string(&ExitCode::Bug).unwrap(), "70");
    }
}
