//! A report for a browser: one file that needs nothing else.

use std::fmt::Write;

use relevo_wire::prove::{Kind, Latency, Outcomes, Report};

use super::columns::{Column, columns};
use super::plot::plot;
use super::table::story;
use super::words::{counted, escaped, grouped, micros, seconds};

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d8dee4;--paper:#fff;--good:#1a7f37;
--bad:#cf222e;--band:#ddf4ff;--p50:#0969da;--p99:#bc4c00;--max:#afb8c1}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#30363d;--paper:#0d1117;
--good:#3fb950;--bad:#f85149;--band:#12324f;--p50:#58a6ff;--p99:#f0883e;--max:#484f58}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.3rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}
.verdict{font-size:1.15rem;font-weight:600;color:var(--good);margin:.6rem 0}
.verdict.failed{color:var(--bad)}.soft{color:var(--soft)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}
.wide{overflow-x:auto}
th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child,.left{text-align:left}td.left{white-space:normal;text-align:left}
tr.all td{font-weight:600}td.bad{color:var(--bad);font-weight:600}
svg{width:100%;height:auto;display:block}
.grid{stroke:var(--line)}.axis,.mark{fill:var(--soft);font-size:11px}
.band{fill:var(--band)}.band.failed{fill:var(--bad);fill-opacity:.25}
.curve{fill:none;stroke-width:1.5}.p50{stroke:var(--p50)}.p99{stroke:var(--p99)}.max{stroke:var(--max)}
.lost{fill:var(--bad)}.key span{display:inline-block;width:1.4em;height:.2em;vertical-align:middle;
margin:0 .3em 0 1em}.key .b{height:.9em;background:var(--band)}
";

/// The report as a page.
pub fn html(report: &Report) -> String {
    let url = escaped(&report.url);
    let class = if report.passed { "verdict" } else { "verdict failed" };
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>relevo prove {url}</title>\n<style>{STYLE}</style>\n\
         <h1>{url}</h1>\n<p class=\"{class}\">{}</p>\n",
        escaped(&report.verdict)
    );
    let _ = writeln!(
        out,
        "<p class=\"soft\">{}; {} by <code>{}</code>; relevo {}</p>",
        seconds(report.duration_ms),
        counted(report.disturbances.len() as u64, "disturbance"),
        escaped(&report.disturbance),
        env!("CARGO_PKG_VERSION")
    );
    out.push_str("<h2>Latency of quick requests over time</h2>\n");
    out.push_str(&plot(report));
    out.push_str(KEY);
    out.push_str("<h2>Requests</h2>\n");
    out.push_str(&requests(report));
    out.push_str(&facts(report));
    out.push_str(&disturbances(report));
    out.push_str(&lost(report));
    for remark in &report.remarks {
        let _ = writeln!(out, "<p class=\"soft\">{}</p>", escaped(remark));
    }
    out.push_str("</html>\n");
    out
}

const KEY: &str = "<p class=\"soft key\">each point is the answers of one stretch of time, on a \
logarithmic scale <span style=\"background:var(--p50)\"></span>median \
<span style=\"background:var(--p99)\"></span>99th percentile \
<span style=\"background:var(--max)\"></span>longest <span class=\"b\"></span>disturbed</p>\n";

fn requests(report: &Report) -> String {
    let columns = columns(&report.requests);
    let mut out = String::from("<div class=\"wide\"><table>\n<tr><th>clients</th>");
    for head in columns.iter().map(|column| column.head).chain(["p50", "p99", "max"]) {
        let _ = write!(out, "<th>{head}</th>");
    }
    out.push_str("</tr>\n");
    for Kind { kind, clients, path, requests, latency } in &report.kinds {
        let name =
            format!("{clients} {} <span class=\"soft\">{}</span>", escaped(kind), escaped(path));
        row(&mut out, &columns, "", &name, (requests, latency));
    }
    row(&mut out, &columns, "all", "in all", (&report.requests, &Latency::default()));
    out.push_str("</table></div>\n");
    out
}

fn row(
    out: &mut String,
    columns: &[Column],
    class: &str,
    name: &str,
    (requests, latency): (&Outcomes, &Latency),
) {
    let _ = write!(out, "<tr class=\"{class}\"><td>{name}</td>");
    for Column { count, is_loss, .. } in columns {
        let count = count(requests);
        let class = if *is_loss && count > 0 { "bad" } else { "" };
        let _ = write!(out, "<td class=\"{class}\">{}</td>", grouped(count));
    }
    for us in [latency.p50_us, latency.p99_us, latency.max_us] {
        let _ = write!(out, "<td>{}</td>", us.map_or(String::new(), micros));
    }
    out.push_str("</tr>\n");
}

fn facts(report: &Report) -> String {
    let it = &report.connections;
    let mut out = format!(
        "<p>Connections: {} made; {} closed while idle, {} when their idle time was over, {} as \
         announced.",
        grouped(it.opened),
        grouped(it.closed_idle),
        grouped(it.expired),
        grouped(it.announced)
    );
    if let Some(tls) = &report.tls {
        let _ = write!(
            out,
            " TLS: {}; {} of {} sessions offered were resumed.",
            counted(tls.handshakes, "handshake"),
            grouped(tls.resumed),
            grouped(tls.offered)
        );
    }
    if let (Some(quiet), Some(disturbed)) = (report.quiet.p99_us, report.disturbed.p99_us) {
        let _ =
            write!(out, " p99: {} quiet, {} while disturbed.", micros(quiet), micros(disturbed));
    }
    out.push_str("</p>\n");
    out
}

fn disturbances(report: &Report) -> String {
    if report.disturbances.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<h2>Disturbances</h2>\n<div class=\"wide\"><table>\n<tr><th>number</th><th>began</th>\
         <th>took</th><th>lost</th><th class=\"left\">said</th></tr>\n",
    );
    for one in &report.disturbances {
        let class = if one.succeeded { "left" } else { "left bad" };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"{class}\">{}</td></tr>",
            one.number,
            seconds(one.at_ms),
            seconds(one.duration_ms),
            grouped(one.lost),
            escaped(&one.said)
        );
    }
    out.push_str("</table></div>\n");
    out
}

fn lost(report: &Report) -> String {
    if report.lost.is_empty() {
        return String::new();
    }
    let mut out = String::from("<h2>Lost requests</h2>\n<ul>\n");
    for one in &report.lost {
        let _ = writeln!(out, "<li>{}</li>", escaped(&story(one)));
    }
    if report.lost_unlisted > 0 {
        let _ = writeln!(out, "<li>and {}</li>", counted(report.lost_unlisted, "request"));
    }
    out.push_str("</ul>\n");
    out
}
