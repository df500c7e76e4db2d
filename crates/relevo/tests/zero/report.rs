//! `docs/zero.md`, from what a full run has shown.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Mutex;

use crate::facts::facts;
use crate::frameworks::{BALANCES, FRAMEWORKS, Framework, ON_THE_OLDEST};
use crate::hard::HARD;
use crate::support::nodes::{MAJORS, OLDEST};
use crate::support::root;
use crate::trial::Figures;

/// One line of a table.
pub(crate) struct Row {
    name: String,
    major: u32,
    balance: Option<&'static str>,
    version: Option<String>,
    answered: u64,
    lost: usize,
    closed_idle: usize,
    ended: u64,
    resent: u64,
    unanswered: u64,
    handshakes: u64,
    resumed: u64,
    handed_over: Option<u64>,
    killed: (u64, u64),
}

static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());
static FINISHED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Whether everything is to be run, and reported.
pub(crate) fn is_wanted() -> bool {
    match std::env::var("RELEVO_MATRIX") {
        Err(_) => false,
        Ok(word) if word == "full" => true,
        Ok(word) => panic!("RELEVO_MATRIX is `{word}`: set it to `full`, or not at all"),
    }
}

pub(crate) fn note(row: Row) {
    ROWS.lock().expect("no test panics here").push(row);
}

/// All rows of this name are there. With the last name, the report is written: one that lacks a part never is.
pub(crate) fn finish(name: &str) {
    let mut finished = FINISHED.lock().expect("no test panics here");
    finished.insert(name.to_owned());
    let mut all =
        FRAMEWORKS.iter().map(|framework| framework.name).chain(HARD).chain([ON_THE_OLDEST]);
    if all.all(|name| finished.contains(name)) {
        let path = root().join("docs/zero.md");
        let text = write(&ROWS.lock().expect("no test panics here"));
        std::fs::write(&path, text).expect("the report is written");
        println!("{} is written", path.display());
    }
}

impl Row {
    pub(crate) fn of_framework(
        framework: &Framework,
        major: u32,
        balance: &'static str,
        figures: &Figures,
    ) -> Self {
        let version = framework.version(major);
        Self {
            balance: Some(balance),
            version,
            ..Self::of_hard_app(framework.name, major, figures)
        }
    }

    pub(crate) fn of_hard_app(name: &str, major: u32, figures: &Figures) -> Self {
        let total = figures.account.total();
        Self {
            name: name.to_owned(),
            major,
            balance: None,
            version: None,
            answered: total.answered,
            lost: total.losses.len(),
            closed_idle: total.closed_idle.len(),
            ended: total.ended,
            resent: total.resent,
            unanswered: total.unanswered,
            handshakes: total.handshakes,
            resumed: total.resumed,
            handed_over: figures.handed_over,
            killed: (figures.with_the_killed.requests, figures.with_the_killed.idle),
        }
    }
}

const HEAD: &str = "\
# Losses: zero

What becomes of requests while every worker of a service is replaced, run by the project's own tests
(`crates/relevo/tests/zero`). What becomes of them under Node's `cluster`, PM2 and nginx, `relevo prove` has counted in one
run with Relevo: [benchmarks.md](benchmarks.md#lost-under-relevo-prove). This page is written by

```console
$ RELEVO_MATRIX=full cargo test -p relevo --test zero
```

which takes about half an hour on two cores; `cargo test` without the variable runs each app on one Node
major. A run that loses a request, or closes an idle connection without a word, fails, and writes nothing.

Each row is one service with two workers. While its clients ask on and on it is reloaded, scaled to four workers, scaled back to
two and reloaded again; each framework's row ends with a `kill -9` of one worker. The clients open a
connection for each request, keep connections busy, keep them idle for up to 3 s, pipeline with requests split at every byte, upload
slowly, wait for slow answers and read large ones late. Each request has an id that the answer has to
carry.

| column | |
| --- | --- |
| answered | requests that were answered rightly |
| lost | requests that were not, whatever the way: refused, reset, closed before the answer, no answer within 20 s, a wrong answer |
| idle closed | connections that were closed without a word while nothing was asked on them |
| moved | connections that were handed over to another worker in the two reloads |
| ended | connections that the server ended in the way that the protocol has for it: `Connection: close` in an answer, GOAWAY, 1012 |
| resent | requests that the server has said it did not process, asked again elsewhere (RFC 9112, 9.6; RFC 9113, 6.8) |
| unanswered | WebSocket messages on their way when 1012 was sent |
| killed | requests and idle connections that were on the killed worker's connections, as the kernel knew them at its death: they cannot be saved, and are not among the lost |
";

const NOT_PROMISED: &str = "
## What is not promised

- What was on a killed worker's connections: the column *killed*.
- HTTP/2 streams that a client opens within the round trip in which GOAWAY reaches it are refused, and have to be asked
  again by the client, as RFC 9113, 8.7 allows: the column *resent*. Idle HTTP/2 and TLS connections are ended, not moved.
- A message that a client sends on a WebSocket while 1012 comes to it: the column *unanswered*.
- A connection whose user the app keeps in a map of its own, with nothing on the socket itself, looks like any other
  and is moved; `keep(socket)` of `relevo-worker` says otherwise. The row with the login in a map does so.
- On Node 14 and 16 nothing is moved. There, and where connections may not move, a client that is idle for longer than
  the keep-alive timeout that it was told of finds its connection closed, as without Relevo.

The reasons, and all other limits, are in [drain.md](drain.md).
";

fn write(rows: &[Row]) -> String {
    let mut text = format!("{HEAD}\n{}{NOT_PROMISED}\n## All runs\n", facts());
    let total = |count: fn(&Row) -> u64| rows.iter().map(count).sum::<u64>();
    writeln!(
        text,
        "\nIn all: {} runs, {} requests answered, **{} lost**, {} idle connections closed, {} connections moved.",
        rows.len(),
        total(|row| row.answered),
        total(|row| row.lost as u64),
        total(|row| row.closed_idle as u64),
        total(|row| row.handed_over.unwrap_or(0)),
    )
    .expect("a string takes everything");
    for framework in &FRAMEWORKS {
        section(&mut text, framework.name, rows);
    }
    text.push_str("\n## Apps that are hard\n\nUnder `--balance auto`; nothing is killed.\n\n");
    head(&mut text, "Node", "app");
    for name in HARD {
        let mut of_name: Vec<&Row> = rows.iter().filter(|row| row.name == name).collect();
        of_name.sort_by_key(|row| row.major);
        for row in of_name {
            line(&mut text, &row.major.to_string(), name, row);
        }
    }
    text
}

fn section(text: &mut String, name: &str, rows: &[Row]) {
    writeln!(text, "\n## {name}\n").expect("a string takes everything");
    let of_name: Vec<&Row> = rows.iter().filter(|row| row.name == name).collect();
    let (handshakes, resumed) =
        of_name.iter().fold((0, 0), |sum, row| (sum.0 + row.handshakes, sum.1 + row.resumed));
    if handshakes > 0 {
        writeln!(text, "Of {handshakes} TLS handshakes {resumed} resumed a session.\n")
            .expect("a string takes everything");
    }
    head(text, "Node", "balance");
    for major in OLDEST.into_iter().chain(MAJORS) {
        for balance in BALANCES {
            let found =
                of_name.iter().find(|row| row.major == major && row.balance == Some(balance));
            let Some(row) = found else { continue };
            let node = match &row.version {
                Some(version) => format!("{major}, {name} {version}"),
                None => major.to_string(),
            };
            line(text, &node, balance, row);
        }
    }
}

fn head(text: &mut String, first: &str, second: &str) {
    writeln!(
        text,
        "| {first} | {second} | answered | lost | idle closed | moved | ended | resent | unanswered | killed |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    .expect("a string takes everything");
}

fn line(text: &mut String, first: &str, second: &str, row: &Row) {
    let Row { answered, lost, closed_idle, ended, resent, unanswered, killed, .. } = row;
    let moved = row.handed_over.map_or_else(|| "not known".to_owned(), |count| count.to_string());
    writeln!(
        text,
        "| {first} | {second} | {answered} | {lost} | {closed_idle} | {moved} | {ended} | {resent} | {unanswered} | {} + {} |",
        killed.0, killed.1
    )
    .expect("a string takes everything");
}
