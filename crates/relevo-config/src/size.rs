//! An amount of memory as a user writes it: `512M`, `1G`, `1.5G`.

use std::fmt;
use std::str::FromStr;

use crate::InvalidValue;

/// The value of every option that is a size, in bytes; from [`Size::MIN`] on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// Largest first; powers of 1024, as kernel and container tools take these letters.
const UNITS: [(&str, u64); 4] = [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];
/// More digits behind the point than this say nothing about memory.
const MAX_DECIMALS: usize = 3;

impl Size {
    /// No program that serves anything has less. Whoever asks for less has most likely slipped in the unit.
    pub const MIN: Self = Self(1 << 20);

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const HELP: &str = "write it as in `512M` or `1.5G`; units are K, M, G and T";
        let not_a_size = || InvalidValue::new(text, "is not a size", HELP);
        let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let thousandths = thousandths(number).ok_or_else(not_a_size)?;
        if unit.is_empty() {
            let help = format!("write `{number}M` for mebibytes or `{number}G` for gibibytes");
            return Err(InvalidValue::new(text, "has no unit", help));
        }
        let letter = unit.strip_suffix("iB").unwrap_or(unit);
        let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(letter));
        let (_, factor) = known.ok_or_else(not_a_size)?;
        let bytes = u128::from(thousandths) * u128::from(*factor) / 1000;
        let too_large = || InvalidValue::new(text, "is more than there can be", HELP);
        let size = Self(u64::try_from(bytes).map_err(|_| too_large())?);
        if size < Self::MIN {
            return Err(InvalidValue::new(
                text,
                "is less than any worker has",
                "give `1M` or more",
            ));
        }
        Ok(size)
    }
}

/// `1.5` is 1500.
fn thousandths(number: &str) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || decimals.is_empty() || decimals.len() > MAX_DECIMALS {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let decimals: u64 = format!("{decimals:0<MAX_DECIMALS$}").parse().ok()?;
    whole.checked_mul(1000)?.checked_add(decimals)
}

impl fmt::Display for Size {
    /// In the largest unit that divides it; in bytes' own unit, K, what none divides.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, factor)| self.0.is_multiple_of(*factor));
        let (unit, factor) = whole.unwrap_or(&UNITS[UNITS.len() - 1]);
        write!(f, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        const M: u64 = 1 << 20;
        for (text, bytes, shown) in [
            ("512M", 512 * M, "512M"),
            ("512m", 512 * M, "512M"),
            ("1G", 1024 * M, "1G"),
            ("1.5G", 1536 * M, "1536M"),
            ("2GiB", 2048 * M, "2G"),
            ("2048K", 2 * M, "2M"),
            ("0.25T", 256 * 1024 * M, "256G"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_remedy() {
        let refused = |text: &str| text.parse::<Size>().unwrap_err().to_string();
        for text in ["", "M", "much", "-1G", "1,5G", "1.G", ".5G", "1..5G", "1.2345G", "1GB", "1 G"]
        {
            let error = refused(text);
            assert!(error.contains("is not a size") && error.contains("`1.5G`"), "{error}");
        }
        assert!(refused("512").contains("`512M`"), "{}", refused("512"));
        assert!(refused("100K").contains("less than any worker has"));
        assert!(refused("0M").contains("less than any worker has"));
        assert!(refused("99999999999T").contains("more than there can be"));
        assert!(refused("18446744073709551615G").contains("is not a size"));
    }
}
