//! A connection for every request.

use tokio::time::timeout;

use super::template::Framing;
use super::{Client, Connection, Template};
use crate::ledger::{Loss, Miss};
use crate::response::Decoder;

pub(super) async fn run(mut client: Client) {
    let plan = std::rc::Rc::clone(&client.common.plan);
    // Every other client leaves it to the server to end connections.
    let closes = client.index.is_multiple_of(2);
    let mut template = Template::new(&plan, client.kind, Framing::Plan, closes);
    while client.pace.goes_on() {
        let ticket = client.common.ledger.begin(client.kind);
        let request = template.with_id(ticket.id).to_vec();
        let limit = client.common.limit(client.kind);
        let outcome = timeout(limit, ask(&mut client, &request, ticket.id)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(late(limit)));
        let is_lost = outcome.is_err();
        client.end(ticket, outcome.map(drop));
        if !(if is_lost { client.recover().await } else { client.think().await }) {
            return;
        }
    }
}

async fn ask(client: &mut Client, request: &[u8], id: u64) -> Result<(), Miss> {
    let plan = &client.common.plan;
    let mut decoder = Decoder::new(&plan.id_header, plan.method(client.kind));
    if client.right.echo == super::Echo::Body {
        decoder = decoder.keep_body();
    }
    let mut connection = Connection::new(client.dialer.dial().await?, decoder);
    connection.send(request).await?;
    let answer = connection.answer().await?;
    client.judge(&connection, &answer, id)
}

/// There was no answer in time.
pub(super) fn late(limit: std::time::Duration) -> Miss {
    Miss { loss: Loss::Late, what: format!("no answer within {limit:?}"), carrier: None }
}
