//! `relevo prove`: drive a server while it is replaced, and account for every request.

mod command;
mod kill;
mod progress;
mod reload;
mod target;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use relevo_config::prove::{Header, KindPath, Mix, Statuses};
use relevo_config::{ServiceName, Span};
use relevo_prove::{Disturb, Plan, Refusal, Schedule, Target, Trust, report};
use relevo_sys::process::raise_nofile_limit;
use relevo_wire::ExitCode;
use relevo_wire::prove::Report;

use super::client::report::{finish, print};
use super::client::take_interrupt;
use super::client::waiting::INTERRUPTED;
use super::{Failure, error_text};
use crate::configuration::read_beginning;

/// The largest file that is read: a body, certificates.
const MOST_BYTES: usize = 16 << 20;

/// Drive a server with accounted traffic while it is replaced; exit 1 if one request is lost
///
/// Clients of several kinds speak to the URL while the service behind it is reloaded, again and
/// again. Every request has an id and ends in exactly one way: answered, answered wrongly, refused,
/// reset, closed before the answer, or late. The app needs no change; if it sends the id back, in the
/// header x-request-id or in the body, that is checked too.
///
/// Any other server can be put to the same test by --on-reload.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Kinds of clients, for --mix and --path:\n  new             a connection for every request\n  keep-alive      one for many, idle in between\n  pipelined       several requests at once, cut anywhere\n  slow-upload     a body sent in pieces over --slow\n  slow-response   an answer read in pieces over --slow\n  large-response  an answer read as fast as it comes\n  http2           several streams on a connection\n  websocket       pings, or messages if they are echoed\n\nExamples:\n  relevo prove http://127.0.0.1:3000/\n  relevo prove http://127.0.0.1:3000/ --reloads 20 --html report.html\n  relevo prove http://127.0.0.1:3000/ --mix keep-alive=200,websocket=50 --path websocket=/live\n  relevo prove http://127.0.0.1:3000/ --kill worker\n  relevo prove http://127.0.0.1:3000/ --on-reload 'pm2 reload web'"
)]
pub(crate) struct Args {
    /// What clients ask for, over http:// or https://
    #[arg(value_name = "URL", required = true)]
    url: Target,

    /// How often the service is reloaded, 0 to 1000
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1000))]
    reloads: u32,

    /// How long clients run at the least; the reloads are spread over that time
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=604_800))]
    seconds: u32,

    /// How long nothing is done before each reload, and after the last [default: 1s]
    #[arg(long, value_name = "TIME")]
    pause: Option<Span>,

    /// The service to reload [default: the one that listens on the URL's port]
    #[arg(long, value_name = "NAME", conflicts_with = "on_reload")]
    service: Option<ServiceName>,

    /// A command for the shell that replaces the server, in place of relevo's reload
    #[arg(long, value_name = "COMMAND")]
    on_reload: Option<String>,

    /// What to end by SIGKILL each time, in place of reloading; what was on its connections is
    /// counted apart
    #[arg(long, value_name = "worker", conflicts_with = "on_reload")]
    kill: Option<Victim>,

    /// How long a reload may take [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = Span::parse_positive)]
    reload_timeout: Option<Span>,

    /// How many clients of which kind [default: keep-alive=32,new=4,pipelined=4,slow-upload=2,
    /// slow-response=2, http2=4 where TLS offers it, and 2 of each other kind that has a --path]
    #[arg(long, value_name = "KIND=N,…")]
    mix: Option<Mix>,

    /// What clients of one kind ask for, or all that have no path of their own; repeatable
    #[arg(long, value_name = "[KIND=]PATH")]
    path: Vec<KindPath>,

    /// A header of every request; repeatable
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<Header>,

    /// The method [default: GET; POST with a body]
    #[arg(long, value_name = "METHOD", value_parser = method)]
    method: Option<String>,

    /// What is sent with each request: text, or @FILE
    #[arg(long, value_name = "TEXT|@FILE")]
    body: Option<String>,

    /// How large a slow upload is, in bytes, up to 1 GiB
    #[arg(long, value_name = "BYTES", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=1_073_741_824))]
    upload_bytes: u32,

    /// Which statuses are right [default: the one that the server answers before the first reload]
    #[arg(long, value_name = "STATUS,…")]
    expect: Option<Statuses>,

    /// The header that carries a request's id
    #[arg(long, value_name = "NAME", default_value = "x-request-id", value_parser = header_name)]
    id_header: String,

    /// How long a client is idle between two requests, on average; 0 is as fast as it can
    /// [default: 100ms]
    #[arg(long, value_name = "TIME")]
    think: Option<Span>,

    /// How long slow uploads and slow reading take [default: 2s]
    #[arg(long, value_name = "TIME")]
    slow: Option<Span>,

    /// How long an answer may take [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = Span::parse_positive)]
    timeout: Option<Span>,

    /// Certificates to trust, in place of the system's: a file in PEM
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,

    /// Trust any certificate
    #[arg(long)]
    insecure: bool,

    /// Connect to this Unix socket, whatever the URL's host
    #[arg(long, value_name = "PATH")]
    unix_socket: Option<PathBuf>,

    /// Exit 1 also if an idle connection was closed without a word
    #[arg(long)]
    strict: bool,

    /// Write a report with a plot of the latency over time
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write a report for a CI server (JUnit's XML)
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

/// What can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Victim {
    /// One that is ready, at random.
    Worker,
}

/// Runs a trial.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    finish(args.json, trial(args))
}

fn trial(args: &Args) -> Result<u8, Failure> {
    let plan = plan(args)?;
    // Before the trial: a report that cannot be written is better known now.
    for path in [&args.html, &args.junit].into_iter().flatten() {
        write(path, "")?;
    }
    let disturb = disturb(args, &plan.target)?;
    // Each client has a connection; more than the limit would be said by the first that has none.
    let _ = raise_nofile_limit();
    let interrupt = take_interrupt();
    let mut line = progress::Line::new();
    let mut is_interrupted = false;
    let outcome = relevo_prove::prove(plan, disturb, &mut |glance| {
        line.show(glance);
        let signal = interrupt.as_ref().and_then(|signals| signals.next().ok().flatten());
        is_interrupted |= signal.is_some();
        if signal.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    line.clear();
    let report = outcome.map_err(|Refusal(reason)| Failure::usage(reason))?;
    tell(args, &report)?;
    Ok(code(&report, is_interrupted))
}

/// Writes the report wherever it was wanted.
fn tell(args: &Args, report: &Report) -> Result<(), Failure> {
    if let Some(path) = &args.html {
        write(path, &report::html(report))?;
    }
    if let Some(path) = &args.junit {
        write(path, &report::junit(report))?;
    }
    if args.json {
        let json = serde_json::to_string(report);
        let json = json.expect("numbers, texts and lists of them can always be serialised");
        return print(&format!("{json}\n"));
    }
    print(&report::table(report))
}

fn code(report: &Report, is_interrupted: bool) -> u8 {
    let requests = &report.requests;
    match () {
        () if requests.begun != requests.ended() => ExitCode::Bug.code(),
        () if report.passed => ExitCode::Done.code(),
        () if is_interrupted && requests.lost() == 0 => INTERRUPTED,
        () => ExitCode::Failed.code(),
    }
}

fn plan(args: &Args) -> Result<Plan, Failure> {
    let span = |given: Option<Span>, usual: Duration| given.map_or(usual, Span::duration);
    let trust = match (&args.ca, args.insecure) {
        (_, true) => Trust::Anybody,
        (Some(path), false) => Trust::Authorities(read("--ca", path)?),
        (None, false) => Trust::System,
    };
    let body = match args.body.as_deref().map(|body| (body, body.strip_prefix('@'))) {
        None => Vec::new(),
        Some((_, Some(path))) => read("--body", Path::new(path))?,
        Some((text, None)) => text.as_bytes().to_vec(),
    };
    let schedule = Schedule {
        disturbances: args.reloads,
        at_least: Duration::from_secs(args.seconds.into()),
        pause: span(args.pause, Duration::from_secs(1)),
    };
    Ok(Plan {
        target: Target { unix_socket: args.unix_socket.clone(), ..args.url.clone() },
        mix: args.mix,
        paths: args.path.clone(),
        method: args.method.clone(),
        body,
        upload_bytes: args.upload_bytes as usize,
        headers: args.header.clone(),
        id_header: args.id_header.clone(),
        expect: args.expect.clone(),
        think: span(args.think, Duration::from_millis(100)),
        slow: span(args.slow, Duration::from_secs(2)),
        timeout: span(args.timeout, Duration::from_secs(10)),
        trust,
        strict: args.strict,
        schedule,
    })
}

/// Who replaces the server.
fn disturb(args: &Args, target: &Target) -> Result<Option<Box<dyn Disturb>>, Failure> {
    if args.reloads == 0 {
        return Ok(None);
    }
    let limit = args.reload_timeout.map_or(Duration::from_secs(300), Span::duration);
    if let Some(command) = &args.on_reload {
        return Ok(Some(Box::new(command::OnReload::new(command, limit))));
    }
    let service = target::service(args.service.as_ref(), target)?;
    Ok(Some(match args.kill {
        Some(Victim::Worker) => Box::new(kill::KillWorker::new(service, limit)),
        None => Box::new(reload::Reload::new(service, limit)),
    }))
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let fault = |why: String| Failure::usage(format!("{option}: {}: {why}", path.display()));
    let file = fs::File::open(path).map_err(|error| fault(error_text(&error)))?;
    let bytes = read_beginning(file, MOST_BYTES).map_err(|error| fault(error_text(&error)))?;
    if bytes.len() > MOST_BYTES {
        return Err(fault("it is larger than 16 MiB".to_owned()));
    }
    Ok(bytes)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| {
        Failure::usage(format!("{} cannot be written: {}", path.display(), error_text(&error)))
    })
}

/// A method is a token: RFC 9110 section 9.1.
fn method(text: &str) -> Result<String, String> {
    match text.parse::<http::Method>() {
        Ok(http::Method::CONNECT) | Err(_) => {
            Err(format!("`{}` is no method that a server can be asked by", text.escape_debug()))
        }
        Ok(method) => Ok(method.to_string()),
    }
}

fn header_name(text: &str) -> Result<String, String> {
    let name = text.parse::<http::HeaderName>();
    name.map(|name| name.to_string())
        .map_err(|_| format!("`{}` is no header's name", text.escape_debug()))
}
