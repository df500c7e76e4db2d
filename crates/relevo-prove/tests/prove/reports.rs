//! What is written about a trial.

use std::time::Duration;

use relevo_prove::report::{html, junit, table};
use relevo_wire::prove::Report;

use crate::server::{Reply, Request, plan, serve, trial};

/// A trial with losses whose reason has characters that mean something elsewhere.
fn report() -> Report {
    let rule = |request: &Request| match request.number {
        20 => Reply::BytesAndClose("<b>&\"\u{1b}[2J\r\n\r\n".to_owned()),
        _ => Reply::Bytes(crate::server::ok("hello")),
    };
    let mut wish = plan(serve(rule), "new=1,keep-alive=2");
    wish.schedule.at_least = Duration::from_millis(300);
    let report = trial(wish);
    assert_eq!(report.requests.wrong, 1, "{report:#?}");
    report
}

#[test]
fn each_form_tells_the_losses_and_nothing_leaves_its_place() {
    let report = report();
    let text = table(&report);
    assert!(text.contains("FAILED: 1 request of "), "{text}");
    assert!(text.contains("lost: prove-0000000000"), "{text}");
    assert!(text.contains("1 new "), "{text}");
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest < 220, "{text}");
    let page = html(&report);
    assert!(page.contains("&lt;b&gt;&amp;") && page.contains("<svg "), "{page}");
    let xml = junit(&report);
    assert!(xml.contains("&lt;b&gt;&amp;") && xml.contains("failures=\"2\""), "{xml}");
    for text in [text, page, xml] {
        assert!(!text.contains("<b>") || text.starts_with("http"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}
