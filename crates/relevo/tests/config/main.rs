//! `relevo.toml` and env files: at the start, by `check`, and at reloads.

#[path = "../support/mod.rs"]
mod support;

mod check;
mod documents;
mod dry_run;
mod reload;
mod start;

use std::path::PathBuf;

use serde_json::Value;
use support::TempDir;
use support::client::get;
use support::ports::port;
use support::relevo::{unique_name, write};
use support::service::{Service, Setup};

/// Answers every request with what the worker was started with.
const APP: &str = "
    const { env, argv, execArgv, pid } = process;
    const told = { env, args: argv.slice(2), execArgv, pid, cwd: process.cwd() };
    require('http').createServer((_, answer) => answer.end(JSON.stringify(told))).listen(env.PORT);
";

/// An app with a `relevo.toml`.
struct App {
    directory: TempDir,
    name: String,
    port: u16,
}

impl App {
    fn new() -> Self {
        let directory = TempDir::new("config");
        write(directory.join("app.js"), APP);
        Self { directory, name: unique_name("config"), port: port() }
    }

    /// Writes a file beside the app.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        write(self.directory.join(name), text)
    }

    /// Writes the `relevo.toml`: what every one of these has, options, then variables.
    fn configure(&self, options: &str, variables: &str) {
        let Self { name, port, .. } = self;
        let text = format!(
            "name = \"{name}\"\nscript = \"app.js\"\n{options}\n\n[env]\nPORT = {port}\n{variables}\n"
        );
        self.write("relevo.toml", &text);
    }

    fn setup(&self) -> Setup {
        Setup::of_file(&self.name, self.directory.path())
    }

    fn start(&self) -> Service {
        self.setup().start()
    }

    /// What a worker says of itself.
    fn worker(&self) -> Value {
        get(self.port, "/").expect("an answer").json()
    }
}
