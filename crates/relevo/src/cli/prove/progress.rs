//! How a trial stands, in one line of a terminal that is written over.

use std::io::{self, IsTerminal, Write};

use relevo_prove::Glance;
use relevo_prove::report::{grouped, micros};
use rustix::termios::tcgetwinsize;

/// A line on stderr, where that is a terminal.
#[derive(Debug)]
pub(super) struct Line {
    is_shown: bool,
    /// The requests at the last glance, to tell the rate.
    before: Option<(u128, u64)>,
    rate: u64,
}

impl Line {
    pub(super) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal(), before: None, rate: 0 }
    }

    /// Shows how it stands now.
    pub(super) fn show(&mut self, glance: &Glance) {
        if !self.is_shown {
            return;
        }
        self.measure(glance);
        let columns =
            tcgetwinsize(io::stderr()).map_or(80, |size| usize::from(size.ws_col).max(20));
        let line: String = sentence(glance, self.rate).chars().take(columns - 1).collect();
        // Nobody is harmed when this cannot be shown.
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
    }

    /// Leaves the line for what comes next.
    pub(super) fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    /// The rate over the last second or so.
    fn measure(&mut self, glance: &Glance) {
        let now = glance.elapsed.as_millis();
        let count = glance.requests.answered;
        let (then, before) = *self.before.get_or_insert((now, count));
        if now >= then + 1000 {
            let rate = u128::from(count - before) * 1000 / (now - then);
            self.rate = u64::try_from(rate).unwrap_or(u64::MAX);
            self.before = Some((now, count));
        }
    }
}

fn sentence(glance: &Glance, rate: u64) -> String {
    let seconds = glance.elapsed.as_secs();
    let disturbed = match (glance.of, glance.is_disturbed) {
        (0, _) => String::new(),
        (of, true) => format!("  {} of {of} now", glance.disturbed + 1),
        (of, false) => format!("  {} of {of} done", glance.disturbed),
    };
    let p99 = glance.quiet.p99_us.map_or(String::new(), |us| format!("  p99 {}", micros(us)));
    format!(
        "{:>3}:{:02}{disturbed}  {} answered  {} lost  {} idle closed  {}/s{p99}",
        seconds / 60,
        seconds % 60,
        grouped(glance.requests.answered),
        grouped(glance.requests.lost()),
        grouped(glance.connections.closed_idle),
        grouped(rate)
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use relevo_wire::prove::{Connections, Latency, Outcomes};

    use super::*;

    #[test]
    fn a_glance_in_one_line() {
        let mut glance = Glance {
            elapsed: Duration::from_secs(75),
            disturbed: 1,
            of: 5,
            is_disturbed: true,
            requests: Outcomes { begun: 1234, answered: 1230, late: 1, ..Outcomes::default() },
            connections: Connections { closed_idle: 2, ..Connections::default() },
            quiet: Latency { count: 1, p99_us: Some(4_100), ..Latency::default() },
        };
        let line = "  1:15  2 of 5 now  1,230 answered  1 lost  2 idle closed  812/s  p99 4.1 ms";
        assert_eq!(sentence(&glance, 812), line);
        (glance.of, glance.quiet) = (0, Latency::default());
        assert_eq!(sentence(&glance, 0), "  1:15  1,230 answered  1 lost  2 idle closed  0/s");
    }
}
