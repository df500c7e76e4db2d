//! What a rollout came from.

/// Who, or what, wanted every worker replaced. Where several wishes are joined, the first one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A client of the control socket: `relevo reload`.
    Command,
    /// A signal to the primary.
    Signal,
    /// Files that are watched have changed.
    Watch,
    /// A key on the terminal.
    Terminal,
    /// The time for it has come.
    Schedule,
}
