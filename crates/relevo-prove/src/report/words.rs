//! Numbers as people read them.

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds as `830 µs`, `4.1 ms`, `12.0 s`.
pub fn micros(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "it is rounded to three digits")]
    let us = us as f64;
    match us {
        ..1_000.0 => format!("{us:.0} µs"),
        ..10_000.0 => format!("{:.1} ms", us / 1e3),
        ..1_000_000.0 => format!("{:.0} ms", us / 1e3),
        _ => format!("{:.1} s", us / 1e6),
    }
}

/// Milliseconds as `12.3 s`.
pub fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// `1 request`, `1,000 requests`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(count))
}

/// Text as it may stand in XML and HTML, also in attributes; without what XML cannot have.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [830, 4_120, 41_200, 12_000_000].map(micros),
            ["830 µs", "4.1 ms", "41 ms", "12.0 s"]
        );
        assert_eq!(seconds(12_345), "12.3 s");
        assert_eq!(
            (counted(1, "reload"), counted(2, "reload")),
            ("1 reload".into(), "2 reloads".into())
        );
    }

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escaped("<a b=\"c\">&\u{1b}"), "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}");
    }
}
