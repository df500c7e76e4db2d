//! Before the trial: does each kind of client get an answer at all, and what is a right one?
//!
//! What is found here is no loss but a fault of the question, and said in words with the remedy.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use relevo_config::prove::{ClientKind, Mix};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::Refusal;
use crate::clients::{Client, Common, Echo, Right, Socket, Speech, within};
use crate::ledger::{Loss, Miss, text_of};
use crate::plan::Plan;
use crate::pulse::Pulse;
use crate::stream::{Address, words};
use crate::target::Target;

/// How long a WebSocket's echo is waited for.
const ECHO: Duration = Duration::from_millis(500);

/// What was found out.
#[derive(Debug)]
pub(crate) struct Found {
    /// How many clients of which kind.
    pub(crate) mix: Mix,
    /// What a right answer is, by kind.
    pub(crate) right: [Rc<Right>; ClientKind::ALL.len()],
    /// Kinds that were left out, and why.
    pub(crate) remarks: Vec<String>,
}

/// The first of the target's addresses that somebody answers at.
pub(crate) async fn reach(target: &Target, patience: Duration) -> Result<Address, Refusal> {
    let place = target.place();
    let nobody = |why: &str| {
        Refusal(format!(
            "nobody answers at {place} ({why}): is the server running? `relevo status` shows what a \
             service listens on"
        ))
    };
    if let Some(path) = &target.unix_socket {
        let connected = timeout(patience, UnixStream::connect(path)).await;
        return match connected {
            Ok(Ok(_)) => Ok(Address::Unix(path.clone())),
            Ok(Err(error)) => Err(nobody(&words(&error))),
            Err(_) => Err(nobody("no connection in time")),
        };
    }
    let addresses = target.addresses().map_err(|error| {
        Refusal(format!("`{}` stands for no address: {}", target.host, words(&error)))
    })?;
    let mut last = io::Error::other("the name has no address");
    for address in addresses {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(Address::Tcp(address)),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::other("no connection in time"),
        }
    }
    Err(nobody(&words(&last)))
}

/// Asks for all that clients will ask for.
pub(crate) async fn rehearse(common: &Rc<Common>) -> Result<Found, Refusal> {
    let plan = &common.plan;
    let mut found = Found {
        mix: plan.mix.unwrap_or_else(|| plan.usual_mix()),
        right: std::array::from_fn(|_| Rc::new(Right::default())),
        remarks: Vec::new(),
    };
    if plan.mix.is_none() && found.mix.of(ClientKind::Http2) == 0 && speaks_http2(common).await {
        found.mix.set(ClientKind::Http2, 4);
    }
    for kind in found.mix.kinds().collect::<Vec<_>>() {
        let rehearsed = match kind {
            ClientKind::WebSocket => websocket(common, kind).await,
            ClientKind::Http2 => http2(common, kind).await,
            ClientKind::New
            | ClientKind::KeepAlive
            | ClientKind::Pipelined
            | ClientKind::SlowUpload
            | ClientKind::SlowResponse
            | ClientKind::LargeResponse => http1(common, kind).await,
        };
        match rehearsed {
            Ok(right) => found.right[kind.index()] = Rc::new(right),
            // Nobody asked for uploads, and not every server takes them.
            Err(Refusal(why)) if kind == ClientKind::SlowUpload && plan.mix.is_none() => {
                found.mix.set(kind, 0);
                found.remarks.push(format!("{kind} left out: {why}"));
            }
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(found)
}

async fn speaks_http2(common: &Rc<Common>) -> bool {
    let mut dialer = common.dialer(ClientKind::Http2);
    dialer.tls = common.tls(&[b"h2", b"http/1.1"]);
    match timeout(common.plan.timeout, dialer.dial()).await {
        Ok(Ok(dialed)) => dialed.stream.protocol() == Some(b"h2"),
        Ok(Err(_)) | Err(_) => false,
    }
}

/// A client that only rehearses.
fn client(common: &Rc<Common>, kind: ClientKind) -> Client {
    let (_, pace) = Pulse::new();
    Client::new(common, kind, 0, &Rc::new(Right::default()), &pace)
}

async fn http1(common: &Rc<Common>, kind: ClientKind) -> Result<Right, Refusal> {
    let plan = &common.plan;
    let mut answers = Vec::new();
    for id in [1, 2] {
        match within(common.limit(kind), client(common, kind).once(id)).await {
            Ok((answer, connection)) => {
                let (header, body) = (answer.echo.as_deref(), connection.decoder.body());
                let echo = Echo::of(header, body, &text_of(id));
                answers.push((answer, echo));
            }
            Err(miss) => return Err(explain(plan, kind, &miss)),
        }
    }
    let [(first, echo), (second, again)] = [answers.remove(0), answers.remove(0)];
    Ok(Right {
        statuses: statuses(plan, kind, &[first.status, second.status])?,
        echo: if echo == again { echo } else { Echo::Nowhere },
        keep_alive: first.keep_alive_s.map(|seconds| Duration::from_secs(seconds.into())),
        speech: Speech::default(),
    })
}

/// Which statuses are right, if those that came are.
fn statuses(plan: &Plan, kind: ClientKind, came: &[u16]) -> Result<Option<Vec<u16>>, Refusal> {
    let what = format!("{} {}", plan.method(kind), plan.path(kind));
    if let Some(expected) = &plan.expect {
        return match came.iter().find(|status| !expected.contains(**status)) {
            None => Ok(Some((200..600).filter(|status| expected.contains(*status)).collect())),
            Some(status) => Err(Refusal(format!(
                "{what} is answered with {status}, which --expect does not name"
            ))),
        };
    }
    match came {
        [first, second] if first != second => Err(Refusal(format!(
            "{what} is answered with {first}, then with {second}: say which are right, by \
             `--expect {first},{second}`, or name another path by --path"
        ))),
        [status, ..] if *status >= 500 => Err(Refusal(format!(
            "{what} is answered with {status}: mend that, name a path that works by \
             `--path {kind}=/…`, or say `--expect {status}`"
        ))),
        _ => Ok(came.first().map(|status| vec![*status])),
    }
}

async fn http2(common: &Rc<Common>, kind: ClientKind) -> Result<Right, Refusal> {
    let plan = &common.plan;
    match within(plan.timeout, client(common, kind).once_http2(1)).await {
        Ok((status, echo)) => {
            Ok(Right { statuses: statuses(plan, kind, &[status])?, echo, ..Right::default() })
        }
        Err(miss) => Err(explain(plan, kind, &miss)),
    }
}

async fn websocket(common: &Rc<Common>, kind: ClientKind) -> Result<Right, Refusal> {
    let plan = &common.plan;
    let client = client(common, kind);
    let opened = Socket::open(&client, 1);
    let mut socket = match within(plan.timeout, opened).await {
        Ok(socket) => socket,
        Err(miss) => {
            let path = plan.path(kind);
            return Err(Refusal(format!(
                "{path} does not become a WebSocket ({}): name the path by `--path websocket=/…`",
                miss.what
            )));
        }
    };
    let speech = match socket.echoes(ECHO).await {
        true => Speech::Echo,
        false if socket.pongs(plan.timeout).await => Speech::Ping,
        false => {
            let text = format!("the WebSocket at {} answers no ping", plan.path(kind));
            return Err(Refusal(text));
        }
    };
    Ok(Right { speech, ..Right::default() })
}

/// What a failure before the trial means for who asked.
fn explain(plan: &Plan, kind: ClientKind, miss: &Miss) -> Refusal {
    let place = plan.target.place();
    let what = &miss.what;
    let remedy = if what.contains("\\x15\\x03") {
        "it speaks TLS: use https://"
    } else if what.contains("InvalidMessage") || what.contains("InvalidContentType") {
        "it does not speak TLS: use http://"
    } else if what.contains("invalid peer certificate") {
        "name whom to trust by `--ca FILE`, or use `--insecure`"
    } else if what.starts_with("no answer in HTTP") {
        "it does not speak HTTP: is it the right port?"
    } else if miss.loss == Loss::Late {
        "is it the right path? `--timeout` gives it longer"
    } else {
        "ask for it by curl to see more"
    };
    let (method, path) = (plan.method(kind), plan.path(kind));
    Refusal(format!("{method} {path} at {place} gets no answer ({what}): {remedy}"))
}
