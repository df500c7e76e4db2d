//! One request after the other.

use std::io::Write;
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::user::Wish;
use super::{Kind, User};
use crate::support::client::Lost;

/// A connection for each request.
pub(crate) fn new() -> Kind {
    Kind { name: "new", hurried: true, act: |user| quick(user, true, (1, 40)) }
}

/// A connection that is kept, and hardly ever idle.
pub(crate) fn kept() -> Kind {
    Kind { name: "kept", hurried: true, act: |user| quick(user, false, (1, 40)) }
}

/// A connection that is kept, and idle for up to 3 s, shorter than the keep-alive timeout of any of the servers.
pub(crate) fn unhurried() -> Kind {
    Kind { name: "unhurried", hurried: false, act: |user| quick(user, false, (50, 3000)) }
}

/// Answers that take a while.
pub(crate) fn slow() -> Kind {
    Kind {
        name: "slow",
        hurried: true,
        act: |user| {
            while !user.is_over() {
                let ms = user.between(50, 400);
                get(user, &Wish::new("GET", &format!("/slow?ms={ms}"), "slow"));
                user.think(1, 50);
            }
        },
    }
}

/// Bodies that take a while to send.
pub(crate) fn upload() -> Kind {
    Kind { name: "upload", hurried: true, act: uploads }
}

/// Answers that do not fit into the client's window, read late.
pub(crate) fn large() -> Kind {
    Kind { name: "large", hurried: true, act: large_answers }
}

fn quick(user: &mut User<'_>, on_its_own: bool, (from, to): (u64, u64)) {
    while !user.is_over() {
        let wish = Wish::new("GET", "/?quick=1", "ok");
        get(user, &if on_its_own { wish.last() } else { wish });
        user.think(from, to);
    }
}

fn get(user: &mut User<'_>, wish: &Wish) {
    user.ask(wish, |connection| {
        connection.send(&wish.head())?;
        connection.receive()
    });
}

fn uploads(user: &mut User<'_>) {
    const PIECES: usize = 10;
    const PIECE: [u8; 4096] = [b'u'; 4096];
    while !user.is_over() {
        let wish = Wish::new("POST", "/upload", "40960")
            .header("Content-Type", "application/octet-stream")
            .header("Content-Length", PIECES * PIECE.len());
        let pause = Duration::from_millis(user.between(2, 40));
        user.ask(&wish, |connection| {
            connection.send(&wish.head())?;
            for _ in 0..PIECES {
                connection.stream.write_all(&PIECE).map_err(|_| Lost::Reset)?;
                std::thread::sleep(pause);
            }
            connection.receive()
        });
        user.think(1, 50);
    }
}

fn large_answers(user: &mut User<'_>) {
    static LARGE: [u8; 1 << 20] = [b'x'; 1 << 20];
    let large = std::str::from_utf8(&LARGE).expect("ASCII");
    while !user.is_over() {
        let wish = Wish::new("GET", "/large", large);
        let pause = Duration::from_millis(user.between(20, 200));
        user.ask(&wish, |connection| {
            set_socket_recv_buffer_size(&connection.stream, 16 * 1024).expect("an option");
            connection.send(&wish.head())?;
            std::thread::sleep(pause);
            connection.receive()
        });
        user.think(20, 200);
    }
}
