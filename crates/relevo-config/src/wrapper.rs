//! Commands that only start another program, and the command of Relevo's that replaces each.
//!
//! A reload has to reach the program itself: a package manager or a shell in between would get
//! the signals, the channel and the descriptors instead, and some of them lose them.

use crate::Refusal;
use crate::node_flags;
use crate::script::{base_name, is_named_as_script};
use crate::shell_words::{self, is_assignment, join};

/// How deep wrappers in wrappers are looked into.
const MAX_DEPTH: usize = 8;

/// The refusal of `words`, if the command is a wrapper or another runtime; `start` is
/// `package.json`'s start script.
pub(crate) fn refuse(words: &[String], start: Option<&str>) -> Option<Refusal> {
    match Command::of(words.first()?) {
        Command::Node | Command::Other => None,
        Command::OtherRuntime => {
            Some(Refusal::OtherRuntime { command: base_name(&words[0]).to_owned() })
        }
        Command::PackageManager
        | Command::PackageRunner
        | Command::Shell
        | Command::Env
        | Command::Restarter
        | Command::ProcessManager
        | Command::TypeScript
        | Command::Prefix => Some(Refusal::Wrapper {
            command: join(words.iter().map(String::as_str)),
            instead: instead_of(words, start),
        }),
    }
}

/// The command of Relevo's that runs what `words` run, where that can be told.
pub(crate) fn instead_of(words: &[String], start: Option<&str>) -> Option<String> {
    Unwrapper { start }.words(words, MAX_DEPTH).map(|instead| instead.command())
}

/// The command of Relevo's that runs what the line of shell runs, where that can be told.
pub(crate) fn instead_of_line(line: &str) -> Option<String> {
    Unwrapper { start: None }.line(line, &[], MAX_DEPTH).map(|instead| instead.command())
}

/// What the first word of a command is to us.
#[derive(Clone, Copy)]
enum Command {
    Node,
    PackageManager,
    PackageRunner,
    Shell,
    Env,
    Restarter,
    ProcessManager,
    TypeScript,
    /// Runs the rest of its words as a command, under changed circumstances.
    Prefix,
    OtherRuntime,
    /// A script, presumably.
    Other,
}

impl Command {
    fn of(word: &str) -> Self {
        match base_name(word) {
            "node" | "nodejs" => Self::Node,
            "npm" | "yarn" | "yarnpkg" | "pnpm" | "bun" | "cnpm" => Self::PackageManager,
            "npx" | "pnpx" | "bunx" => Self::PackageRunner,
            "sh" | "bash" | "zsh" | "dash" | "ash" | "ksh" | "fish" => Self::Shell,
            "env" | "cross-env" | "cross-env-shell" => Self::Env,
            "nodemon" | "node-dev" | "supervisor" | "ts-node-dev" | "tsnd" => Self::Restarter,
            "pm2" | "pm2-runtime" | "pm2-docker" | "pm2-dev" | "forever" => Self::ProcessManager,
            "tsx" | "ts-node" | "ts-node-esm" | "ts-node-script" | "ts-node-transpile-only" => {
                Self::TypeScript
            }
            "sudo" | "doas" | "nohup" | "nice" | "ionice" | "time" | "timeout" | "taskset"
            | "setsid" | "exec" | "tini" | "dumb-init" | "strace" | "dotenv" | "dotenvx"
            | "concurrently" | "npm-run-all" | "run-s" | "run-p" => Self::Prefix,
            "deno" | "python" | "python2" | "python3" | "ruby" | "perl" | "php" | "java" | "go"
            | "dotnet" => Self::OtherRuntime,
            _ => Self::Other,
        }
    }
}

/// A command of Relevo's in the making: `before… relevo run options… words…`.
#[derive(Default)]
struct Instead {
    before: Vec<String>,
    options: Vec<String>,
    words: Vec<String>,
}

impl Instead {
    fn words(words: Vec<String>) -> Self {
        Self { words, ..Self::default() }
    }

    fn command(&self) -> String {
        let ours = ["relevo", "run"];
        let rest = self.options.iter().chain(&self.words).map(String::as_str);
        join(self.before.iter().map(String::as_str).chain(ours).chain(rest))
    }

    fn with_env(mut self, assignments: &[String]) -> Self {
        let env = assignments.iter().flat_map(|pair| ["--env".to_owned(), pair.clone()]);
        self.options.splice(0..0, env);
        self
    }
}

struct Unwrapper<'s> {
    start: Option<&'s str>,
}

impl Unwrapper<'_> {
    fn words(&self, words: &[String], depth: usize) -> Option<Instead> {
        let depth = depth.checked_sub(1)?;
        let (command, args) = words.split_first()?;
        match Command::of(command) {
            Command::Node => {
                node_flags::parse(args).ok()?;
                Some(Instead::words(words.to_vec()))
            }
            Command::PackageManager => self.package_manager(command, args, depth),
            Command::PackageRunner => self.package_runner(args, depth),
            Command::Shell => self.shell(args, depth),
            Command::Env => self.env(args, depth),
            Command::Restarter => self.restarter(command, args, depth),
            Command::ProcessManager => self.process_manager(args, depth),
            Command::TypeScript => typescript(command, args),
            Command::Prefix => self.prefix(command, args, depth),
            Command::OtherRuntime => None,
            Command::Other => is_named_as_script(command).then(|| Instead::words(words.to_vec())),
        }
    }

    /// A line of shell with more arguments after it.
    fn line(&self, line: &str, args: &[String], depth: usize) -> Option<Instead> {
        if let Ok(mut command) = shell_words::split(line) {
            command.words.extend_from_slice(args);
            if command.words.first().is_some_and(|word| word == "exec") {
                command.words.remove(0);
            }
            let instead = self.words(&command.words, depth)?;
            return Some(instead.with_env(&command.assignments));
        }
        // `tsc && node app.js`: what is run is the last step, unless an earlier one changes what
        // the last one finds.
        let (steps, last) = line.rsplit_once("&&")?;
        let changes = |step: &str| {
            let first = step.split_whitespace().next().unwrap_or_default();
            matches!(first, "cd" | "export" | "set" | "source" | "." | "ulimit" | "umask")
                || step.contains(['|', ';', '(', '`'])
        };
        if steps.split("&&").any(changes) {
            return None;
        }
        self.line(last, args, depth.checked_sub(1)?)
    }

    fn package_manager(&self, command: &str, args: &[String], depth: usize) -> Option<Instead> {
        let quiet = |word: &&String| matches!(word.as_str(), "-s" | "--silent" | "-q" | "--quiet");
        let mut rest = args.iter().filter(|word| !quiet(word));
        match rest.next()?.as_str() {
            "start" => {}
            "run" | "run-script" => {
                if rest.next()? != "start" {
                    return None;
                }
            }
            "exec" | "x" | "dlx" => {
                let rest: Vec<String> = rest.cloned().collect();
                return self.package_runner(&rest, depth);
            }
            first if base_name(command) == "bun" && is_named_as_script(first) => {
                return self.words(args, depth);
            }
            _ => return None,
        }
        let args: Vec<String> = rest.cloned().collect();
        let args = args.strip_prefix(&["--".to_owned()]).unwrap_or(&args);
        // Without the start script, since one that starts itself would never end.
        Unwrapper { start: None }.line(self.start?, args, depth)
    }

    fn package_runner(&self, args: &[String], depth: usize) -> Option<Instead> {
        let skipped = |word: &String| {
            matches!(word.as_str(), "-y" | "--yes" | "-q" | "--quiet" | "--no-install" | "--")
        };
        let from = args.iter().position(|word| !skipped(word))?;
        let (program, args) = args[from..].split_first()?;
        // `next@14`, but neither `@acme/cli`, whose program may be called anything, nor a flag.
        let name = program.split_once('@').map_or(program.as_str(), |(name, _)| name);
        if name.is_empty() || name.starts_with('-') || name.contains('/') {
            return None;
        }
        let with = |first: String| {
            let mut words = vec![first];
            words.extend_from_slice(args);
            words
        };
        match Command::of(name) {
            Command::Other => Some(Instead::words(with(format!("node_modules/.bin/{name}")))),
            Command::Node
            | Command::PackageManager
            | Command::PackageRunner
            | Command::Shell
            | Command::Env
            | Command::Restarter
            | Command::ProcessManager
            | Command::TypeScript
            | Command::Prefix
            | Command::OtherRuntime => self.words(&with(name.to_owned()), depth),
        }
    }

    /// `-c`, also at the end of a cluster such as `-lc`.
    fn shell(&self, args: &[String], depth: usize) -> Option<Instead> {
        let is_c =
            |word: &String| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c');
        let flag = args.iter().take_while(|word| word.starts_with('-')).position(is_c)?;
        self.line(args.get(flag + 1)?, &[], depth)
    }

    fn env(&self, args: &[String], depth: usize) -> Option<Instead> {
        let first = args.iter().position(|word| !is_assignment(word))?;
        Some(self.words(&args[first..], depth)?.with_env(&args[..first]))
    }

    fn restarter(&self, command: &str, args: &[String], depth: usize) -> Option<Instead> {
        if args.iter().any(|word| word.starts_with("--exec") || word == "-x") {
            return None;
        }
        if command.contains("ts") {
            return typescript(command, args);
        }
        let script = args.iter().position(|word| is_named_as_script(word))?;
        self.words(&args[script..], depth)
    }

    fn process_manager(&self, args: &[String], depth: usize) -> Option<Instead> {
        let end = args.iter().position(|word| word == "--").unwrap_or(args.len());
        let (ours, theirs) = (&args[..end], args.get(end + 1..).unwrap_or_default());
        let is_program = |word: &&String| {
            // `ecosystem.config.js` is not a program but lists them.
            let name = base_name(word);
            is_named_as_script(name) && !name.contains(".config.")
                || matches!(Command::of(name), Command::PackageManager)
        };
        let mut words = vec![ours.iter().find(is_program)?.clone()];
        words.extend_from_slice(theirs);
        let mut instead = self.words(&words, depth)?;
        let mut pairs = ours.windows(2);
        if let Some([_, count]) =
            pairs.find(|pair| matches!(pair[0].as_str(), "-i" | "--instances"))
            && count.parse::<u32>().is_ok_and(|count| count > 0)
        {
            instead.options.splice(0..0, ["-w".to_owned(), count.clone()]);
        }
        Some(instead)
    }

    fn prefix(&self, command: &str, args: &[String], depth: usize) -> Option<Instead> {
        let mut instead = self.words(args, depth)?;
        if command != "exec" {
            instead.before.insert(0, command.to_owned());
        }
        Some(instead)
    }
}

/// Node does what the TypeScript runners do once their loader is preloaded.
fn typescript(command: &str, args: &[String]) -> Option<Instead> {
    let script = args.iter().position(|word| is_named_as_script(word))?;
    let loader = match base_name(command) {
        "ts-node-esm" => ["--node-arg=--loader", "--node-arg=ts-node/esm"],
        name if name.starts_with("ts") && name != "tsx" => {
            ["--node-arg=--require", "--node-arg=ts-node/register"]
        }
        _ => ["--node-arg=--import", "--node-arg=tsx"],
    };
    let options = loader.map(str::to_owned).to_vec();
    Some(Instead { before: Vec::new(), options, words: args[script..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(command: &[&str], start: Option<&str>, expected: Option<&str>) {
        let words: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        match refuse(&words, start) {
            Some(Refusal::Wrapper { instead, .. }) => assert_eq!(instead.as_deref(), expected),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn package_managers_give_way_to_the_start_script() {
        let start = Some("node --inspect app.js");
        let ours = Some("relevo run node --inspect app.js");
        for manager in ["npm", "yarn", "pnpm", "bun", "/usr/bin/npm"] {
            check(&[manager, "start"], start, ours);
            check(&[manager, "run", "start"], start, ours);
        }
        check(&["npm", "--silent", "start"], start, ours);
        let with_args = Some("relevo run node --inspect app.js --port 1");
        check(&["npm", "start", "--", "--port", "1"], start, with_args);
        check(&["npm", "start"], None, None);
        check(&["npm", "run", "dev"], start, None);
        check(&["npm"], start, None);
        check(&["npm", "--prefix", "x", "start"], start, None);
        check(&["bun", "app.js"], None, Some("relevo run app.js"));
    }

    #[test]
    fn the_start_script_may_be_a_wrapper_itself() {
        let npm = ["npm", "start"];
        let env = Some("relevo run --env A=b --env 'C=d e' node app.js");
        check(&npm, Some("A=b C='d e' node app.js"), env);
        check(&npm, Some("cross-env A=b node app.js"), Some("relevo run --env A=b node app.js"));
        check(&npm, Some("nodemon app.js"), Some("relevo run app.js"));
        check(&npm, Some("tsc && node app.js"), Some("relevo run node app.js"));
        check(&npm, Some("cd x && node app.js"), None);
        check(&npm, Some("node a.js | tee log"), None);
        check(&npm, Some("npm start"), None);
        check(&npm, Some("next start"), None);
        check(&npm, Some("npx next start"), Some("relevo run node_modules/.bin/next start"));
    }

    #[test]
    fn runners_give_way_to_the_file() {
        check(&["npx", "next", "start"], None, Some("relevo run node_modules/.bin/next start"));
        check(&["npx", "-y", "next@14", "x"], None, Some("relevo run node_modules/.bin/next x"));
        check(&["npm", "exec", "--", "next"], None, Some("relevo run node_modules/.bin/next"));
        check(&["npx", "node", "app.js"], None, Some("relevo run node app.js"));
        check(&["npx", "@acme/cli"], None, None);
        check(&["npx", "-p", "x", "y"], None, None);
    }

    #[test]
    fn shells_and_prefixes_give_way_to_the_command() {
        check(&["sh", "-c", "node app.js"], None, Some("relevo run node app.js"));
        check(&["bash", "-lc", "exec node 'a b.js'"], None, Some("relevo run node 'a b.js'"));
        check(&["zsh", "-c", "A=b node a.js"], None, Some("relevo run --env A=b node a.js"));
        check(&["sh", "start.sh"], None, None);
        check(&["sh", "-c"], None, None);
        check(&["env", "A=b", "node", "a.js"], None, Some("relevo run --env A=b node a.js"));
        check(&["sudo", "node", "a.js"], None, Some("sudo relevo run node a.js"));
        check(&["timeout", "5", "node", "a.js"], None, None);
        check(&["sudo"; 1000], None, None);
    }

    #[test]
    fn other_managers_give_way() {
        check(&["nodemon", "--watch", "src", "app.js", "-x"], None, None);
        check(&["nodemon", "--watch", "src", "app.js", "x"], None, Some("relevo run app.js x"));
        check(&["pm2", "start", "app.js", "--", "x"], None, Some("relevo run app.js x"));
        check(&["pm2", "start", "app.js", "-i", "4"], None, Some("relevo run -w 4 app.js"));
        check(&["pm2-runtime", "app.js", "-i", "max"], None, Some("relevo run app.js"));
        check(&["pm2", "start", "ecosystem.config.js"], None, None);
        let start = Some("node app.js");
        check(&["pm2", "start", "npm", "--", "start"], start, Some("relevo run node app.js"));
    }

    #[test]
    fn typescript_runners_give_way_to_their_loader() {
        let tsx = Some("relevo run --node-arg=--import --node-arg=tsx app.ts --x");
        check(&["tsx", "app.ts", "--x"], None, tsx);
        check(&["npx", "tsx", "watch", "app.ts", "--x"], None, tsx);
        check(&["node_modules/.bin/tsx", "app.ts", "--x"], None, tsx);
        let ts_node = Some("relevo run --node-arg=--require --node-arg=ts-node/register app.ts");
        check(&["ts-node", "-T", "app.ts"], None, ts_node);
        check(&["ts-node-dev", "--respawn", "app.ts"], None, ts_node);
    }

    #[test]
    fn programs_are_no_wrappers() {
        for word in ["app.js", "node", "next", "./npm.js", "nodemon.js"] {
            assert_eq!(refuse(&[word.to_owned()], None), None, "{word}");
        }
        let refusal = refuse(&["python3".to_owned(), "a.py".to_owned()], None);
        assert_eq!(refusal, Some(Refusal::OtherRuntime { command: "python3".to_owned() }));
    }
}
