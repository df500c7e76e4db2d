//! Exit codes that mean something.

use std::collections::BTreeSet;

/// A set of exit codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitCodes(BTreeSet<u8>);

impl ExitCodes {
    /// Whether the code, as a process exits with it, is one of them.
    pub fn contains(&self, code: i32) -> bool {
        u8::try_from(code).is_ok_and(|code| self.0.contains(&code))
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<u8> for ExitCodes {
    fn from_iter<Codes: IntoIterator<Item = u8>>(codes: Codes) -> Self {
        Self(codes.into_iter().collect())
    }
}

impl Extend<u8> for ExitCodes {
    fn extend<Codes: IntoIterator<Item = u8>>(&mut self, codes: Codes) {
        self.0.extend(codes);
    }
}
