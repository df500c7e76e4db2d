//! An answer that is read in pieces over seconds, or that the server takes seconds for.

use std::time::Duration;

use tokio::time::timeout;

use super::new::late;
use super::template::Framing;
use super::{Client, Template};
use crate::ledger::Miss;

/// How much is read at once.
const PIECE: usize = 2048;

/// In how many pieces an answer is read slowly; what comes then is read as fast as it comes.
const PIECES: u32 = 40;

pub(super) async fn run(mut client: Client) {
    let plan = std::rc::Rc::clone(&client.common.plan);
    let closes = client.index.is_multiple_of(2);
    let mut template = Template::new(&plan, client.kind, Framing::Plan, closes);
    while client.pace.goes_on() {
        let ticket = client.common.ledger.begin(client.kind);
        let request = template.with_id(ticket.id).to_vec();
        let limit = client.common.limit(client.kind);
        let outcome = timeout(limit, ask(&mut client, &request, ticket.id, plan.slow)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(late(limit)));
        let is_lost = outcome.is_err();
        client.end(ticket, outcome);
        if !(if is_lost { client.recover().await } else { client.think().await }) {
            return;
        }
    }
}

async fn ask(client: &mut Client, request: &[u8], id: u64, slow: Duration) -> Result<(), Miss> {
    let mut connection = client.connect().await?.slowly(PIECE, slow / PIECES, PIECES);
    connection.send(request).await?;
    let answer = connection.answer().await?;
    client.judge(&connection, &answer, id)
}
