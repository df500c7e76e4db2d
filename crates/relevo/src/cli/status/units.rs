//! Numbers as people read them.

/// How long something took: `812 ms`, `3.2 s`, `2m 5s`.
pub(crate) fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => age(ms),
    }
}

/// How old something is, in its two largest units: `51s`, `2m 5s`, `3h 12m`, `4d 2h`.
pub(crate) fn age(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{minutes}m {}s", seconds % 60),
        3_600..86_400 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// A size: `512 B`, `49.0 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = "B";
    // In tenths, and rounded down, so that no unit ever shows 1024.0.
    let (mut whole, mut tenths) = (count, 0);
    for larger in UNITS {
        if whole < 1024 {
            break;
        }
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit = larger;
    }
    if unit == "B" { format!("{whole} B") } else { format!("{whole}.{tenths} {unit}") }
}

/// `1 slot`, `2 slots`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let took_cases =
            [(0, "0 ms"), (999, "999 ms"), (1_000, "1.0 s"), (59_999, "59.9 s"), (61_000, "1m 1s")];
        for (ms, expected) in took_cases {
            assert_eq!(took(ms), expected);
        }
        let age_cases = [
            (0, "0s"),
            (59_999, "59s"),
            (60_000, "1m 0s"),
            (3_599_000, "59m 59s"),
            (3_600_000, "1h 0m"),
            (86_400_000, "1d 0h"),
            (u64::MAX, "213503982334d 14h"),
        ];
        for (ms, expected) in age_cases {
            assert_eq!(age(ms), expected);
        }
    }

    #[test]
    fn sizes() {
        let cases = [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (51_380_224, "49.0 MiB"),
            (u64::MAX, "15.9 EiB"),
        ];
        for (count, expected) in cases {
            assert_eq!(bytes(count), expected);
        }
    }

    #[test]
    fn counts() {
        assert_eq!(counted(0, "slot"), "0 slots");
        assert_eq!(counted(1, "slot"), "1 slot");
        assert_eq!(counted(2, "slot"), "2 slots");
    }
}
