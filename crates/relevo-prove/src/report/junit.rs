//! A report for a CI server: JUnit's XML, as Jenkins and GitLab read it.
//!
//! A test case for each kind of client and each disturbance.

use std::fmt::Write;

use relevo_wire::prove::{Disturbance, Kind, Report};

use super::table::story;
use super::words::escaped;

/// The report as a document of XML.
pub fn junit(report: &Report) -> String {
    let mut cases: Vec<String> = report.kinds.iter().map(|kind| of_kind(report, kind)).collect();
    cases.extend(report.disturbances.iter().map(of_disturbance));
    cases.push(case("verdict", 0.0, (!report.passed).then_some((&report.verdict, String::new()))));
    let failures = cases.iter().filter(|case| case.contains("<failure")).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites>\n<testsuite name=\"relevo prove {}\" tests=\"{}\" failures=\"{failures}\" \
         errors=\"0\" skipped=\"0\" time=\"{:.3}\">",
        escaped(&report.url),
        cases.len(),
        as_seconds(report.duration_ms)
    );
    out.push_str(&cases.concat());
    let remarks = report.remarks.join("\n");
    let _ = writeln!(out, "<system-out>{}</system-out>", escaped(&remarks));
    out.push_str("</testsuite>\n</testsuites>\n");
    out
}

fn of_kind(report: &Report, kind: &Kind) -> String {
    let lost = kind.requests.lost();
    let message = format!("{lost} of {} requests lost", kind.requests.begun);
    let stories = report.lost.iter().filter(|one| one.kind == kind.kind).map(story);
    let text = stories.collect::<Vec<_>>().join("\n");
    let name = format!("{} {} ({})", kind.clients, kind.kind, kind.path);
    case(&name, as_seconds(report.duration_ms), (lost > 0).then_some((&message, text)))
}

fn of_disturbance(one: &Disturbance) -> String {
    let name = format!("disturbance {}", one.number);
    let failure = (!one.succeeded).then_some((&one.said, String::new()));
    case(&name, as_seconds(one.duration_ms), failure)
}

fn case(name: &str, seconds: f64, failure: Option<(&String, String)>) -> String {
    let name = escaped(name);
    let open =
        format!("<testcase classname=\"relevo.prove\" name=\"{name}\" time=\"{seconds:.3}\"");
    match failure {
        None => format!("{open}/>\n"),
        Some((message, text)) => format!(
            "{open}><failure message=\"{}\">{}</failure></testcase>\n",
            escaped(message),
            escaped(&text)
        ),
    }
}

fn as_seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}
