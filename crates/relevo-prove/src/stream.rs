//! A connection to the server: how it is made, and how its failures are named.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use rustix::io::Errno;
use rustls::HandshakeKind;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ledger::{Carrier, Ledger, Loss, Miss};
use crate::tls::Side;

/// Where to connect to.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Makes one client's connections.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    pub(crate) address: Address,
    pub(crate) tls: Option<Side>,
    /// How much the kernel may receive ahead, in bytes, where a client reads slowly.
    pub(crate) receive_buffer: Option<u32>,
    pub(crate) ledger: Rc<Ledger>,
}

/// Bytes to and from the server.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    TlsTcp(Box<TlsStream<TcpStream>>),
    TlsUnix(Box<TlsStream<UnixStream>>),
}

/// A connection that was just made.
#[derive(Debug)]
pub(crate) struct Dialed {
    pub(crate) stream: Stream,
    pub(crate) opened: Instant,
    pub(crate) local_port: Option<u16>,
}

impl Dialer {
    /// Connects, and shakes hands over TLS.
    pub(crate) async fn dial(&self) -> Result<Dialed, Miss> {
        let dialed = match self.address.clone() {
            Address::Tcp(address) => {
                let stream =
                    self.connect(address).await.map_err(|error| self.not_connected(&error))?;
                let local_port = stream.local_addr().ok().map(|local| local.port());
                let opened = Instant::now();
                let stream = match self.tls.clone() {
                    None => Stream::Tcp(stream),
                    Some(tls) => {
                        let shaken = self.shake(tls, stream, opened, local_port).await?;
                        Stream::TlsTcp(Box::new(shaken))
                    }
                };
                Dialed { stream, opened, local_port }
            }
            Address::Unix(path) => {
                let stream =
                    UnixStream::connect(&path).await.map_err(|error| self.not_connected(&error))?;
                let opened = Instant::now();
                let stream = match self.tls.clone() {
                    None => Stream::Unix(stream),
                    Some(tls) => {
                        Stream::TlsUnix(Box::new(self.shake(tls, stream, opened, None).await?))
                    }
                };
                Dialed { stream, opened, local_port: None }
            }
        };
        self.ledger.connections(|connections| connections.opened += 1);
        Ok(dialed)
    }

    /// Why no connection was made.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the system has many more errors")]
    fn not_connected(&self, error: &io::Error) -> Miss {
        let what = format!("connecting: {}", words(error));
        if is_ours(error) {
            self.ledger.note_fault(&what);
        }
        let loss = match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Loss::Reset,
            io::ErrorKind::TimedOut => Loss::Late,
            _ => Loss::Refused,
        };
        Miss { loss, what, carrier: None }
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        side: Side,
        stream: S,
        opened: Instant,
        local_port: Option<u16>,
    ) -> Result<TlsStream<S>, Miss> {
        let carrier = Carrier { opened, local_port, requests_before: 0, answer_begun: false };
        let connector = TlsConnector::from(Arc::clone(&side.config));
        let shaken = connector.connect(side.name.clone(), stream).await;
        let stream = shaken.map_err(|error| broken(&error, "during the TLS handshake", carrier))?;
        let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        self.ledger.handshake(resumed, side.has_offered());
        Ok(stream)
    }
}

impl Stream {
    /// The protocol that was agreed on by ALPN.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => None,
            Self::TlsTcp(stream) => stream.get_ref().1.alpn_protocol(),
            Self::TlsUnix(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }
}

/// What became of a connection whose stream says this.
#[expect(clippy::wildcard_enum_match_arm, reason = "the system has many more errors")]
pub(crate) fn broken(error: &io::Error, when: &str, carrier: Carrier) -> Miss {
    let loss = match error.kind() {
        io::ErrorKind::UnexpectedEof => Loss::Closed,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Loss::Wrong,
        _ => Loss::Reset,
    };
    Miss { loss, what: format!("{when}: {}", words(error)), carrier: Some(carrier) }
}

/// Whether it is this side that cannot go on: no descriptors, no ports, no memory.
fn is_ours(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOMEM]
        .into_iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// An error without the number that Rust adds.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::TlsTcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::TlsUnix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::TlsTcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::TlsUnix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::TlsTcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::TlsUnix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::TlsTcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::TlsUnix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
