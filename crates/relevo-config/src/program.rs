//! What to run: from the words after `run`, or from `package.json` where there are none.

use crate::script::base_name;
use crate::shell_words::join;
use crate::{Package, Refusal, node_flags, start_script, wrapper};

/// A program for node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The node to run it, as the user named it (`node`, `/opt/node/bin/node`), if they did. Such
    /// a script may have any name, as it may for node: [`crate::Script::classify`] is for those
    /// where nobody said what to run them with.
    pub node: Option<String>,
    /// Flags for node.
    pub node_args: Vec<String>,
    /// The script as the user gave it; see [`crate::candidates`] for the files it may mean.
    pub script: String,
    /// Arguments for the script.
    pub args: Vec<String>,
}

/// What is known of the directory that `run` is used in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'p> {
    /// Its `package.json`.
    pub package: Option<&'p Package>,
    /// Whether it has an `index.js`, which node runs where nothing else is said.
    pub has_index: bool,
}

impl Surroundings<'_> {
    /// The script of the directory itself: `main`, else `index.js` if it is there.
    pub(crate) fn script(&self) -> Option<String> {
        let main = self.package.and_then(|package| package.main.clone());
        main.filter(|main| !main.is_empty())
            .or_else(|| self.has_index.then(|| "index.js".to_owned()))
    }
}

/// What the words after `run` ask for: a script or a command of node's, and arguments.
///
/// One `--` right after the script is dropped: it parts the arguments from Relevo's own options.
pub fn program(words: &[String], surroundings: Surroundings<'_>) -> Result<Program, Refusal> {
    let start = surroundings.package.and_then(|package| package.start.as_deref());
    let Some(first) = words.first() else {
        return start_script::program(start, surroundings);
    };
    if first.is_empty() {
        return Err(Refusal::EmptyScript);
    }
    if first.starts_with('-') {
        return Err(Refusal::OptionAsScript { word: first.clone() });
    }
    if let Some(refusal) = wrapper::refuse(words, start) {
        return Err(refusal);
    }
    let mut program = if is_node(first) {
        node_program(words, surroundings)?
    } else {
        let script = resolve(first.clone(), surroundings)?;
        Program { node: None, node_args: Vec::new(), script, args: words[1..].to_vec() }
    };
    if program.args.first().is_some_and(|arg| arg == "--") {
        program.args.remove(0);
    }
    Ok(program)
}

pub(crate) fn is_node(word: &str) -> bool {
    matches!(base_name(word), "node" | "nodejs")
}

/// The program of a command line that begins with node.
pub(crate) fn node_program(
    words: &[String],
    surroundings: Surroundings<'_>,
) -> Result<Program, Refusal> {
    let call = match node_flags::parse(&words[1..]) {
        // `node --run start` is one more way to have a package's script run.
        Err(Refusal::Flag { flag, .. }) if flag.starts_with("--run") => {
            let start = surroundings.package.and_then(|package| package.start.as_deref());
            let is_start = flag == "--run=start"
                || words.windows(2).any(|pair| pair[0] == "--run" && pair[1] == "start");
            let instead = start.filter(|_| is_start).and_then(wrapper::instead_of_line);
            return Err(Refusal::Wrapper {
                command: join(words.iter().map(String::as_str)),
                instead,
            });
        }
        other => other?,
    };
    Ok(Program {
        node: Some(words[0].clone()),
        node_args: call.flags,
        script: resolve(call.script, surroundings)?,
        args: call.args,
    })
}

/// `.` is the package in the current directory, as it is for node.
fn resolve(script: String, surroundings: Surroundings<'_>) -> Result<String, Refusal> {
    if matches!(script.as_str(), "." | "./") {
        return surroundings.script().ok_or(Refusal::NothingToRun);
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[track_caller]
    fn check(line: &str, node: Option<&str>, node_args: &str, script: &str, args: &str) {
        let expected = Program {
            node: node.map(str::to_owned),
            node_args: words(node_args),
            script: script.to_owned(),
            args: words(args),
        };
        assert_eq!(program(&words(line), Surroundings::default()), Ok(expected));
    }

    fn refusal(line: &str, package: Option<&Package>) -> String {
        let surroundings = Surroundings { package, has_index: false };
        program(&words(line), surroundings).unwrap_err().to_string()
    }

    fn started_by(start: &str) -> Package {
        Package { start: Some(start.to_owned()), ..Package::default() }
    }

    #[test]
    fn a_script_and_its_arguments() {
        check("app.js", None, "", "app.js", "");
        check("./a/app.js --port 1 -- x", None, "", "./a/app.js", "--port 1 -- x");
        check("app.js -- --port 1", None, "", "app.js", "--port 1");
        check("app.js -- --", None, "", "app.js", "--");
        check("node_modules/.bin/next start", None, "", "node_modules/.bin/next", "start");
    }

    #[test]
    fn node_with_flags() {
        check("node app.js", Some("node"), "", "app.js", "");
        check("node --inspect app.js x", Some("node"), "--inspect", "app.js", "x");
        check("node -r ./i.js app.js -- x", Some("node"), "-r ./i.js", "app.js", "x");
        check("/opt/n/bin/node server", Some("/opt/n/bin/node"), "", "server", "");
    }

    #[test]
    fn the_directory_itself_is_its_main() {
        let package = Package { main: Some("lib/a.js".to_owned()), ..Package::default() };
        let surroundings = Surroundings { package: Some(&package), has_index: true };
        for line in [".", "./", "node ."] {
            assert_eq!(program(&words(line), surroundings).unwrap().script, "lib/a.js");
        }
        let surroundings = Surroundings { package: None, has_index: true };
        assert_eq!(program(&words("."), surroundings).unwrap().script, "index.js");
        assert_eq!(program(&words("."), Surroundings::default()), Err(Refusal::NothingToRun));
    }

    #[test]
    fn refusals_name_the_remedy() {
        let package = started_by("node app.js --x");
        let npm = refusal("npm start", Some(&package));
        assert!(npm.ends_with("use `relevo run node app.js --x`"), "{npm}");
        let run = refusal("node --run start", Some(&package));
        assert!(run.ends_with("use `relevo run node app.js --x`"), "{run}");
        assert!(refusal("npm start", None).ends_with("as in `relevo run app.js`"));
        assert!(refusal("node --run dev", Some(&package)).contains("as in `relevo run app.js`"));
        assert!(refusal("node", None).contains("prompt"));
        assert!(refusal("node -e 1", None).contains("put the code into a file"));
        assert!(refusal("--inspect app.js", None).contains("relevo run node --inspect app.js"));
        assert!(refusal("deno run a.ts", None).contains("`deno` is not node"));
        assert_eq!(program(&[String::new()], Surroundings::default()), Err(Refusal::EmptyScript));
    }
}
