//! How many connections may wait in a listening socket's queue.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::InvalidValue;

/// The value of `--backlog`: 1 to 65535. The kernel cuts it at `net.core.somaxconn` (listen(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog(NonZeroU16);

impl Backlog {
    /// The number itself.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl Default for Backlog {
    /// 4096, the kernel's own `somaxconn` since Linux 5.4.
    fn default() -> Self {
        const DEFAULT: NonZeroU16 = NonZeroU16::new(4096).expect("4096 is not zero");
        Self(DEFAULT)
    }
}

impl FromStr for Backlog {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Self).ok_or_else(|| {
            InvalidValue::new(
                text,
                "is not a length for a queue of connections",
                "give a whole number from 1 to 65535",
            )
        })
    }
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_what_fits_sixteen_bits() {
        for (text, number) in [("1", 1), ("4096", 4096), ("65535", 65_535)] {
            assert_eq!(text.parse::<Backlog>().unwrap().get(), number);
        }
        for text in ["0", "65536", "-1", "+1", "", "abc", "4k"] {
            let error = text.parse::<Backlog>().unwrap_err().to_string();
            assert!(error.ends_with("from 1 to 65535"), "{error}");
        }
    }
}
