//! The least that can be called a server of HTTP/1.1: it answers every head that it reads, without
//! looking at it. What `relevo prove` can do at most is measured against it.
//!
//! `stub PORT`, on one thread.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n";

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse::<u16>().ok()).unwrap_or(0);
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(stream));
        }
    })
}

/// Ends with the connection; an error is an end as well.
async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = vec![0; 16 * 1024];
    // Requests are taken to come whole, as they do from clients that wait for answers.
    while let 1.. = stream.read(&mut bytes).await? {
        stream.write_all(ANSWER).await?;
    }
    Ok(())
}
