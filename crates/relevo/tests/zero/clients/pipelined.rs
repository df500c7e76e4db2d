//! Several requests at once, split where it hurts.

use std::time::Duration;

use super::user::{Link, Wish};
use super::{Kind, User};
use crate::support::client::Lost;

/// Bursts of 2 to 6 requests in two writes. The place between the two is the next byte in each burst, so that every
/// place in a request comes round: within a segment may be the rest of one request and the beginning of another.
pub(crate) fn pipelined() -> Kind {
    Kind { name: "pipelined", hurried: true, act: bursts }
}

fn bursts(user: &mut User<'_>) {
    let mut place = user.between(0, 200) as usize;
    let mut again: Vec<Wish> = Vec::new();
    while !user.is_over() {
        let count = user.between(2, 6) as usize;
        let mut wishes = std::mem::take(&mut again);
        wishes.extend((wishes.len()..count).map(|_| Wish::new("GET", "/?pipelined=1", "ok")));
        place += 1;
        let pause = Duration::from_millis(user.between(0, 6));
        if let Some(link) = user.link() {
            again = burst(user, link, wishes, place, pause);
        }
        user.think(1, 60);
    }
}

/// Sends all of them and takes the answers; returns those that are to be asked again.
fn burst(
    user: &mut User<'_>,
    mut link: Link,
    wishes: Vec<Wish>,
    place: usize,
    pause: Duration,
) -> Vec<Wish> {
    let bytes: Vec<u8> = wishes.iter().flat_map(Wish::head).collect();
    let (first, second) = bytes.split_at(place % bytes.len());
    // If the server has ended the connection meanwhile, the answers say so.
    let sent = link.connection.send(first).and_then(|()| {
        std::thread::sleep(pause);
        link.connection.send(second)
    });
    let mut wishes = wishes.into_iter();
    while let Some(wish) = wishes.next() {
        let response = match link.connection.receive() {
            Ok(response) => response,
            Err(lost) => {
                user.lose(&link, &wish, lost, &format!("in a burst, sent {sent:?}"));
                for wish in wishes.by_ref() {
                    user.lose(&link, &wish, lost, "behind that");
                }
                return Vec::new();
            }
        };
        if let Err(wrong) = user.check(&wish, &response) {
            // Whatever follows is not to be trusted.
            user.lose(&link, &wish, Lost::Wrong, &wrong);
            return Vec::new();
        }
        user.count_answer(&mut link);
        if response.says_close() {
            // What was sent behind this was not processed, and has to be asked again (RFC 9112, 9.6).
            user.tally.ended += 1;
            let again: Vec<Wish> = wishes.collect();
            user.tally.resent += again.len() as u64;
            return again;
        }
    }
    user.keep(link);
    Vec::new()
}
