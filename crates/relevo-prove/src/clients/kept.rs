//! One connection for many requests, idle in between.

use std::time::{Duration, Instant};

use super::template::Framing;
use super::{Client, Connection, Template, within};
use crate::ledger::{Miss, Ticket};
use crate::response::Answer;

/// How much longer the pauses of those clients are that are there to be idle when a worker leaves.
const SLUGGISH: u32 = 20;

pub(super) async fn run(mut client: Client) {
    let plan = std::rc::Rc::clone(&client.common.plan);
    let mut template = Template::new(&plan, client.kind, Framing::Plan, false);
    let mut kept: Option<Connection> = None;
    while client.pace.goes_on() {
        let ticket = client.common.ledger.begin(client.kind);
        let request = template.with_id(ticket.id).to_vec();
        let goes_on = match ask(&mut client, &mut kept, &request, &ticket).await {
            Ok(answer) => {
                client.common.ledger.end(ticket, Ok(()));
                if answer.closes
                    && let Some(connection) = kept.take()
                {
                    connection.see_closed(&client.common.ledger).await;
                }
                pause(&mut client, &mut kept).await
            }
            Err(miss) => {
                client.common.ledger.end(ticket, Err(miss));
                kept = None;
                client.recover().await
            }
        };
        if !goes_on {
            return;
        }
    }
}

async fn ask(
    client: &mut Client,
    kept: &mut Option<Connection>,
    request: &[u8],
    ticket: &Ticket,
) -> Result<Answer, Miss> {
    let limit = client.common.limit(client.kind);
    within(limit, async {
        let connection = match kept {
            Some(connection) => connection,
            None => kept.insert(client.connect().await?),
        };
        connection.send(request).await?;
        let answer = connection.answer().await?;
        client.judge(connection, &answer, ticket.id)?;
        Ok(answer)
    })
    .await
}

/// Idles, and notices when the server ends the connection meanwhile.
pub(super) async fn pause(client: &mut Client, kept: &mut Option<Connection>) -> bool {
    let think = client.common.plan.think;
    if think.is_zero() {
        return client.pace.goes_on();
    }
    // One of four is there to be idle; of these, every other one is not woken by a pulse.
    let (mean, heeds) = match client.index % 8 {
        3 => (longest(think * SLUGGISH, client.right.keep_alive), true),
        7 => (longest(think * SLUGGISH, client.right.keep_alive), false),
        _ => (longest(think, client.right.keep_alive), true),
    };
    let Some(connection) = kept else { return client.pace.think(mean, heeds).await };
    let began = Instant::now();
    tokio::select! {
        goes_on = client.pace.think(mean, heeds) => return goes_on,
        () = connection.ended_idle() => {}
    }
    connection.note_idle_end(&client.common.ledger, began.elapsed(), client.right.keep_alive);
    *kept = None;
    client.pace.goes_on()
}

/// The mean of pauses that stay well below the time after which the server may end the connection.
fn longest(mean: Duration, announced: Option<Duration>) -> Duration {
    // A pause is at most twice the mean. Without a word of the server's, Node's default of 5 s.
    let announced = announced.unwrap_or(Duration::from_secs(5));
    mean.min(announced.mul_f64(0.4))
}
