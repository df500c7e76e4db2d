//! Latency over time, as a drawing (SVG) that marks the disturbances.

use std::fmt::Write;

use relevo_wire::prove::{Column, Latency, Report};

use super::words::{escaped, micros, seconds};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 34.0;

/// Where things are in the drawing.
struct Scale {
    /// The time at the right edge, in milliseconds.
    end_ms: f64,
    /// Latencies at the bottom and at the top, as powers of ten of microseconds.
    low: f64,
    high: f64,
}

impl Scale {
    fn of(report: &Report) -> Self {
        let columns = &report.timeline.columns;
        let known = |pick: fn(&Latency) -> Option<u64>| {
            columns.iter().filter_map(move |column| pick(&column.latency))
        };
        let least = known(|latency| latency.p50_us).min().unwrap_or(100).max(1);
        let most = known(|latency| latency.max_us).max().unwrap_or(10_000).max(least * 10);
        let span = report.timeline.column_ms.saturating_mul(columns.len() as u64);
        Self {
            end_ms: float(span.max(report.duration_ms).max(1)),
            low: float(least).log10().floor(),
            high: float(most).log10().ceil(),
        }
    }

    fn x(&self, ms: u64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (float(ms) / self.end_ms).min(1.0)
    }

    fn y(&self, us: u64) -> f64 {
        let part = (float(us.max(1)).log10() - self.low) / (self.high - self.low);
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - part.clamp(0.0, 1.0))
    }
}

/// The drawing.
pub(super) fn plot(report: &Report) -> String {
    let scale = Scale::of(report);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"latency over time\">"
    );
    out.push_str(&bands(report, &scale));
    out.push_str(&grid(&scale));
    out.push_str(&curve(report, &scale, "max", |latency| latency.max_us));
    out.push_str(&curve(report, &scale, "p99", |latency| latency.p99_us));
    out.push_str(&curve(report, &scale, "p50", |latency| latency.p50_us));
    out.push_str(&losses(report, &scale));
    out.push_str("</svg>\n");
    out
}

/// A band for each disturbance, with its number above.
fn bands(report: &Report, scale: &Scale) -> String {
    let mut out = String::new();
    let mut free_from = 0.0;
    for one in &report.disturbances {
        let left = scale.x(one.at_ms);
        let right = scale.x(one.at_ms.saturating_add(one.duration_ms)).max(left + 1.5);
        let class = if one.succeeded { "band" } else { "band failed" };
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\">\
             <title>disturbance {} at {}, {}: {}</title></rect>",
            right - left,
            HEIGHT - TOP - BOTTOM,
            one.number,
            seconds(one.at_ms),
            seconds(one.duration_ms),
            escaped(&one.said)
        );
        // Numbers that would lie on another are left out.
        if left >= free_from {
            let _ = writeln!(
                out,
                "<text class=\"mark\" x=\"{left:.1}\" y=\"{:.1}\">{}</text>",
                TOP - 8.0,
                one.number
            );
            free_from = left + 18.0;
        }
    }
    out
}

fn grid(scale: &Scale) -> String {
    let mut out = String::new();
    let mut power = scale.low;
    while power <= scale.high {
        let us = 10_f64.powf(power).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a power of ten from 1"
        )]
        let us = us as u64;
        let y = scale.y(us);
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            round(us)
        );
        power += 1.0;
    }
    let step = nice_step(scale.end_ms / 8.0);
    let mut ms = 0;
    while float(ms) <= scale.end_ms {
        let _ = writeln!(
            out,
            "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            scale.x(ms),
            HEIGHT - BOTTOM + 18.0,
            if step < 1000 { seconds(ms) } else { format!("{} s", ms / 1000) }
        );
        ms += step;
    }
    out
}

/// A latency of the axis: `100 µs`, `1 ms`, `1 s`.
fn round(us: u64) -> String {
    match us {
        ..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{} s", us / 1_000_000),
    }
}

/// 1, 2 or 5 with zeros, in milliseconds; at least as much as asked for.
fn nice_step(least_ms: f64) -> u64 {
    let mut step = 100;
    for factor in [2, 5, 10].into_iter().cycle().take(30) {
        if float(step) >= least_ms {
            return step;
        }
        step = match factor {
            2 => step * 2,
            5 => step / 2 * 5,
            _ => step / 5 * 10,
        };
    }
    step
}

/// A line through the columns; where there was no answer there is no line.
fn curve(
    report: &Report,
    scale: &Scale,
    class: &str,
    of: impl Fn(&Latency) -> Option<u64>,
) -> String {
    let width = report.timeline.column_ms;
    let mut path = String::new();
    let mut is_down = false;
    for (index, column) in report.timeline.columns.iter().enumerate() {
        let Some(us) = of(&column.latency) else {
            is_down = false;
            continue;
        };
        let at = scale.x(width * index as u64 + width / 2);
        let _ = write!(path, "{}{at:.1} {:.1}", if is_down { 'L' } else { 'M' }, scale.y(us));
        is_down = true;
    }
    format!("<path class=\"curve {class}\" d=\"{path}\"/>\n")
}

/// A mark at the bottom for each column in which something was lost.
fn losses(report: &Report, scale: &Scale) -> String {
    let width = report.timeline.column_ms;
    let mut out = String::new();
    for (index, column) in report.timeline.columns.iter().enumerate() {
        let Column { lost, latency } = column;
        if *lost == 0 {
            continue;
        }
        let at = scale.x(width * index as u64 + width / 2);
        let _ = writeln!(
            out,
            "<path class=\"lost\" d=\"M{at:.1} {:.1}l-4 8h8z\"><title>{lost} lost at {}; p99 {}</title></path>",
            HEIGHT - BOTTOM - 8.0,
            seconds(width * index as u64),
            latency.p99_us.map_or("unknown".to_owned(), micros)
        );
    }
    out
}

#[expect(clippy::cast_precision_loss, reason = "for drawing")]
const fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_the_axis_are_round() {
        assert_eq!(
            [1.0, 101.0, 201.0, 501.0, 1_001.0, 7_500.0].map(nice_step),
            [100, 200, 500, 1_000, 2_000, 10_000]
        );
    }
}
