//! What a reload would change: two configurations of one service, compared key by key.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};

use crate::invalid_value::shown;
use crate::secret::is_secret;
use crate::{OnReload, Options, ServiceName, Setting, config_file};

/// The most characters of a value that are shown.
const SHOWN: usize = 200;

/// All of a configuration that can differ.
#[derive(Clone, Copy, Debug)]
pub struct Configured<'a> {
    /// The service's name, also where no option gives it one.
    pub name: &'a ServiceName,
    /// The options, of whatever origin.
    pub options: &'a Options,
    /// The script and its arguments; empty where package.json names it.
    pub words: &'a [String],
    /// The variables of workers, by name.
    pub variables: &'a [(OsString, OsString)],
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The option, or `env.NAME` for a variable.
    pub key: String,
    /// Whether it is there before and after.
    pub kind: ChangeKind,
    /// What counts now; `None` where nothing does, or where it is a secret.
    pub from: Option<String>,
    /// What is to count.
    pub to: Option<String>,
    /// Whether the values are left out because they may be secrets.
    pub is_secret: bool,
    /// What a reload does about it.
    pub on_reload: OnReload,
}

/// The ways in which something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// It has another value.
    Changed,
}

/// Everything in which `then` differs from `now`: options in the order of help, then variables.
pub fn difference(now: Configured<'_>, then: Configured<'_>) -> Vec<Change> {
    let settings = Setting::ALL.iter().filter_map(|setting| {
        let (from, to) = (values(setting, now)?, values(setting, then)?);
        change(setting.name, &from, &to, setting.on_reload)
    });
    let words = |words: &[String]| match words {
        [] => (Vec::new(), Vec::new()),
        [script, args @ ..] => (vec![script.clone()], args.to_owned()),
    };
    let ((script, args), (new_script, new_args)) = (words(now.words), words(then.words));
    let words = [
        change(config_file::SCRIPT, &script, &new_script, OnReload::Applied),
        change(config_file::ARGS, &args, &new_args, OnReload::Applied),
    ];
    let mut changes: Vec<Change> = settings.chain(words.into_iter().flatten()).collect();
    changes.extend(variables(now.variables, then.variables));
    changes
}

/// What counts of a setting. `None` for variables, which are compared as a whole.
fn values(setting: &Setting, configured: Configured<'_>) -> Option<Vec<String>> {
    match setting.name {
        "env" => None,
        "name" => Some(vec![configured.name.to_string()]),
        _ => Some(setting.values(configured.options)),
    }
}

fn change(key: &str, from: &[String], to: &[String], on_reload: OnReload) -> Option<Change> {
    let kind = match (from, to) {
        (from, to) if from == to => return None,
        ([], _) => ChangeKind::Added,
        (_, []) => ChangeKind::Removed,
        (_, _) => ChangeKind::Changed,
    };
    let written = |values: &[String]| match values {
        [] => None,
        values => Some(shown(&values.join(", "), SHOWN)),
    };
    let (from, to) = (written(from), written(to));
    Some(Change { key: key.to_owned(), kind, from, to, is_secret: false, on_reload })
}

/// The differences of two lists that are sorted by name, each without doubles.
fn variables(now: &[(OsString, OsString)], then: &[(OsString, OsString)]) -> Vec<Change> {
    let (mut now, mut then) = (now.iter().peekable(), then.iter().peekable());
    let mut changes = Vec::new();
    loop {
        let order = match (now.peek(), then.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((from, _)), Some((to, _))) => from.cmp(to),
        };
        let from = now.next_if(|_| order.is_le());
        let to = then.next_if(|_| order.is_ge());
        if let Some((name, _)) = from.or(to) {
            changes.extend(variable(
                name,
                from.map(|(_, value)| value),
                to.map(|(_, value)| value),
            ));
        }
    }
}

fn variable(name: &OsStr, from: Option<&OsString>, to: Option<&OsString>) -> Option<Change> {
    if from == to {
        return None;
    }
    let text = |value: Option<&OsString>| {
        value.map(|value| value.to_string_lossy().into_owned()).into_iter().collect::<Vec<_>>()
    };
    let (from, to) = (text(from), text(to));
    let name = name.to_string_lossy();
    let key = format!("env.{}", shown(&name, SHOWN));
    let mut change = change(&key, &from, &to, OnReload::Applied)?;
    if from.iter().chain(&to).any(|value| is_secret(&name, value)) {
        change = Change { from: None, to: None, is_secret: true, ..change };
    }
    Some(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn compare(
        now: (&Options, &[&str], Pairs<'_>),
        then: (&Options, &[&str], Pairs<'_>),
    ) -> String {
        let name: ServiceName = "web".parse().unwrap();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (now_words, then_words) = (words(now.1), words(then.1));
        let pairs = |pairs: Pairs<'_>| {
            pairs.iter().map(|(key, value)| (key.into(), value.into())).collect::<Vec<_>>()
        };
        let (now_pairs, then_pairs) = (pairs(now.2), pairs(then.2));
        let changes = difference(
            Configured { name: &name, options: now.0, words: &now_words, variables: &now_pairs },
            Configured {
                name: then.0.name.as_ref().unwrap_or(&name),
                options: then.0,
                words: &then_words,
                variables: &then_pairs,
            },
        );
        let line = |change: Change| {
            let Change { key, from, to, is_secret, .. } = change;
            let side = |side: Option<String>| side.unwrap_or_else(|| "-".to_owned());
            let secret = if is_secret { " (secret)" } else { "" };
            format!("{key}: {} -> {}{secret}", side(from), side(to))
        };
        changes.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn options(pairs: Pairs<'_>) -> Options {
        let mut choices = crate::Choices::default();
        for (name, value) in pairs {
            choices.add(Setting::named(name).unwrap(), Some(value.into())).unwrap();
        }
        let mut options = Options::default();
        choices.apply(&mut options);
        options
    }

    #[test]
    fn nothing_differs_from_itself() {
        let options = options(&[("hold", "3s"), ("env", "A=1")]);
        let one = (&options, &["a.js"] as &[&str], &[("A", "1")] as Pairs<'_>);
        assert_eq!(compare(one, one), "");
        // The name that the directory gave and the same one written down are no difference.
        let named = self::options(&[("name", "web")]);
        assert_eq!(compare((&Options::default(), &[], &[]), (&named, &[], &[])), "");
    }

    #[test]
    fn options_and_words() {
        let now = options(&[("hold", "3s"), ("node-arg", "-a"), ("no-agent", "")]);
        let then = options(&[("workers", "4"), ("node-arg", "-a"), ("node-arg", "-b")]);
        assert_eq!(
            compare((&now, &["a.js", "x"], &[]), (&then, &["b.js"], &[])),
            "workers: auto -> 4\nhold: 3s -> 10s\nno-agent: true -> -\nnode-arg: -a -> -a, -b\nscript: a.js -> b.js\nargs: x -> -"
        );
    }

    #[test]
    fn variables_that_change_come_and_go() {
        let none = Options::default();
        let now: Pairs<'_> = &[("A", "1"), ("B", "2"), ("C", "3"), ("TOKEN", "x")];
        let then: Pairs<'_> =
            &[("B", "2"), ("C", "4"), ("D", "5"), ("TOKEN", "y"), ("URL", "a://b:c@d")];
        assert_eq!(
            compare((&none, &[], now), (&none, &[], then)),
            "env.A: 1 -> -\nenv.C: 3 -> 4\nenv.D: - -> 5\nenv.TOKEN: - -> - (secret)\nenv.URL: - -> - (secret)"
        );
    }
}
