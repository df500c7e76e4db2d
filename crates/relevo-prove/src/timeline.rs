//! Latencies, as distributions: in all, and over time.

use std::time::Duration;

use hdrhistogram::Histogram;
use relevo_wire::prove as wire;

/// A distribution of latencies. Two significant digits, to ten minutes.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u32>);

impl Latencies {
    const MOST_US: u64 = 600_000_000;

    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, Self::MOST_US, 2);
        Self(histogram.expect("the bounds are constants, and good ones"))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    fn absorb(&mut self, other: &Self) {
        // Both have the same bounds, so nothing in one is beyond the other's.
        let _ = self.0.add(&other.0);
    }

    pub(crate) fn to_wire(&self) -> wire::Latency {
        let count = self.0.len();
        let at = |value: u64| (count > 0).then_some(value);
        wire::Latency {
            count,
            p50_us: at(self.0.value_at_quantile(0.5)),
            p99_us: at(self.0.value_at_quantile(0.99)),
            max_us: at(self.0.max()),
        }
    }
}

/// Columns of equal length. When there are too many, each two become one.
#[derive(Debug)]
pub(crate) struct Timeline {
    column: Duration,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    latencies: Latencies,
    lost: u64,
}

impl Timeline {
    const FIRST_COLUMN: Duration = Duration::from_millis(50);
    const MOST: usize = 512;

    pub(crate) fn new() -> Self {
        Self { column: Self::FIRST_COLUMN, columns: Vec::new() }
    }

    pub(crate) fn answered(&mut self, at: Duration, latency: Duration) {
        self.at(at).latencies.record(latency);
    }

    pub(crate) fn lost(&mut self, at: Duration) {
        self.at(at).lost += 1;
    }

    fn at(&mut self, at: Duration) -> &mut Column {
        let mut index = self.index(at);
        while index >= Self::MOST {
            self.halve();
            index = self.index(at);
        }
        while self.columns.len() <= index {
            self.columns.push(Column { latencies: Latencies::new(), lost: 0 });
        }
        &mut self.columns[index]
    }

    fn index(&self, at: Duration) -> usize {
        usize::try_from(at.as_nanos() / self.column.as_nanos()).unwrap_or(usize::MAX)
    }

    fn halve(&mut self) {
        self.column *= 2;
        let mut halved: Vec<Column> = Vec::with_capacity(Self::MOST);
        for (index, column) in std::mem::take(&mut self.columns).into_iter().enumerate() {
            match halved.last_mut().filter(|_| index % 2 == 1) {
                Some(last) => {
                    last.latencies.absorb(&column.latencies);
                    last.lost += column.lost;
                }
                None => halved.push(column),
            }
        }
        self.columns = halved;
    }

    pub(crate) fn to_wire(&self) -> wire::Timeline {
        let column = |column: &Column| wire::Column {
            latency: column.latencies.to_wire(),
            lost: column.lost,
        };
        wire::Timeline {
            column_ms: u64::try_from(self.column.as_millis()).unwrap_or(u64::MAX),
            columns: self.columns.iter().map(column).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_goes_on_makes_columns_longer() {
        let mut timeline = Timeline::new();
        for second in 0..100 {
            timeline.answered(Duration::from_secs(second), Duration::from_millis(3));
            timeline.lost(Duration::from_secs(second));
        }
        let wire = timeline.to_wire();
        assert!(wire.columns.len() <= Timeline::MOST, "{}", wire.columns.len());
        assert_eq!(wire.column_ms, 200);
        assert_eq!(wire.columns.iter().map(|column| column.lost).sum::<u64>(), 100);
        let count: u64 = wire.columns.iter().map(|column| column.latency.count).sum();
        assert_eq!(count, 100);
    }

    #[test]
    fn a_latency_is_known_to_two_digits() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.to_wire().p99_us, None);
        for ms in 1..=100 {
            latencies.record(Duration::from_millis(ms));
        }
        latencies.record(Duration::from_secs(10_000));
        let wire = latencies.to_wire();
        let near = |value: Option<u64>, us: u64| value.is_some_and(|v| v.abs_diff(us) * 50 < us);
        assert!(near(wire.p50_us, 51_000) && near(wire.p99_us, 100_000), "{wire:?}");
        assert!(near(wire.max_us, Latencies::MOST_US), "{wire:?}");
    }
}
