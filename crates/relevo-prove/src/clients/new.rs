//! A connection for every request. The answer may be read slowly.

use super::template::Framing;
use super::{Client, Template, within};
use crate::ledger::Miss;

pub(super) async fn run(mut client: Client) {
    let plan = std::rc::Rc::clone(&client.common.plan);
    // Every other client leaves it to the server to end connections.
    let closes = client.index.is_multiple_of(2);
    let mut template = Template::new(&plan, client.kind, Framing::Plan, closes);
    let limit = client.common.limit(client.kind);
    while client.pace.goes_on() {
        let ticket = client.common.ledger.begin(client.kind);
        let outcome = within(limit, ask(&client, template.with_id(ticket.id), ticket.id)).await;
        let is_lost = outcome.is_err();
        client.common.ledger.end(ticket, outcome);
        if !(if is_lost { client.recover().await } else { client.think().await }) {
            return;
        }
    }
}

async fn ask(client: &Client, request: &[u8], id: u64) -> Result<(), Miss> {
    let mut connection = client.connect().await?;
    connection.send(request).await?;
    let answer = connection.answer().await?;
    client.judge(&connection, &answer, id)
}
