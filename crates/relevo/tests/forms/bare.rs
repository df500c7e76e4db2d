//! What Node does without Relevo, to compare with.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

use crate::support::ports::port;
use crate::support::{fixture, nodes};

/// The error that `forms.js` reports under plain node, on a port of its own.
pub(crate) fn error_of(major: u32, form: &'static str) -> Value {
    static KNOWN: Mutex<BTreeMap<(u32, &str), Value>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().expect("no panic with it");
    known
        .entry((major, form))
        .or_insert_with(|| {
            let mut command = Command::new(nodes::node(major));
            command.arg(fixture("forms.js")).env("FORM", form).env("PORT", port().to_string());
            first_error(command)
        })
        .clone()
}

/// The error that `forms.js` reports as a worker of Node's own cluster.
pub(crate) fn error_under_cluster(major: u32, form: &str, port: u16) -> Value {
    let primary = "const c = require('cluster'); c.setupPrimary({ exec: process.argv[1], execArgv: [] }); c.fork()";
    let mut command = Command::new(nodes::node(major));
    command.arg("-e").arg(primary).arg(fixture("forms.js"));
    command.env("FORM", form).env("PORT", port.to_string());
    first_error(command)
}

/// Runs it until it writes an error.
fn first_error(mut command: Command) -> Value {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut said = lines
        .map_while(Result::ok)
        .map(|line| serde_json::from_str::<Value>(&line).expect("forms.js writes JSON"));
    let error = said.find_map(|words| words["error"].is_object().then(|| words["error"].clone()));
    let _ = child.kill();
    let _ = child.wait();
    error.expect("an error")
}
