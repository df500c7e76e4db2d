//! A body that is sent in pieces over seconds, with its length or in chunks.

use std::time::Duration;

use tokio::time::sleep;

use super::template::Framing;
use super::{Client, Connection, Template, within};
use crate::ledger::Miss;
use crate::response::Answer;

/// In how many pieces a body is sent.
const PIECES: usize = 20;

pub(super) async fn run(mut client: Client) {
    let plan = std::rc::Rc::clone(&client.common.plan);
    let mut templates = [Framing::Length(plan.upload_bytes), Framing::Chunked]
        .map(|framing| (framing, Template::new(&plan, client.kind, framing, false)));
    let mut kept: Option<Connection> = None;
    while client.pace.goes_on() {
        let ticket = client.common.ledger.begin(client.kind);
        let (framing, template) = &mut templates[fastrand::usize(0..2)];
        let head = template.with_id(ticket.id).to_vec();
        let pieces = pieces(plan.upload_bytes, *framing);
        let limit = client.common.limit(client.kind);
        let outcome = within(limit, upload(&mut client, &mut kept, &head, pieces)).await;
        let judged = match (outcome, &kept) {
            (Ok(answer), Some(connection)) => {
                let judged = client.judge(connection, &answer, ticket.id);
                judged.map(|()| answer)
            }
            (outcome, _) => outcome,
        };
        let (is_lost, closes) = (judged.is_err(), judged.as_ref().is_ok_and(|it| it.closes));
        client.common.ledger.end(ticket, judged.map(drop));
        if is_lost || closes {
            kept = None;
        }
        let goes_on = match is_lost {
            true => client.recover().await,
            false => super::kept::pause(&mut client, &mut kept).await,
        };
        if !goes_on {
            return;
        }
    }
}

/// The bytes of the body, as they are sent one after the other.
pub(super) fn pieces(length: usize, framing: Framing) -> Vec<Vec<u8>> {
    let size = length.div_ceil(PIECES).max(1);
    let body = vec![b'u'; length];
    let plain = body.chunks(size).map(<[u8]>::to_vec);
    match framing {
        Framing::Plan | Framing::Length(_) => plain.collect(),
        Framing::Chunked => {
            let chunk = |data: Vec<u8>| {
                [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat()
            };
            let mut chunks: Vec<Vec<u8>> = plain.map(chunk).collect();
            chunks.push(b"0\r\nX-End: 1\r\n\r\n".to_vec());
            chunks
        }
    }
}

async fn upload(
    client: &mut Client,
    kept: &mut Option<Connection>,
    head: &[u8],
    pieces: Vec<Vec<u8>>,
) -> Result<Answer, Miss> {
    let connection = match kept {
        Some(connection) => connection,
        None => kept.insert(client.connect().await?),
    };
    connection.send(head).await?;
    let pause = client.common.plan.slow / u32::try_from(pieces.len().max(1)).unwrap_or(1);
    for piece in pieces {
        match early(connection, pause.mul_f64(0.5 + fastrand::f64())).await {
            None => {}
            // It need not wait for the body, but the connection cannot be used for another.
            Some(answer) => return answer.map(|answer| Answer { closes: true, ..answer }),
        }
        if let Err(miss) = connection.send(&piece).await {
            // It may have been answered before the server closed.
            let answer = connection.answer().await.map_err(|_| miss)?;
            return Ok(Answer { closes: true, ..answer });
        }
    }
    connection.answer().await
}

/// Waits, unless there is an answer already.
async fn early(connection: &mut Connection, pause: Duration) -> Option<Result<Answer, Miss>> {
    tokio::select! {
        biased;
        answer = connection.answer() => Some(answer),
        () = sleep(pause) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_whole_in_its_pieces() {
        let plain = pieces(65_537, Framing::Length(65_537)).concat();
        assert_eq!(plain.len(), 65_537);
        let chunked = pieces(41, Framing::Chunked);
        assert_eq!(chunked.first().map(Vec::as_slice), Some(b"3\r\nuuu\r\n".as_slice()));
        assert_eq!(chunked.len(), 15);
        assert_eq!(pieces(0, Framing::Chunked), [b"0\r\nX-End: 1\r\n\r\n".to_vec()]);
    }
}
