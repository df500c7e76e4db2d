//! Several streams of HTTP/2 on one connection.
//!
//! What the server says that it did not begin (a GOAWAY with a lower number, REFUSED_STREAM) is sent
//! again: RFC 9113 sections 6.8 and 8.7. That is counted; everything else is lost.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::time::{Instant, timeout_at};

use super::{Client, Echo, within};
use crate::ledger::{Carrier, Ledger, Loss, Miss, Ticket, text_of};
use crate::stream::{Dialed, Stream, broken};

/// How many streams are open at once, at the most.
const MOST: usize = 4;

/// How often a request is sent, at the most.
const TRIES: u32 = 5;

/// A connection that is driven by a task of its own.
#[derive(Debug)]
struct Session {
    sender: SendRequest<Bytes>,
    carrier: Carrier,
    open_streams: Rc<Cell<usize>>,
}

/// Why a request has no answer.
enum Failed {
    /// The server did not begin it.
    NotBegun,
    Missed(Miss),
}

pub(super) async fn run(mut client: Client) {
    let mut session = None;
    while client.pace.goes_on() {
        let mut waiting: VecDeque<Ticket> = (0..fastrand::usize(1..=MOST))
            .map(|_| client.common.ledger.begin(client.kind))
            .collect();
        let is_whole = all_answered(&mut client, &mut session, &mut waiting).await;
        if !is_whole {
            session = None;
        }
        let goes_on = if is_whole { client.think().await } else { client.recover().await };
        if !goes_on {
            return;
        }
    }
}

/// Sends what waits until all of it has an end; whether all were answered.
async fn all_answered(
    client: &mut Client,
    session: &mut Option<Session>,
    waiting: &mut VecDeque<Ticket>,
) -> bool {
    let mut is_whole = true;
    for _ in 0..TRIES {
        if waiting.is_empty() {
            return is_whole;
        }
        if session.is_none() {
            let limit = client.common.limit(client.kind);
            match within(limit, Session::open(client)).await {
                Ok(opened) => *session = Some(opened),
                Err(miss) => {
                    client.lose(waiting, &miss);
                    return false;
                }
            }
        }
        let Some(open) = session else { return false };
        is_whole &= round(client, open, waiting).await;
        // What could not be sent or was not begun goes by another.
        if !waiting.is_empty() {
            *session = None;
        }
    }
    client.lose(waiting, &Miss::not_begun(TRIES));
    is_whole && waiting.is_empty()
}

/// Sends each request once. Those that are to be sent again wait afterwards.
async fn round(client: &Client, session: &mut Session, waiting: &mut VecDeque<Ticket>) -> bool {
    let limit = client.common.limit(client.kind);
    let deadline = Instant::now() + limit;
    let mut sent = Vec::new();
    while let Some(ticket) = waiting.pop_front() {
        match timeout_at(deadline, session.send(client, ticket.id)).await {
            Ok(Some(answer)) => sent.push((ticket, answer)),
            Ok(None) | Err(_) => {
                waiting.push_front(ticket);
                break;
            }
        }
    }
    session.open_streams.set(sent.len());
    let mut is_whole = true;
    for (ticket, answer) in sent {
        let outcome = timeout_at(deadline, read(client, answer, &ticket, session.carrier)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Failed::Missed(Miss::late(limit))));
        session.carrier.requests_before += 1;
        session.open_streams.set(session.open_streams.get() - 1);
        match outcome {
            Ok(()) => client.common.ledger.answered(ticket),
            Err(Failed::NotBegun) => {
                client.common.ledger.repeated(&ticket);
                waiting.push_back(ticket);
            }
            Err(Failed::Missed(miss)) => {
                is_whole = false;
                client.common.ledger.missed(ticket, miss);
            }
        }
    }
    is_whole
}

impl Session {
    async fn open(client: &Client) -> Result<Self, Miss> {
        let Dialed { stream, opened, local_port } = client.dialer.dial().await?;
        let carrier = Carrier { opened, local_port, requests_before: 0, answer_begun: false };
        if client.dialer.tls.is_some() && stream.protocol() != Some(b"h2") {
            let what = "the server did not agree to HTTP/2 (ALPN)".to_owned();
            return Err(Miss { loss: Loss::Wrong, what, carrier: Some(carrier) });
        }
        let (sender, connection) =
            h2::client::handshake(stream).await.map_err(|error| miss(&error, carrier))?;
        let open_streams = Rc::new(Cell::new(0));
        let ledger = Rc::clone(&client.common.ledger);
        tokio::task::spawn_local(drive(connection, Rc::clone(&open_streams), ledger, carrier));
        Ok(Self { sender, carrier, open_streams })
    }

    /// Sends a request, unless the connection takes no more.
    async fn send(&mut self, client: &Client, id: u64) -> Option<ResponseFuture> {
        poll_fn(|cx| self.sender.poll_ready(cx)).await.ok()?;
        let plan = &client.common.plan;
        let scheme = if plan.target.tls { "https" } else { "http" };
        let uri = format!("{scheme}://{}{}", plan.target.authority, plan.path(client.kind));
        let mut request = Request::builder().method(plan.method(client.kind)).uri(uri);
        for header in &plan.headers {
            request = request.header(&header.name, &header.value);
        }
        let request = request.header(&plan.id_header, text_of(id)).body(()).ok()?;
        let is_last = plan.body.is_empty();
        let (answer, mut body) = self.sender.send_request(request, is_last).ok()?;
        if !is_last {
            // A failure is the answer's as well.
            let _ = body.send_data(Bytes::copy_from_slice(&plan.body), true);
        }
        Some(answer)
    }
}

/// Moves frames until the connection ends, and notes how it ended when nothing was going on.
async fn drive(
    connection: h2::client::Connection<Stream, Bytes>,
    open_streams: Rc<Cell<usize>>,
    ledger: Rc<Ledger>,
    carrier: Carrier,
) {
    let ended = connection.await;
    if open_streams.get() > 0 {
        return;
    }
    match ended {
        Ok(()) if ledger.was_killed(&carrier) => {}
        Ok(()) => ledger.connections(|connections| connections.announced += 1),
        Err(_) => ledger.ended_idle(&carrier, false),
    }
}

/// One request on a connection of its own.
pub(super) async fn once(client: &Client, id: u64) -> Result<(u16, Echo), Miss> {
    let mut session = Session::open(client).await?;
    let carrier = session.carrier;
    let gone = || {
        let what = "the server takes no stream".to_owned();
        Miss { loss: Loss::Closed, what, carrier: Some(carrier) }
    };
    let answer = session.send(client, id).await.ok_or_else(gone)?;
    let reply = Reply::read(answer, &client.common.plan.id_header, true);
    let Reply { status, header, body } = reply.await.map_err(|error| miss(&error, carrier))?;
    Ok((status, Echo::of(header.as_deref(), &body, &text_of(id))))
}

/// An answer to its end.
struct Reply {
    status: u16,
    /// What the id's header says.
    header: Option<String>,
    /// The beginning, if that is wanted.
    body: Vec<u8>,
}

impl Reply {
    async fn read(
        answer: ResponseFuture,
        id_header: &str,
        keeps_body: bool,
    ) -> Result<Self, h2::Error> {
        let answer = answer.await?;
        let status = answer.status().as_u16();
        let header = answer.headers().get(id_header).and_then(|value| value.to_str().ok());
        let header = header.map(str::to_owned);
        let body = drain(answer.into_body(), keeps_body).await?;
        Ok(Self { status, header, body })
    }
}

async fn read(
    client: &Client,
    answer: ResponseFuture,
    ticket: &Ticket,
    carrier: Carrier,
) -> Result<(), Failed> {
    let keeps_body = client.right.echo == Echo::Body;
    let reply = Reply::read(answer, &client.common.plan.id_header, keeps_body);
    let Reply { status, header, body } = reply.await.map_err(|error| failed(&error, carrier))?;
    match client.right.fault(status, header.as_deref(), &body, &text_of(ticket.id)) {
        None => Ok(()),
        Some(what) => Err(Failed::Missed(Miss { loss: Loss::Wrong, what, carrier: Some(carrier) })),
    }
}

/// Reads a body to its end, and keeps the beginning if that is wanted.
async fn drain(mut body: RecvStream, keeps: bool) -> Result<Vec<u8>, h2::Error> {
    let mut kept = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        if keeps && kept.len() < 16 * 1024 {
            kept.extend_from_slice(&data);
        }
        // An error says that the stream has ended, which the next look finds.
        let _ = body.flow_control().release_capacity(data.len());
    }
    body.trailers().await?;
    Ok(kept)
}

fn failed(error: &h2::Error, carrier: Carrier) -> Failed {
    let not_begun = match error.reason() {
        Some(Reason::REFUSED_STREAM) => error.is_reset(),
        Some(Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
        Some(_) | None => false,
    };
    if not_begun { Failed::NotBegun } else { Failed::Missed(miss(error, carrier)) }
}

fn miss(error: &h2::Error, carrier: Carrier) -> Miss {
    match error.get_io() {
        Some(io) => broken(io, "HTTP/2", carrier),
        None => {
            Miss { loss: Loss::Reset, what: format!("HTTP/2: {error}"), carrier: Some(carrier) }
        }
    }
}
