//! `relevo reload --dry-run`: what a reload would change, key by key.

use relevo_config::ServiceName;
use relevo_wire::difference::{Change, Difference, Effect, Kind};
use relevo_wire::protocol::Verb;

use crate::cli::Failure;
use crate::cli::client::report::{print, printable};
use crate::cli::client::{self, PATIENCE};
use crate::cli::status::units::counted;

/// Asks the primary, which knows what it runs with.
pub(super) fn run(name: Option<&ServiceName>, json: bool) -> Result<u8, Failure> {
    let (service, mut connection) = client::open(name)?;
    let answer = connection
        .ask_within(PATIENCE, Verb::DryRun)
        .map_err(|error| error.into_failure(&service))?;
    if json {
        print(&format!("{}\n", answer.json))?;
        return Ok(0);
    }
    let difference = answer.difference().map_err(|error| error.into_failure(&service))?;
    print(&text(&difference))?;
    Ok(0)
}

fn text(difference: &Difference) -> String {
    let Difference { changes, more } = difference;
    if changes.is_empty() {
        return "a reload would start new workers with the same configuration\n".to_owned();
    }
    let mut lines: Vec<String> = changes.iter().map(line).collect();
    if *more > 0 {
        lines.push(format!("and {} more", counted(*more, "variable")));
    }
    if changes.iter().any(|change| change.effect == Effect::Refused) {
        lines.push("a reload would be refused: stop the service and start it again for what is refused, or take it back".to_owned());
    }
    lines.iter().map(|line| format!("{}\n", printable(line))).collect()
}

fn line(change: &Change) -> String {
    let Change { key, change: kind, from, to, secret, effect, reason } = change;
    let side = |side: &Option<String>| side.clone().unwrap_or_default();
    let what = match (kind, secret) {
        (Kind::Added, true) => "added (its value is not shown)".to_owned(),
        (Kind::Changed, true) => "changed (its value is not shown)".to_owned(),
        (Kind::Removed, true) => "removed".to_owned(),
        (Kind::Added, false) => format!("added: {}", side(to)),
        (Kind::Removed, false) => format!("removed: {}", side(from)),
        (Kind::Changed, false) => format!("{} -> {}", side(from), side(to)),
    };
    let effect = match (effect, reason) {
        (Effect::Rollout, _) => String::new(),
        (Effect::Scaling, _) => " (by scaling, after the rollout)".to_owned(),
        (Effect::Refused, Some(reason)) => format!(" (refused: {reason})"),
        (Effect::Refused, None) => " (refused)".to_owned(),
    };
    format!("{key}: {what}{effect}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, kind: Kind, from: Option<&str>, to: Option<&str>) -> Change {
        Change {
            key: key.to_owned(),
            change: kind,
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            secret: false,
            effect: Effect::Rollout,
            reason: None,
        }
    }

    #[test]
    fn each_difference_is_a_line() {
        let hold = change("hold", Kind::Changed, Some("10s"), Some("3s"));
        assert_eq!(line(&hold), "hold: 10s -> 3s");
        let workers = Change {
            effect: Effect::Scaling,
            ..change("workers", Kind::Changed, Some("2"), Some("4"))
        };
        assert_eq!(line(&workers), "workers: 2 -> 4 (by scaling, after the rollout)");
        let token = Change { secret: true, ..change("env.TOKEN", Kind::Changed, None, None) };
        assert_eq!(line(&token), "env.TOKEN: changed (its value is not shown)");
        assert_eq!(line(&change("env.A", Kind::Removed, Some("1"), None)), "env.A: removed: 1");
        assert_eq!(line(&change("args", Kind::Added, None, Some("x, y"))), "args: added: x, y");
    }

    #[test]
    fn what_is_refused_is_said_at_the_end() {
        let reason = Some("why".to_owned());
        let backlog = change("backlog", Kind::Changed, Some("1"), Some("2"));
        let changes = vec![Change { effect: Effect::Refused, reason, ..backlog }];
        let text = text(&Difference { changes, more: 3 });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["backlog: 1 -> 2 (refused: why)", "and 3 variables more"]);
        assert!(lines[2].starts_with("a reload would be refused"), "{text}");
    }

    #[test]
    fn no_difference_is_said_too() {
        assert!(text(&Difference::default()).contains("the same configuration"));
    }
}
