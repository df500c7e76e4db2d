//! How many clients of which kind.

use std::str::FromStr;

use super::ClientKind;
use crate::InvalidValue;

/// The value of `--mix`: `keep-alive=40,new=4`. Kinds that are not named have no clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    clients: [u32; ClientKind::ALL.len()],
}

impl Mix {
    /// The most clients in all: beyond that, one process's descriptors and ports are the limit.
    pub const MOST: u32 = 20_000;

    /// How many clients of this kind.
    pub const fn of(&self, kind: ClientKind) -> u32 {
        self.clients[kind.index()]
    }

    /// Sets the number of clients of this kind.
    pub const fn set(&mut self, kind: ClientKind, clients: u32) {
        self.clients[kind.index()] = clients;
    }

    /// How many in all.
    pub fn total(&self) -> u32 {
        self.clients.iter().copied().fold(0, u32::saturating_add)
    }

    /// The kinds that have clients.
    pub fn kinds(&self) -> impl Iterator<Item = ClientKind> + '_ {
        ClientKind::ALL.into_iter().filter(|kind| self.of(*kind) > 0)
    }
}

impl FromStr for Mix {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const REMEDY: &str = "write kinds with numbers, as in `keep-alive=40,new=4`";
        let mut mix = Self::default();
        for part in text.split(',') {
            let Some((kind, count)) = part.split_once('=') else {
                return Err(InvalidValue::new(part, "has no number", REMEDY));
            };
            let kind: ClientKind = kind.trim().parse()?;
            let count = count.trim().parse::<u32>().map_err(|_| {
                InvalidValue::new(part, "has no whole number after the `=`", REMEDY)
            })?;
            if mix.of(kind) > 0 {
                return Err(InvalidValue::new(text, "names a kind twice", REMEDY));
            }
            mix.set(kind, count);
        }
        match mix.total() {
            0 => Err(InvalidValue::new(text, "means no client at all", REMEDY)),
            1..=Self::MOST => Ok(mix),
            _ => Err(InvalidValue::new(
                text,
                "means too many clients",
                format!("at most {} in all", Self::MOST),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_kinds_with_numbers() {
        let mix: Mix = "keep-alive=40, new=4".parse().unwrap();
        assert_eq!((mix.of(ClientKind::KeepAlive), mix.of(ClientKind::New)), (40, 4));
        assert_eq!(mix.total(), 44);
        assert_eq!(mix.kinds().collect::<Vec<_>>(), [ClientKind::New, ClientKind::KeepAlive]);
    }

    #[test]
    fn what_is_no_mix_is_refused() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = text.parse::<Mix>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        check("new", "`new` has no number");
        check("", "has no number");
        check("new=x", "no whole number after the `=`");
        check("old=1", "`old` is no kind of client");
        check("new=1,new=2", "names a kind twice");
        check("new=0", "means no client at all");
        check("new=20001", "at most 20000 in all");
        check("new=4294967295,keep-alive=4294967295", "too many clients");
    }
}
