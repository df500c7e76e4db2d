//! A WebSocket: pings, or messages if the server echoes them.
//!
//! A server that closes it by the rules (RFC 6455 section 7) loses nothing: the client makes another.
//! What was on its way just then is counted as unanswered.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Client, within};
use crate::ledger::{Carrier, Loss, Miss, text_of};
use crate::plan::Plan;
use crate::stream::{Dialed, Stream, broken};

/// What a server answers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Speech {
    /// Pings, as every server must: RFC 6455 section 5.5.3.
    #[default]
    Ping,
    /// Messages, with the same.
    Echo,
}

/// An open WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<Stream>,
    carrier: Carrier,
}

/// What came from the server.
enum Heard {
    /// The answer.
    Answer,
    /// It closes, by the rules.
    Goodbye,
    Broken(Miss),
}

pub(super) async fn run(mut client: Client) {
    while client.pace.goes_on() {
        let ticket = client.common.ledger.begin(client.kind);
        let limit = client.common.limit(client.kind);
        let goes_on = match within(limit, Socket::open(&client, ticket.id)).await {
            Ok(socket) => {
                client.common.ledger.answered(ticket);
                talk(&mut client, socket).await;
                // All clients of a worker are told to go at once, and should not come at once.
                sleep(Duration::from_millis(50).mul_f64(fastrand::f64())).await;
                client.pace.goes_on()
            }
            Err(miss) => {
                client.common.ledger.missed(ticket, miss);
                client.recover().await
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// Speaks until one side closes.
async fn talk(client: &mut Client, mut socket: Socket) {
    let think = client.common.plan.think;
    let limit = client.common.limit(client.kind);
    loop {
        let heard = tokio::select! {
            goes_on = client.pace.think(think, true) => {
                if !goes_on {
                    let _ = timeout(Duration::from_secs(1), socket.stream.close(None)).await;
                    return;
                }
                None
            }
            heard = socket.hear(None) => Some(heard),
        };
        match heard {
            None => {}
            Some(Heard::Answer) => continue,
            Some(Heard::Goodbye) => return socket.part(client).await,
            Some(Heard::Broken(_)) => {
                return client.common.ledger.ended_idle(&socket.carrier, false);
            }
        }
        let ticket = client.common.ledger.begin(client.kind);
        let asked = timeout(limit, socket.ask(client.right.speech, &text_of(ticket.id))).await;
        match asked.unwrap_or_else(|_| Heard::Broken(Miss::late(limit))) {
            Heard::Answer => client.common.ledger.answered(ticket),
            Heard::Goodbye => {
                client.common.ledger.unanswered(ticket);
                return socket.part(client).await;
            }
            Heard::Broken(miss) => return client.common.ledger.missed(ticket, miss),
        }
    }
}

impl Socket {
    /// Connects and asks for the upgrade.
    pub(crate) async fn open(client: &Client, id: u64) -> Result<Self, Miss> {
        let request = request(&client.common.plan, client, id)?;
        let Dialed { stream, opened, local_port } = client.dialer.dial().await?;
        let carrier = Carrier { opened, local_port, requests_before: 0, answer_begun: false };
        match client_async(request, stream).await {
            Ok((stream, _)) => Ok(Self { stream, carrier }),
            Err(error) => Err(miss(&error, carrier)),
        }
    }

    /// Sends an id and waits until it comes back.
    async fn ask(&mut self, speech: Speech, id: &str) -> Heard {
        let message = match speech {
            Speech::Ping => Message::Ping(id.to_owned().into()),
            Speech::Echo => Message::Text(id.to_owned().into()),
        };
        match self.stream.send(message).await {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
            // It may have said goodbye before.
            Err(Error::Protocol(ProtocolError::SendAfterClosing)) => return Heard::Goodbye,
            Err(error) => return Heard::Broken(miss(&error, self.carrier)),
        }
        let heard = self.hear(Some(id)).await;
        self.carrier.requests_before += 1;
        heard
    }

    /// Waits for a message that has this id in it; other messages are the app's own business.
    async fn hear(&mut self, id: Option<&str>) -> Heard {
        loop {
            let has_id = |text: &[u8]| id.is_some_and(|id| super::contains(text, id.as_bytes()));
            match self.stream.next().await {
                Some(Ok(Message::Pong(data))) if has_id(&data) => return Heard::Answer,
                Some(Ok(Message::Text(text))) if has_id(text.as_bytes()) => return Heard::Answer,
                Some(Ok(Message::Close(_))) => return Heard::Goodbye,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Heard::Broken(miss(&error, self.carrier)),
                None => {
                    let what = "closed without a word".to_owned();
                    let carrier = Some(self.carrier);
                    return Heard::Broken(Miss { loss: Loss::Closed, what, carrier });
                }
            }
        }
    }

    /// Lets the server close, as it said.
    async fn part(mut self, client: &Client) {
        client.common.ledger.connections(|connections| connections.announced += 1);
        let rest = async { while let Some(Ok(_)) = self.stream.next().await {} };
        let _ = timeout(Duration::from_secs(1), rest).await;
    }

    /// Whether messages come back, as far as can be told within this time.
    pub(crate) async fn echoes(&mut self, patience: Duration) -> bool {
        let asked = timeout(patience, self.ask(Speech::Echo, &text_of(0))).await;
        matches!(asked, Ok(Heard::Answer))
    }

    /// Whether a ping comes back within this time.
    pub(crate) async fn pongs(&mut self, patience: Duration) -> bool {
        let asked = timeout(patience, self.ask(Speech::Ping, &text_of(1))).await;
        matches!(asked, Ok(Heard::Answer))
    }
}

fn request(plan: &Plan, client: &Client, id: u64) -> Result<Request, Miss> {
    let scheme = if plan.target.tls { "wss" } else { "ws" };
    let uri = format!("{scheme}://{}{}", plan.target.authority, plan.path(client.kind));
    let odd = |what: String| Miss { loss: Loss::Wrong, what, carrier: None };
    let mut request = uri.into_client_request().map_err(|error| odd(error.to_string()))?;
    let headers = request.headers_mut();
    let id = text_of(id);
    let own = plan.headers.iter().map(|header| (header.name.as_str(), header.value.as_str()));
    for (name, value) in own.chain([(plan.id_header.as_str(), id.as_str())]) {
        let name = http::HeaderName::try_from(name).map_err(|error| odd(error.to_string()))?;
        let value = http::HeaderValue::try_from(value).map_err(|error| odd(error.to_string()))?;
        headers.insert(name, value);
    }
    Ok(request)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a library's errors, of which more may come")]
fn miss(error: &Error, carrier: Carrier) -> Miss {
    let (loss, what) = match error {
        Error::Io(io) => return broken(io, "WebSocket", carrier),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            (Loss::Closed, "closed without a WebSocket's close".to_owned())
        }
        Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            (Loss::Closed, "closed before the upgrade".to_owned())
        }
        Error::ConnectionClosed | Error::AlreadyClosed => {
            (Loss::Closed, "closed already".to_owned())
        }
        Error::Http(answer) => (Loss::Wrong, format!("status {}", answer.status().as_u16())),
        error => (Loss::Wrong, error.to_string()),
    };
    Miss { loss, what, carrier: Some(carrier) }
}
