//! Clients that know the server's limits, and hold it to them.

use std::time::{Duration, Instant};

use super::user::Wish;
use super::{Kind, User};
use crate::support::client::Lost;

/// `MAX_REQUESTS` of the app that `counting` asks.
pub(crate) const MAX_REQUESTS: u64 = 10;
/// `KEEP_ALIVE_MS` of the app that `expiring` asks.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// Connections with an allowance of requests: what is moved takes what it has used along, so that the server ends it
/// after exactly as many, and never refuses one with 503.
pub(crate) fn counting() -> Kind {
    Kind { name: "counting", hurried: true, act: counted }
}

/// Connections on which nothing is asked until the server ends them: that comes at its time, not before it and not
/// much later, wherever the connection lives by then.
pub(crate) fn expiring() -> Kind {
    Kind { name: "expiring", hurried: false, act: left_alone }
}

/// Connections on which nothing is said for a moment after they are opened.
pub(crate) fn silent() -> Kind {
    Kind {
        name: "silent",
        hurried: true,
        act: |user| {
            while !user.is_over() {
                let pause = Duration::from_millis(user.between(0, 300));
                let wish = Wish::new("GET", "/?after=silence", "ok").last();
                user.ask(&wish, |connection| {
                    std::thread::sleep(pause);
                    connection.send(&wish.head())?;
                    connection.receive()
                });
            }
        },
    }
}

fn counted(user: &mut User<'_>) {
    while !user.is_over() {
        let Some(mut link) = user.link() else { continue };
        let wish = Wish::new("GET", "/?counted=1", "ok");
        let answer = link.connection.send(&wish.head()).and_then(|()| link.connection.receive());
        let answer = match answer {
            Ok(answer) => answer,
            Err(lost) => {
                user.lose(&link, &wish, lost, "");
                continue;
            }
        };
        if let Err(wrong) = user.check(&wish, &answer) {
            user.lose(&link, &wish, Lost::Wrong, &wrong);
            continue;
        }
        user.count_answer(&mut link);
        match (link.answered >= MAX_REQUESTS, answer.says_close()) {
            (true, true) => {}
            (true, false) => user.lose(&link, &wish, Lost::Wrong, "more than is allowed"),
            // The server has ended it for a reason of its own.
            (false, true) => user.tally.ended += 1,
            (false, false) => user.keep(link),
        }
        user.think(10, 120);
    }
}

fn left_alone(user: &mut User<'_>) {
    /// Node 20 and later wait a second longer than they announce; the rest is for a busy machine.
    const LATEST: Duration = Duration::from_secs(3);
    while !user.is_over() {
        let Some(mut link) = user.link() else { continue };
        let wish = Wish::new("GET", "/?then=nothing", "ok");
        let answer = link.connection.send(&wish.head()).and_then(|()| link.connection.receive());
        let since = Instant::now();
        match answer {
            Ok(answer) if answer.says_close() => {
                user.tally.ended += 1;
                continue;
            }
            Ok(answer) => {
                if let Err(wrong) = user.check(&wish, &answer) {
                    user.lose(&link, &wish, Lost::Wrong, &wrong);
                    continue;
                }
            }
            Err(lost) => {
                user.lose(&link, &wish, lost, "");
                continue;
            }
        }
        // 50 ms for the time between the server's last write and our clock.
        while !user.is_over()
            && !link.connection.is_closed()
            && since.elapsed() < KEEP_ALIVE + LATEST
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        let lived = since.elapsed();
        if user.is_over() {
            user.count_answer(&mut link);
            return;
        }
        if lived + Duration::from_millis(50) < KEEP_ALIVE {
            user.lose(&link, &wish, Lost::Closed, &format!("idle, after {lived:?}"));
        } else if lived >= KEEP_ALIVE + LATEST {
            user.lose(&link, &wish, Lost::Wrong, &format!("still open after {lived:?}"));
        } else {
            user.count_answer(&mut link);
        }
    }
}
