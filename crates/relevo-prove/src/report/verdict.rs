//! Whether a trial was passed.

use relevo_wire::prove::{Outcomes, Report};

use super::words::counted;

/// Writes the verdict into a report.
pub(crate) fn judge(report: &mut Report, wished: u32, is_cut_short: bool, strict: bool) {
    let fault = fault(report, wished, is_cut_short, strict);
    report.passed = fault.is_none();
    report.verdict = fault.unwrap_or_else(|| {
        let disturbances = report.disturbances.len() as u64;
        format!(
            "nothing was lost: {} through {}",
            counted(report.requests.begun, "request"),
            counted(disturbances, "disturbance")
        )
    });
}

fn fault(report: &Report, wished: u32, is_cut_short: bool, strict: bool) -> Option<String> {
    let requests = &report.requests;
    if requests.begun != requests.ended() {
        return Some(format!(
            "the account does not add up: {} begun, {} ended",
            counted(requests.begun, "request"),
            requests.ended()
        ));
    }
    if requests.lost() > 0 {
        let lost = counted(requests.lost(), "request");
        return Some(format!("{lost} of {} lost: {}", requests.begun, ends(requests)));
    }
    if let Some(failed) = report.disturbances.iter().find(|one| !one.succeeded)
        && !is_cut_short
    {
        let number = failed.number;
        return Some(format!("nothing was lost, but disturbance {number} failed: {}", failed.said));
    }
    if is_cut_short {
        return Some(format!(
            "ended early: nothing was lost so far, after {} of {wished} disturbances",
            report.disturbances.iter().filter(|one| one.succeeded).count()
        ));
    }
    if requests.answered == 0 {
        return Some("no request was answered: nothing is proved".to_owned());
    }
    let closed = report.connections.closed_idle;
    (strict && closed > 0)
        .then(|| format!("nothing was lost, but {} closed", counted(closed, "idle connection")))
}

/// How requests were lost: `3 reset, 1 late`.
fn ends(requests: &Outcomes) -> String {
    let Outcomes { wrong, refused, reset, closed, late, raced, .. } = *requests;
    let ends = [
        (wrong, "wrong"),
        (refused, "refused"),
        (reset, "reset"),
        (closed, "closed before the answer"),
        (late, "without an answer in time"),
    ];
    let ends = ends.into_iter().filter(|(count, _)| *count > 0);
    let mut words: Vec<String> = ends.map(|(count, word)| format!("{count} {word}")).collect();
    if raced > 0 {
        words.push(format!("{raced} of them as the server closed an idle connection"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use relevo_wire::prove::{Connections, Disturbance};

    use super::*;
    use crate::ledger::Ledger;

    fn report(requests: Outcomes, succeeded: bool) -> Report {
        let mut report = Ledger::new(crate::ledger::KilledPorts::default())
            .close(&"new=1".parse().unwrap(), |_| "/".to_owned());
        report.requests = requests;
        let said = "worker 9 exited".to_owned();
        report.disturbances =
            vec![Disturbance { number: 1, at_ms: 0, duration_ms: 1, succeeded, said, lost: 0 }];
        report
    }

    #[track_caller]
    fn check(mut report: Report, cut_short: bool, strict: bool, expected: &str) {
        judge(&mut report, 5, cut_short, strict);
        assert_eq!(report.verdict, expected);
        assert_eq!(report.passed, expected.starts_with("nothing was lost: "));
    }

    #[test]
    fn one_lost_request_is_one_too_many() {
        let good = Outcomes { begun: 1000, answered: 1000, ..Outcomes::default() };
        check(
            report(good, true),
            false,
            false,
            "nothing was lost: 1,000 requests through 1 disturbance",
        );
        let bad = Outcomes { answered: 997, reset: 2, closed: 1, raced: 1, ..good };
        let expected = "3 requests of 1000 lost: 2 reset, 1 closed before the answer, 1 of them as \
                        the server closed an idle connection";
        check(report(bad, true), false, false, expected);
    }

    #[test]
    fn what_proves_nothing_does_not_pass() {
        let good = Outcomes { begun: 10, answered: 10, ..Outcomes::default() };
        let failed = "nothing was lost, but disturbance 1 failed: worker 9 exited";
        check(report(good, false), false, false, failed);
        let early = "ended early: nothing was lost so far, after 1 of 5 disturbances";
        check(report(good, true), true, false, early);
        let open = Outcomes { begun: 11, ..good };
        let expected = "the account does not add up: 11 requests begun, 10 ended";
        check(report(open, true), false, false, expected);
        let none = Outcomes { begun: 1, unanswered: 1, ..Outcomes::default() };
        check(report(none, true), false, false, "no request was answered: nothing is proved");
        let mut closed = report(good, true);
        closed.connections = Connections { closed_idle: 2, ..Connections::default() };
        check(closed.clone(), false, true, "nothing was lost, but 2 idle connections closed");
        check(closed, false, false, "nothing was lost: 10 requests through 1 disturbance");
    }
}
