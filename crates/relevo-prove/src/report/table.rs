//! A report for a terminal.

use std::fmt::Write;

use relevo_wire::prove::{Disturbance, Kind, Lost, Outcomes, Report};

use super::columns::columns;
use super::words::{counted, grouped, micros, seconds};

/// How many lost requests are listed; the JSON has more.
const MOST_LOST: usize = 10;

/// How many disturbances are listed one by one, where nothing was lost.
const MOST_DISTURBANCES: usize = 12;

/// The report as lines of text, the verdict last.
pub fn table(report: &Report) -> String {
    let mut out = String::new();
    let sentence = format!("{}, {}", report.url, seconds(report.duration_ms));
    let _ = writeln!(out, "{sentence}; {}", disturbances(report));
    out.push('\n');
    out.push_str(&aligned(&rows(report)));
    out.push('\n');
    for line in facts(report) {
        let _ = writeln!(out, "{line}");
    }
    out.push_str(&replacements(report));
    out.push_str(&lost(report));
    for remark in &report.remarks {
        let _ = writeln!(out, "note: {remark}");
    }
    let _ = writeln!(out, "{}{}", if report.passed { "" } else { "FAILED: " }, report.verdict);
    out
}

fn disturbances(report: &Report) -> String {
    match report.disturbances.len() as u64 {
        0 => "not disturbed".to_owned(),
        count => format!("{} by `{}`", counted(count, "disturbance"), report.disturbance),
    }
}

fn rows(report: &Report) -> Vec<Vec<String>> {
    let columns = columns(&report.requests);
    let heads = columns.iter().map(|column| column.head);
    let heads = std::iter::once("clients").chain(heads).chain(["p50", "p99", "max"]);
    let counts = |requests: &Outcomes| {
        columns.iter().map(|column| grouped((column.count)(requests))).collect::<Vec<_>>()
    };
    let mut rows = vec![heads.map(str::to_owned).collect()];
    for Kind { kind, clients, requests, latency, .. } in &report.kinds {
        let times = [latency.p50_us, latency.p99_us, latency.max_us];
        let times = times.map(|us| us.map_or("-".to_owned(), micros)).to_vec();
        rows.push([vec![format!("{clients} {kind}")], counts(requests), times].concat());
    }
    let clients: u64 = report.kinds.iter().map(|kind| u64::from(kind.clients)).sum();
    rows.push([vec![format!("{clients} in all")], counts(&report.requests)].concat());
    rows
}

/// The first column to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{cell:<0$}", width(column)),
            _ => format!("{cell:>0$}", width(column)),
        });
        let _ = writeln!(out, "{}", cells.take(columns).collect::<Vec<_>>().join("  ").trim_end());
    }
    out
}

fn facts(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let it = &report.connections;
    lines.push(format!(
        "connections: {} made; {} closed while idle, {} when their idle time was over, {} as announced",
        grouped(it.opened),
        grouped(it.closed_idle),
        grouped(it.expired),
        grouped(it.announced)
    ));
    if let Some(tls) = &report.tls {
        lines.push(format!(
            "TLS: {}; {} of {} sessions offered were resumed",
            counted(tls.handshakes, "handshake"),
            grouped(tls.resumed),
            grouped(tls.offered)
        ));
    }
    if let (Some(quiet), Some(disturbed)) = (report.quiet.p99_us, report.disturbed.p99_us) {
        lines.push(format!(
            "p99 of quick requests: {} quiet, {} while disturbed",
            micros(quiet),
            micros(disturbed)
        ));
    }
    lines
}

fn replacements(report: &Report) -> String {
    let mut out = String::new();
    let shown = |one: &&Disturbance| !one.succeeded || one.lost > 0;
    let all = &report.disturbances;
    let few = all.len() <= MOST_DISTURBANCES;
    let listed: Vec<&Disturbance> =
        all.iter().filter(|one| few || shown(one)).take(MOST_DISTURBANCES).collect();
    for one in &listed {
        let lost = match one.lost {
            0 => String::new(),
            lost => format!(", {} lost", counted(lost, "request")),
        };
        let _ = writeln!(
            out,
            "{} at {}, took {}{lost}: {}",
            one.number,
            seconds(one.at_ms),
            seconds(one.duration_ms),
            one.said
        );
    }
    let left = all.len() - listed.len();
    if left > 0 {
        let _ = writeln!(out, "… and {}", counted(left as u64, "disturbance"));
    }
    out
}

fn lost(report: &Report) -> String {
    let mut out = String::new();
    for one in report.lost.iter().take(MOST_LOST) {
        let _ = writeln!(out, "lost: {}", story(one));
    }
    let more = report.lost.len().saturating_sub(MOST_LOST) as u64 + report.lost_unlisted;
    if more > 0 {
        let _ = writeln!(out, "… and {}", counted(more, "request"));
    }
    out
}

/// A lost request in one line.
pub(super) fn story(one: &Lost) -> String {
    let after = match one.disturbance {
        Some(number) => format!(", after disturbance {number} began"),
        None => String::new(),
    };
    let connection = match one.requests_before {
        Some(0) => ", the first on its connection".to_owned(),
        Some(before) => format!(", after {before} on its connection"),
        None => String::new(),
    };
    format!(
        "{} ({}) sent at {}, {} at {}{after}{connection}: {}",
        one.id,
        one.kind,
        seconds(one.sent_at_ms),
        one.outcome,
        seconds(one.lost_at_ms),
        one.what
    )
}
