//! The corners of HTTP/1.1: answers without a body, trailers, leave to go on.

use std::io::Write;
use std::time::Duration;

use super::user::Wish;
use super::{Kind, User};
use crate::support::client::{Connection, Lost, Response};

/// HEAD, 204 and 304 between ordinary requests: a body too many or too few would be taken for the next answer.
pub(crate) fn bodiless() -> Kind {
    Kind { name: "bodiless", hurried: true, act: without_bodies }
}

/// Chunked bodies with a trailer, both ways.
pub(crate) fn trailers() -> Kind {
    Kind { name: "trailers", hurried: true, act: with_trailers }
}

/// Uploads that wait for `100 Continue`, and now and then one that expects what nobody knows.
pub(crate) fn expecting() -> Kind {
    Kind { name: "expecting", hurried: true, act: with_expectations }
}

fn without_bodies(user: &mut User<'_>) {
    while !user.is_over() {
        for (method, path, status) in [
            ("HEAD", "/", 200),
            ("GET", "/empty", 204),
            ("GET", "/same", 304),
            ("HEAD", "/large", 200),
        ] {
            let wish = Wish::new(method, path, "").status(status);
            user.ask(&wish, |connection| {
                connection.send(&wish.head())?;
                if method == "HEAD" { connection.receive_head() } else { connection.receive() }
            });
            user.think(0, 20);
        }
        let wish = Wish::new("GET", "/?between=1", "ok");
        user.ask(&wish, |connection| {
            connection.send(&wish.head())?;
            connection.receive()
        });
    }
}

fn with_trailers(user: &mut User<'_>) {
    const CHUNKS: usize = 8;
    while !user.is_over() {
        let wish = Wish::new("POST", "/trailers", "8192 s8192")
            .header("Transfer-Encoding", "chunked")
            .header("Trailer", "X-Sum");
        let pause = Duration::from_millis(user.between(0, 30));
        user.ask(&wish, |connection| {
            connection.send(&wish.head())?;
            for _ in 0..CHUNKS {
                let chunk = format!("400\r\n{}\r\n", "c".repeat(1024));
                connection.stream.write_all(chunk.as_bytes()).map_err(|_| Lost::Reset)?;
                std::thread::sleep(pause);
            }
            // The end of the body and its trailers come apart.
            connection.send(b"0\r\nX-S")?;
            std::thread::sleep(pause);
            connection.send(b"um: s8192\r\n\r\n")?;
            let response = connection.receive()?;
            let whole = response.trailer("x-sum") == Some("s8192");
            if whole { Ok(response) } else { Err(Lost::Wrong) }
        });
        user.think(1, 30);
    }
}

fn with_expectations(user: &mut User<'_>) {
    while !user.is_over() {
        let wish = Wish::new("POST", "/upload", "4096")
            .header("Expect", "100-continue")
            .header("Content-Length", 4096);
        let pause = Duration::from_millis(user.between(0, 60));
        user.ask(&wish, |connection| upload_with_leave(connection, &wish.head(), pause));
        user.think(0, 30);
        if user.between(0, 9) == 0 {
            let wish = Wish::new("GET", "/", "").header("Expect", "wonders").status(417);
            user.ask(&wish, |connection| {
                connection.send(&wish.head())?;
                connection.receive()
            });
        }
    }
}

fn upload_with_leave(
    connection: &mut Connection,
    head: &[u8],
    pause: Duration,
) -> Result<Response, Lost> {
    connection.send(head)?;
    if connection.receive_head()?.status != 100 {
        return Err(Lost::Wrong);
    }
    for _ in 0..4 {
        connection.send(&[b'u'; 1024])?;
        std::thread::sleep(pause);
    }
    connection.receive()
}
