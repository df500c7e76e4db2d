//! What to run where `run` was given no words: what `package.json` starts.

use crate::program::{Program, Surroundings, is_node, node_program};
use crate::shell_words::{self, Command, NotSimple};
use crate::{Refusal, wrapper};

/// The start script if it is `node …`, else `main`, else `index.js`.
///
/// A start script that sets variables or needs a shell is refused even where there is a `main`:
/// its author did not mean the program to be run without them.
pub(crate) fn program(
    start: Option<&str>,
    surroundings: Surroundings<'_>,
) -> Result<Program, Refusal> {
    let Some(start) = start.filter(|start| !start.trim().is_empty()) else {
        let script = surroundings.script().ok_or(Refusal::NothingToRun)?;
        return Ok(of_script(script));
    };
    let owned = || start.to_owned();
    let Command { assignments, words } = shell_words::split(start).map_err(|why| match why {
        NotSimple::OpenQuote(quote) => Refusal::StartOpenQuote { start: owned(), quote },
        NotSimple::Operator(character) => {
            let instead = wrapper::instead_of_line(start);
            Refusal::StartNeedsShell { start: owned(), character, instead }
        }
    })?;
    if !assignments.is_empty() {
        let instead = wrapper::instead_of_line(start);
        return Err(Refusal::StartSetsEnvironment { start: owned(), instead });
    }
    if words.first().is_some_and(|word| is_node(word)) {
        return node_program(&words, surroundings);
    }
    // An `index.js` is not looked for here: that the package is started otherwise says that it is
    // not the program.
    match surroundings.package.and_then(|package| package.main.clone()) {
        Some(main) if !main.is_empty() => Ok(of_script(main)),
        Some(_) | None => {
            let instead = wrapper::instead_of_line(start).or_else(|| in_bin(&words));
            Err(Refusal::StartIsNotNode { start: owned(), instead })
        }
    }
}

const fn of_script(script: String) -> Program {
    Program { node: None, node_args: Vec::new(), script, args: Vec::new() }
}

/// `next start` runs `node_modules/.bin/next`, as package managers put that into the path.
fn in_bin(words: &[String]) -> Option<String> {
    let (name, _) = words.split_first()?;
    let is_name = !name.contains('/') && wrapper::refuse(words, None).is_none();
    let words = words.iter().map(String::as_str);
    is_name.then(|| format!("relevo run node_modules/.bin/{}", shell_words::join(words)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Package;

    fn run(start: Option<&str>, main: Option<&str>, has_index: bool) -> Result<Program, Refusal> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let package = Package { name: None, main: owned(main), start: owned(start) };
        crate::program(&[], Surroundings { package: Some(&package), has_index })
    }

    fn refusal(start: &str, main: Option<&str>) -> String {
        run(Some(start), main, true).unwrap_err().to_string()
    }

    #[test]
    fn start_if_it_is_node() {
        let program = run(Some("node --inspect 'my app.js' -- x"), Some("b.js"), true).unwrap();
        assert_eq!(program.node.as_deref(), Some("node"));
        assert_eq!(program.node_args, ["--inspect"]);
        assert_eq!(program.script, "my app.js");
        // Nobody parts options of Relevo's from arguments here, so the `--` is the program's.
        assert_eq!(program.args, ["--", "x"]);
        assert_eq!(run(Some("node ."), Some("b.js"), true).unwrap().script, "b.js");
    }

    #[test]
    fn else_main_else_index() {
        assert_eq!(run(None, Some("lib/a"), true).unwrap().script, "lib/a");
        assert_eq!(run(Some(" "), Some("lib/a"), true).unwrap().script, "lib/a");
        assert_eq!(run(Some("next start"), Some("a.js"), true).unwrap().script, "a.js");
        assert_eq!(run(None, None, true).unwrap().script, "index.js");
        assert_eq!(run(None, Some(""), true).unwrap().script, "index.js");
        assert_eq!(run(None, None, false), Err(Refusal::NothingToRun));
        let nowhere = crate::program(&[], Surroundings::default());
        assert_eq!(nowhere, Err(Refusal::NothingToRun));
    }

    #[test]
    fn a_start_that_is_not_node_is_named() {
        let next = refusal("next start -p 1", None);
        assert!(next.contains("`next start -p 1` does not begin with `node`"), "{next}");
        assert!(next.ends_with("use `relevo run node_modules/.bin/next start -p 1`"), "{next}");
        assert!(refusal("nodemon app.js", None).ends_with("use `relevo run app.js`"));
        assert!(refusal("sh start.sh", None).ends_with("as in `relevo run app.js`"));
    }

    #[test]
    fn variables_and_shells_are_refused_even_with_main() {
        let text = refusal("NODE_ENV=production node app.js", Some("a.js"));
        let remedy = "use `relevo run --env NODE_ENV=production node app.js`";
        assert!(text.contains("`--env`'s part") && text.ends_with(remedy), "{text}");
        let text = refusal("npm run build && node app.js", Some("a.js"));
        assert!(text.contains("a shell for its `&`"), "{text}");
        assert!(text.ends_with("use `relevo run node app.js`"), "{text}");
        assert!(refusal("node $APP", None).contains("a shell for its `$`"));
        assert!(refusal("node 'app.js", None).contains("never closes its '"));
    }

    #[test]
    fn a_start_of_node_that_does_not_serve_is_refused() {
        assert!(refusal("node --watch app.js", Some("a.js")).contains("leave the flag out"));
    }
}
