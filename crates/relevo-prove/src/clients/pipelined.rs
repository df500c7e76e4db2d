//! Several requests at once on one connection, cut anywhere.
//!
//! A server that answers one of them with `Connection: close` has not begun those behind it: RFC 9112
//! section 9.6. They are sent again, and that is counted; everything else is lost.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::sleep;

use super::template::Framing;
use super::{Client, Connection, Template, within};
use crate::ledger::{Miss, Ticket};

/// How many requests are sent at once, at the most.
const MOST: usize = 8;

/// How long a cut request waits for its other half, at the most.
const CUT: Duration = Duration::from_millis(20);

/// How often a request is sent, at the most.
const TRIES: u32 = 5;

pub(super) async fn run(mut client: Client) {
    let plan = std::rc::Rc::clone(&client.common.plan);
    let mut template = Template::new(&plan, client.kind, Framing::Plan, false);
    let mut kept: Option<Connection> = None;
    while client.pace.goes_on() {
        let depth = fastrand::usize(2..=MOST);
        let mut waiting: VecDeque<Ticket> =
            (0..depth).map(|_| client.common.ledger.begin(client.kind)).collect();
        let is_whole = all_answered(&mut client, &mut kept, &mut template, &mut waiting).await;
        let goes_on = match is_whole {
            true => super::kept::pause(&mut client, &mut kept).await,
            false => {
                kept = None;
                client.recover().await
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// Sends what waits until all of it has an end; whether all were answered.
async fn all_answered(
    client: &mut Client,
    kept: &mut Option<Connection>,
    template: &mut Template,
    waiting: &mut VecDeque<Ticket>,
) -> bool {
    let limit = client.common.limit(client.kind);
    for tried in 1..=TRIES {
        match within(limit, burst(client, kept, template, waiting)).await {
            Ok(()) if waiting.is_empty() => return true,
            Ok(()) if tried < TRIES => {
                for ticket in waiting.iter() {
                    client.common.ledger.repeated(ticket);
                }
            }
            Ok(()) => client.lose(waiting, &Miss::not_begun(TRIES)),
            Err(miss) => {
                client.lose(waiting, &miss);
                return false;
            }
        }
    }
    false
}

/// Sends all that waits and reads answers until there are as many, or the server says that it
/// closes.
async fn burst(
    client: &mut Client,
    kept: &mut Option<Connection>,
    template: &mut Template,
    waiting: &mut VecDeque<Ticket>,
) -> Result<(), Miss> {
    let bytes: Vec<u8> =
        waiting.iter().flat_map(|ticket| template.with_id(ticket.id).to_vec()).collect();
    let cut = fastrand::usize(1..bytes.len());
    let connection = match kept {
        Some(connection) => connection,
        None => kept.insert(client.connect().await?),
    };
    let sent = async {
        connection.send(&bytes[..cut]).await?;
        sleep(CUT.mul_f64(fastrand::f64())).await;
        connection.send(&bytes[cut..]).await
    };
    // Answers may be there although not all could be sent.
    let sent = sent.await;
    while !waiting.is_empty() {
        let answer = match connection.answer().await {
            Ok(answer) => answer,
            Err(miss) => return Err(sent.err().unwrap_or(miss)),
        };
        // Not before: what waits when the time is over is late.
        let Some(ticket) = waiting.pop_front() else { break };
        let judged = client.judge(connection, &answer, ticket.id);
        client.common.ledger.end(ticket, judged);
        if answer.closes {
            if let Some(connection) = kept.take() {
                connection.see_closed(&client.common.ledger).await;
            }
            return Ok(());
        }
    }
    Ok(())
}
